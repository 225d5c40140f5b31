"""Statistics that somebody stops: the engine is left, rows come on, and all goes on when somebody wants it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import lazyflow as lf
from lazyflow.client import Client, connect
from lazyflow.testing import Harness
from lazyflow.testing.control import PATIENCE, Control, Visit, controlled
from lazyflow.testing.phases import FLIGHTS, FOUR
from tests.wire import Server, next_frame, run, serving


@asynccontextmanager
async def held(harness: Harness) -> AsyncIterator[tuple[Server, Client, Control, Visit]]:
    """A client that has its rows, and the statistics query that the engine was asked for them, held."""
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        async with serving(flow) as server, connect(server.url) as client:
            yield server, client, control, await asyncio.to_thread(control.wait_for_deferred)


def test_the_engine_is_left_and_rows_come_on(harness: Harness) -> None:
    async def stop() -> None:
        async with held(harness) as (_, client, control, visit):
            view = await client.stop_statistics()
            assert view.stopped
            assert await asyncio.to_thread(control.wait_until_left, visit) == "stopped"
            assert visit.token.cancelled
            control.release()
            assert (await client.fetch((3, 6))).rows.num_rows == 3
            assert await client.settled() == client.view, "nothing more is waited for"
            assert not client.view.complete
            assert control.deferred == [visit]

    run(stop())


def test_one_stops_and_all_are_told(harness: Harness) -> None:
    async def stop() -> None:
        async with (
            held(harness) as (server, client, control, _),
            connect(server.url, session=client.view.session) as other,
        ):
            await client.stop_statistics()
            await other.wait_for(lambda view: view.stopped)
            async with connect(server.url, session=client.view.session) as late:
                assert late.view.stopped
                assert late.view.rows is not None
                control.release()
                await late.start_statistics()
                for one in (client, other, late):
                    view = await one.wait_for(lambda view: view.complete)
                    assert not view.stopped
                    assert view.statistics["filtered"]["flight"]["count"].value == 10
            assert {one.view.generation for one in (client, other, late)} == {1}

    run(stop())


def test_one_statistic_is_had_nevertheless(harness: Harness) -> None:
    async def stop() -> None:
        async with held(harness) as (_, client, control, _visit):
            await client.stop_statistics()
            control.release()
            assert (await client.compute("raw", "flight", "max")).value is not None
            assert client.view.stopped
            assert client.view.statistics["raw"]["flight"].keys() == {"max"}

    run(stop())


def test_the_next_state_has_its_statistics(harness: Harness) -> None:
    async def stop() -> None:
        async with held(harness) as (_, client, control, _visit):
            await client.stop_statistics()
            control.release()
            view = await client.apply(FOUR)
            assert not view.stopped
            view = await client.settled()
            assert view.complete
            assert view.statistics["filtered"]["flight"]["count"].value == 4

    run(stop())


def test_the_same_state_again_stays_stopped(harness: Harness) -> None:
    async def stop() -> None:
        async with held(harness) as (_, client, control, visit):
            await client.stop_statistics()
            control.release()
            assert (await client.apply(lf.State())).stopped
            assert control.deferred == [visit]

    run(stop())


def test_what_somebody_else_wants_goes_on(harness: Harness) -> None:
    async def stop() -> None:
        async with held(harness) as (server, client, control, visit), connect(server.url) as other:
            assert other.view.session != client.view.session
            await client.stop_statistics()
            assert not visit.token.cancelled
            await other.stop_statistics()
            assert await asyncio.to_thread(control.wait_until_left, visit) == "stopped"
            assert visit.token.cancelled
            control.release()
            await other.start_statistics()
            assert (await other.settled()).complete
            assert client.view.stopped

    run(stop())


def test_where_all_is_known_there_is_nothing_to_stop(harness: Harness) -> None:
    async def stop() -> None:
        async with serving(harness.flow(FLIGHTS)) as server, connect(server.url) as client:
            await client.settled()
            assert not (await client.stop_statistics()).stopped
            assert not (await client.start_statistics()).stopped
            assert client.view.complete

    run(stop())


def test_of_a_generation_that_is_none(harness: Harness) -> None:
    async def stop() -> None:
        async with serving(harness.flow(FLIGHTS)) as server:
            raw = await server.raw(body="json")
            frame: Any = await next_frame(raw)
            await raw.write_message(
                json.dumps({"type": "statistics_wanted", "generation": 9, "wanted": False, "request": 5})
            )
            while getattr(frame.header, "code", None) is None:
                frame = await next_frame(raw)
            assert (frame.header.code, frame.header.request) == ("unknown_generation", 5)
            raw.close()

    run(stop())


def test_a_step_goes_on_where_it_stopped(harness: Harness) -> None:
    with controlled(harness, FLIGHTS) as (flow, control):
        control.hold()
        step = flow.apply(FOUR)
        step.start()
        visit = control.wait_for_deferred()
        step.stop()
        assert control.wait_until_left(visit) == "stopped"
        assert visit.token.cancelled
        assert step.queries_cancelled == 1
        control.release()
        with pytest.raises(TimeoutError):
            step._generation.wait(0)
        assert not step.superseded
        assert step.resolve(PATIENCE)["filtered"].rows.value == 4
