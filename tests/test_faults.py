"""Engines that fail, hang or do not hear, files that go away: the view says so, and recovers; others go on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.protocol import ErrorFrame, Frame, InitialState, Join, RowsFrame, StateFrame, StatsUpdate
from lazyflow.query import Query, RowsQuery
from lazyflow.service import Service
from lazyflow.session import Client
from lazyflow.settings import Settings
from lazyflow.testing import Harness
from lazyflow.testing.control import PATIENCE, statistics_threads, threads_left
from lazyflow.testing.phases import FLIGHTS
from lazyflow.work import CancelToken
from tests.wire import run

JFK = lf.State(search="jfk")
LGA = lf.State(search="lga")
SOON = 2.0
"""Seconds that an engine has in these tests before it is given up."""


class Seat:
    """A client of a service without a server, and what it was sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.frames: list[Frame] = []
        self._came = asyncio.Event()
        self._asked = 0
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for frame in self.client.frames():
            self.frames.append(Frame.decode(frame.encode()))
            self._came.set()

    async def until(self, wanted: Callable[[Any], bool], what: str) -> Frame:
        """The first frame that was not taken yet and is wanted; those before it are forgotten."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self.frames:
                    frame = self.frames.pop(0)
                    if wanted(frame.header):
                        return frame
                self._came.clear()
                await self._came.wait()
        raise AssertionError(what)

    async def change(self, state: lf.State) -> int:
        self._asked += 1
        message = f'{{"type": "state_change", "request": {self._asked}, "state": {state.to_json()}}}'
        self.client.receive(message)
        return self._asked

    async def state(self, request: int) -> Frame:
        """The frame that answers a change."""
        return await self.until(lambda h: isinstance(h, StateFrame) and h.request == request, "a state")

    async def error(self, code: str) -> ErrorFrame:
        frame = await self.until(lambda h: isinstance(h, ErrorFrame), f"an error {code}")
        assert isinstance(frame.header, ErrorFrame)
        assert frame.header.code == code
        assert "/" not in frame.header.message, "no path reaches a client"
        return frame.header

    async def final(self) -> None:
        """Until everything is known."""
        await self.until(
            lambda h: (isinstance(h, StatsUpdate) and h.final) or (isinstance(h, StateFrame) and h.complete), "the end"
        )


@asynccontextmanager
async def seated(flow: lf.DataFlow, **settings: Any) -> AsyncIterator[tuple[Seat, Service]]:
    service = Service({"flights": flow}, Settings(**settings))
    try:
        yield Seat(service.join(Join())), service
    finally:
        await service.close()


Trouble = Callable[[Query, CancelToken], None]


@contextmanager
def troubled(harness: Harness, trouble: Trouble) -> Iterator[lf.DataFlow]:
    """A flow whose engine meets `trouble` before it answers a query."""
    engine = harness.backend()
    own: Any = type(engine)

    def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
        trouble(query, token)
        return own.execute(self, query, token)

    engine.__class__ = type(f"Troubled{own.__name__}", (own,), {"execute": execute})
    with lf.DataFlow(harness.source(FLIGHTS), backend=engine) as flow:
        yield flow


def rows(frame: Frame) -> list[int]:
    return list(pa.ipc.open_stream(frame.body).read_all()["flight"].to_pylist())


# -- the client


def test_a_wrong_change_does_not_take_the_one_before_along(harness: Harness) -> None:
    """Typed faster than anybody looks at it: of several changes the newest that is valid counts."""

    async def main() -> None:
        with harness.flow(FLIGHTS) as flow:
            async with seated(flow) as (seat, _):
                await seat.final()
                right = await seat.change(JFK)
                wrong = await seat.change(lf.State(sort=(lf.Sort("nowhere"),)))
                assert (await seat.error("unknown_name")).request == wrong
                assert len(rows(await seat.state(right))) == 4

    run(main())


# -- the engine


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit, KeyboardInterrupt])
def test_an_engine_that_fails_at_rows(harness: Harness, error: type[BaseException]) -> None:
    failing = [JFK]

    def trouble(query: Query, token: CancelToken) -> None:
        if isinstance(query, RowsQuery) and query.plan.state in failing:
            raise error("postgres://me:secret@/var/lib: it failed")

    async def main() -> None:
        with troubled(harness, trouble) as flow:
            async with seated(flow) as (seat, _):
                await seat.final()
                frame = await seat.state(await seat.change(JFK))
                assert isinstance(frame.header, StateFrame)
                assert (frame.header.window, frame.body) == (None, b"")
                assert (await seat.error("engine_failed")).generation == frame.header.generation
                assert len(rows(await seat.state(await seat.change(LGA)))) == 3, "another state has its rows"
                failing.clear()
                assert len(rows(await seat.state(await seat.change(JFK)))) == 4, "and so has this one by now"
                await seat.final()

    run(main())


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_a_worker_that_dies_does_not_take_the_statistics_along(harness: Harness, error: type[BaseException]) -> None:
    failing = [True]

    def trouble(query: Query, token: CancelToken) -> None:
        if query.deferred and failing:
            raise error("it failed")

    async def main() -> None:
        with troubled(harness, trouble) as flow:
            async with seated(flow) as (seat, _):
                await seat.until(
                    lambda h: isinstance(h, ErrorFrame) or (isinstance(h, StatsUpdate) and h.final), "an end"
                )
                failing.clear()
                await seat.state(await seat.change(JFK))
                await seat.final()

    run(main())


class Hang:
    """Queries that do not come back before they are let go, whatever their token says."""

    def __init__(self, hangs: Callable[[Query], bool]) -> None:
        self.hangs = hangs
        self.came = threading.Event()
        self._end = threading.Event()

    def __call__(self, query: Query, token: CancelToken) -> None:
        if self.hangs(query) and not self._end.is_set():
            self.came.set()
            assert self._end.wait(PATIENCE)

    def let_go(self) -> None:
        self._end.set()


def test_rows_that_hang_and_do_not_hear_are_given_up(harness: Harness) -> None:
    hang = Hang(lambda query: isinstance(query, RowsQuery) and query.plan.state == JFK)

    async def main() -> None:
        with troubled(harness, hang) as flow:
            async with seated(flow, rows_timeout=SOON) as (seat, service):
                await seat.final()
                other = Seat(service.join(Join()))
                await seat.change(JFK)
                assert len(rows(await other.state(await other.change(LGA)))) == 3, "another session goes on"
                assert (await seat.error("timeout")).request == 1
                assert len(rows(await seat.state(await seat.change(LGA)))) == 3, "and so does this one"
                hang.let_go()
                assert len(rows(await seat.state(await seat.change(JFK)))) == 4

    try:
        run(main())
    finally:
        hang.let_go()


def test_rows_that_hang_give_way_to_a_newer_state(harness: Harness) -> None:
    hang = Hang(lambda query: isinstance(query, RowsQuery) and query.plan.state == JFK)

    async def main() -> None:
        with troubled(harness, hang) as flow:
            async with seated(flow) as (seat, _):
                await seat.final()
                await seat.change(JFK)
                await asyncio.to_thread(hang.came.wait, PATIENCE)
                frame = await seat.state(await seat.change(LGA))
                assert len(rows(frame)) == 3
                hang.let_go()

    try:
        run(main())
    finally:
        hang.let_go()


def test_statistics_that_hang_are_given_up_and_a_newer_state_has_its_own(harness: Harness) -> None:
    hang = Hang(lambda query: query.deferred)

    async def main() -> None:
        with troubled(harness, hang) as flow:
            async with seated(flow, statistics_timeout=SOON) as (seat, _):
                assert (await seat.error("timeout")).generation == 1
                message = '{"type": "rows_request", "generation": 1, "window": [2, 5], "request": 7}'
                seat.client.receive(message)
                frame = await seat.until(lambda h: isinstance(h, RowsFrame), "rows")
                assert rows(frame) == [3, 4, 5]
                hang.hangs = lambda query: False  # those that hang still do; the engine takes others
                await seat.state(await seat.change(JFK))
                await seat.final()
                hang.let_go()

    try:
        run(main())
    finally:
        hang.let_go()


def test_closing_leaves_no_thread(harness: Harness) -> None:
    async def main() -> None:
        with harness.flow(FLIGHTS) as flow:
            async with seated(flow) as (seat, _):
                await seat.change(JFK)
                await seat.change(LGA)
                await seat.until(lambda h: isinstance(h, InitialState | StateFrame), "a state")

    run(main())
    assert statistics_threads() == []
    assert threads_left() == []


# -- the file


ENGINES = ("duckdb", "xorq", "pandas")
BEFORE = pa.table({"flight": list(range(1, 11)), "origin": ["JFK", "LGA"] * 5})
AFTER = pa.table({"flight": list(range(101, 121)), "origin": ["JFK", "EWR"] * 10})


@contextmanager
def file_flow(folder: Path, backend: str) -> Iterator[tuple[lf.DataFlow, Path]]:
    path = folder / "flights.parquet"
    pq.write_table(BEFORE, path)
    with lf.DataFlow(path, backend=backend) as flow:
        yield flow, path


def replace_file(path: Path, table: pa.Table) -> None:
    """As programs do that are careful: another file takes the name."""
    pq.write_table(table, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


@pytest.mark.parametrize("backend", ENGINES)
def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path, backend: str) -> None:
    async def main() -> None:
        with file_flow(tmp_path, backend) as (flow, path):
            async with seated(flow) as (seat, _):
                await seat.final()
                assert rows(await seat.state(await seat.change(JFK))) == [1, 3, 5, 7, 9]
                await seat.final()
                replace_file(path, AFTER)
                frame = await seat.state(await seat.change(lf.State()))
                assert rows(frame) == list(range(101, 121))
                assert isinstance(frame.header, StateFrame)
                assert not frame.header.complete, "nothing that was known of the file before is shown"
                assert frame.header.row_count["raw"] == 20
                await seat.final()

    run(main())


@pytest.mark.parametrize("backend", ENGINES)
def test_another_window_of_a_file_that_was_replaced_is_a_new_view(tmp_path: Path, backend: str) -> None:
    """Rows of the new file never stand beside statistics of the old one: the state is accepted anew."""

    async def main() -> None:
        with file_flow(tmp_path, backend) as (flow, path):
            async with seated(flow) as (seat, _):
                await seat.final()
                replace_file(path, AFTER)
                seat.client.receive('{"type": "rows_request", "generation": 1, "window": [0, 3], "request": 1}')
                frame = await seat.until(lambda h: isinstance(h, RowsFrame | StateFrame), "an answer")
                assert isinstance(frame.header, StateFrame)
                assert frame.header.generation > 1
                assert rows(frame) == [101, 102, 103]
                await seat.final()

    run(main())


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("harm", ["deleted", "truncated", "emptied"])
def test_a_file_that_is_harmed_is_said_and_read_again_once_it_is_whole(tmp_path: Path, backend: str, harm: str) -> None:
    async def main() -> None:
        with file_flow(tmp_path, backend) as (flow, path):
            whole = path.read_bytes()
            async with seated(flow) as (seat, _):
                await seat.final()
                if harm == "deleted":
                    path.unlink()
                else:
                    path.write_bytes(whole[: len(whole) // 2] if harm == "truncated" else b"")
                request = await seat.change(JFK)
                assert (await seat.error("source_failed")).request == request
                replace_file(path, AFTER)
                assert len(rows(await seat.state(await seat.change(JFK)))) == 10
                await seat.final()

    run(main())
