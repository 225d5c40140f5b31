"""One view of a table in two phases: its rows, which are there, and its statistics, which `resolve` brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from lazyflow.plan import Plan
from lazyflow.statistics.results import Statistics
from lazyflow.statistics.view import View
from lazyflow.work import Generation

if TYPE_CHECKING:
    import pyarrow as pa


class Step:
    """What `DataFlow.apply` returns.

    Attributes
    ----------
    plan
        The state's stages as expressions.
    window
        Which rows `rows` holds: (start, stop).
    rows
        The first rows of the view, as a table under the names and types of `schema`.
    """

    def __init__(self, plan: Plan, view: View, window: tuple[int, int], rows: pa.Table, generation: Generation) -> None:
        self.plan = plan
        self.window = window
        self.rows = rows
        self._view = view
        self._generation = generation

    @property
    def generation(self) -> int:
        """The number of the state change: 1, 2, ... for one flow; an equal state keeps the number."""
        return self._generation.number

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type of the columns shown."""
        return self.plan.schema

    @property
    def superseded(self) -> bool:
        """Whether a newer state took this one's place."""
        return self._generation.superseded

    @property
    def statistics(self) -> Statistics:
        """The statistics as far as they are known now; what is not has the basis "pending"."""
        return self._view.read(self._generation.known)

    @property
    def complete(self) -> bool:
        """Whether all statistics are known (a failed cell is known to have failed)."""
        return self._generation.complete

    def resolve(self, timeout: float | None = None) -> Statistics:
        """The statistics phase: compute what is not known, wait for it, and return all statistics.

        Parameters
        ----------
        timeout
            Seconds to wait; None waits as long as it takes.

        Raises
        ------
        Superseded
            If a newer state took this one's place, before or while waiting. The rows stay readable.
        TimeoutError
            After `timeout`; the work goes on.
        """
        self._generation.check()
        self._generation.start()
        self._generation.wait(timeout)
        return self.statistics

    async def resolve_async(self) -> Statistics:
        """As `resolve`, without blocking the event loop."""
        async for _ in self.updates():
            pass
        return self.statistics

    async def updates(self) -> AsyncGenerator[Statistics, None]:
        """The statistics phase as it goes: all statistics after each change, ending when they are complete.

        Raises
        ------
        Superseded
            As `resolve` does.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(changed.set)

        end = self._generation.subscribe(wake)
        try:
            self._generation.check()
            self._generation.start()
            while not self._generation.settled:
                await changed.wait()
                changed.clear()
                if not self._generation.settled:
                    yield self.statistics
            self._generation.check()
            yield self.statistics
        finally:
            end()
