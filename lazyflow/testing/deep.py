"""Windows far down a view: the same rows before, while and after row numbers are prepared, and whoever prepares them.

A backend whose sources have no row numbers passes the same cases: its windows are as they were.
"""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyflow.windows
from lazyflow.backend import rows_phase
from lazyflow.dataflow import DataFlow
from lazyflow.errors import PhaseError, Superseded
from lazyflow.query import PrepareQuery, Query, RowsQuery
from lazyflow.state import Filter, Sort, State
from lazyflow.step import Step
from lazyflow.testing import judge
from lazyflow.testing.check import rows_differ
from lazyflow.testing.control import PATIENCE, Call, Control, Visit, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.random_views import PAGE, states, tables
from lazyflow.testing.scalars import NAN, SAMPLES, Sample, each
from lazyflow.work import CancelToken

deep = pytest.mark.family("deep windows")

ROWS = 400
TABLE = pa.table(
    {
        "row": range(ROWS),
        "k": [None if n % 13 == 0 else (n * 7919) % 11 for n in range(ROWS)],
        "f": [(0.0, -0.0, NAN, None, 1.5, float("inf"))[n % 6] for n in range(ROWS)],
        "s": [None if n % 17 == 0 else f"s{n % 5}" for n in range(ROWS)],
    }
)
VIEWS = {
    "filtered": State(filters=(Filter("k", ">=", 3),)),
    "searched": State(search="S3"),
    "nothing found": State(search="nowhere"),
    "ties": State(sort=(Sort("k"),)),
    "ties descending": State(sort=(Sort("k", descending=True),)),
    "zeros and missing": State(sort=(Sort("f", descending=True), Sort("s"))),
    "searched ties": State(search="s1", filters=(Filter("f", "is not missing"),), sort=(Sort("k", descending=True),)),
}
VIEW = VIEWS["searched ties"]
EXPECTED = judge.view(TABLE, VIEW)
WINDOWS = ((0, 7), (3, 90), (20, 27), (ROWS // 8, ROWS // 8 + 9), (ROWS - 3, ROWS + 4), (10**9, 10**9 + 5))


def numbered(flow: DataFlow) -> bool:
    """Whether the backend offers row numbers of what it opened."""
    return flow._shared.source.numbered


def preparing(query: Query) -> bool:
    return isinstance(query, PrepareQuery)


def prepared(control: Control) -> list[Visit]:
    """The visits of queries for row numbers."""
    return [visit for visit in control.visits if preparing(visit.query)]


def by_number(control: Control) -> list[Visit]:
    """The visits of queries for rows by their numbers."""
    return [v for v in control.visits if isinstance(v.query, RowsQuery) and v.query.numbers is not None]


def check_windows(step: Step, expected: judge.Frame) -> None:
    for start, stop in WINDOWS:
        part = expected.take(range(min(start, expected.length), min(stop, expected.length)))
        assert rows_differ(step.fetch((start, stop)), part) is None, (start, stop)


@pytest.fixture
def no_window_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row numbers are prepared where a case says so, however long windows take on the machine that it runs on."""
    monkeypatch.setattr(lazyflow.windows, "SLOW", 10**9)


@deep
@pytest.mark.usefixtures("no_window_is_slow")
@pytest.mark.parametrize("view", VIEWS)
def test_windows_are_the_same_before_and_after(harness: Harness, view: str) -> None:
    state = VIEWS[view]
    expected = judge.view(TABLE, state)
    with controlled(harness, TABLE) as (flow, control):
        step = flow.apply(state, (0, 5))
        check_windows(step, expected)
        assert by_number(control) == []
        assert step.prepare(PATIENCE) is numbered(flow)
        check_windows(step, expected)
        assert bool(by_number(control)) is (numbered(flow) and expected.length > 0)
        assert rows_differ(flow.rows(state, (3, 30)), expected.take(range(expected.length)[3:30])) is None
        assert rows_differ(flow.apply(state, (0, 9)).rows, expected.take(range(expected.length)[:9])) is None


@each(SAMPLES)
def test_windows_by_number_have_values_of_every_type(harness: Harness, sample: Sample) -> None:
    table = sample.table()
    for state in (State(sort=(Sort("x", descending=True),)), State(filters=(Filter("x", "is not missing"),))):
        with harness.flow(table) as flow:
            step = flow.apply(state, (0, 0))
            assert step.prepare(PATIENCE) is numbered(flow)
            expected = judge.view(table, state)
            assert rows_differ(step.fetch((0, 10**4)), expected) is None


TRANSFORMS: dict[str, Any] = {
    "mutate": lambda table, ns: table.mutate(double=table.k * 2, k=table.k + 1),
    "narrow": lambda table, ns: table.filter(table.k > 2).select("s", "k"),
    "renamed": lambda table, ns: table.rename(other="k").drop("f").filter(ns._.other.notnull()),
    "grouped": lambda table, ns: table.group_by("s").aggregate(k=table.k.sum()),
}


@deep
@pytest.mark.parametrize("where", ["cleaning", "post_processing"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_windows_of_transformed_views(harness: Harness, name: str, where: str) -> None:
    sort = (Sort("other" if name == "renamed" else "k", descending=True),)
    with harness.flow(TABLE) as flow:
        for transform, fn in TRANSFORMS.items():
            flow.register_cleaning(transform, fn)
            flow.register_post_processing(transform, fn)
        cleaning, post = (name, None) if where == "cleaning" else (None, name)
        for state in (
            State(cleaning=cleaning, post_processing=post),
            State(search="s", sort=sort, cleaning=cleaning, post_processing=post),
        ):
            step = flow.apply(state, (0, 0))
            before = [step.fetch(window) for window in WINDOWS]
            whole = name == "mutate" and not state.search
            assert step.prepare(PATIENCE) is (numbered(flow) and name != "grouped" and not whole)
            for window, rows in zip(WINDOWS, before, strict=True):
                assert rows_differ(step.fetch(window), judge.frame(rows)) is None


@deep
def test_the_source_itself_needs_no_row_numbers(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        step = flow.apply(State(), (0, 5))
        assert step.prepare(PATIENCE) is False
        check_windows(step, judge.frame(TABLE))
        assert prepared(control) == []


@deep
def test_far_into_a_long_source(harness: Harness) -> None:
    numbers = pa.array(range(200_000), pa.int64())
    with harness.flow(pa.table({"x": numbers})) as flow:
        for start in (65_535, 65_536, 131_000, 199_998, 200_000, 10**12):
            assert flow.rows(State(), (start, start + 5))["x"].to_pylist() == list(range(200_000))[start : start + 5]


@deep
@pytest.mark.usefixtures("no_window_is_slow")
def test_windows_are_the_same_while_row_numbers_are_prepared(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        if not numbered(flow):
            return
        control.hold(preparing)
        step = flow.apply(VIEW, (0, 5))
        call = Call(lambda: step.prepare(PATIENCE))
        control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
        check_windows(step, EXPECTED)
        assert by_number(control) == [], "nobody waits for them"
        assert prepared(control)[0].outcome == "waiting"
        control.release()
        assert call.result() is True
        check_windows(step, EXPECTED)


@deep
def test_a_window_under_way_is_fetched_by_number_once_that_is_possible(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        if not numbered(flow):
            return
        step = flow.apply(VIEW, (0, 5))
        control.hold(lambda query: isinstance(query, RowsQuery) and query.numbers is None)
        before = len(control.visits)
        window = Call(lambda: step.fetch((20, 27)))
        control.wait_for(lambda: len(control.visits) > before, "the rows are asked for")
        slow = control.visits[before]
        assert step.prepare(PATIENCE) is True
        assert rows_differ(window.result(), EXPECTED.take(range(20, 27))) is None
        assert control.wait_until_left(slow) == "stopped"
        assert len(by_number(control)) == 1


@deep
def test_row_numbers_are_no_part_of_the_rows_phase(harness: Harness) -> None:
    with harness.flow(TABLE) as flow:
        query = PrepareQuery(flow.compile(VIEW), 2**20)
        with rows_phase(), harness.queries() as asked:
            with pytest.raises(PhaseError, match="PrepareQuery"):
                flow._shared.backend.run(query, CancelToken())
            assert asked == []


@deep
def test_who_looks_beyond_the_first_rows_of_a_slow_view_has_it_prepared(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with controlled(harness, TABLE) as (flow, control):
        monkeypatch.setattr(lazyflow.windows, "SLOW", 10**9)
        flow.apply(VIEWS["ties"], (0, 5)).fetch((200, 210))
        monkeypatch.setattr(lazyflow.windows, "SLOW", -1)
        step = flow.apply(VIEW, (0, 5))
        step.fetch((0, 9))
        assert prepared(control) == [], "neither is windows quick, nor are first rows a reason"
        step.fetch((20, 27))
        if numbered(flow):
            control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
            control.wait_until_left(prepared(control)[0])
        assert step.prepare(PATIENCE) is numbered(flow)
        check_windows(step, EXPECTED)
        assert len(prepared(control)) == numbered(flow)


@deep
def test_slow_first_rows_are_a_reason_where_the_engine_keeps_nothing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with controlled(harness, TABLE) as (flow, control):
        monkeypatch.setattr(lazyflow.windows, "SLOW", -1)
        step = flow.apply(VIEW, (0, 5))
        monkeypatch.setattr(lazyflow.windows, "SLOW", 10**9)
        step.fetch((20, 27))
        ahead = numbered(flow) and not flow._shared.backend.folding.keeps_rows
        if ahead:
            control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
        flow._shared.work.close()
        assert len(prepared(control)) == ahead


@deep
def test_views_of_many_rows_are_prepared_after_their_statistics(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrepareQuery, "MANY_ROWS", 20)
    with controlled(harness, TABLE) as (flow, control):
        few = flow.apply(State(filters=(Filter("row", "<", 20),)))
        few.resolve(PATIENCE)
        flow.apply(VIEW)
        assert prepared(control) == [], "there are few rows, or nothing began yet"
        flow.apply(VIEW).resolve(PATIENCE)
        ahead = numbered(flow) and not flow._shared.backend.folding.keeps_rows
        if ahead:
            control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
            control.wait_until_left(prepared(control)[0])
            assert control.deferred[-1] is prepared(control)[0]
            known = flow.apply(State(search="s1", filters=(Filter("f", "is not missing"),), sort=(Sort("s"),)))
            assert known.complete, "sorting leaves the statistics as they are"
            known.start()
            control.wait_for(lambda: len(prepared(control)) == 2, "another order is another list")
        flow._shared.work.close()
        assert len(prepared(control)) == 2 * ahead


@deep
def test_a_newer_state_takes_row_numbers_off_the_engine(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        if not numbered(flow):
            return
        control.hold(preparing)
        step = flow.apply(VIEW)
        waiting = Call(lambda: step.prepare(PATIENCE))
        control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
        flow.apply(VIEWS["ties"])
        assert prepared(control)[0].token.cancelled
        assert control.wait_until_left(prepared(control)[0]) == "stopped"
        with pytest.raises(Superseded):
            waiting.result()
        with pytest.raises(Superseded):
            step.prepare(PATIENCE)


@deep
def test_forks_with_one_view_prepare_it_once(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control), flow.fork() as other:
        if not numbered(flow):
            return
        control.hold(preparing)
        mine, theirs = flow.apply(VIEW), other.apply(VIEW)
        calls = [Call(partial(step.prepare, PATIENCE)) for step in (mine, theirs)]
        control.wait_for(lambda: len(prepared(control)) == 1, "row numbers are asked for")
        other.apply(VIEWS["ties"])
        with pytest.raises(Superseded):
            calls[1].result()
        assert prepared(control)[0].outcome == "waiting", "one of them wants it still"
        control.release()
        assert calls[0].result() is True
        again = other.apply(VIEW)
        assert again.prepare(PATIENCE) is True
        check_windows(again, EXPECTED)
        assert len(prepared(control)) == 1


@deep
def test_each_view_has_row_numbers_of_its_own_and_keeps_them(harness: Harness) -> None:
    """Two of them have one order, two of them the same rows."""
    with controlled(harness, TABLE) as (flow, control):
        for view in ("searched ties", "ties descending", "ties", "searched ties", "ties descending"):
            step = flow.apply(VIEWS[view])
            assert step.prepare(PATIENCE) is numbered(flow)
            check_windows(step, judge.view(TABLE, VIEWS[view]))
        assert len(prepared(control)) == 3 * numbered(flow)


@deep
def test_row_numbers_are_the_row_count_for_free(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        flow.apply(VIEW).prepare(PATIENCE)
        before = len(control.visits)
        assert flow.row_count(VIEW) == EXPECTED.length
        assert len(control.visits) - before == (not numbered(flow))


@deep
@pytest.mark.parametrize("most", [0, 4 * ROWS - 1])
def test_row_numbers_too_many_are_not_prepared(harness: Harness, most: int) -> None:
    state = VIEWS["ties"]
    engine = harness.backend()
    with DataFlow(harness.source(TABLE), backend=engine, row_numbers_bytes=most) as flow:
        step = flow.apply(state)
        assert step.prepare(PATIENCE) is False
        check_windows(step, judge.view(TABLE, state))
        assert step.prepare(PATIENCE) is False
        assert step.resolve(PATIENCE)["filtered"].rows.value == ROWS


@deep
def test_row_numbers_are_kept_within_a_bound(harness: Harness) -> None:
    """The bound holds one view of all rows, and so the one that was not used for longest goes."""
    with DataFlow(harness.source(TABLE), backend=harness.backend(), row_numbers_bytes=4 * ROWS) as flow:
        kept = flow._shared.work.row_numbers
        for view in ("ties", "ties descending", "ties"):
            step = flow.apply(VIEWS[view])
            assert step.prepare(PATIENCE) is numbered(flow)
            check_windows(step, judge.view(TABLE, VIEWS[view]))
            assert kept.total <= 4 * ROWS
        assert kept.total == 4 * ROWS * numbered(flow)
        flow.refresh()
        assert kept.total == 0


@deep
@pytest.mark.usefixtures("no_window_is_slow")
def test_after_a_refresh_row_numbers_are_prepared_anew(harness: Harness) -> None:
    with controlled(harness, TABLE) as (flow, control):
        flow.apply(VIEW).prepare(PATIENCE)
        flow.refresh()
        step = flow.apply(VIEW)
        check_windows(step, EXPECTED)
        assert by_number(control) == []
        assert step.prepare(PATIENCE) is numbered(flow)
        check_windows(step, EXPECTED)


@deep
@pytest.mark.usefixtures("no_window_is_slow")
@pytest.mark.parametrize("fails", ["at row numbers", "at rows by number", "at some rows by number"])
def test_an_engine_that_fails_leaves_the_view_as_it_was(harness: Harness, fails: str) -> None:
    def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
        failing = preparing(query) if fails == "at row numbers" else getattr(query, "numbers", None) is not None
        if not failing:
            return own.execute(self, query, token)
        seen.append(query)
        if fails == "at some rows by number":
            return own.execute(self, query, token).slice(1)
        raise RuntimeError("out of memory")

    seen: list[Query] = []
    engine = harness.backend()
    own: Any = type(engine)
    engine.__class__ = type("Failing", (own,), {"execute": execute})
    with DataFlow(harness.source(TABLE), backend=engine) as flow:
        step = flow.apply(VIEW)
        assert step.prepare(PATIENCE) is (numbered(flow) and fails != "at row numbers")
        check_windows(step, EXPECTED)
        assert step.prepare(PATIENCE) is False
        check_windows(step, EXPECTED)
        assert len(seen) == numbered(flow), "it is tried once"
        assert rows_differ(flow.rows(VIEW, (20, 27)), EXPECTED.take(range(20, 27))) is None
        assert step.resolve(PATIENCE)["filtered"].rows.value == EXPECTED.length


@deep
def test_preparing_has_an_async_twin(harness: Harness) -> None:
    async def prepare() -> bool:
        return await (await flow.apply_async(VIEW)).prepare_async()

    with harness.flow(TABLE) as flow:
        assert asyncio.run(prepare()) is numbered(flow)


@deep
@given(st.data())
def test_random_views_by_number(harness: Harness, data: st.DataObject) -> None:
    table = data.draw(tables(), label="table")
    with harness.flow(table) as flow:
        for _ in range(2):
            state = data.draw(states(table), label="state")
            expected = judge.view(table, state)
            step = flow.apply(state, (0, 0))
            trivial = not state.sort and not state.search and not state.filters
            assert step.prepare(PATIENCE) is (numbered(flow) and not trivial)
            for start in range(0, expected.length + 1, PAGE):
                part = expected.take(range(expected.length)[start : start + PAGE])
                assert rows_differ(step.fetch((start, start + PAGE)), part) is None
