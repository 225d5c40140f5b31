"""The two ends that `benchmarks.service` measures between: a server in a process of its own, and its clients.

`python -m benchmarks.wire BACKEND FILE SETTINGS` is the server. It takes orders as lines of JSON at its standard input,
answers each with a line at its standard output, and ends with its input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketClientConnection, websocket_connect

import lazyflow as lf
from benchmarks.measure import percentile, seconds
from lazyflow.protocol import ErrorFrame, Frame, Join, RowsFrame, RowsRequest, StateChange, StateFrame, StatsUpdate
from lazyflow.server import close_app, make_app
from lazyflow.server.interpreter import tune_interpreter
from lazyflow.settings import Settings

WINDOW = (0, 50)
PATIENCE = 120.0
SAMPLED = 0.1
TICK = 0.001
TOKEN = "benchmark"


# -- the server's process


class Orders:
    """What the benchmark may ask of the server's process: each method is an order."""

    def __init__(self, flow: lf.DataFlow) -> None:
        self._flow = flow

    async def apply(self, state: dict[str, Any]) -> float:
        """Seconds that `flow.apply` takes by itself, in a thread of its own as always."""
        asked = msgspec.convert(state, lf.State)
        return await asyncio.to_thread(lambda: seconds(lambda: self._flow.apply(asked, WINDOW)))

    async def usage(self) -> dict[str, float]:
        """CPU seconds of all threads so far, user and system, and bytes of memory that are resident."""
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"cpu": time.process_time(), "resident": resident}

    async def watch(self) -> None:
        """Begin to measure how late the event loop is."""
        self._lateness = Lateness()

    async def pauses(self) -> dict[str, float]:
        """End it, and say how late."""
        return self._lateness.end()


class Lateness:
    """How late the event loop comes to a timer of a millisecond, from now on until `end`."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(TICK)
            self._late.append(time.perf_counter() - start - TICK)

    def end(self) -> dict[str, float]:
        """Percentiles in seconds, and of how many times."""
        self._ticking.cancel()
        shares = {"median": 0.5, "p99": 0.99, "p999": 0.999, "longest": 1.0}
        return {name: percentile(self._late, share) for name, share in shares.items()} | {"ticks": len(self._late)}


async def serve(flow: lf.DataFlow, settings: Settings) -> None:
    """Serve the table, and do what is ordered, until there are no more orders."""
    app = make_app({"flights": flow}, settings)
    sockets = bind_sockets(0, settings.host)
    server = HTTPServer(app)
    server.add_sockets(sockets)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps(sockets[0].getsockname()[1]), flush=True)
    with flow.fork() as own:
        orders = Orders(own)
        while line := await lines.readline():
            order = json.loads(line)
            print(json.dumps(await getattr(orders, order.pop("do"))(**order)), flush=True)
    server.stop()
    await close_app(app)


# -- the benchmark's process


class Server:
    """The server's process, for an `async with` block; `settings` are those that differ from the default."""

    def __init__(self, backend: str, path: Path, **settings: Any) -> None:
        # A client that scrolls as fast as it is answered is not to be slowed down.
        chosen = json.dumps({"token": TOKEN, "max_messages_per_second": 10_000, **settings})
        self._command = [sys.executable, "-m", "benchmarks.wire", backend, str(path), chosen]
        self._asking = asyncio.Lock()
        self._clients: list[Client] = []

    async def __aenter__(self) -> Server:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        self._port = await self._answer()
        return self

    async def __aexit__(self, *raised: object) -> None:
        for client in self._clients:
            client.leave()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._process.kill()

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        if not line:
            raise RuntimeError("the server has ended")
        return json.loads(line)

    async def ask(self, do: str, **order: Any) -> Any:
        """Give an order to the process and return the answer."""
        assert self._process.stdin is not None
        async with self._asking:
            self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")
            return await self._answer()

    async def join(self, seen: Seen | None = None, **join: Any) -> Client:
        """A client that has got its first frame."""
        said = quote(msgspec.json.encode(Join(window=WINDOW, **join)))
        address = f"ws://127.0.0.1:{self._port}/ws?join={said}"
        request = HTTPRequest(address, headers={"Authorization": f"Bearer {TOKEN}"}, connect_timeout=PATIENCE)
        client = Client(await websocket_connect(request), seen or Seen())
        self._clients = [other for other in self._clients if not other.ended] + [client]
        await client.wait_for(lambda: client.generation > 0)
        return client


class Seen:
    """What some clients saw in common: what went wrong, and when which state's rows came.

    Attributes
    ----------
    when_rows
        Called with state and time when a client gets the first rows of a state.
    """

    def __init__(
        self, words: Words | None = None, when_rows: Callable[[lf.State, float], None] = lambda state, at: None
    ) -> None:
        self.words = words
        self.when_rows = when_rows
        self.errors: list[str] = []
        self.stale: list[str] = []
        self.frames = self.checked = 0
        self._asked: set[lf.State] = {lf.State()}

    def ask(self, state: lf.State) -> None:
        """A client is about to ask for this state."""
        self._asked.add(state)

    def check(self, header: StateFrame, body: bytes) -> None:
        """Whether this is a state that was asked for, and the rows are those of the state, as many as there are."""
        if header.state not in self._asked:
            self.stale.append(f"nobody asked for {header.state}")
        self.checked += self.words is not None and header.state.search != ""
        if self.words is None or not header.state.search:
            return
        word = header.state.search.lower()
        table = pa.ipc.open_stream(body).read_all()
        texts = [column.to_pylist() for column in table.columns if pa.types.is_string(column.type)]
        matching = sum(any(word in (text or "").lower() for text in row) for row in zip(*texts, strict=True))
        first, stop = header.window or WINDOW
        expected = max(0, min(stop, self.words.rows[header.state.search]) - first)
        if not matching == table.num_rows == expected:
            self.stale.append(f"{matching} of {table.num_rows} rows, not {expected}, match {header.state.search!r}")


class Client:
    """A websocket's other end, which decodes every frame.

    Attributes
    ----------
    generation, session
        The newest generation that it has seen, and the session's name.
    final
        Whether nothing more will come of what it asked for.
    """

    def __init__(self, connection: WebSocketClientConnection, seen: Seen) -> None:
        self.generation = 0
        self.session = ""
        self.final = self.ended = False
        self._left = False
        self._connection = connection
        self._seen = seen
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[StateChange | RowsRequest, asyncio.Future[float]]] = {}
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while isinstance(message := await self._connection.read_message(), bytes):
                at = time.perf_counter()
                self._take(Frame.decode(message), at)
                self._news.set()
            if not self._left:
                self._seen.errors.append(f"closed: {self._connection.close_code} {self._connection.close_reason}")
        except Exception as error:
            self._seen.errors.append(repr(error))
        self.ended = True
        self._news.set()

    def _take(self, frame: Frame, at: float) -> None:
        header, seen = frame.header, self._seen
        seen.frames += 1
        if isinstance(header, ErrorFrame):
            seen.errors.append(f"{header.code}: {header.message}")
            return
        if header.generation < self.generation:
            seen.stale.append(f"{type(header).__name__} of {header.generation} after {self.generation}")
        self.generation = header.generation
        if isinstance(header, StateFrame | RowsFrame):
            for number, (message, answered) in list(self._waiting.items()):
                # A state, whoever asked for it, has rows of its own: those of the one before are not sent any more.
                of_older = isinstance(header, StateFrame) and isinstance(message, RowsRequest)
                if number <= (header.request or 0) or of_older:
                    del self._waiting[number]
                    answered.set_result(at)
        if isinstance(header, StateFrame):
            self.session = getattr(header, "session", self.session)
            self.final = header.complete and not self._changing
            seen.when_rows(header.state, at)
            if random.random() < SAMPLED:
                seen.check(header, frame.body)
        elif isinstance(header, StatsUpdate):
            self.final = header.final and not self._changing

    @property
    def _changing(self) -> bool:
        return any(isinstance(message, StateChange) for message, _ in self._waiting.values())

    async def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until it is true, which is looked at after each frame."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                if self.ended:
                    raise RuntimeError(f"the connection has ended: {self._seen.errors}")
                self._news.clear()
                await self._news.wait()

    def _send(self, message: StateChange | RowsRequest, number: int) -> asyncio.Future[float]:
        answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[number] = message, answered
        self._connection.write_message(msgspec.json.encode(message).decode())
        return answered

    def type(self, state: lf.State) -> asyncio.Future[float]:
        """Ask for a state; what is returned gives the time at which its rows, or those of a newer one, are there."""
        number = next(self._numbers)
        self.final = False
        self._seen.ask(state)
        return self._send(StateChange(state, number), number)

    async def change(self, state: lf.State) -> float:
        """Seconds from asking for a state to its rows."""
        start = time.perf_counter()
        return await asyncio.wait_for(self.type(state), PATIENCE) - start

    async def rows(self, first: int) -> float:
        """Seconds from asking for a window to its rows."""
        start, number = time.perf_counter(), next(self._numbers)
        request = RowsRequest(self.generation, (first, first + WINDOW[1]), number)
        return await asyncio.wait_for(self._send(request, number), PATIENCE) - start

    async def settle(self) -> None:
        """Wait until all statistics of what was asked for last are there."""
        await self.wait_for(lambda: self.final)

    def leave(self) -> None:
        """Close the connection."""
        self._left = True
        self._connection.close()


class Words:
    """What can be searched for: beginnings of the airplanes' numbers, which occur nowhere else.

    Attributes
    ----------
    rows
        Word -> how many rows of the file have it.
    """

    def __init__(self, path: Path) -> None:
        self.rows: Counter[str] = Counter()
        for found in pc.value_counts(pq.read_table(path, columns=["tailnum"])["tailnum"]).to_pylist():
            number = found["values"]
            if number and re.match(r"N\d", number):
                self.rows.update({number[:length]: found["counts"] for length in range(2, len(number) + 1)})
        self._all = list(self.rows)
        self._numbers = itertools.count(1)

    def of_length(self, length: int, rows: int) -> list[str]:
        """All words of a length that so many rows have at least, the most frequent first."""
        return [word for word, found in self.rows.most_common() if len(word) == length and found >= rows]

    def state(self, word: str) -> lf.State:
        """A view that was never seen: a filter that keeps every row makes it a new one."""
        return lf.State(search=word, filters=[lf.Filter("year", "!=", -next(self._numbers))])

    def any(self) -> lf.State:
        """Such a view, of any word."""
        return self.state(random.choice(self._all))


if __name__ == "__main__":
    with lf.DataFlow(sys.argv[2], backend=sys.argv[1]) as opened:
        opened.compile(lf.State())
        tune_interpreter()  # all as `lazyflow serve` does
        asyncio.run(serve(opened, Settings(**json.loads(sys.argv[3]))))
