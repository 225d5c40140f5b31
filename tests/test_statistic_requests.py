"""One statistic over the wire: asked for where it ran out of time, and told to all who look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import lazyflow as lf
from lazyflow.client import Client, connect
from lazyflow.protocol import StatsUpdate
from lazyflow.testing import Harness
from lazyflow.testing.budgets import QUICK, SLOW, asks_for, held
from lazyflow.testing.control import Control, controlled
from lazyflow.testing.phases import FLIGHTS
from lazyflow.testing.statistics import folded
from tests.wire import Server, next_frame, run, serving


async def in_thread(function: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(function)


@asynccontextmanager
async def out_of_time(harness: Harness, **settings: Any) -> AsyncIterator[tuple[Server, Client, Control]]:
    """A client of a view in which `slow` ran out of time; queries for it are held."""
    with controlled(harness, FLIGHTS, [SLOW, QUICK]) as (flow, control):
        control.hold(asks_for("slow"))
        async with serving(flow, **settings) as server, connect(server.url) as client:
            for number in (1, 2):  # with another statistic, then alone
                visit = await in_thread(lambda number=number: held(control, number))
                await in_thread(lambda visit=visit: control.time_is_up(visit))
            await client.settled()
            yield server, client, control


def slow(client: Client) -> lf.Cell:
    return client.view.statistics["raw"]["flight"]["slow"]


def test_a_view_with_a_statistic_out_of_time_is_final(harness: Harness) -> None:
    async def look() -> None:
        async with out_of_time(harness) as (_, client, _control):
            assert client.view.complete
            assert client.view.error is None
            assert isinstance(slow(client).error, lf.OutOfTime)
            assert client.view.statistics["raw"]["flight"]["quick"].value == 1
            own = [item.name for item in client.options.statistics if item.own]
            assert own == ["slow", "quick"]

    run(look())


def test_one_asks_and_all_are_told(harness: Harness) -> None:
    async def ask() -> None:
        async with (
            out_of_time(harness) as (server, client, control),
            connect(server.url, session=client.view.session) as other,
        ):
            assert isinstance(slow(other).error, lf.OutOfTime)
            client._events.clear()
            asking = asyncio.create_task(client.compute("raw", "flight", "slow"))
            again = asyncio.create_task(client.compute("raw", "flight", "slow"))
            await in_thread(lambda: held(control, 3))
            assert control.alarms[-1].seconds == server.service.settings.statistics_timeout
            control.release()
            assert (await asking).value == 10
            assert (await again).value == 10
            await other.wait_for(lambda view: view.statistics["raw"]["flight"]["slow"].error is None)
            assert slow(other).value == 10
            updates = [event for event in client._events if isinstance(event, StatsUpdate)]
            cells = [
                (scope, column, name)
                for update in updates
                for scope, found in update.statistics.items()
                for column, statistics in found.columns.items()
                for name in statistics
            ]
            assert sorted(cells) == [(scope, "flight", "slow") for scope in ("clean", "filtered", "raw")]
            assert sum(len(update.answered) for update in updates) == 2
            assert all(update.final for update in updates)
            assert len([visit for visit in control.deferred if asks_for("slow")(visit.query)]) == 3

    run(ask())


def test_what_was_approximated_is_told_exactly(harness: Harness) -> None:
    async def ask() -> None:
        sketching = folded(harness, max_distinct=0, ask_first=True)
        async with (
            serving(sketching.flow(FLIGHTS)) as server,
            connect(server.url) as client,
            connect(server.url, session=client.view.session) as other,
        ):
            for one in (client, other):
                await one.settled()
                assert one.view.statistics["raw"]["flight"]["distinct"].basis == "approximate"
            assert await client.compute("raw", "flight", "distinct") == lf.Cell(10)
            await other.wait_for(lambda view: view.statistics["raw"]["flight"]["distinct"].basis == "exact")
            assert other.view.complete

    engine = harness.backend()
    engine.close()
    native = (engine.folding.native or {}).get("distinct")
    if engine.folding.max_distinct is None or native is None or native.basis == "exact":
        pytest.skip("the backend approximates nothing")
    run(ask())


def test_what_is_known_is_answered_at_once(harness: Harness) -> None:
    async def ask() -> None:
        async with out_of_time(harness) as (_, client, control):
            before = len(control.deferred)
            assert (await client.compute("raw", "flight", "quick")).value == 1
            assert len(control.deferred) == before

    run(ask())


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("raw", "flight", "slwo"), lf.UnknownName),
        (("raw", "fligth", "slow"), lf.UnknownName),
        (("shown", "flight", "slow"), lf.UnknownName),
        (("raw", "origin", "slow"), lf.NotForThisType),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_an_error_that_names_the_request(
    harness: Harness, names: tuple[str, str, str], error: type[Exception]
) -> None:
    async def ask() -> None:
        async with out_of_time(harness) as (_, client, _control):
            with pytest.raises(error):
                await client.compute(*names)
            assert client.view.error is None
            assert isinstance(slow(client).error, lf.OutOfTime)

    run(ask())


def test_a_newer_state_is_the_answer(harness: Harness) -> None:
    async def ask() -> None:
        async with out_of_time(harness) as (_, client, control):
            asking = asyncio.create_task(client.compute("raw", "flight", "slow"))
            await in_thread(lambda: held(control, 3))
            await client.apply(lf.State(search="jfk"))
            with pytest.raises(lf.Superseded):
                await asking
            control.release()
            view = await client.settled()
            assert view.statistics["filtered"]["flight"]["slow"].value == 9

    run(ask())


def test_of_a_generation_that_is_none(harness: Harness) -> None:
    async def ask() -> None:
        async with out_of_time(harness) as (server, client, _control):
            raw = await server.raw(session=client.view.session, body="json")
            await next_frame(raw)
            for generation in (0, 9):
                message = {"type": "statistic_request", "generation": generation, "request": 5 + generation}
                await raw.write_message(json.dumps(message | {"scope": "raw", "column": "flight", "statistic": "slow"}))
                frame: Any = await next_frame(raw)
                assert (frame.header.code, frame.header.request) == ("unknown_generation", 5 + generation)
            raw.close()

    run(ask())


def test_who_leaves_meanwhile_costs_the_session_nothing(harness: Harness) -> None:
    async def ask() -> None:
        async with out_of_time(harness) as (server, client, control):
            async with connect(server.url, session=client.view.session) as other:
                message = {"type": "statistic_request", "generation": other.view.generation}
                names = {"scope": "raw", "column": "flight", "statistic": "slow"}
                await other._connection.write_message(json.dumps(message | names))  # type: ignore[union-attr]
                await in_thread(lambda: held(control, 3))
            control.release()
            view = await client.wait_for(lambda view: view.statistics["raw"]["flight"]["slow"].error is None)
            assert view.statistics["raw"]["flight"]["slow"].value == 10

    run(ask())
