"""Many views of one source: what forks share, what they keep apart, what a refresh ends, what a close leaves."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.errors import LazyflowError, SourceError, Superseded, UnknownName
from lazyflow.state import State
from lazyflow.testing.control import PATIENCE, Call, controlled, statistics_threads, threads_left
from lazyflow.testing.harness import Harness
from lazyflow.testing.phases import (
    ALL,
    FLIGHTS,
    FOUR,
    FROM_JFK,
    OF_FOUR,
    THREE,
    numbers,
    summary,
)

forks = pytest.mark.family("forks")
refresh = pytest.mark.family("refresh")


@forks
def test_ten_forks_compute_once(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        twins = [flow.fork() for _ in range(10)]
        steps = [twin.apply(FOUR) for twin in twins]
        calls = [Call(step.resolve) for step in steps]
        control.wait_for_deferred()
        control.release()
        for call in calls:
            assert summary(call.result(), "filtered") == OF_FOUR
        assert len(control.cells) == len(set(control.cells)), "no cell was asked for twice"
        assert not any(step.superseded for step in steps)
        assert [step.generation for step in steps] == [1] * 10
        for twin in twins:
            twin.close()


@forks
def test_forks_do_not_supersede_each_other(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:
        control.hold()
        mine, theirs = flow.apply(FOUR), other.apply(THREE)
        calls = Call(mine.resolve), Call(theirs.resolve)
        control.release()
        assert summary(calls[0].result(), "filtered") == OF_FOUR
        assert calls[1].result()["filtered"].rows.value == 3
        assert not mine.superseded
        assert not theirs.superseded


@forks
def test_what_another_fork_wants_goes_on(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:
        flow.apply(ALL).resolve(PATIENCE)
        before = len(control.deferred)
        control.hold()
        theirs = Call(other.apply(FOUR).resolve)
        held = control.wait_for_deferred(before + 1)
        mine = flow.apply(FOUR)
        waiting = Call(mine.resolve)
        other.close()
        with pytest.raises(Superseded):
            theirs.result()
        assert held.outcome == "waiting"
        assert not held.token.cancelled
        control.release()
        assert summary(waiting.result(), "filtered") == OF_FOUR
        assert held.outcome == "answered"
        assert len(control.cells) == len(set(control.cells))


@forks
def test_a_fork_has_functions_of_its_own(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        flow.register_cleaning("late", lambda table, ns: table.filter(table.delay > 15))
        with flow.fork() as other:
            assert other.row_count(State(cleaning="late")) == 3
            other.register_cleaning("late", lambda table, ns: table.filter(table.delay > 25))
            other.register_cleaning("early", lambda table, ns: table.filter(table.delay < 0))
            assert other.row_count(State(cleaning="late")) == 2
            assert flow.row_count(State(cleaning="late")) == 3
            with pytest.raises(UnknownName):
                flow.row_count(State(cleaning="early"))


@forks
def test_closing_leaves_no_thread(harness: Harness) -> None:
    assert threads_left() == []
    with controlled(harness, FLIGHTS) as (flow, control):
        twin = flow.fork()
        control.hold()
        calls = [Call(flow.apply(FOUR).resolve), Call(twin.apply(THREE).resolve)]
        held = control.wait_for_deferred()
        flow.close()
        flow.close()
        assert twin.rows(THREE, (0, 3)).num_rows == 3, "the last fork keeps the source open"
        Call(twin.close).result()
        assert control.wait_until_left(held) == "stopped"
        for call in calls:
            with pytest.raises((Superseded, LazyflowError)):
                call.result()
        assert statistics_threads() == []
        assert threads_left() == []
        uses: list[Callable[[], object]] = [
            lambda: flow.apply(FOUR), lambda: flow.rows(FOUR, (0, 1)), lambda: flow.row_count(FOUR),
            lambda: flow.compile(FOUR), flow.fork, flow.refresh, lambda: twin.apply(FOUR),
        ]  # fmt: skip
        for use in uses:
            with pytest.raises(LazyflowError, match="closed"):
                use()


@forks
def test_idle_flows_have_no_thread(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        flow.apply(FOUR).resolve(PATIENCE)
        assert threads_left() == [], "when there is nothing to do, nobody waits for it"
        assert flow.apply(THREE).resolve(PATIENCE)["filtered"].rows.value == 3


def reopening(harness: Harness, tables: list[pa.Table]) -> dict[str, Any]:
    """Members of a backend whose data changes: it opens the last of `tables`; none is a source that is gone."""

    def open(self: Any, data: Any) -> Any:
        if not tables:
            raise SourceError("the source is gone")
        return super(type(self), self).open(harness.source(tables[-1]))

    return {"open": open}


@refresh
def test_after_a_refresh_nothing_known_is_used(harness: Harness) -> None:
    tables = [FLIGHTS]
    with controlled(harness, FLIGHTS, **reopening(harness, tables)) as (flow, _), flow.fork() as other:
        step, theirs = flow.apply(FOUR), other.apply(ALL)
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR
        tables.append(FLIGHTS.slice(0, 5).append_column("gate", pa.array([1, 2, 3, 4, 5])))
        assert numbers(flow.rows(FOUR, (0, 10))) == FROM_JFK, "until it is said, the source is as it was"
        flow.refresh()
        assert step.superseded
        assert theirs.superseded
        assert list(flow.schema) == ["flight", "origin", "carrier", "delay", "gate"]
        new = Call(lambda: flow.apply(FOUR)).result()
        assert numbers(new) == [1, 3]
        assert new.statistics["raw"].pending
        assert new.statistics["raw"].rows.value is None
        statistics = new.resolve(PATIENCE)
        assert (statistics["raw"].rows.value, statistics["filtered"].rows.value) == (5, 2)
        assert statistics["raw"]["gate"]["max"].value == 5
        assert other.apply(ALL).resolve(PATIENCE)["raw"].rows.value == 5
        assert numbers(step) == FROM_JFK


@refresh
def test_a_refresh_withdraws_what_runs(harness: Harness) -> None:
    tables = [FLIGHTS]
    with controlled(harness, FLIGHTS, **reopening(harness, tables)) as (flow, control):
        control.hold()
        waiting = Call(flow.apply(FOUR).resolve)
        held = control.wait_for_deferred()
        tables.append(FLIGHTS.slice(0, 5))
        flow.refresh()
        with pytest.raises(Superseded):
            waiting.result()
        assert control.wait_until_left(held) == "stopped"
        control.release()
        assert flow.apply(FOUR).resolve(PATIENCE)["filtered"].rows.value == 2


@refresh
def test_a_source_that_is_gone_leaves_the_flow_as_it_was(harness: Harness) -> None:
    tables = [FLIGHTS]
    with controlled(harness, FLIGHTS, **reopening(harness, tables)) as (flow, _):
        step = flow.apply(FOUR)
        tables.clear()
        with pytest.raises(SourceError, match="gone"):
            flow.refresh()
        assert not step.superseded
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR
        assert numbers(flow.rows(FOUR, (0, 10))) == FROM_JFK
