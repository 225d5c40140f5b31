"""Newer replaces older: what is withdrawn, what goes on, what is known already, and what is never mixed."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import random
from dataclasses import replace

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import Superseded
from lazyflow.query import RowsQuery
from lazyflow.state import Filter, State
from lazyflow.statistics.registry import Registry
from lazyflow.testing.control import PATIENCE, Call, Visit, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.phases import (
    ALL,
    FLIGHTS,
    FOUR,
    FROM_JFK,
    NONE,
    OF_ALL,
    OF_FOUR,
    OF_NONE,
    TEN,
    THREE,
    numbers,
    scopes,
    summary,
)

supersede = pytest.mark.family("supersede")
cache = pytest.mark.family("cache")


@supersede
def test_unwanted_work_leaves_the_engine(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        flow.apply(ALL).resolve(PATIENCE)
        before = len(control.deferred)
        control.hold()
        old = flow.apply(FOUR)
        waiting = Call(old.resolve)
        held = control.wait_for_deferred(before + 1)
        new = flow.apply(THREE)
        with pytest.raises(Superseded):
            waiting.result()
        assert control.wait_until_left(held) == "stopped"
        assert held.token.cancelled
        control.release()
        assert new.resolve(PATIENCE)["filtered"].rows.value == 3
        assert old.superseded
        assert numbers(old) == FROM_JFK, "its rows stay readable"
        with pytest.raises(Superseded):
            old.resolve(PATIENCE)
        assert summary(old.statistics, "filtered") == OF_ALL, "nothing of it is shown, raw stands in"
        assert old.statistics["filtered"].pending


@supersede
def test_unwanted_work_leaves_the_engine_in_the_middle(harness: Harness) -> None:
    """No gate here: the engine is at work on many rows, and leaves at once, or after the step that it is in."""
    draw = random.Random(0)
    column = pa.array([draw.random() for _ in range(400_000)])
    table = pa.table({f"x{number}": column for number in range(16)})
    with controlled(harness, table) as (flow, control), flow.fork() as other:
        waiting = Call(other.apply(ALL).resolve)

        def at_work() -> list[Visit]:
            """Queries for values; the number of rows is answered at once."""
            return [visit for visit in control.deferred if getattr(visit.query, "columns", ())]

        control.wait_for(lambda: bool(at_work()) and at_work()[0].outcome == "inside", "the engine begins")
        other.close()
        outcome = control.wait_until_left(at_work()[0])
        assert outcome == "stopped" or not flow._shared.backend.capabilities.interrupts
        with pytest.raises(Superseded):
            waiting.result()
        flow.apply(ALL)
        assert not flow.apply(ALL).complete
        assert len(at_work()) == 1, "no further step begins"
        assert flow.rows(ALL, (0, 3)).num_rows == 3


@supersede
def test_wanted_raw_work_goes_on_however_fast_someone_types(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        steps = [flow.apply(ALL)]
        calls = [Call(steps[0].resolve)]
        held = control.wait_for_deferred()
        for term in ("j", "jf", "jfk", "jf", "j", "l", "lg", "lga"):
            steps.append(flow.apply(State(search=term)))
            calls.append(Call(steps[-1].resolve))
            assert not held.token.cancelled
        assert held.outcome == "waiting"
        control.release()
        last = calls.pop().result()
        for call in calls:
            with pytest.raises(Superseded):
                call.result()
        assert held.outcome == "answered"
        assert summary(last, "raw") == OF_ALL
        assert last["filtered"].rows.value == 3
        stages = steps[-1].plan.stages
        assert scopes(control) == {stages["raw"].digest, stages["filtered"].digest}, "nothing for what was passed over"
        assert len(control.cells) == len(set(control.cells)), "nothing was started twice"


@supersede
def test_a_superseded_step_never_answers(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:
        old = flow.apply(FOUR)
        known = old.resolve(PATIENCE)
        flow.apply(THREE)
        with pytest.raises(Superseded):
            old.resolve(PATIENCE)
        assert summary(known, "filtered") == summary(old.statistics, "filtered") == OF_FOUR
        again = flow.apply(FOUR)
        assert [old.generation, again.generation] == [1, 3]
        assert old.superseded
        assert summary(again.resolve(PATIENCE), "filtered") == OF_FOUR


@supersede
def test_rows_of_a_superseded_step_leave_the_engine(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold(lambda query: isinstance(query, RowsQuery) and query.plan.state == FOUR)
        waiting = Call(lambda: flow.apply(FOUR))
        control.wait_for(lambda: len(control.visits) == 1, "the rows query comes")
        new = flow.apply(THREE)
        with pytest.raises(Superseded):
            waiting.result()
        assert control.wait_until_left(control.visits[0]) == "stopped"
        assert new.rows.num_rows == 3
        assert not new.superseded


@supersede
def test_plain_rows_are_superseded_by_nothing(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold(lambda query: isinstance(query, RowsQuery) and query.plan.state == FOUR)
        waiting = Call(lambda: flow.rows(FOUR, (0, 10)))
        control.wait_for(lambda: len(control.visits) == 1, "the rows query comes")
        flow.apply(THREE)
        control.release()
        assert numbers(waiting.result()) == FROM_JFK


@supersede
def test_answers_are_never_mixed(harness: Harness) -> None:
    expected = {ALL: OF_ALL, FOUR: OF_FOUR, TEN: OF_ALL, NONE: OF_NONE}
    draw = random.Random(1)
    with harness.flow(FLIGHTS) as flow:
        calls = []
        for _ in range(40):
            step = flow.apply(draw.choice(list(expected)))
            calls.append((step, Call(step.resolve)))
        answered = 0
        for step, call in calls:
            try:
                statistics = call.result()
            except Superseded:
                assert step.superseded
                continue
            answered += 1
            assert summary(statistics, "raw") == OF_ALL
            assert summary(statistics, "filtered") == expected[step.plan.state]
        assert answered
        assert not calls[-1][0].superseded


@supersede
def test_time_runs_out_for_the_caller_only(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        step = flow.apply(FOUR)
        with pytest.raises(TimeoutError):
            step.resolve(timeout=0)
        held = control.wait_for_deferred()
        assert held.outcome == "waiting"
        control.release()
        assert summary(step.resolve(PATIENCE), "filtered") == OF_FOUR
        assert held.outcome == "answered"


@cache
def test_what_is_known_is_known_by_what_it_computes(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        flow.register_cleaning("first", lambda table, ns: table.filter(table.flight > 5))
        flow.register_cleaning("second", lambda table, ns: table.filter(table.flight > 5))
        flow.register_cleaning("third", lambda table, ns: table.filter(table.flight > 6))
        assert flow.apply(State(cleaning="first")).resolve(PATIENCE)["clean"].rows.value == 5
        before = len(control.deferred)
        step = flow.apply(State(cleaning="second"))
        assert step.complete
        assert step.statistics["clean"].rows.value == 5
        assert len(control.deferred) == before
        other = flow.apply(State(cleaning="third"))
        assert other.statistics["clean"].pending
        assert other.resolve(PATIENCE)["clean"].rows.value == 4


@cache
def test_every_condition_is_a_scope_of_its_own(harness: Harness) -> None:
    states = {
        State(search="jfk"): 4,
        State(search="jf"): 4,
        State(search="lga"): 3,
        State(filters=(Filter("flight", ">", 5),)): 5,
        State(filters=(Filter("flight", ">=", 5),)): 6,
        State(filters=(Filter("flight", ">", 6),)): 4,
        State(filters=(Filter("delay", ">", 5),)): 4,
        State(search="jfk", filters=(Filter("flight", ">", 5),)): 2,
    }
    with harness.flow(FLIGHTS) as flow:
        for _ in range(2):
            for state, rows in states.items():
                statistics = flow.apply(state).resolve(PATIENCE)
                assert (statistics["filtered"].rows.value, statistics["raw"].rows.value) == (rows, 10)


@cache
def test_a_view_keeps_what_the_cache_forgets(harness: Harness) -> None:
    engine = harness.backend()
    with DataFlow(harness.source(FLIGHTS), backend=engine, cache_bytes=0) as flow:
        first = flow.apply(FOUR)
        assert summary(Call(first.resolve).result(), "filtered") == OF_FOUR
        assert first.complete
        assert flow.apply(FOUR).complete
        assert not flow.apply(NONE).complete
        again = flow.apply(FOUR)
        assert not again.complete
        assert summary(Call(again.resolve).result(), "filtered") == OF_FOUR


@cache
def test_another_version_of_a_statistic_is_another_cell(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    with harness.flow(FLIGHTS) as flow:
        assert flow.apply(ALL).resolve(PATIENCE)["raw"]["flight"]["max"].value == 10
        changed = [
            replace(
                statistic,
                version=statistic.version + 1,
                from_counts=lambda counts, _: counts.low,
                build=lambda column, ns: {"": column.min()},
            )
            if statistic.name == "max"
            else statistic
            for statistic in flow.statistics
        ]
        monkeypatch.setattr(flow._shared, "registry", Registry(tuple(changed)))
        step = flow.apply(ALL)
        assert step.statistics["raw"]["flight"]["max"].basis == "pending"
        assert step.statistics["raw"]["flight"]["min"].value == 1, "the others are still known"
        assert step.resolve(PATIENCE)["raw"]["flight"]["max"].value == 1
