"""The asynchronous twins: the same answers, rows before statistics, a loop that is never blocked."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from lazyflow.dataflow import DataFlow, Update
from lazyflow.errors import InvalidInput, Superseded
from lazyflow.query import RowsQuery
from lazyflow.state import Filter, State
from lazyflow.statistics.results import Statistics
from lazyflow.testing.control import PATIENCE, Call, Control, Visit, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.phases import ALL, FLIGHTS, FOUR, FROM_JFK, OF_ALL, OF_FOUR, THREE, numbers, summary

pytestmark = pytest.mark.family("async")

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine, for so long as anyone would wait."""

    async def bounded() -> T:
        return await asyncio.wait_for(main(), PATIENCE)

    return asyncio.run(bounded())


async def updates(flow: DataFlow, state: State) -> list[Update]:
    """All updates of a stream."""
    return [update async for update in flow.stream(state)]


async def arrival(control: Control, number: int) -> Visit:
    """The `number`-th visit of the engine, counted from 1, once it has come."""
    await asyncio.to_thread(control.wait_for, lambda: len(control.visits) >= number, f"query {number} comes")
    return control.visits[number - 1]


def test_twins_give_the_same(harness: Harness) -> None:
    with harness.flow(FLIGHTS) as flow:

        async def main() -> Statistics:
            assert numbers(await flow.rows_async(FOUR, (1, 3))) == [3, 6]
            assert await flow.row_count_async(FOUR) == 4
            step = await flow.apply_async(FOUR, (0, 2), ["delay", "flight"])
            assert numbers(step) == [1, 3]
            assert step.statistics["filtered"].pending
            return await step.resolve_async()

        assert summary(run(main), "filtered") == OF_FOUR
        assert flow.apply(FOUR).complete


def test_twins_raise_the_same(harness: Harness) -> None:
    bad = State(filters=(Filter("gate", "==", 1),))
    with harness.flow(FLIGHTS) as flow:

        async def main() -> None:
            with pytest.raises(InvalidInput):
                await flow.rows_async(bad, (0, 1))
            with pytest.raises(InvalidInput):
                await flow.row_count_async(bad)
            with pytest.raises(InvalidInput):
                await flow.apply_async(bad)
            with pytest.raises(InvalidInput):
                await updates(flow, bad)
            step = await flow.apply_async(FOUR)
            await flow.apply_async(THREE)
            with pytest.raises(Superseded):
                await step.resolve_async()

        run(main)


def test_a_stream_brings_rows_then_statistics_then_all(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> list[Update]:
            control.hold()
            received: list[Update] = []
            async for update in flow.stream(FOUR):
                if not received:
                    assert control.deferred == [], "rows before any statistics query"
                    control.release()
                received.append(update)
            return received

        received = run(main)
        first, *others = received
        assert (first.phase, first.complete, first.generation) == ("rows", False, 1)
        assert numbers(first) == FROM_JFK
        assert first.statistics["filtered"].pending
        assert others
        assert {update.phase for update in others} == {"statistics"}
        assert {update.generation for update in others} == {1}
        assert [update.complete for update in others] == [False] * (len(others) - 1) + [True]
        assert summary(others[-1].statistics, "raw") == OF_ALL
        assert summary(others[-1].statistics, "filtered") == OF_FOUR
        assert summary(first.statistics, "filtered") != OF_FOUR, "an update stays what it was"


def test_a_stream_of_what_is_known_is_one_update(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        flow.apply(FOUR).resolve(PATIENCE)
        flow.apply(ALL).resolve(PATIENCE)
        before = len(control.deferred)
        (only,) = run(lambda: updates(flow, FOUR))
        assert (only.phase, only.complete) == ("rows", True)
        assert summary(only.statistics, "filtered") == OF_FOUR
        assert len(control.deferred) == before


def test_a_superseded_stream_ends_with_superseded(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> list[Update]:
            control.hold()
            old = asyncio.create_task(updates(flow, FOUR))
            await arrival(control, 2)
            new = asyncio.create_task(updates(flow, THREE))
            with pytest.raises(Superseded):
                await old
            control.release()
            return await new

        received = run(main)
        assert received[-1].complete
        assert received[-1].statistics["filtered"].rows.value == 3


def test_streams_of_forks_run_side_by_side(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control), flow.fork() as other:

        async def main() -> list[list[Update]]:
            return list(await asyncio.gather(updates(flow, FOUR), updates(other, FOUR)))

        for received in run(main):
            assert received[0].phase == "rows"
            assert summary(received[-1].statistics, "filtered") == OF_FOUR
        assert len(control.cells) == len(set(control.cells)), "what both want is asked once"


def test_the_loop_is_free_while_the_engine_works(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> Statistics:
            control.hold(lambda query: True)
            applying = asyncio.create_task(flow.apply_async(FOUR))
            await arrival(control, 1)
            assert not applying.done()
            control.hold()
            resolving = asyncio.create_task((await applying).resolve_async())
            await arrival(control, 2)
            assert numbers(await flow.rows_async(THREE, (0, 1))) == [2]
            assert not resolving.done()
            control.release()
            return await resolving

        assert summary(run(main), "filtered") == OF_FOUR


@pytest.mark.parametrize("question", ["rows", "row_count"])
def test_a_cancelled_task_stops_its_query(harness: Harness, question: str) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> None:
            control.hold(lambda query: True)
            asking = flow.rows_async(FOUR, (0, 4)) if question == "rows" else flow.row_count_async(FOUR)
            task = asyncio.create_task(asking)
            visit = await arrival(control, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(control.wait_until_left, visit) == "stopped"

        run(main)
        control.release()
        assert numbers(flow.rows(FOUR, (0, 10))) == FROM_JFK


def test_a_cancelled_wait_leaves_the_work_to_others(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        step = flow.apply(FOUR)

        async def main() -> None:
            control.hold()
            task = asyncio.create_task(step.resolve_async())
            visit = await arrival(control, 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not visit.token.cancelled
            assert not step.superseded

        run(main)
        control.release()
        assert summary(Call(step.resolve).result(), "filtered") == OF_FOUR
        assert len(control.cells) == len(set(control.cells))


def test_a_stream_left_early_disturbs_nobody(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> None:
            control.hold()
            async for update in flow.stream(FOUR):
                assert update.phase == "rows"
                break

        run(main)
        control.release()
        assert summary(flow.apply(FOUR).resolve(PATIENCE), "filtered") == OF_FOUR


def test_an_answer_after_the_loop_is_closed_is_no_error(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        step = flow.apply(FOUR)

        async def main() -> None:
            control.hold()
            waiting = asyncio.create_task(step.resolve_async())
            await arrival(control, 2)
            waiting.cancel()

        run(main)
        control.release()
        assert summary(Call(step.resolve).result(), "filtered") == OF_FOUR


def test_rows_of_many_tasks(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):

        async def main() -> list[list[int]]:
            windows = [(start, start + 2) for start in range(10)]
            return [
                numbers(rows) for rows in await asyncio.gather(*(flow.rows_async(ALL, window) for window in windows))
            ]

        assert run(main) == [list(range(start + 1, min(start + 2, 10) + 1)) for start in range(10)]
        assert all(isinstance(visit.query, RowsQuery) for visit in control.visits)
