"""Tables of more columns than fit one query: the same answers, those of the columns in sight first."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import UnknownName
from lazyflow.query import CountQuery, RowsQuery
from lazyflow.state import Filter, Sort, State
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows, rows_differ
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.control import PATIENCE, Call, Control, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.made_sources import SOURCES

pytestmark = pytest.mark.family("wide")

WIDTH = 100
ROWS = 20
IN_SIGHT = ("c78", "c79", "c3", "c99")


def wide() -> pa.Table:
    """Numbers, text and dates in turn, a tenth of them missing."""
    columns = {}
    for position in range(WIDTH):
        numbers = [None if (row + position) % 10 == 0 else (row * (position + 3)) % 17 for row in range(ROWS)]
        column = pa.array(numbers, pa.int32())
        kind = position % 4
        type = (pa.int64(), pa.float64(), pa.string(), pa.date32())[kind]
        columns[f"c{position}"] = column.cast(type)
    return pa.table(columns)


STATES = {
    "all": State(),
    "searched": State(search="1"),
    "filtered and sorted": State(filters=(Filter("c99", "is not missing"),), sort=(Sort("c97", descending=True),)),
    "filtered by many": State(filters=tuple(Filter(f"c{n}", "is not missing") for n in range(0, WIDTH, 11))),
    "by any of many": State(filters=([Filter(f"c{n}", "==", 4) for n in range(0, WIDTH, 4)],)),
}


@pytest.mark.parametrize("view", STATES)
def test_a_wide_view(harness: Harness, view: str) -> None:
    table = wide()
    with harness.flow(table) as flow:
        check_rows(flow, STATES[view], judge.view(table, STATES[view]))
        check_view(flow, table, STATES[view])


SEEN = ("c98", "c1", "c43")
OTHERS = ("c2", "c99")
WINDOWS = ((0, 3), (2, 9), (ROWS - 4, ROWS + 4), (10**9, 10**9 + 5))


def some(expected: judge.Frame, start: int, stop: int, names: tuple[str, ...]) -> judge.Frame:
    """A window of some columns, in the order of the names."""
    part = expected.take(range(min(start, expected.length), min(stop, expected.length)))
    by_name = {column.name: column for column in part.columns}
    return replace(part, columns=tuple(by_name[name] for name in names))


@pytest.mark.parametrize("form", ["given", "folder", "database"])
@pytest.mark.parametrize("view", STATES)
def test_rows_of_columns_in_sight(harness: Harness, view: str, form: str, tmp_path: Path) -> None:
    """Whatever else the table has: before and after row numbers are prepared, and whichever columns come next."""
    table, state = wide(), STATES[view]
    source = harness.source(table) if form == "given" else SOURCES[form](table, tmp_path)
    expected = judge.view(table, state)
    with DataFlow(source, backend=harness.backend()) as flow:
        step = flow.apply(state, WINDOWS[0], SEEN)
        assert rows_differ(step.rows, some(expected, *WINDOWS[0], SEEN)) is None
        for _ in ("before", "after"):
            for window in WINDOWS:
                for names in (SEEN, OTHERS, SEEN):
                    assert rows_differ(step.fetch(window, names), some(expected, *window, names)) is None
            step.prepare(PATIENCE)
        assert flow.row_count(state) == expected.length
        check_rows(flow, state, expected)


def test_columns_out_of_sight_are_not_asked_for(harness: Harness) -> None:
    state = STATES["filtered and sorted"]
    with controlled(harness, wide()) as (flow, control):
        if type(flow.compile(state).raw.op()).__name__ != "DatabaseTable":
            pytest.skip("what it opens is no table by itself")
        step = flow.apply(state, WINDOWS[0], SEEN)
        step.fetch(WINDOWS[1], OTHERS)
        flow.row_count(state)
        asked = [visit.query for visit in control.visits if isinstance(visit.query, RowsQuery | CountQuery)]
        read = [query.plan.raw.columns for query in asked]
    assert [set(names) for names in read] == [{*SEEN, "c97", "c99"}, {*OTHERS, "c97", "c99"}, {"c97", "c99"}]


@pytest.mark.parametrize("state", [State(), State(search="1")], ids=["all", "searched"])
def test_columns_in_sight_come_first(harness: Harness, state: State) -> None:
    """Until all that is wanted of them is known, each query asks about them, and about no more columns than it may."""
    asked: list[tuple[bool, set[str]]] = []
    with harness.flow(wide()) as flow:
        step = flow.apply(state, (0, 5), IN_SIGHT)

        def watch(what: str, query: StatisticsQuery) -> None:
            if what == "started" and query.columns:  # one may ask for the number of rows alone
                wants = [want for scope in step.known() for want, cell in scope.cells if cell is None]
                waiting = any(want.column is not None and want.column.name in IN_SIGHT for want in wants)
                asked.append((waiting, {column.name for column in query.columns}))

        end = flow.watch_statistics_queries(watch)
        step.resolve(PATIENCE)
        end()
    first = [columns for waiting, columns in asked if waiting]
    assert len(first[0] & set(IN_SIGHT)) == min(len(IN_SIGHT), most_columns(harness)), "as many as fit one query"
    assert all(columns & set(IN_SIGHT) for columns in first), "others were asked about before"
    assert all(len(columns) <= most_columns(harness) for _, columns in asked)
    assert asked[len(first) :], "the others were asked about after"


SEEN_LATER = ("c90", "c91")


def columns_asked(control: Control) -> list[set[str]]:
    """The columns of each statistics query that has any."""
    queries = [visit.query for visit in control.deferred if isinstance(visit.query, StatisticsQuery)]
    return [{column.name for column in query.columns} for query in queries if query.columns]


def test_columns_seen_later_come_next(harness: Harness) -> None:
    with controlled(harness, wide()) as (flow, control):
        step = flow.apply(State(), (0, 5), ("c0",))
        control.hold()
        waiting = Call(lambda: step.resolve(PATIENCE))
        control.wait_for_deferred()
        step.see(SEEN_LATER)
        control.release()
        statistics = waiting.result()
        asked = columns_asked(control)
        next_ones = asked[1] if most_columns(harness) > 1 else asked[1] | asked[2]
        assert set(SEEN_LATER) <= next_ones, "or one of two, where a query has one column"
        assert statistics.complete
        with pytest.raises(UnknownName):
            step.see(["nothing"])


def most_columns(harness: Harness) -> int:
    """Most columns in one query of the backend."""
    engine = harness.backend()
    engine.close()
    return engine.folding.max_columns
