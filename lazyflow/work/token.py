"""Whether a query is still wanted, and how it is stopped where it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lazyflow.errors import Cancelled
from lazyflow.threads import Threads

R = TypeVar("R")


class CancelToken:
    """Says whether a query is still wanted, and stops it in the engine when it no longer is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._stops: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Withdraw the query: what `on_cancel` registered is called, once, in this thread."""
        with self._lock:
            self._cancelled = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    def check(self) -> None:
        """Raise `Cancelled` if the query is no longer wanted."""
        if self._cancelled:
            raise Cancelled("the query is no longer wanted")

    @contextmanager
    def on_cancel(self, stop: Callable[[], None]) -> Iterator[None]:
        """While inside, `cancel` calls `stop` (such as a cursor's interrupt); entering too late raises `Cancelled`."""
        with self._lock:
            if not self._cancelled:
                self._stops.append(stop)
        self.check()
        try:
            yield
        finally:
            with self._lock:
                if stop in self._stops:
                    self._stops.remove(stop)


async def run_cancellable(function: Callable[..., R], *args: Any) -> R:
    """Call `function(*args, token)` without blocking the event loop; the token is cancelled with the task."""
    token = CancelToken()
    try:
        return await Threads().run(function, *args, token)
    except asyncio.CancelledError:
        token.cancel()
        raise
