"""Rows first: what the rows phase asks and shows, what the statistics phase adds, what neither asks again."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lazyflow.backend import rows_phase
from lazyflow.dataflow import DataFlow
from lazyflow.errors import NotForThisType, PhaseError
from lazyflow.query import Query, RowsQuery
from lazyflow.state import Filter, Sort, State
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.statistics.results import Cell, Statistics
from lazyflow.statistics.view import View
from lazyflow.testing.control import PATIENCE, Call, Control, controlled, statistics_threads, threads_left
from lazyflow.testing.harness import Harness
from lazyflow.work import CancelToken

pytestmark = pytest.mark.family("phases")

FLIGHTS = pa.table(
    {
        "flight": pa.array(range(1, 11), pa.int64()),
        "origin": ["JFK", "LGA", "JFK", "EWR", "LGA", "JFK", "EWR", "LGA", "JFK", "EWR"],
        "carrier": ["AA airline"] * 10,
        "delay": [10.0, None, 20.0, 4.0, None, 30.0, 5.0, -3.0, 40.0, None],
    }
)
"""Ten flights: four from JFK, all of an airline, none to the moon."""

ALL, TEN, NONE = State(), State(search="airline"), State(search="moon")
FOUR, THREE = State(search="jfk"), State(search="lga")
FROM_JFK = [1, 3, 6, 9]


def numbers(step_or_rows: Any) -> list[int]:
    """The flight numbers of a step or of rows, which say which rows they are."""
    rows = getattr(step_or_rows, "rows", step_or_rows)
    return list(rows["flight"].to_pylist())


def summary(statistics: Statistics, scope: str) -> dict[str, Any]:
    """A few values of a scope, by which the views above are told apart."""
    flight, delay = statistics[scope]["flight"], statistics[scope]["delay"]
    return {
        "rows": statistics[scope].rows.value,
        "max": flight["max"].value,
        "present": delay["count"].value,
        "missing": delay["missing"].value,
        "mean": delay["mean"].value,
    }


OF_ALL = {"rows": 10, "max": 10, "present": 7, "missing": 3, "mean": pytest.approx(106 / 7)}
OF_FOUR = {"rows": 4, "max": 9, "present": 4, "missing": 0, "mean": pytest.approx(25.0)}
OF_NONE = {"rows": 0, "max": None, "present": 0, "missing": 0, "mean": None}


def meaningful(statistics: Statistics, scope: str) -> list[Cell]:
    """The cells of a scope that have a meaning for their column's type."""
    cells = [cell for column in statistics[scope].values() for cell in column.values()]
    return [cell for cell in cells if not isinstance(cell.error, NotForThisType)]


def test_four_of_ten_differ_between_the_phases(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        raw = flow.apply(ALL).resolve(PATIENCE)
        assert summary(raw, "raw") == OF_ALL
        step = flow.apply(FOUR)
        first = step.statistics
        assert numbers(step) == FROM_JFK
        assert first["filtered"].pending
        assert {cell.basis for cell in meaningful(first, "filtered")} == {"pending"}
        assert summary(first, "filtered") == OF_ALL, "until they are known, raw's values stand in"
        assert not first["raw"].pending
        second = step.resolve(PATIENCE)
        assert summary(second, "raw") == OF_ALL
        assert summary(second, "filtered") == OF_FOUR
        assert not second["filtered"].pending
        assert second.complete
        assert summary(first, "filtered") == OF_ALL, "what was read before does not change under its reader"


def test_a_first_view_shows_nothing_and_says_pending(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        step = flow.apply(FOUR)
        for scope in ("raw", "clean", "filtered"):
            assert step.statistics[scope].rows == Cell(None, "pending")
            assert {(cell.value, cell.basis) for cell in meaningful(step.statistics, scope)} == {(None, "pending")}
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR


def test_ten_of_ten_are_computed_nevertheless(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        flow.apply(ALL).resolve(PATIENCE)
        step = flow.apply(TEN)
        assert step.statistics["filtered"].pending
        with harness.queries() as asked:
            statistics = step.resolve(PATIENCE)
        assert asked, "equal rows are no reason to guess: the statistics of a new scope are asked for"
        assert summary(statistics, "filtered") == OF_ALL
        assert not statistics["filtered"].pending


def test_none_of_ten_has_statistics(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        step = flow.apply(NONE)
        assert numbers(step) == []
        statistics = step.resolve(PATIENCE)
        assert step.complete
        assert summary(statistics, "filtered") == OF_NONE
        assert [cell.error for cell in meaningful(statistics, "filtered") if cell.error] == []
        assert statistics["filtered"]["origin"]["top_values"].value == ()


def test_the_rows_phase_asks_for_rows_alone(harness: Harness) -> None:
    assert threads_left() == []
    with harness.flow(FLIGHTS) as flow, harness.queries() as asked:
        step = flow.apply(FOUR)
        assert statistics_threads() == []
        assert len(asked) == 1, "the rows"
        assert numbers(flow.rows(FOUR, (1, 3))) == [3, 6]
        assert statistics_threads() == []
        assert len(asked) == 2, "the rows, twice"
        assert not step.complete
        step.resolve(PATIENCE)
        assert len(asked) > 2


def test_what_nobody_resolves_is_not_computed(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:
        flow.apply(ALL).resolve(PATIENCE)
        step = flow.apply(FOUR)
        other.apply(NONE).resolve(PATIENCE)
        assert step.statistics["filtered"].pending
        mine = step.plan.stages["filtered"].digest
        assert mine not in scopes(control)


def test_a_row_count_is_no_statistic(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow, harness.queries() as asked:
        assert flow.row_count(FOUR) == 4
        assert len(asked) == 1
        flow.apply(FOUR).resolve(PATIENCE)
        before = len(asked)
        assert flow.row_count(FOUR) == 4
        assert len(asked) == before, "the statistics know it"


def test_an_equal_state_asks_for_no_statistics(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        step = flow.apply(FOUR)
        step.resolve(PATIENCE)
        before = len(control.deferred)
        with harness.queries() as asked:
            again = flow.apply(State.from_json(FOUR.to_json()))
            assert again.generation == step.generation
            assert again.complete
            assert summary(again.resolve(PATIENCE), "filtered") == OF_FOUR
            assert len(asked) <= 1, "at most the rows"
        assert len(control.deferred) == before
        assert not step.superseded


def test_an_equal_state_joins_what_runs(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        first = flow.apply(FOUR)
        waiting = Call(first.resolve)
        held = control.wait_for_deferred()
        second = flow.apply(State(search="jfk"))
        assert second.generation == first.generation
        assert not first.superseded
        joined = Call(second.resolve)
        control.release()
        assert summary(waiting.result(), "filtered") == summary(joined.result(), "filtered") == OF_FOUR
        assert held.outcome == "answered"
        assert len(control.cells) == len(set(control.cells)), "no cell was asked for twice"


def test_a_state_seen_before_is_complete_at_once(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        for state in (FOUR, TEN, NONE):
            flow.apply(state).resolve(PATIENCE)
        before = len(control.deferred)
        with harness.queries() as asked:
            step = flow.apply(FOUR)
            assert len(asked) <= 1, "the rows, unless the engine has them still"
            assert step.complete
            assert summary(step.statistics, "filtered") == OF_FOUR
            fetched = len(asked)
            assert meaningful(step.resolve(PATIENCE), "filtered") == meaningful(step.statistics, "filtered")
            assert len(asked) == fetched
        assert len(control.deferred) == before


def test_a_new_search_computes_the_filtered_scope_alone(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        flow.apply(FOUR).resolve(PATIENCE)
        before = len(control.deferred)
        step = flow.apply(State(search="lga"))
        assert {name for name in step.statistics if step.statistics[name].pending} == {"filtered"}
        assert step.resolve(PATIENCE)["filtered"].rows.value == 3
        asked = scopes(control, before)
        assert asked == {step.plan.stages["filtered"].digest}
        assert step.plan.stages["raw"].digest not in asked


def test_without_a_condition_the_filtered_scope_is_the_raw_one(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        step = flow.apply(ALL)
        step.resolve(PATIENCE)
        assert scopes(control) == {step.plan.stages["raw"].digest}
        assert len(control.cells) == len(set(control.cells))


def test_sorting_computes_no_statistics(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        flow.apply(FOUR).resolve(PATIENCE)
        before = len(control.deferred)
        for sort in ((Sort("flight", descending=True),), (Sort("delay"),), (Sort("origin"), Sort("flight"))):
            with harness.queries() as asked:
                step = flow.apply(State(search="jfk", sort=sort))
                assert step.complete
                step.resolve(PATIENCE)
                assert len(asked) <= 1, "the rows in their new order"
        assert numbers(flow.apply(State(search="jfk", sort=(Sort("flight", descending=True),)))) == FROM_JFK[::-1]
        assert len(control.deferred) == before


def test_windows_compute_no_statistics(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        for window in ((0, 2), (2, 4), (4, 6), (0, 0), (0, 1_000_000)):
            start, stop = window
            assert numbers(flow.rows(FOUR, window)) == FROM_JFK[start:stop]
            assert numbers(flow.apply(FOUR, window)) == FROM_JFK[start:stop]
        assert control.deferred == []


def test_filters_are_a_scope_like_a_search(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        flow.apply(ALL).resolve(PATIENCE)
        step = flow.apply(State(filters=(Filter("origin", "==", "JFK"),)))
        assert numbers(step) == FROM_JFK
        assert summary(step.statistics, "filtered") == OF_ALL
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR


def test_a_cleaning_makes_the_clean_scope(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        flow.register_cleaning("present", lambda table, ns: table.filter(table.delay.notnull()))
        flow.register_post_processing("late", lambda table, ns: table.filter(table.delay > 15))
        flow.apply(ALL).resolve(PATIENCE)
        step = flow.apply(State(search="jfk", cleaning="present", post_processing="late"))
        assert numbers(step) == [3, 6, 9]
        pending = {name for name in step.statistics if step.statistics[name].pending}
        assert pending == {"clean", "filtered", "shown"}
        statistics = step.resolve(PATIENCE)
        assert {name: scope.rows.value for name, scope in statistics.items()} == {
            "raw": 10,
            "clean": 7,
            "filtered": 4,
            "shown": 3,
        }


def deferred_query(flow: DataFlow, state: State) -> StatisticsQuery:
    """A statistics query of that state, as the statistics phase would ask it first."""
    query = View(flow.compile(state), frozenset(), flow._shared.backend.folding).next_query(lambda key: None)
    assert query is not None
    return query


def test_a_deferred_query_in_the_rows_phase_raises(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        backend, query = flow._shared.backend, deferred_query(flow, FOUR)
        with rows_phase(), harness.queries() as asked:
            with pytest.raises(PhaseError, match=type(query).__name__):
                backend.run(query, CancelToken())
            assert asked == []
            rows = backend.run(RowsQuery(flow.compile(FOUR), 0, 10), CancelToken())
        assert numbers(rows) == FROM_JFK
        assert backend.run(query, CancelToken()).num_rows, "outside the rows phase it runs"


def test_a_backend_that_computes_statistics_for_rows_fails(harness: Harness) -> None:
    """What a careless author might write: an engine that looks at the statistics while it fetches rows."""
    careless: list[DataFlow] = []

    def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
        if careless and not query.deferred:
            self.run(deferred_query(careless[0], FOUR), token)
        return own.execute(self, query, token)

    engine = harness.backend()
    own: Any = type(engine)
    engine.__class__ = type("Careless", (own,), {"execute": execute})
    with DataFlow(harness.source(FLIGHTS), backend=engine) as flow:
        before = flow.apply(ALL)
        careless.append(flow)
        with harness.queries() as asked:
            with pytest.raises(PhaseError):
                flow.apply(FOUR)
            with pytest.raises(PhaseError):
                flow.rows(FOUR, (0, 10))
            with pytest.raises(PhaseError):
                flow.row_count(FOUR)
            assert asked == []
        careless.clear()
        assert numbers(before) == list(range(1, 11))
        assert numbers(flow.apply(FOUR)) == FROM_JFK


def test_statistics_of_one_view_leave_the_rows_of_another_alone(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:
        control.hold()
        raw = Call(flow.apply(ALL).resolve)
        held = control.wait_for_deferred()
        assert numbers(other.apply(FOUR)) == FROM_JFK
        assert numbers(other.rows(FOUR, (0, 2))) == [1, 3]
        assert other.row_count(FOUR) == 4
        assert held.outcome == "waiting"
        control.release()
        assert summary(raw.result(), "raw") == OF_ALL


def test_rows_of_one_view_leave_the_statistics_of_another_alone(harness: Harness) -> None:
    """The rows phase belongs to who is in it: while it lasts, statistics run for others."""
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:
        step = flow.apply(ALL)
        control.hold(lambda query: isinstance(query, RowsQuery))
        before = len(control.visits)
        rows = Call(lambda: other.apply(FOUR))
        control.wait_for(lambda: len(control.visits) > before, "the rows query comes to the engine")
        statistics = Call(step.resolve).result()
        assert summary(statistics, "raw") == OF_ALL
        assert [cell.error for cell in meaningful(statistics, "raw") if cell.error] == []
        assert control.visits[before].outcome == "waiting"
        control.release()
        assert numbers(rows.result()) == FROM_JFK


def scopes(control: Control, start: int = 0) -> set[str]:
    """The digests of the scopes over which statistics were asked for."""
    queries = [visit.query for visit in control.deferred[start:]]
    return {query.stage.digest for query in queries if isinstance(query, StatisticsQuery)}
