"""Time budgets: what runs out of it is marked, costs nothing else, and can be asked for alone."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lazyflow.dataflow import STATISTIC_BUDGET, DataFlow
from lazyflow.errors import InvalidValue, NotForThisType, OutOfTime, Superseded, UnknownName
from lazyflow.query import Query
from lazyflow.statistics.queries import StatisticsQuery, ValueCountsQuery
from lazyflow.statistics.registry import Statistic
from lazyflow.statistics.results import Statistics
from lazyflow.testing.check_statistics import differences
from lazyflow.testing.control import PATIENCE, Call, Control, Visit, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.judge import frame
from lazyflow.testing.phases import ALL, FLIGHTS, FOUR, OF_ALL, OF_FOUR, summary

pytestmark = pytest.mark.family("time budgets")

SLOW = Statistic("slow", lambda column, ns: column.max(), kinds={"integer"})
QUICK = Statistic("quick", lambda column, ns: column.min(), kinds={"integer"})


def asks_for(name: str) -> Callable[[Query], bool]:
    """Whether a query is for a statistic, perhaps among others."""
    return lambda query: isinstance(query, StatisticsQuery) and any(w.statistic.name == name for w in query.wants)


def held(control: Control, number: int) -> Visit:
    """The `number`-th query that is held at the gate, from 1, once it has come."""

    def at_the_gate() -> list[Visit]:
        return [visit for visit in control.deferred if control._holds(visit.query)]

    control.wait_for(lambda: len(at_the_gate()) >= number, f"query {number} comes to the gate")
    return at_the_gate()[number - 1]


def out_of_time(statistics: Statistics, scope: str) -> list[tuple[str, str]]:
    """Which cells of a scope ran out of time: column and statistic."""
    cells = [(column, name, cell) for column, found in statistics[scope].items() for name, cell in found.items()]
    return [(column, name) for column, name, cell in cells if isinstance(cell.error, OutOfTime)]


def run_out(flow: DataFlow, control: Control) -> tuple[Any, Statistics]:
    """The view of all rows, where `slow` has run out of time, first together with `quick`, then alone."""
    control.hold(asks_for("slow"))
    step = flow.apply(ALL)
    waiting = Call(lambda: step.resolve(PATIENCE))
    together = held(control, 1)
    assert control.alarms[-1].seconds == 2 * STATISTIC_BUDGET, "what is folded has its time together"
    control.time_is_up(together)
    alone = held(control, 2)
    assert control.alarms[-1].seconds == STATISTIC_BUDGET
    control.time_is_up(alone)
    return step, waiting.result()


def test_what_runs_out_of_time_is_marked_and_costs_nothing_else(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, [SLOW, QUICK]) as (flow, control):
        step, statistics = run_out(flow, control)
        assert step.complete
        assert out_of_time(statistics, "raw") == [("flight", "slow")]
        assert statistics["raw"]["flight"]["slow"].value is None
        assert statistics["raw"]["flight"]["quick"].value == 1
        assert summary(statistics, "raw") == OF_ALL
        errors = [cell.error for cells in statistics["raw"].values() for cell in cells.values() if cell.error]
        assert [error for error in errors if not isinstance(error, NotForThisType | OutOfTime)] == []


def test_it_can_be_asked_for_alone(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, [SLOW, QUICK]) as (flow, control):
        step, _ = run_out(flow, control)
        asked, alarms = len(control.deferred), len(control.alarms)
        waiting = Call(lambda: step.compute("raw", "flight", "slow"))
        again = held(control, 3)
        assert isinstance(again.query, StatisticsQuery)
        assert [want.statistic.name for want in again.query.wants] == ["slow"]
        assert out_of_time(step.statistics, "raw") == [("flight", "slow")], "until it is there"
        assert step.complete
        control.release()
        assert waiting.result().value == 10
        assert step.statistics["raw"]["flight"]["slow"].value == 10
        assert len(control.deferred) == asked + 1
        assert len(control.alarms) == alarms, "it has as long as it takes"
        assert flow.apply(FOUR).statistics["raw"]["flight"]["slow"].value == 10, "it is known from now on"


def test_alone_it_may_run_out_of_time_again(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, [SLOW, QUICK]) as (flow, control):
        step, _ = run_out(flow, control)
        waiting = Call(lambda: step.compute("raw", "flight", "slow", seconds=7))
        again = held(control, 3)
        assert control.alarms[-1].seconds == 7
        control.time_is_up(again)
        assert isinstance(waiting.result().error, OutOfTime)
        assert step.complete


def test_the_next_view_does_not_try_it_again(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, [SLOW, QUICK]) as (flow, control):
        raw = run_out(flow, control)[0]
        control.release()
        before = len(control.deferred)
        step = flow.apply(FOUR)
        statistics = step.resolve(PATIENCE)
        assert out_of_time(statistics, "raw") == [("flight", "slow")]
        assert statistics["filtered"]["flight"]["slow"].value == 9, "fewer rows may be quicker"
        assert summary(statistics, "filtered") == OF_FOUR
        key = raw._view.find("raw", "flight", "slow")
        later = [visit.query for visit in control.deferred[before:]]
        assert not any(isinstance(query, StatisticsQuery) and key in query.cells for query in later)


def test_columns_that_take_too_long_to_count_are_aggregated(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold(lambda query: isinstance(query, ValueCountsQuery))
        step = flow.apply(ALL)
        waiting = Call(lambda: step.resolve(PATIENCE))
        for number in range(1, 1 + (4 if flow._shared.backend.folding.max_columns == 1 else 1)):
            control.time_is_up(held(control, number))
        whole = frame(FLIGHTS)
        assert differences(waiting.result(), dict.fromkeys(("raw", "clean", "filtered"), whole)) == []


def test_a_statistic_can_be_asked_for_before_all_others(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        step = flow.apply(FOUR)
        assert step.compute("filtered", "delay", "skewness").value == pytest.approx(0.0, abs=1e-9)
        assert step.compute("raw", "delay", "histogram").value.counts
        assert not step.complete
        assert step.statistics["raw"]["carrier"]["distinct"].basis == "pending", "nobody asked for it"
        before = len(control.deferred)
        assert step.compute("filtered", "delay", "skewness").error is None
        assert len(control.deferred) == before, "what is known is not asked again"
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR


def test_without_blocking_the_event_loop(harness: Harness) -> None:
    async def both() -> None:
        with harness.flow(FLIGHTS) as flow:
            step = await flow.apply_async(ALL)
            last, mean = await asyncio.gather(
                step.compute_async("raw", "flight", "last"), step.compute_async("raw", "delay", "mean")
            )
            assert last.value == 10
            assert mean.value == pytest.approx(106 / 7)

    asyncio.run(asyncio.wait_for(both(), PATIENCE))


def test_what_cannot_be_asked_for(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        step = flow.apply(ALL)
        for names, expected in (
            (("shown", "flight", "mean"), "filtered"),
            (("raw", "fligth", "mean"), "flight"),
            (("raw", "flight", "meen"), "mean"),
        ):
            with pytest.raises(UnknownName, match=expected):
                step.compute(*names)
        with pytest.raises(NotForThisType, match="mean"):
            step.compute("raw", "origin", "mean")
        flow.apply(FOUR)
        with pytest.raises(Superseded):
            step.compute("raw", "flight", "mean")


def test_a_newer_state_ends_the_waiting(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        step = flow.apply(FOUR)
        waiting = Call(lambda: step.compute("filtered", "flight", "mean"))
        control.wait_for_deferred()
        flow.apply(ALL)
        with pytest.raises(Superseded):
            waiting.result()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "30", True], ids=str)
def test_budgets_are_positive_seconds(harness: Harness, seconds: Any) -> None:
    with pytest.raises(InvalidValue, match="seconds"):
        harness.flow(FLIGHTS, statistic_budget=seconds)


def test_budgets_of_a_flow_and_its_forks(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, [SLOW]) as (flow, control):
        with flow.fork(statistic_budget=2.0) as short, short.fork() as same, flow.fork(statistic_budget=None) as free:
            for other, seconds in ((same, 2.0), (free, None), (flow, STATISTIC_BUDGET)):
                step = other.apply(ALL)
                query = step._view.next_query(lambda key: None)
                assert query is not None
                names = {want.statistic.name for want in query.wants}
                assert query.seconds == (None if seconds is None else seconds * len(names))
                step.resolve(PATIENCE)
        assert control.alarms, "the first had one"
        assert all(alarm.over for alarm in control.alarms)
