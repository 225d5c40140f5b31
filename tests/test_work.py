"""What is wanted and what runs, without an engine: fake queries whose cells are letters, answered when a test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lazyflow.cache import Cache
from lazyflow.errors import Cancelled, EngineError, LazyflowError, Superseded
from lazyflow.statistics.results import Cell
from lazyflow.testing.control import PATIENCE, Call, Control, threads_left
from lazyflow.work import CancelToken, Work


class Ask:
    """A query for some cells; `read` gives each its own letter as value."""

    deferred = True
    seconds = None

    def __init__(self, keys: str, silent: str = "") -> None:
        self.keys = keys
        self.silent = silent
        self.cells = frozenset(keys)

    @property
    def concerns(self):
        return self.cells

    def read(self, answer):
        return {key: Cell(key) for key in self.keys if key not in self.silent}

    def unanswered(self, cells):
        return self.cells - cells.keys()

    def failed(self, error):
        return {key: Cell(error=error) for key in self.keys}

    def split(self):
        middle = len(self.keys) // 2
        return [Ask(self.keys[:middle]), Ask(self.keys[middle:])] if middle else []


class Wants:
    """A view that wants letters, `at_once` of them in one query, in the order given."""

    def __init__(self, letters: str, at_once: int = 1, identity: object = None, silent: str = "") -> None:
        self.letters = letters
        self.at_once = at_once
        self.identity = identity or letters
        self.keys = frozenset(letters)
        self.silent = silent

    def rows_known(self, known):
        return None

    def prepare_query(self, max_bytes):
        return None

    def next_query(self, known):
        unknown = [letter for letter in self.letters if known(letter) is None]
        return Ask("".join(unknown[: self.at_once]), self.silent) if unknown else None


class Bench:
    """Work over a fake engine that a `Control` holds."""

    def __init__(self, cache_bytes: int = 2**20) -> None:
        self.control = Control()
        self.guilty: set[str] = set()
        self.work = Work(self.run, Cache(cache_bytes))

    def run(self, query, token):
        visit = self.control.arrive(query, token)
        try:
            self.control.stand(visit)
            if self.guilty & query.cells:
                raise EngineError("division by zero")
        except BaseException:
            self.control.move(visit, "stopped")
            raise
        self.control.move(visit, "answered")
        return query.keys

    def begin(self, owner, letters, at_once=1, **more):
        generation = self.work.begin(owner, Wants(letters, at_once, **more))
        generation.start()
        return generation

    @property
    def asked(self):
        return [visit.query.keys for visit in self.control.visits]

    def arrival(self, number):
        return self.control.wait_for_deferred(number)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.control.release()
    bench.work.close()
    assert threads_left() == []


def values(generation):
    return "".join(sorted(generation.known(key).value or "-" for key in generation.wanted.keys))


def wait(generation):
    Call(generation.wait).result()
    return values(generation)


def test_what_is_wanted_is_asked_in_order(bench: Bench) -> None:
    generation = bench.begin("me", "cab")
    assert wait(generation) == "abc"
    assert bench.asked == ["c", "a", "b"]
    assert generation.complete


def test_nothing_is_asked_before_the_start(bench: Bench) -> None:
    early = bench.work.begin("me", Wants("a"))
    assert wait(bench.begin("other", "b")) == "b"
    assert bench.asked == ["b"]
    assert not early.complete
    early.start()
    assert wait(early) == "a"


def test_numbers_count_the_states_of_one_owner(bench: Bench) -> None:
    assert [bench.begin("me", letters).number for letters in ("a", "b", "a")] == [1, 2, 3]
    assert bench.begin("other", "a").number == 1


def test_an_equal_view_is_the_same_generation(bench: Bench) -> None:
    bench.control.hold()
    first = bench.begin("me", "ab")
    held = bench.arrival(1)
    second = bench.begin("me", "ab")
    assert second is first
    assert not held.token.cancelled
    bench.control.release()
    assert wait(first) == "ab"
    assert bench.asked == ["a", "b"]


def test_an_equal_view_may_have_another_order(bench: Bench) -> None:
    bench.control.hold()
    first = bench.begin("me", "abcd", identity="view")
    bench.arrival(1)
    assert bench.begin("me", "dcba", identity="view") is first
    bench.control.release()
    wait(first)
    assert bench.asked == ["a", "d", "c", "b"]


def test_other_keys_are_another_generation(bench: Bench) -> None:
    first = bench.begin("me", "ab", identity="view")
    assert bench.begin("me", "abc", identity="view") is not first
    assert first.superseded


def test_owners_join_what_runs(bench: Bench) -> None:
    bench.control.hold()
    generations = [bench.begin(owner, "ab", at_once=2) for owner in range(10)]
    bench.arrival(1)
    bench.control.release()
    assert {wait(generation) for generation in generations} == {"ab"}
    assert bench.asked == ["ab"]


def test_owners_take_turns(bench: Bench) -> None:
    bench.control.hold()
    first = bench.begin("first", "abc")
    bench.arrival(1)
    second = bench.begin("second", "xyz")
    bench.control.release()
    assert (wait(first), wait(second)) == ("abc", "xyz")
    assert bench.asked == ["a", "b", "x", "c", "y", "z"], "nobody waits for more than one of each other owner"


def test_unwanted_work_is_cancelled(bench: Bench) -> None:
    bench.control.hold()
    old = bench.begin("me", "ab")
    held = bench.arrival(1)
    waiting = Call(old.wait)
    new = bench.begin("me", "xy")
    assert held.token.cancelled
    with pytest.raises(Superseded):
        waiting.result()
    assert bench.control.wait_until_left(held) == "stopped"
    bench.control.release()
    assert wait(new) == "xy"
    assert bench.asked == ["a", "x", "y"]
    assert old.known("a") is None


@pytest.mark.parametrize("letters", ["a", "ax", "xa", "bx"])
def test_work_that_is_wanted_in_part_goes_on(bench: Bench, letters: str) -> None:
    bench.control.hold()
    bench.begin("me", "ab", at_once=2)
    held = bench.arrival(1)
    new = bench.begin("me", letters)
    assert not held.token.cancelled
    bench.control.release()
    assert wait(new) == "".join(sorted(letters))
    assert bench.asked == ["ab"] + ["x"] * ("x" in letters)


def test_work_that_another_owner_wants_goes_on(bench: Bench) -> None:
    bench.control.hold()
    mine, theirs = bench.begin("me", "a"), bench.begin("other", "a")
    held = bench.arrival(1)
    bench.work.end("other")
    assert not held.token.cancelled
    assert theirs.superseded
    bench.control.release()
    assert wait(mine) == "a"


def test_work_that_nobody_wants_any_more_is_cancelled(bench: Bench) -> None:
    bench.control.hold()
    bench.begin("me", "a")
    bench.begin("other", "a")
    held = bench.arrival(1)
    bench.work.end("me")
    bench.work.end("other")
    assert held.token.cancelled
    bench.work.end("nobody")


def test_work_cancelled_and_wanted_again_is_asked_anew(bench: Bench) -> None:
    bench.control.hold()
    bench.begin("me", "a")
    held = bench.arrival(1)
    bench.begin("me", "b")
    again = bench.begin("me", "a")
    assert bench.control.wait_until_left(held) == "stopped"
    bench.control.release()
    assert wait(again) == "a"
    assert bench.asked[0] == "a"
    assert bench.asked[-1] == "a"


def test_superseding_takes_the_rows_back(bench: Bench) -> None:
    old = bench.work.begin("me", Wants("a"))
    assert not old.rows_token.cancelled
    new = bench.work.begin("me", Wants("b"))
    assert old.rows_token.cancelled
    assert not new.rows_token.cancelled


def test_a_superseded_generation_starts_nothing(bench: Bench) -> None:
    old = bench.work.begin("me", Wants("a"))
    new = bench.begin("me", "b")
    old.start()
    with pytest.raises(Superseded):
        old.wait()
    assert wait(new) == "b"
    assert bench.asked == ["b"]


def test_what_is_known_is_not_asked_again(bench: Bench) -> None:
    wait(bench.begin("me", "ab"))
    again = bench.begin("other", "ab")
    assert again.complete
    assert wait(again) == "ab"
    assert wait(bench.begin("me", "abc")) == "abc"
    assert bench.asked == ["a", "b", "c"]


def test_a_generation_keeps_what_the_cache_forgets() -> None:
    bench = Bench(cache_bytes=0)
    generation = bench.begin("me", "ab")
    assert wait(generation) == "ab"
    assert bench.work.cache.get("a") is None
    assert generation.complete
    bench.work.close()


def test_a_failed_fold_is_split_until_the_guilty_stands_alone(bench: Bench) -> None:
    bench.guilty = {"c"}
    generation = bench.begin("me", "abcdefgh", at_once=8)
    Call(generation.wait).result()
    assert values(generation) == "-abdefgh"
    error = generation.known("c").error
    assert isinstance(error, EngineError)
    assert "division by zero" in str(error)
    assert bench.asked == ["abcdefgh", "abcd", "ab", "cd", "c", "d", "efgh"]
    assert generation.complete


def test_a_failure_is_not_kept_for_others(bench: Bench) -> None:
    bench.guilty = {"a"}
    wait(bench.begin("me", "a"))
    bench.guilty = set()
    assert wait(bench.begin("other", "a")) == "a"


def test_a_fold_that_nobody_wants_is_not_split(bench: Bench) -> None:
    bench.guilty = {"c"}
    bench.control.hold(lambda query: query.keys == "cd")
    bench.begin("me", "abcd", at_once=4)
    bench.control.wait_for(lambda: "cd" in bench.asked, "the second half")
    new = bench.begin("me", "x")
    assert wait(new) == "x"
    assert bench.asked == ["abcd", "ab", "cd", "x"]


def test_an_answer_with_holes_costs_the_holes(bench: Bench) -> None:
    generation = bench.begin("me", "abc", at_once=3, silent="b")
    Call(generation.wait).result()
    assert values(generation) == "-ac"
    assert isinstance(generation.known("b").error, EngineError)
    assert bench.asked == ["abc"]


def test_a_view_that_cannot_say_what_it_wants_is_a_fault_of_its_own(bench: Bench) -> None:
    class Broken(Wants):
        def next_query(self, known):
            raise KeyError("no such stage")

    broken = bench.work.begin("me", Broken("a"))
    broken.start()
    with pytest.raises(EngineError, match="no such stage"):
        Call(broken.wait).result()
    assert broken.settled
    assert wait(bench.begin("other", "b")) == "b"
    assert wait(bench.begin("me", "c")) == "c"


def test_a_view_that_asks_the_same_again_is_a_fault(bench: Bench) -> None:
    """Whatever its reason, a view that is never content must not keep the engine busy for ever."""

    class Deaf(Wants):
        def next_query(self, known):
            return Never("a")

    class Never(Ask):
        def read(self, answer):
            raise ValueError("unreadable")

        def failed(self, error):
            return {"other": Cell(error=error)}

    deaf = bench.work.begin("me", Deaf("a"))
    deaf.start()
    try:
        with pytest.raises(LazyflowError):
            Call(deaf.wait).result()
        assert len(bench.asked) < 50
    finally:
        bench.work.end("me")
    assert wait(bench.begin("other", "b")) == "b"


def test_a_query_that_breaks_is_a_fault_not_a_dead_worker(bench: Bench) -> None:
    class Breaking(Ask):
        def unanswered(self, cells):
            raise AssertionError("a bug")

    class Wanting(Wants):
        def next_query(self, known):
            return Breaking("a") if known("a") is None else None

    broken = bench.work.begin("me", Wanting("a"))
    broken.start()
    with pytest.raises(LazyflowError):
        Call(lambda: broken.wait(PATIENCE / 4)).result()
    assert wait(bench.begin("other", "b")) == "b"


def test_listeners_hear_each_change(bench: Bench) -> None:
    heard: list[str] = []
    bench.control.hold()
    generation = bench.begin("me", "abc")
    end = generation.subscribe(lambda: heard.append("first"))
    generation.subscribe(lambda: heard.append(values(generation) if generation.complete else "second"))
    bench.control.release()
    wait(generation)
    assert threads_left() == []
    assert heard.count("first") == 3
    assert heard[-1] == "abc"
    end()
    end()


def test_listeners_hear_of_their_end(bench: Bench) -> None:
    heard: list[bool] = []
    generation = bench.work.begin("me", Wants("a"))
    end = generation.subscribe(lambda: heard.append(generation.superseded))
    bench.work.begin("me", Wants("b"))
    assert heard == [True]
    end()
    bench.work.end("me")
    assert heard == [True]


def test_a_listener_that_raises_stops_nobody(bench: Bench) -> None:
    def raising() -> None:
        raise RuntimeError("the loop is closed")

    generation = bench.work.begin("me", Wants("ab"))
    generation.subscribe(raising)
    generation.start()
    assert wait(generation) == "ab"
    assert wait(bench.begin("me", "c")) == "c"


def test_a_listener_may_ask_and_apply(bench: Bench) -> None:
    """A listener is called outside every lock: it may begin the next view."""
    begun = []
    first = bench.work.begin("me", Wants("a"))
    first.subscribe(lambda: begun or begun.append(bench.begin("other", "b")))
    first.start()
    assert wait(first) == "a"
    bench.control.wait_for(lambda: "b" in bench.asked, "the listener's view")
    assert wait(begun[0]) == "b"


def test_watchers_see_queries_begin_and_end(bench: Bench) -> None:
    seen: list[tuple[str, str]] = []
    end = bench.work.watch(lambda what, query: seen.append((what, query.keys)))
    bench.guilty = {"b"}
    wait(bench.begin("me", "ab", at_once=2))
    assert seen == [(what, keys) for keys in ("ab", "a", "b") for what in ("started", "ended")]
    end()
    wait(bench.begin("me", "c"))
    assert len(seen) == 6


def test_the_worker_ends_when_there_is_nothing_to_do(bench: Bench) -> None:
    assert threads_left() == []
    wait(bench.begin("me", "a"))
    assert threads_left() == []
    bench.begin("other", "a")
    assert threads_left() == [], "what is known needs no worker"
    wait(bench.begin("me", "b"))
    assert threads_left() == []


def test_waiting_has_an_end(bench: Bench) -> None:
    bench.control.hold()
    generation = bench.begin("me", "a")
    with pytest.raises(TimeoutError):
        generation.wait(0)
    held = bench.arrival(1)
    assert not held.token.cancelled
    bench.control.release()
    assert wait(generation) == "a"
    generation.wait(0)


def test_closing_withdraws_everything_and_waits(bench: Bench) -> None:
    bench.control.hold()
    generations = [bench.begin("me", "a"), bench.begin("other", "b")]
    held = bench.arrival(1)
    Call(bench.work.close).result()
    assert held.outcome == "stopped"
    assert all(generation.superseded for generation in generations)
    with pytest.raises(LazyflowError, match="closed"):
        bench.work.begin("me", Wants("a"))
    bench.work.close()


def test_a_token_stops_what_can_be_stopped() -> None:
    token, stopped = CancelToken(), []
    token.check()
    with token.on_cancel(lambda: stopped.append("outer")):
        with token.on_cancel(lambda: stopped.append("inner")):
            token.cancel()
            assert stopped == ["outer", "inner"]
            token.cancel()
        assert stopped == ["outer", "inner"], "each once"
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.check()


def test_a_token_forgets_what_has_ended() -> None:
    token, stopped = CancelToken(), []
    with token.on_cancel(lambda: stopped.append("early")):
        pass
    with pytest.raises(KeyError), token.on_cancel(lambda: stopped.append("broken")):
        raise KeyError
    token.cancel()
    assert stopped == []


def test_a_cancelled_token_lets_nothing_begin() -> None:
    token, entered = CancelToken(), []
    token.cancel()
    with pytest.raises(Cancelled), token.on_cancel(lambda: entered.append("stop")):
        entered.append("inside")
    assert entered == []


def test_cancelling_from_another_thread_reaches_the_engine() -> None:
    token, inside, stop = CancelToken(), threading.Event(), threading.Event()

    def engine() -> str:
        with token.on_cancel(stop.set):
            inside.set()
            assert stop.wait(PATIENCE)
        token.check()
        return "an answer"

    running = Call(engine)
    assert inside.wait(PATIENCE)
    token.cancel()
    with pytest.raises(Cancelled):
        running.result()
