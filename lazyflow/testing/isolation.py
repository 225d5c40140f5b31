"""What fails costs itself alone: a statistic its cell, a faulty function or bad input nothing at all."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import (
    EngineError,
    InvalidInput,
    TransformError,
)
from lazyflow.query import Query
from lazyflow.state import Filter, State
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.statistics.registry import Native
from lazyflow.statistics.results import Statistics
from lazyflow.testing.control import PATIENCE, Call, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.phases import (
    ALL,
    FLIGHTS,
    FOUR,
    OF_ALL,
    OF_FOUR,
    THREE,
    meaningful,
    summary,
)
from lazyflow.work import CancelToken

pytestmark = pytest.mark.family("isolation")


def unknown(ns: Any) -> Any:
    """An aggregate that no engine has."""

    def no_such_aggregate(values: float) -> float:
        raise NotImplementedError

    return ns.udf.agg.builtin(no_such_aggregate)


def failing_means(harness: Harness, broken: list[bool]) -> dict[str, Any]:
    """Members of a backend that counts nothing one by one, and whose engine rejects the mean of integers."""

    def build(column: Any, ns: Any) -> dict[str, Any]:
        values = column.cast("float64")
        return {"": unknown(ns)(values) if broken and column.type().is_integer() else values.mean()}

    engine = harness.backend()
    engine.close()
    native = {**(engine.folding.native or {}), "mean": Native(build)}
    return {"folding": replace(engine.folding, max_distinct=0, ask_first=True, native=native)}


def test_a_statistic_that_the_engine_rejects_costs_one_cell(harness: Harness) -> None:
    whole = FLIGHTS.drop_null()
    with controlled(harness, whole, **failing_means(harness, [True])) as (flow, _):
        step = flow.apply(FOUR)
        statistics = Call(step.resolve).result()
        assert step.complete
        for scope, rows in (("raw", 7), ("filtered", 4)):
            assert failed(statistics, scope) == [("flight", "mean")]
            assert statistics[scope]["flight"]["mean"].value is None
            assert statistics[scope]["flight"]["quantiles"].value[0.5] is not None
            assert statistics[scope]["delay"]["mean"].value is not None
            assert statistics[scope].rows.value == rows


def test_a_statistic_that_fails_costs_one_cell(harness: Harness) -> None:
    """Among all statistics that were folded into one query, the guilty one is found; the others come as ever."""

    def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
        wants = query.wants if isinstance(query, StatisticsQuery) else ()
        if any(want.column and (want.column.name, want.statistic.name) == ("flight", "mean") for want in wants):
            raise OverflowError("the flights are too many")
        return own.execute(self, query, token)

    engine = harness.backend()
    own: Any = type(engine)
    engine.__class__ = type("Rejecting", (own,), {"execute": execute})
    with DataFlow(harness.source(FLIGHTS), backend=engine) as flow:
        step = flow.apply(FOUR)
        statistics = Call(step.resolve).result()
        assert step.complete
        for scope, expected in (("raw", OF_ALL), ("filtered", OF_FOUR)):
            assert summary(statistics, scope) == expected
            assert failed(statistics, scope) == [("flight", "mean")]
            error = statistics[scope]["flight"]["mean"].error
            assert isinstance(error, EngineError)
            assert "too many" in str(error)


def failed(statistics: Statistics, scope: str) -> list[tuple[str, str]]:
    """Which cells of a scope have failed: column and statistic."""
    cells = [(column, name, cell) for column, found in statistics[scope].items() for name, cell in found.items()]
    return [(column, name) for column, name, cell in cells if isinstance(cell.error, EngineError)]


def test_a_failure_is_not_kept(harness: Harness) -> None:
    broken = [True]
    with controlled(harness, FLIGHTS, **failing_means(harness, broken)) as (flow, control):
        step = flow.apply(ALL)
        assert step.resolve(PATIENCE)["raw"]["flight"]["mean"].error is not None
        before = len(control.deferred)
        assert flow.apply(ALL).resolve(PATIENCE)["raw"]["flight"]["mean"].error is not None, (
            "an equal state starts nothing"
        )
        assert len(control.deferred) == before
        broken.clear()
        again = flow.apply(FOUR)
        assert again.statistics["raw"]["flight"]["mean"].basis == "pending"
        statistics = again.resolve(PATIENCE)
        assert statistics["raw"]["flight"]["mean"].value == pytest.approx(5.5)
        assert [cell for cell in meaningful(statistics, "filtered") if cell.error] == []


def _raises(table: Any, ns: Any) -> Any:
    raise KeyError("no such thing")


FAULTY: dict[str, Callable[[Any, Any], Any]] = {
    "raises": _raises,
    "executes": lambda table, ns: table.filter(table.delay > table.delay.mean().execute()),
    "returns nothing": lambda table, ns: None,
    "returns a column": lambda table, ns: table.delay,
    "returns a number": lambda table, ns: 7,
    "names an unknown column": lambda table, ns: table.select("gate"),
}


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("kind", ["cleaning", "post_processing"])
def test_a_faulty_function_leaves_the_flow_as_it_was(harness: Harness, kind: str, fault: str) -> None:
    with harness.flow(FLIGHTS) as flow:
        step = flow.apply(FOUR)
        register = flow.register_cleaning if kind == "cleaning" else flow.register_post_processing
        register(fault, FAULTY[fault])
        faulty = (
            State(search="jfk", cleaning=fault) if kind == "cleaning" else State(search="jfk", post_processing=fault)
        )
        with harness.queries() as asked:
            for use in (flow.apply, flow.compile, flow.row_count, lambda state: flow.rows(state, (0, 10))):
                with pytest.raises(TransformError, match=fault):
                    use(faulty)
            assert asked == [], "the engine saw nothing of it"
        assert not step.superseded
        assert step.generation == 1
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR
        assert flow.apply(THREE).generation == 2


def test_bad_input_leaves_the_flow_as_it_was(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        step = flow.apply(FOUR)
        waiting = Call(step.resolve)
        held = control.wait_for_deferred()
        bad: list[tuple[State, tuple[int, int], tuple[str, ...]]] = [
            (State(filters=(Filter("gate", "==", 1),)), (0, 10), ()),
            (State(filters=(Filter("flight", ">", "x"),)), (0, 10), ()),
            (State(cleaning="none such"), (0, 10), ()),
            (THREE, (5, 2), ()),
            (THREE, (0, 10), ("gate",)),
        ]
        for arguments in bad:
            with pytest.raises(InvalidInput):
                flow.apply(*arguments)
        assert not held.token.cancelled
        control.release()
        assert summary(waiting.result(), "filtered") == OF_FOUR
        assert held.outcome == "answered"
