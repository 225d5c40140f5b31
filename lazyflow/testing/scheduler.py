"""Threads and time in the hands of a test: one thread runs at a time, from one engine to the next, and no clock ticks.

So an interleaving of changes, queries and answers is a list of choices, and the same choices give the same run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from lazyflow.query import Query
from lazyflow.testing.control import PATIENCE, Alarm
from lazyflow.work import CancelToken

Outcome = Callable[[], None]
"""What becomes of a query when its thread goes on: it raises, or returns and the query is answered."""


@dataclass(eq=False)
class Visit:
    """A query that stands before an engine."""

    query: Query
    token: CancelToken
    deaf: bool = False

    def go_on(self) -> None:
        """The query is answered, unless it was cancelled meanwhile and the engine hears of it."""
        if not self.deaf:
            self.token.check()


class SteppedThread(threading.Thread):
    """A thread that goes on only when its scheduler says so."""

    scheduler: Scheduler

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turn = threading.Semaphore(0)
        self.visit: Visit | None = None
        self.outcome: Outcome | None = None
        self.ended = False

    def start(self) -> None:
        """Be ready to run."""
        super().start()
        self.scheduler.started(self)

    def run(self) -> None:
        """Wait for the first turn, run, and hand the turn back."""
        self.turn.acquire()
        try:
            super().run()
        finally:
            self.ended = True
            self.scheduler.back.release()

    def stand(self, visit: Visit) -> None:
        """Before an engine: hand the turn back, and find out what becomes of the query."""
        self.visit = visit
        self.scheduler.back.release()
        self.turn.acquire()
        self.visit = None
        outcome, self.outcome = self.outcome, None
        if outcome is not None:
            outcome()
        visit.go_on()


@dataclass
class Scheduler:
    """Says which thread runs; `free` lets all of them run as they like."""

    threads: list[SteppedThread] = field(default_factory=list)
    back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    is_free: bool = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While inside, lazyflow's threads are stepped."""
        kind: Any = type("Stepped", (SteppedThread,), {"scheduler": self})
        with (
            patch("lazyflow.threads.Thread", kind),
            patch("lazyflow.threads.IDLE_SECONDS", 0),
            patch(
                "lazyflow.work.Work.alarm", Alarm
            ),  # it rings for nobody: a token that is cancelled is time that is up,
        ):
            yield

    def started(self, thread: SteppedThread) -> None:
        """A thread is new."""
        self.threads.append(thread)
        if self.is_free:
            thread.turn.release()

    def step(self, thread: SteppedThread, outcome: Outcome | None = None) -> None:
        """Let one thread run until it stands before an engine, or ends."""
        thread.outcome = outcome
        thread.turn.release()
        assert self.back.acquire(timeout=PATIENCE), f"{thread.name} neither ends nor comes to an engine"
        if thread.ended:
            self.threads.remove(thread)
            thread.join(PATIENCE)

    def arrive(self, query: Query, token: CancelToken) -> None:
        """A query comes to an engine, in whatever thread."""
        thread = threading.current_thread()
        if isinstance(thread, SteppedThread) and not self.is_free:
            thread.stand(Visit(query, token))

    def free(self) -> None:
        """From now on nobody is held."""
        self.is_free = True
        for thread in self.threads:
            thread.turn.release()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} never came to an end"
        self.threads.clear()


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Seconds since the loop was made, by the test's account."""
        return self._now

    async def settle(self) -> None:
        """Run whatever is ready, until nothing is."""
        await asyncio.sleep(0)
        while self._ready:  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        await self.settle()
        await asyncio.sleep(0)  # what was due is put among what is ready by the next turn
        await self.settle()
