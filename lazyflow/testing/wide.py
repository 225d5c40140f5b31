"""Tables of more columns than fit one query: the same answers, those of the columns in sight first."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import pyarrow as pa
import pytest

from lazyflow.errors import UnknownName
from lazyflow.state import Filter, Sort, State
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.control import PATIENCE, Call, Control, controlled
from lazyflow.testing.harness import Harness

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
