"""What a slow network costs: Q3 to Q5 of the mission on the wire, and that many clients cost one computation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

import lazyflow as lf
from lazyflow.client import Client, connect
from lazyflow.protocol import RowsFrame, StateFrame, StatsUpdate
from lazyflow.query import PrepareQuery, RowsQuery
from lazyflow.testing import Harness
from lazyflow.testing.control import PATIENCE, controlled
from lazyflow.testing.phases import FLIGHTS
from lazyflow.testing.wide import SEEN_LATER, columns_asked, most_columns, wide
from tests.wire import Server, next_frame, run, serving

JFK = lf.State(search="jfk")
ONE_WAY = 0.1
"""Seconds that each byte takes in each direction."""


async def settled(client: Client) -> None:
    """Until everything is known; what was said before is forgotten."""
    await client.settled()
    client._events.clear()


@dataclass
class Network:
    """A proxy through which every byte takes its time; what comes back can be held altogether."""

    address: str = ""
    asked: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, server: Server) -> str:
        return server.url.replace(server.address, self.address)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        loop = asyncio.get_running_loop()
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(due - loop.time())
                if back:
                    await self.open.wait()
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while True:
                data = await reader.read(65_536)
                self.asked += not back and bool(data)
                on_the_way.put_nowait((loop.time() + ONE_WAY, data))
                if not data:
                    return await delivering
        except ConnectionError:
            delivering.cancel()


@asynccontextmanager
async def slow_network(server: Server) -> AsyncIterator[Network]:
    network, carrying = Network(), set[asyncio.Task[None]]()
    network.open.set()
    host, port = server.address.split(":")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        carrying.add(asyncio.create_task(network.carry(reader, far_writer, back=False)))
        carrying.add(asyncio.create_task(network.carry(far_reader, writer, back=True)))

    proxy = await asyncio.start_server(accept, "127.0.0.1", 0)
    network.address = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        network.open.set()
        proxy.close()
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)


def test_statistics_start_at_once_and_rows_come_before_them(harness: Harness) -> None:
    """Q3: with 200 ms for a round trip nothing waits for the client, and one change is one message there, rows back."""

    async def main() -> None:
        with harness.flow(FLIGHTS) as flow:
            async with (
                serving(flow) as server,
                slow_network(server) as network,
                connect(network.url(server)) as client,
            ):
                await settled(client)
                loop, started = asyncio.get_running_loop(), asyncio.Event()
                flow.watch_statistics_queries(lambda what, query: loop.call_soon_threadsafe(started.set))
                network.open.clear()  # from now on the client hears nothing
                asked = network.asked
                request = await client.change(JFK)
                await asyncio.wait_for(started.wait(), PATIENCE)
                assert network.asked == asked + 1, "statistics were begun on the change alone"
                network.open.set()
                events = []
                while not events or not isinstance(events[-1], StatsUpdate) or not events[-1].final:
                    events.append(await anext(client))
                assert isinstance(events[0], StateFrame)
                assert (events[0].request, events[0].window) == (request, (0, 100))
                assert client.view.rows.num_rows == 4
                assert not events[0].complete, "the rows came before the statistics"
                assert network.asked == asked + 1, "nothing else was asked for"

    run(main())


def test_a_known_state_costs_one_frame_and_no_query(harness: Harness) -> None:
    """Q4: what is known already comes with the rows."""

    async def main() -> None:
        with controlled(harness, FLIGHTS) as (flow, control):
            async with serving(flow) as server, connect(server.url) as client:
                for state in (JFK, lf.State()):
                    await client.apply(state)
                    await settled(client)
                before = len(control.deferred)
                await client.change(JFK)
                event = await anext(client)
                assert isinstance(event, StateFrame)
                assert event.complete
                assert client.view.row_count["filtered"] == 4
                await client.fetch((0, 3))  # its answer comes after whatever else was to be sent
                assert [type(other).__name__ for other in client._events] == ["RowsFrame"]
                assert len(control.deferred) == before

    run(main())


def test_an_update_has_what_changed_and_nothing_else(harness: Harness) -> None:
    """Q5: the phases differ on the wire; no cell is sent twice, and the state is sent once."""

    async def main() -> None:
        with harness.flow(FLIGHTS) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                await settled(client)
                await client.change(JFK)
                sent: list[tuple[str, str, str]] = []
                states = 0
                while not (states and client.view.complete):
                    event = await anext(client)
                    states += isinstance(event, StateFrame)
                    if isinstance(event, StateFrame | StatsUpdate):
                        sent += [
                            (scope, column, statistic)
                            for scope, cells in event.statistics.items()
                            for column, found in cells.columns.items()
                            for statistic in found
                        ]
                assert states == 1
                assert len(sent) == len(set(sent))
                assert {scope for scope, _, _ in sent} == {"raw", "clean", "filtered"}

    run(main())


def test_ten_clients_ten_frames_one_computation(harness: Harness) -> None:
    async def main() -> None:
        with controlled(harness, FLIGHTS) as (flow, control):
            async with serving(flow) as server, AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(connect(server.url))]
                session = clients[0].view.session
                clients += [await stack.enter_async_context(connect(server.url, session=session)) for _ in range(9)]
                await asyncio.gather(*map(settled, clients))
                before, cells = len(control.visits), len(control.cells)
                await clients[3].change(JFK)

                async def frames(client: Client) -> int:
                    states = 0
                    while not (states and client.view.complete):
                        states += isinstance(await anext(client), StateFrame)
                    return states

                assert await asyncio.gather(*map(frames, clients)) == [1] * 10
                queries = [visit.query for visit in control.visits[before:]]
                assert sum(isinstance(query, RowsQuery) for query in queries) == 1
                asked = control.cells[cells:]
                assert len(asked) == len(set(asked))

    run(main())


def test_statistics_of_columns_that_somebody_scrolls_to_come_next(harness: Harness) -> None:
    async def main() -> None:
        with controlled(harness, wide()) as (flow, control):
            control.hold()
            async with serving(flow) as server, connect(server.url, columns=["c0"]) as client:
                await asyncio.to_thread(control.wait_for_deferred)
                await client.fetch((0, 5), SEEN_LATER)
                control.release()
                await settled(client)
            asked = columns_asked(control)
            next_ones = asked[1] if most_columns(harness) > 1 else asked[1] | asked[2]
            assert set(SEEN_LATER) <= next_ones

    run(main())


def test_who_knows_no_columns_yet_sees_some_of_the_first(harness: Harness) -> None:
    async def main() -> None:
        async with serving(harness.flow(wide())) as server:
            first = await server.raw(most_columns=3)
            frame = await next_frame(first)
            assert frame is not None
            assert isinstance(frame.header, StateFrame)
            assert frame.header.columns == ("c0", "c1", "c2")
            assert len(frame.header.schema) == len(wide().column_names)
            asked = {"type": "rows_request", "generation": 1, "window": [0, 2], "columns": ["c9"], "request": 1}
            await first.write_message(json.dumps(asked))
            while not isinstance(frame.header, RowsFrame):
                frame = await next_frame(first)
                assert frame is not None
            assert frame.header.columns == ("c9",)
            first.close()
            most = await server.raw(most_columns=1_000)
            frame = await next_frame(most)
            assert frame is not None
            assert isinstance(frame.header, StateFrame)
            assert len(frame.header.columns) == len(wide().column_names)
            most.close()

    run(main())


def test_rows_do_not_wait_for_statistics(harness: Harness) -> None:
    """Invariant 4: with a statistics query in the engine that does not end, windows of rows come."""

    async def main() -> None:
        with controlled(harness, FLIGHTS) as (flow, control):
            control.hold()
            async with serving(flow) as server, connect(server.url, window=(0, 2)) as client:
                await asyncio.to_thread(control.wait_for_deferred)
                for window in ((2, 4), (5, 9), (0, 10)):
                    await client.fetch(window)
                    assert client.view.rows["flight"].to_pylist() == list(range(1, 11))[slice(*window)]
                assert (await client.apply(JFK)).rows.num_rows == 4
                assert not client.view.complete
                control.release()
                await client.settled()

    run(main())


def test_a_known_view_in_another_order_has_its_row_numbers_prepared(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pending then, and yet there is something to do before somebody scrolls."""
    monkeypatch.setattr(PrepareQuery, "MANY_ROWS", 1)

    async def main() -> None:
        with controlled(harness, FLIGHTS) as (flow, control):
            if not flow._shared.source.numbered or flow._shared.backend.folding.keeps_rows:
                return
            async with serving(flow) as server, connect(server.url) as client:
                await settled(client)
                await client.apply(lf.State(sort=[lf.Sort("delay")]))
                came = lambda: any(isinstance(visit.query, PrepareQuery) for visit in control.visits)  # noqa: E731
                await asyncio.to_thread(control.wait_for, came, "row numbers are asked for")

    run(main())
