"""One view of a table in two phases: its rows, which are there, and its statistics, which `resolve` brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

from lazyflow.errors import Cancelled, EngineError, LazyflowError
from lazyflow.plan import Plan, check_columns, check_window
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell, Statistics
from lazyflow.statistics.view import KnownScope, View
from lazyflow.threads import Threads
from lazyflow.work import CancelToken, Generation, run_cancellable

if TYPE_CHECKING:
    import pyarrow as pa

Fetch: TypeAlias = "Callable[[tuple[int, int], Sequence[str], CancelToken], pa.Table]"
"""How a step gets the rows of a window of its view."""


class Step:
    """What `DataFlow.apply` returns.

    Attributes
    ----------
    plan
        The state's stages as expressions.
    window
        Which rows `rows` holds: (start, stop).
    rows
        The first rows of the view, as a table under the names and types of `schema`: of the columns in sight.
    """

    def __init__(
        self, plan: Plan, view: View, window: tuple[int, int], rows: pa.Table, generation: Generation, fetch: Fetch
    ) -> None:
        self.plan = plan
        self.window = window
        self.rows = rows
        self._view = view
        self._generation = generation
        self._fetch = fetch

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
        """The statistics as far as they are known now; what is not has the basis "pending", or "sampled" meanwhile."""
        return self._view.read(self._generation.known)

    def known(self) -> list[KnownScope]:
        """The statistics that are known, scope by scope: `statistics` without the form that is made for reading."""
        return self._view.known_scopes(self._generation.known)

    @property
    def complete(self) -> bool:
        """Whether all statistics are known (a failed cell is known to have failed)."""
        return self._generation.complete

    @property
    def queries_started(self) -> int:
        """How many statistics queries were begun that this step wanted, so far."""
        return self._generation.queries_started

    @property
    def queries_cancelled(self) -> int:
        """How many of them were stopped because a newer state did not want them."""
        return self._generation.queries_cancelled

    @property
    def numbered(self) -> bool:
        """Whether the engine has a use for row numbers of this view; see `prepare`."""
        return self._generation.prepare_query is not None

    def fetch(self, window: tuple[int, int], columns: Iterable[str] = (), token: CancelToken | None = None) -> pa.Table:
        """Further rows of this view: `window[0]` to `window[1]` (exclusive); asks for no statistics, ever.

        Parameters
        ----------
        window
            The rows to fetch: (start, stop), stop exclusive.
        columns
            Names of the columns to fetch; none means all.
        token
            Stops the query in the engine when it is cancelled.

        Raises
        ------
        InvalidInput
            If the window is none, or a column unknown.
        Superseded
            If a newer state took this one's place, before or meanwhile.
        Cancelled
            If the token was cancelled.
        EngineError
            If the engine fails.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, State
        >>> with DataFlow(pa.table({"x": [1, 2, 3, 4]})) as flow:
        ...     flow.apply(State(), (0, 2)).fetch((2, 4))["x"].to_pylist()
        [3, 4]
        """
        window, token = check_window(window), token or CancelToken()
        names = check_columns(columns, self.schema)
        try:
            with self._generation.rows_token.on_cancel(token.cancel):
                return self._fetch(window, names, token)
        except Cancelled:
            self._generation.check()
            raise

    async def fetch_async(self, window: tuple[int, int], columns: Iterable[str] = ()) -> pa.Table:
        """As `fetch`, without blocking the event loop; a cancelled task stops the query."""
        return await run_cancellable(self.fetch, window, columns)

    def prepare(self, timeout: float | None = None) -> bool:
        """Prepare the row numbers of this view, with which windows anywhere in it are quick, and wait for them.

        It is done in the background without being asked where it pays: once all statistics of a view of many rows are
        known, and once somebody looks beyond the first rows of one whose windows take long. Until then, and where row
        numbers are of no use, windows hold the same rows, and may take longer the further down they are.

        Parameters
        ----------
        timeout
            Seconds to wait; None waits as long as it takes.

        Returns
        -------
        bool
            Whether they are there. They are not where the engine has no use for them (the view is the source itself, or
            the source has no row numbers), failed at them, or where they are more than `row_numbers_bytes`.

        Raises
        ------
        Superseded
            If a newer state took this one's place, before or while waiting.
        TimeoutError
            After `timeout`; the work goes on.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, Sort, State
        >>> with DataFlow(pa.table({"x": [3, 1, 2]})) as flow:
        ...     step = flow.apply(State(sort=[Sort("x")]), (0, 1))
        ...     step.prepare(), step.fetch((1, 3))["x"].to_pylist()
        (True, [2, 3])
        """
        self._generation.check()
        self._generation.prepare()
        return self._generation.wait_prepared(timeout)

    async def prepare_async(self) -> bool:
        """As `prepare`, without blocking the event loop."""
        return await Threads().run(self.prepare)

    def see(self, columns: Iterable[str]) -> None:
        """Say which columns are in sight from now on: from the next query on, their statistics come first.

        Parameters
        ----------
        columns
            Names; none means all.

        Raises
        ------
        UnknownName
            If there is no such column.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, State
        >>> with DataFlow(pa.table({"x": [1], "y": [2]})) as flow:
        ...     step = flow.apply(State(), columns=["x"])
        ...     step.see(["y"])
        """
        self._view = self._view.seeing(frozenset(check_columns(columns, self.schema)))
        self._generation.see(self._view)

    def start(self) -> None:
        """Let the statistics phase begin, or go on, and what comes after it, without waiting for any of it."""
        self._generation.start()

    def stop(self) -> None:
        """Compute no more statistics of this view until the next `start` or `resolve`; its rows are not concerned.

        A query that nobody else wants leaves the engine. Who waits for the statistics goes on waiting. A statistic that
        is asked for alone is computed nevertheless.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, State
        >>> with DataFlow(pa.table({"x": [1, 2, 6]})) as flow:
        ...     step = flow.apply(State())
        ...     step.stop()
        ...     step.complete, step.rows.num_rows, step.resolve()["raw"]["x"]["mean"].value
        (False, 3, 3.0)
        """
        self._generation.stop()

    def give_up(self, fault: LazyflowError) -> None:
        """Wait no longer for statistics from an engine that does not answer: who waits gets `fault`.

        The engine may answer nevertheless, later; what it then gives is kept for whoever asks next.
        """
        self._generation.give_up(fault)

    def compute(self, scope: str, column: str, statistic: str, seconds: float | None = None) -> Cell:
        """One statistic alone, exactly, before all others: one that ran out of time, or that was approximated.

        Parameters
        ----------
        scope, column, statistic
            Names.
        seconds
            How long the engine may take for it; None for as long as it takes.

        Returns
        -------
        Cell
            As `statistics` has it from now on. What is known exactly is not computed again.

        Raises
        ------
        UnknownName, NotForThisType
            If there is no such cell.
        Superseded
            If a newer state took this one's place, before or meanwhile.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, State
        >>> with DataFlow(pa.table({"x": [1, 2, 6]})) as flow:
        ...     step = flow.apply(State())
        ...     step.compute("raw", "x", "mean").value, step.statistics["raw"]["x"]["std"].basis
        (3.0, 'pending')
        """
        key = self._view.find(scope, column, statistic)
        known = self._known_value(key)
        if known is None:
            self._generation.ask_alone(key, seconds)
            self._generation.wait_alone(key)
        return known or self._cell(key)

    async def compute_async(self, scope: str, column: str, statistic: str, seconds: float | None = None) -> Cell:
        """As `compute`, without blocking the event loop."""
        key = self._view.find(scope, column, statistic)
        known = self._known_value(key)
        if known is not None:
            return known
        async with self._woken() as changed:
            self._generation.ask_alone(key, seconds)
            while not self._generation.answered(key):
                await changed.wait()
                changed.clear()
        self._generation.check()
        return self._cell(key)

    def _known_value(self, key: CellKey) -> Cell | None:
        self._generation.check()
        cell = self._generation.known(key)
        return cell if cell is not None and cell.error is None and cell.basis == "exact" else None

    def _cell(self, key: CellKey) -> Cell:
        cell = self._generation.known(key)
        return cell if cell is not None else Cell(error=EngineError("it cannot be had"))

    @asynccontextmanager
    async def _woken(self) -> AsyncGenerator[asyncio.Event, None]:
        """While inside, an event is set with each change of the statistics."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(changed.set)

        end = self._generation.subscribe(wake)
        try:
            yield changed
        finally:
            end()

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
        async for _ in self.changes():
            yield self.statistics

    async def changes(self) -> AsyncGenerator[None, None]:
        """As `updates`, but without reading the statistics: what they are is for the caller to look up."""
        async with self._woken() as changed:
            self._generation.check()
            self._generation.start()
            while not self._generation.settled:
                await changed.wait()
                changed.clear()
                if not self._generation.settled:
                    yield
            self._generation.check()
            yield
