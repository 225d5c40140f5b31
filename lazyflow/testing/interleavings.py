"""Sessions under random interleavings: every frame that any client sees is held against the protocol's invariants.

A `World` has two tables, sessions on them and clients, an engine that answers, fails, hangs or is deaf to a cancel, and
files that are replaced or taken away. Each step is one choice: a thread goes on to its next query, a client asks
something, reads or stops reading, comes or leaves, time passes. The choices come from a seed, so a run can be repeated.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from lazyflow.backend import Backend
from lazyflow.dataflow import DataFlow
from lazyflow.protocol import (
    ErrorFrame,
    Frame,
    InitialState,
    Join,
    Refused,
    RowCountFrame,
    RowsFrame,
    StateFrame,
    StatsUpdate,
)
from lazyflow.query import Query, RowsQuery
from lazyflow.service import Service
from lazyflow.session import Client
from lazyflow.settings import Settings
from lazyflow.state import State
from lazyflow.statistics.order import OrderQuery
from lazyflow.testing.modelled import SCHEMA, STATES, Disk, ModelledBackend, register, scopes, view
from lazyflow.testing.scheduler import Scheduler, SteppedLoop, SteppedThread
from lazyflow.work import CancelToken

SETTINGS = Settings(
    max_sessions=4, max_clients=8, session_expiry=200, rows_timeout=60, statistics_timeout=300, max_window_rows=50
)

Engine = Callable[[Disk, Callable[[Query, CancelToken], None]], tuple[Any, Backend]]
"""Makes what `DataFlow` opens, and the backend that opens it, for a table; its queries go by way of the function."""


class Violation(AssertionError):
    """An invariant of the protocol does not hold."""


@dataclass
class Reader:
    """A client, and what it has seen: the judge of every frame that it is sent."""

    world: World
    client: Client
    source: str
    window: tuple[int, int]
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    generation: int = 0
    state: State | None = None
    version: int | None = None
    has_rows: bool = False
    final: bool = False
    broken: bool = False
    complete_before_accepted: bool = False
    asked: int = 0
    changes: set[int] = field(default_factory=set)
    rows_requests: dict[int, tuple[int, tuple[int, int]]] = field(default_factory=dict)
    statistic_requests: dict[int, int] = field(default_factory=dict)
    others: set[int] = field(default_factory=set)
    failed: set[tuple[str, str, str]] = field(default_factory=set)
    sampled: set[tuple[str, str, str]] = field(default_factory=set)
    cells: dict[str, Any] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def must(self, holds: bool, what: str, frame: Any = None) -> None:
        """Raise a violation unless it holds."""
        if not holds:
            raise Violation(
                f"{what}; reader of {self.source}, generation {self.generation}, state {self.state}: {frame}"
            )

    async def read(self) -> None:
        """Take frames as long as the client reads."""
        async for frame in self.client.frames():
            self.world.counts[type(frame.header).__name__] += 1
            self.see(Frame.decode(frame.encode()))
            await self.reads.wait()

    def see(self, frame: Frame) -> None:
        """Hold one frame against the invariants."""
        header = frame.header
        if isinstance(header, StateFrame):
            self._state(header, frame.body)
        elif isinstance(header, ErrorFrame):
            self._error(header)
        else:
            self.must(header.generation == self.generation, "a frame of a generation whose state was not sent", header)
            if isinstance(header, RowsFrame):
                if header.request is not None:
                    self._rows_answer(header)
                self._rows(frame.body, header.window)
            elif isinstance(header, RowCountFrame):
                self._count(header.row_count)
            elif isinstance(header, StatsUpdate):
                self._update(header)

    def _state(self, header: StateFrame, body: bytes) -> None:
        first = self.generation == 0
        self.must(isinstance(header, InitialState) == first, "the initial state comes first, and once", header)
        self.must(header.generation >= self.generation, "a generation older than one that was seen", header)
        if header.generation > self.generation:
            self.version, self.cells, self.final, self.failed, self.sampled = None, {}, False, set(), set()
        else:
            self.must(header.state == self.state, "one generation is one state", header)
        self.generation, self.state = header.generation, header.state
        self.must(
            header.state in self.world.asked[self.client.session], "a state that nobody of the session asked", header
        )
        if header.request is not None:
            self.must(header.request <= self.asked, "an answer to a change that was not made", header)
            self.changes = {change for change in self.changes if change > header.request}
            # Its window took the place of those that were asked for before.
            self.rows_requests = {n: asked for n, asked in self.rows_requests.items() if n > header.request}
        # Rows that were asked of an older state come no more.
        self.rows_requests = {n: asked for n, asked in self.rows_requests.items() if asked[0] >= header.generation}
        self.statistic_requests = {n: g for n, g in self.statistic_requests.items() if g >= header.generation}
        self.broken = header.window is None
        self.has_rows = not self.broken
        if header.window is not None:
            self._rows(body, header.window)
        self._cells(header.statistics)
        self._count(header.row_count)
        self.complete_before_accepted = header.complete
        self.final = header.complete
        for outcome in header.superseded:
            self.must(outcome.generation < header.generation, "it supersedes itself", header)

    def _rows(self, body: bytes, window: tuple[int, int]) -> None:
        table = pa.ipc.open_stream(body).read_all()
        rows = table.to_pylist()
        assert self.state is not None
        if rows:
            found = {row["version"] for row in rows}
            self.must(len(found) == 1, "rows of several versions", rows)
            self._of_version(found.pop(), rows)
        if self.version is None:  # no row says so: one of the versions there were must have none there
            disk = self.world.disks[self.source]
            versions = list(range(1, disk.version + 1))
        else:
            versions = [self.version]
        expected = [view(self.world.rows(self.source, version), self.state)[slice(*window)] for version in versions]
        names = table.column_names
        self.must(
            any(rows == [{name: row[name] for name in names} for row in right] for right in expected),
            "wrong rows",
            rows,
        )

    def _of_version(self, version: int, seen: Any) -> None:
        self.must(self.version in (None, version), f"mixed: version {version} beside {self.version}", seen)
        self.version = version

    def _count(self, row_count: Mapping[str, int]) -> None:
        for scope, number in row_count.items():
            self._cell(scope, "rows", number)

    def _cells(self, statistics: Any) -> None:
        for scope, cells in statistics.items():
            if cells.rows is not None and cells.rows.error is None:
                self._cell(scope, "rows", cells.rows.value)
            elif cells.rows is not None:
                self.cells[f"{scope} rows"] = None
            for column, found in cells.columns.items():
                for statistic, cell in found.items():
                    place = (scope, column, statistic)
                    if cell.basis == "sampled":
                        known = f"{scope} {column}.{statistic}" in self.cells
                        self.must(not known and not self.final, "a sample in the place of what all rows say", place)
                        self.sampled.add(place)
                    elif cell.error is None:
                        self.failed.discard(place)
                        self.sampled.discard(place)
                        self._cell(scope, f"{column}.{statistic}", cell.value)
                    else:
                        self.failed.add(place)
                        self.sampled.discard(place)

    def _cell(self, scope: str, name: str, value: Any) -> None:
        """A number of rows or one of a few statistics, against the model."""
        assert self.state is not None
        if name in ("version.min", "version.max") and value is not None:
            self._of_version(value, (scope, name, value))
        if name in ("source.min", "source.max") and value is not None:
            self.must(value == self.source, "statistics of another table", (scope, name, value))
        self.cells[f"{scope} {name}"] = value
        if self.version is None:
            return
        right = scopes(self.world.rows(self.source, self.version), self.state)[scope]
        present = [row["delay"] for row in right if row["delay"] is not None]
        expected = {
            "rows": len(right),
            "delay.missing": len(right) - len(present),
            "delay.max": max(present, default=None),
            "number.count": len(right),
        }
        if name in expected:
            self.must(value == expected[name], f"{scope} {name} is {value}, not {expected[name]}")

    def _update(self, header: StatsUpdate) -> None:
        self.must(self.has_rows or self.broken, "statistics before the rows", header)
        for request in header.answered:
            self.must(request in self.statistic_requests, "an answer to a request that was not made", header)
            del self.statistic_requests[request]
        cells = {
            (scope, column, statistic)
            for scope, found in header.statistics.items()
            for column, statistics in found.columns.items()
            for statistic in statistics
        }
        if not (cells <= self.failed and (cells or header.answered)):  # else somebody asked for what failed before
            self.must(not self.complete_before_accepted, "statistics again of a state that was complete", header)
            self.must(not self.final, "an update after the final one", header)
        self._cells(header.statistics)
        self.final = header.final
        if header.final:
            self.must(not self.sampled, "final with what a sample said", self.sampled)
            for scope in scopes([], self.state or State()):
                self.must(f"{scope} rows" in self.cells, f"final without the number of rows of {scope}", header)

    def _error(self, header: ErrorFrame) -> None:
        self.must("secret" not in header.message, "a path reaches a client", header)
        if header.request is not None:
            self.changes.discard(header.request)
            self.rows_requests.pop(header.request, None)
            self.others.discard(header.request)
            self.statistic_requests.pop(header.request, None)
        if header.request is not None and header.generation is not None:  # rows that could not be had
            self.rows_requests = {n: asked for n, asked in self.rows_requests.items() if n > (header.request or 0)}
        if header.generation is not None:
            self.must(header.generation == self.generation, "an error of another generation", header)
            self.broken = True
        if self.generation == 0:
            self.broken = True

    def _rows_answer(self, header: RowsFrame) -> None:
        assert header.request is not None
        self.must(header.request in self.rows_requests, "an answer to a request that was not made", header)
        generation, window = self.rows_requests[header.request]
        self.must(generation == header.generation and window == tuple(header.window), "another window", header)
        self.rows_requests = {n: asked for n, asked in self.rows_requests.items() if n > header.request}

    @property
    def unanswered(self) -> str:
        """The requests that are still to be answered, or passed over."""
        return f"{self.changes or ''}{self.rows_requests or ''}{self.statistic_requests or ''}{self.others or ''}"

    @property
    def settled(self) -> bool:
        """Whether the latest change has come to an end: final statistics, or an error."""
        return self.final or self.broken


@dataclass
class World:
    """Tables, sessions, clients, and an engine whose queries wait for their turn."""

    seed: int
    engine: Engine
    files_change: bool = True
    settings: Settings = SETTINGS
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.scheduler = Scheduler()
        self.disks = {name: Disk(name) for name in ("east", "west")}
        self.asked: dict[str, set[State]] = {}
        self.readers: list[Reader] = []
        self.hung: dict[SteppedThread, None] = {}
        self._rows: dict[tuple[str, int], list[Any]] = {}

    def rows(self, source: str, version: int) -> list[Any]:
        """A table as it was in a version."""
        key = (source, version)
        if key not in self._rows:
            self._rows[key] = self.disks[source].rows(version)
        return self._rows[key]

    @contextmanager
    def _flows(self) -> Iterator[dict[str, DataFlow]]:
        flows = {}
        try:
            for name, disk in self.disks.items():
                data, backend = self.engine(disk, self.scheduler.arrive)
                flows[name] = DataFlow(data, backend=backend)
                register(flows[name])
                if isinstance(backend, ModelledBackend):
                    backend.learn(flows[name])
            yield flows
        finally:
            self.scheduler.free()
            for flow in flows.values():
                flow.close()

    def run(self, steps: int) -> Counter[str]:
        """Take so many steps, then let everything come to its end; returns how often what happened.

        Raises
        ------
        Violation
            If an invariant does not hold, with the seed and the number of the step.
        """
        with asyncio.Runner(loop_factory=SteppedLoop) as runner, self._flows() as flows, self.scheduler.installed():
            runner.run(self._run(flows, steps))
        return self.counts

    async def _run(self, flows: Mapping[str, DataFlow], steps: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        self.loop, self.service = loop, Service(flows, self.settings)
        number = 0
        try:
            self._join()
            await loop.settle()
            for step in range(steps):
                number = step
                name, choice = self._choose()
                self.counts[name] += 1
                await choice()
                await loop.settle()
                self._check_readers()
            await self._drain()
        except Violation as violation:
            raise Violation(f"seed {self.seed}, step {number}: {violation}") from violation
        finally:
            self.scheduler.free()
            await self.service.close()
            for reader in self.readers:
                reader.reads.set()
            await asyncio.gather(*(reader.task for reader in self.readers if reader.task), return_exceptions=True)
        assert self.service.session_count == 0

    # -- the choices

    def _choose(self) -> tuple[str, Callable[[], Any]]:
        """The next step: mostly a thread goes on, if one can."""
        draw = self.draw
        able = [thread for thread in self.scheduler.threads if thread not in self.hung]
        if able and draw.random() < 0.55:
            return "thread goes on", partial(self._step, draw.choice(able))
        choices: list[tuple[float, str, Callable[[], Any]]] = [
            (10, "change", self._change),
            (8, "rows request", self._request_rows),
            (3, "statistic request", self._request_statistic),
            (2, "time is up", self._time_is_up),
            (2, "broken message", self._broken_message),
            (2, "join", self._join_async),
            (1.5, "leave", self._leave),
            (4, "reads or not", self._toggle),
            (0.5, "time passes", self._time_passes),
            (1, "hang", self._hang),
            (1.5, "end of a hang", self._end_hang),
            (1, "rows must come", self._rows_must_come),
        ]
        if self.files_change:
            choices.append((0.6, "file replaced", self._replace))
            missing = any(disk.missing for disk in self.disks.values())
            choices.append((8 if missing else 0.4, "file taken or brought back", self._take_away))
        weights = [weight for weight, _, _ in choices]
        ((_, name, choice),) = draw.choices(choices, weights)
        return name, choice

    async def _step(self, thread: SteppedThread, may_fail: bool = True) -> None:
        if thread.visit is not None:
            self.counts["statistics query" if thread.visit.query.deferred else "rows query"] += 1
        fails = may_fail and thread.visit is not None and self.draw.random() < 0.06
        if fails:
            self.counts["query fails"] += 1
        self.scheduler.step(thread, self._fail if fails else None)

    def _fail(self) -> None:
        kinds: list[type[BaseException]] = [OSError, ValueError, MemoryError, SystemExit]
        raise self.draw.choice(kinds)("/secret/path: the engine failed")

    def _reader(self) -> Reader | None:
        return self.draw.choice(self.readers) if self.readers else None

    async def _change(self) -> None:
        reader = self._reader()
        if reader is None:
            return
        state, window = self.draw.choice(STATES), self._window()
        self.asked[reader.client.session].add(state)
        reader.asked += 1
        reader.changes.add(reader.asked)
        message = {"type": "state_change", "request": reader.asked, "state": json.loads(state.to_json())}
        reader.client.receive(json.dumps({**message, "window": window}))

    async def _request_rows(self) -> None:
        reader = self._reader()
        if reader is None or not reader.generation:
            return
        reader.asked += 1
        window = self._window()
        reader.rows_requests[reader.asked] = (reader.generation, window)
        message = {"type": "rows_request", "request": reader.asked, "generation": reader.generation, "window": window}
        reader.client.receive(json.dumps(message))

    async def _request_statistic(self) -> None:
        reader = self._reader()
        if reader is None or not reader.generation:
            return
        reader.asked += 1
        reader.statistic_requests[reader.asked] = reader.generation
        names = {"scope": self.draw.choice(["raw", "filtered"]), "column": self.draw.choice(["number", "delay"])}
        if reader.failed:  # mostly what ran out of time is asked for again
            names["scope"], names["column"], statistic = self.draw.choice(sorted(reader.failed))
        else:
            statistic = self.draw.choice(["first", "mean", "nothing"])
        message = {"type": "statistic_request", "request": reader.asked, "generation": reader.generation}
        reader.client.receive(json.dumps({**message, **names, "statistic": statistic}))

    async def _time_is_up(self) -> None:
        """A statistics query has taken too long; a hung one as well, if it hears of it."""
        standing = [t.visit for t in self.scheduler.threads if t.visit and isinstance(t.visit.query, OrderQuery)]
        if standing:
            self.draw.choice(standing).token.cancel()

    async def _broken_message(self) -> None:
        reader = self._reader()
        if reader is None:
            return
        reader.asked += 1
        broken: list[dict[str, Any]] = [
            {"type": "state_change", "state": {"filters": [{"column": "nowhere", "operator": "==", "value": 1}]}},
            {"type": "rows_request", "generation": 10**6, "window": [0, 1]},
            {"type": "rows_request", "generation": max(reader.generation, 1), "window": [5, 10**18]},
            {"type": "state_change", "state": {"search": 5}},
            {"type": "nothing"},
        ]
        message = self.draw.choice(broken)
        # What is well formed may be passed over before anybody looks whether it is valid.
        (reader.changes if message is broken[0] else reader.others).add(reader.asked)
        reader.client.receive(json.dumps({**message, "request": reader.asked}))

    def _window(self) -> tuple[int, int]:
        start = self.draw.choice([0, 0, 0, 3, 10, 100])
        return start, start + self.draw.choice([0, 1, 5, 5, 50])

    async def _join_async(self) -> None:
        self._join()

    def _join(self) -> None:
        sessions = list(self.asked)
        window = self._window()
        session = self.draw.choice(sessions) if sessions and self.draw.random() < 0.7 else None
        source = None if session else self.draw.choice(list(self.disks))
        state = self.draw.choice(STATES) if session is None else None
        try:
            client = self.service.join(Join(source=source, session=session, state=state, window=window))
        except Refused as refused:
            self.counts[f"refused: {refused.code}"] += 1
            return
        asked = self.asked.setdefault(client.session, set())
        if state is not None:
            asked |= {state, State()}
        reader = Reader(self, client, client._session.source, window)
        reader.reads.set()
        reader.task = asyncio.create_task(reader.read())
        self.readers.append(reader)

    async def _leave(self) -> None:
        reader = self._reader()
        if reader is not None:
            self.readers.remove(reader)
            reader.client.leave()
            reader.reads.set()
            assert reader.task is not None
            await self.loop.settle()
            reader.task.result()

    async def _toggle(self) -> None:
        reader = self._reader()
        if reader is not None:
            if reader.reads.is_set():
                reader.reads.clear()
            else:
                reader.reads.set()

    async def _time_passes(self) -> None:
        await self.loop.advance(self.draw.choice([1, 61, 201, 301]))

    async def _hang(self) -> None:
        standing = [thread for thread in self.scheduler.threads if thread.visit is not None]
        if standing and len(self.hung) < 4:
            thread = self.draw.choice(standing)
            assert thread.visit is not None
            thread.visit.deaf = self.draw.random() < 0.5
            self.hung[thread] = None

    async def _end_hang(self) -> None:
        if self.hung:
            del self.hung[self.draw.choice(list(self.hung))]

    async def _replace(self) -> None:
        self.draw.choice(list(self.disks.values())).version += 1

    async def _take_away(self) -> None:
        disks = list(self.disks.values())
        disk = self.draw.choice([disk for disk in disks if disk.missing] or disks)
        disk.missing = not disk.missing

    # -- the invariants

    def _check_readers(self) -> None:
        for reader in self.readers:
            assert reader.task is not None
            if reader.task.done():
                reader.task.result()
                if reader.client.close_code == 1000:
                    raise Violation("frames ended though the client is there")
                self.counts[f"closed: {reader.client.close_code}"] += 1
        self.readers = [reader for reader in self.readers if reader.task is not None and not reader.task.done()]

    async def _rows_must_come(self) -> None:
        """Invariant 4: with every statistics query held, each client that reads has the rows of its latest change."""
        await self.loop.settle()
        if any(disk.missing for disk in self.disks.values()):
            return
        for _ in range(200):
            waiting = [t for t in self.scheduler.threads if t.visit is None or isinstance(t.visit.query, RowsQuery)]
            waiting = [thread for thread in waiting if thread not in self.hung]
            if not waiting:
                break
            await self._step(waiting[0], may_fail=False)
            await self.loop.settle()
            self._check_readers()
        else:
            raise Violation("rows queries without end")
        if self.hung:
            return
        for reader in self.readers:
            if reader.reads.is_set():
                reader.must(reader.has_rows or reader.broken, "rows wait for statistics")
                unanswered = f"{reader.changes or ''}{reader.rows_requests or ''}{reader.others or ''}"
                reader.must(not unanswered, f"unanswered: {unanswered}")

    async def _drain(self) -> None:
        """Invariant 2: when nothing hangs and everybody reads, every change comes to its end."""
        for disk in self.disks.values():
            disk.missing = False
        for reader in self.readers:
            reader.reads.set()
        self.hung.clear()
        await self.loop.settle()
        for _ in range(5_000):
            if not self.scheduler.threads:
                break
            await self._step(self.draw.choice(self.scheduler.threads), may_fail=False)
            await self.loop.settle()
            self._check_readers()
        else:
            raise Violation("work without end")
        for reader in self.readers:
            reader.must(reader.settled, "a change that never came to its end")
            reader.must(not reader.unanswered, f"unanswered: {reader.unanswered}")
            current = reader.client._session.current
            reader.must(
                current is None or current.generation == reader.generation or reader.broken, "not the latest state"
            )


def modelled(disk: Disk, arrive: Callable[[Query, CancelToken], None]) -> tuple[Any, Backend]:
    """The engine that knows every answer."""
    return disk, ModelledBackend(disk, arrive)


def over(make: Callable[[], Backend]) -> Engine:
    """A real engine, over the first version of the tables, its queries watched."""

    def engine(disk: Disk, arrive: Callable[[Query, CancelToken], None]) -> tuple[Any, Backend]:
        backend = make()
        own: Any = type(backend)

        def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
            arrive(query, token)
            return own.execute(self, query, token)

        backend.__class__ = type(f"Watched{own.__name__}", (own,), {"execute": execute})
        return pa.Table.from_pylist([dict(row) for row in disk.rows(1)], SCHEMA), backend

    return engine


def explore(steps: int, engine: Engine = modelled, *, seed: int = 0, files_change: bool = True) -> Counter[str]:
    """Worlds of 500 steps each until so many steps were taken; how often what happened in all of them.

    Raises
    ------
    Violation
        If an invariant of the protocol does not hold; the message has the seed that shows it again.
    """
    counts: Counter[str] = Counter()
    while steps > 0:
        counts += World(seed, engine, files_change).run(min(steps, 500))
        counts["worlds"] += 1
        steps -= 500
        seed += 1
    return counts
