"""The engine's public face: one table, its views, rows at once and statistics after."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from importlib import import_module
from importlib.metadata import entry_points, version
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar
from weakref import WeakSet

from cachetools import LRUCache

from lazyflow import __version__
from lazyflow.backend import Backend
from lazyflow.cache import DEFAULT_BYTES, Cache
from lazyflow.data import arrow_from_stream, expression_family, is_frame, reads_once
from lazyflow.disk import DEFAULT_BYTES as DEFAULT_DISK_BYTES
from lazyflow.disk import Disk
from lazyflow.errors import (
    BackendNotInstalled,
    Cancelled,
    EngineError,
    InvalidInput,
    InvalidValue,
    LazyflowError,
    Superseded,
    UnknownName,
)
from lazyflow.files import TableAt, is_build
from lazyflow.memo import Memo
from lazyflow.plan import Plan, Transform, Transforms, check_columns, check_window, compile_plan
from lazyflow.query import CountQuery, RowsQuery
from lazyflow.source import Source
from lazyflow.state import State
from lazyflow.statistics.building import try_builds
from lazyflow.statistics.builtin import HIDDEN, REGISTRY
from lazyflow.statistics.queries import Want
from lazyflow.statistics.registry import EDGES, Registry, Statistic
from lazyflow.statistics.results import Statistics
from lazyflow.statistics.view import STAGES_KEPT, View
from lazyflow.step import Step
from lazyflow.threads import Threads
from lazyflow.windows import by_number
from lazyflow.work import ROW_NUMBERS_BYTES, CancelToken, Watcher, Work, run_cancellable

if TYPE_CHECKING:
    import pyarrow as pa

P = ParamSpec("P")
R = TypeVar("R")

_owners = itertools.count(1)
_PLANS_KEPT = 256

STATISTIC_BUDGET = 30.0
"""Seconds that one statistic may take the engine, unless it is said otherwise."""


class Closable(Protocol):
    """What shows a flow, and ends with it."""

    def close(self) -> None:
        """End; may be called twice."""


@dataclass(frozen=True)
class Update:
    """What `DataFlow.stream` yields: first the rows, then the statistics as they become known.

    Parameters
    ----------
    phase
        "rows" for the first update, "statistics" for those that follow.
    step
        The step that the updates belong to.
    statistics
        All statistics as far as they are known at this update.
    """

    phase: Literal["rows", "statistics"]
    step: Step
    statistics: Statistics

    @property
    def generation(self) -> int:
        """The number of the state change."""
        return self.step.generation

    @property
    def rows(self) -> pa.Table:
        """The first rows of the view."""
        return self.step.rows

    @property
    def complete(self) -> bool:
        """Whether nothing is pending any more."""
        return self.statistics.complete


class Same(Enum):
    """Says that something is to be as it is."""

    SAME = "same"


SAME = Same.SAME


class _Shared:
    """What a flow and its forks have in common: backend, source, work, and how many of them are open."""

    def __init__(
        self,
        data: Any,
        backend: Backend,
        auto_refresh: bool,
        own: Iterable[Statistic],
        cache: Cache,
        row_numbers_bytes: int,
    ) -> None:
        self.auto_refresh = auto_refresh
        self.materialised = None
        if reads_once(data):
            data = arrow_from_stream(data)
            self.materialised = "a stream gives its rows once: they are kept in memory"
        self.data = data
        self.backend = backend
        self.registry = declared_statistics(tuple(own), backend)
        self.source: Source = backend.open(data)
        self.work = Work(backend.run, cache, row_numbers_bytes)
        self.compiling = threading.Lock()
        self.plans: LRUCache[Any, Plan] = LRUCache(_PLANS_KEPT)
        self.wants: Memo[object, tuple[Want, ...]] = Memo(STAGES_KEPT)
        self.open_flows = 1


def _disk(directory: str | PathLike[str] | None, max_bytes: int, backend: Backend) -> Disk | None:
    """Where a backend's statistics are kept for other processes; None for one that does not say by which versions."""
    if max_bytes < 1:
        raise InvalidInput(f"cache_directory_bytes is at least 1, not {max_bytes}")
    if not directory or not backend.packages:
        return None
    versions = [f"lazyflow {__version__}", backend.name, *(f"{name} {version(name)}" for name in backend.packages)]
    return Disk(Path(directory).expanduser().absolute(), max_bytes, ", ".join(versions))


class DataFlow:
    """A table that can be looked at in many ways.

    Parameters
    ----------
    source
        A path, folder or glob of Parquet, Arrow, CSV or JSON files, a DuckDB database file, a frame of pandas or
        polars, an Arrow table, stream or dataset, an ibis table on DuckDB, a xorq expression, or a build of one
        (docs/sources.md).
    backend
        Name of an installed backend ("duckdb", "pandas", "xorq"), or a `Backend`. None chooses: pandas for a pandas
        frame, xorq for a xorq expression or build, DuckDB for everything else.
    table
        Which table or view of a DuckDB database file, `schema.name` where the schema is not `main`; None means the only
        one.
    auto_refresh
        Whether `apply`, `rows` and `row_count` open the source anew when its files changed; else they raise
        `SourceChanged`.
    cache_bytes
        Bound on the memory for known statistics, in bytes.
    row_numbers_bytes
        Bound on the memory for row numbers of views, in bytes: see `Step.prepare`. With 0 none are prepared.
    cache_directory
        Where statistics of files are kept for other processes, and for another day; None keeps none. Made, for its
        owner alone, if it is not there. What the disk refuses is a warning in the log.
    cache_directory_bytes
        Bound on the size of its files, in bytes.
    statistics
        The app's own statistics, beside those that lazyflow brings.
    statistic_budget
        Seconds that one statistic of a scope may take the engine; those that are computed in one query have theirs
        together. One that runs out is marked so, and can be asked for alone: `Step.compute`. None for as long as it
        takes.

    Raises
    ------
    InvalidInput
        If `cache_directory_bytes` is not positive.
    InvalidStatistic
        If an own statistic is declared wrongly.
    SourceError
        If the source is missing, empty, truncated or foreign, or has not the table.
    UnknownName, BackendNotInstalled
        If there is no such backend, or its engine is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> flights = pa.table({"origin": ["JFK", "LGA", "JFK"], "delay": [5, None, 90]})
    >>> with DataFlow(flights) as flow:
    ...     step = flow.apply(State(search="jfk"))
    ...     step.rows.num_rows, step.statistics["filtered"].pending
    ...     step.resolve()["filtered"]["delay"]["mean"].value
    (2, True)
    47.5
    """

    def __init__(
        self,
        source: Any,
        backend: str | Backend | None = None,
        *,
        table: str | None = None,
        auto_refresh: bool = False,
        cache_bytes: int = DEFAULT_BYTES,
        row_numbers_bytes: int = ROW_NUMBERS_BYTES,
        cache_directory: str | PathLike[str] | None = None,
        cache_directory_bytes: int = DEFAULT_DISK_BYTES,
        statistics: Iterable[Statistic] = (),
        statistic_budget: float | None = STATISTIC_BUDGET,
    ) -> None:
        check_budget(statistic_budget)
        if table is not None:
            if not isinstance(source, str | PathLike):
                raise InvalidInput(f"table {table!r}: tables are named in a DuckDB database file, given by its path")
            source = TableAt(os.fspath(source), table)
        engine = load_backend(backend if backend is not None else choose_backend(source))
        try:
            cache = Cache(cache_bytes, _disk(cache_directory, cache_directory_bytes, engine))
            self._shared = _Shared(source, engine, auto_refresh, statistics, cache, row_numbers_bytes)
        except BaseException:
            engine.close()
            raise
        self._start(Transforms(), statistic_budget)

    def _start(self, transforms: Transforms, statistic_budget: float | None) -> None:
        self._owner = next(_owners)
        self._transforms = transforms
        self._budget = statistic_budget
        self._shown_by: WeakSet[Closable] = WeakSet()
        self._closed = False

    @property
    def backend(self) -> str:
        """Name of the backend."""
        return self._shared.backend.name

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type of the source's columns."""
        return self._shared.source.schema

    @property
    def cleanings(self) -> tuple[str, ...]:
        """Names of the registered cleanings."""
        return tuple(self._transforms.cleanings)

    @property
    def post_processings(self) -> tuple[str, ...]:
        """Names of the registered post-processings."""
        return tuple(self._transforms.post_processings)

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics, in the order in which they are shown: those that lazyflow brings, then the app's own."""
        return self._shared.registry.statistics

    @property
    def own_statistics(self) -> frozenset[str]:
        """The names of the app's own."""
        return self._shared.registry.own

    @property
    def outdated(self) -> bool:
        """Whether the files of the source changed since they were opened.

        That is if one was written to, replaced or removed, or is new in a folder or glob. What needs a query then
        raises `SourceChanged`, until `refresh` opens them anew. Of data that lies in no files nothing is known; False.
        """
        return self._shared.source.fingerprint.outdated

    @property
    def materialised(self) -> str | None:
        """Why the rows were copied when the source was opened; None where they are read where they lie."""
        return self._shared.materialised or self._shared.source.materialised

    def compile(self, state: State) -> Plan:
        """The state as ibis expressions, one per stage; nothing is executed.

        Raises
        ------
        UnknownName, InvalidValue, NotForThisType
            If the state does not fit the source.
        TransformError
            If its cleaning or post-processing fails.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import Filter
        >>> with DataFlow(pa.table({"x": [1, 2, 3]})) as flow:
        ...     flow.compile(State(filters=[Filter("y", ">", 1)]))
        Traceback (most recent call last):
        lazyflow.errors.UnknownName: unknown column 'y'; expected one of: x
        """
        if not isinstance(state, State):
            raise InvalidInput(f"expected a State, got {type(state).__name__}")
        self._check_open()
        # ibis keeps process-wide tables of comparisons without a lock.
        with self._shared.compiling:
            key = (state, self._transforms)
            plan = self._shared.plans.get(key)
            if plan is None:
                plan = compile_plan(self._shared.source, state, self._transforms, self._shared.backend)
                self._shared.plans[key] = plan
            return plan

    def rows(self, state: State, window: tuple[int, int], columns: Iterable[str] = ()) -> pa.Table:
        """Rows `window[0]` to `window[1]` (exclusive) of the state's view; asks for no statistics, ever.

        `columns` are names of the columns to fetch; none means all.

        Raises
        ------
        InvalidInput
            If the state does not fit the source, or the window is none.
        SourceChanged
            If the files of the source changed since they were opened.
        EngineError
            If the engine fails.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import Sort
        >>> with DataFlow(pa.table({"x": [3, 1, 2]})) as flow:
        ...     flow.rows(State(sort=[Sort("x")]), (1, 3))["x"].to_pylist()
        [2, 3]
        """
        return self._rows(state, window, columns, CancelToken())

    def _rows(self, state: State, window: tuple[int, int], columns: Iterable[str], token: CancelToken) -> pa.Table:
        window = check_window(window)
        self._follow_source()
        plan = self.compile(state)
        names = check_columns(columns, plan.schema)
        run = self._shared.backend.run_rows
        with suppress(EngineError):  # the engine is asked again without row numbers, and then says what is wrong
            rows = by_number(plan, window, names, self._row_numbers(plan), run, token)
            if rows is not None:
                return rows
        return run(RowsQuery(plan, *window, names), token)

    def _row_numbers(self, plan: Plan) -> pa.Array | None:
        """The row numbers of a view, if some step had them prepared."""
        prepared = self._shared.work.row_numbers
        query = self._view(plan, ()).prepare_query(prepared.size)
        return prepared.get(query.key) if query is not None else None

    def row_count(self, state: State) -> int:
        """The number of rows of the state's view.

        >>> import pyarrow as pa
        >>> with DataFlow(pa.table({"x": ["a", "b", "ab"]})) as flow:
        ...     flow.row_count(State(search="A"))
        2
        """
        return self._row_count(state, CancelToken())

    def _row_count(self, state: State, token: CancelToken) -> int:
        self._follow_source()
        plan = self.compile(state)
        view = self._view(plan, ())
        known = self._shared.work.cache.get(view.rows_key(plan.stages["shown"]))
        if known is not None:
            return int(known.value)
        numbers = self._row_numbers(plan)
        if numbers is not None:
            return len(numbers)
        answer = self._shared.backend.run_rows(CountQuery(plan), token)
        return int(answer["rows"][0].as_py())

    def apply(self, state: State, window: tuple[int, int] = (0, 100), columns: Iterable[str] = ()) -> Step:
        """The rows phase of a new state: its first rows, and the statistics that are known already.

        The state applied before is superseded, unless it is equal; nothing is computed beyond the rows until
        `Step.resolve`.

        Parameters
        ----------
        state
            The state to show.
        window
            The rows to fetch: (start, stop), stop exclusive.
        columns
            Names of the columns in sight: those of `Step.rows`, whose statistics come first; none means all.

        Raises
        ------
        InvalidInput, TransformError
            If the state does not fit the source; the flow is as before.
        SourceChanged
            If the files of the source changed since they were opened.
        Superseded
            If a newer state is applied meanwhile.
        EngineError
            If the engine fails.
        """
        start, stop = check_window(window)
        self._follow_source()
        while True:
            plan = self.compile(state)
            sight = check_columns(columns, plan.schema)
            view = self._view(plan, sight)
            generation = self._shared.work.begin(self._owner, view)
            if plan.source is self._shared.source:  # else it was refreshed meanwhile
                break
        try:
            return self._shared.backend.defer(plan, view, (start, stop), sight, generation)
        except Cancelled as error:
            raise Superseded(f"generation {generation.number} was superseded by a newer state") from error

    def _view(self, plan: Plan, in_sight: tuple[str, ...]) -> View:
        shared = self._shared
        return View(plan, frozenset(in_sight), shared.backend.folding, shared.registry, self._budget, shared.wants)

    async def rows_async(self, state: State, window: tuple[int, int], columns: Iterable[str] = ()) -> pa.Table:
        """As `rows`, without blocking the event loop; a cancelled task stops the query."""
        return await run_cancellable(self._rows, state, window, columns)

    async def row_count_async(self, state: State) -> int:
        """As `row_count`, without blocking the event loop; a cancelled task stops the query."""
        return await run_cancellable(self._row_count, state)

    async def apply_async(self, state: State, window: tuple[int, int] = (0, 100), columns: Iterable[str] = ()) -> Step:
        """As `apply`, without blocking the event loop; a cancelled task withdraws what the flow wants."""
        try:
            return await Threads().run(self.apply, state, window, columns)
        except asyncio.CancelledError:
            self._shared.work.end(self._owner)
            raise

    async def stream(
        self, state: State, window: tuple[int, int] = (0, 100), columns: Iterable[str] = ()
    ) -> AsyncGenerator[Update, None]:
        """Both phases of a new state: one update with the rows, then one for each change of its statistics.

        The last update is complete. Parameters and errors are those of `apply` and `Step.resolve`.

        >>> import asyncio, pyarrow as pa
        >>> async def phases():
        ...     with DataFlow(pa.table({"x": [1, 2, 3]})) as flow:
        ...         return [update.phase async for update in flow.stream(State())][0]
        >>> asyncio.run(phases())
        'rows'
        """
        step = await self.apply_async(state, window, columns)
        first = Update("rows", step, step.statistics)
        yield first
        if not first.complete:
            async for statistics in step.updates():
                yield Update("statistics", step, statistics)

    def register_cleaning(self, name: str, fn: Transform) -> None:
        """Make `fn(table, ns) -> table` available as `State(cleaning=name)`.

        `table` is a table expression without data, `ns` the namespace of its family (the module `ibis` on DuckDB).

        >>> import pyarrow as pa
        >>> with DataFlow(pa.table({"x": [1, None, 3]})) as flow:
        ...     flow.register_cleaning("drop_empty", lambda table, ns: table.drop_null())
        ...     flow.row_count(State(cleaning="drop_empty"))
        2
        """
        self._register("cleanings", name, fn)

    def register_post_processing(self, name: str, fn: Transform) -> None:
        """Make `fn(table, ns) -> table` available as `State(post_processing=name)`; see `register_cleaning`."""
        self._register("post_processings", name, fn)

    def _register(self, registry: Literal["cleanings", "post_processings"], name: str, fn: Transform) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"a registered function needs a name, got {name!r}")
        if not callable(fn):
            raise InvalidInput(f"{name!r}: expected a function fn(table, ns) -> table, got {type(fn).__name__}")
        with self._shared.compiling:
            functions = {**getattr(self._transforms, registry), name: fn}
            self._transforms = replace(self._transforms, **{registry: functions})

    def watch_statistics_queries(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher("started", query)` before, `watcher("ended", query)` after each statistics query of the source.

        It is called in the thread that runs the query, also for forks, and before what the query gave is delivered.

        Returns
        -------
        function
            Ends it.

        Examples
        --------
        >>> import pyarrow as pa
        >>> seen = []
        >>> with DataFlow(pa.table({"x": [1, 2]})) as flow:
        ...     end = flow.watch_statistics_queries(lambda what, query: seen.append(what))
        ...     step = flow.apply(State())
        ...     before = list(seen)
        ...     _ = step.resolve()
        >>> before, seen[:2]
        ([], ['started', 'ended'])
        """
        return self._shared.work.watch(watcher)

    def fork(self, *, statistic_budget: float | Same | None = SAME) -> DataFlow:
        """A flow with its own state changes over the same source, cache and running work.

        Two forks never supersede each other, and what both want is computed once. Functions registered so far are taken
        along. Each is closed for itself; the source stays open until the last one is.

        Parameters
        ----------
        statistic_budget
            As of `DataFlow`; that of this flow unless given.
        """
        budget = self._budget if isinstance(statistic_budget, Same) else statistic_budget
        check_budget(budget)
        self._check_open()
        twin = object.__new__(DataFlow)
        with self._shared.compiling:
            self._shared.open_flows += 1
        twin._shared = self._shared
        twin._start(self._transforms, budget)
        return twin

    def refresh(self) -> None:
        """Open the source anew, because it changed: steps made before are superseded, nothing known of it is used.

        Raises
        ------
        SourceError
            If it cannot be opened any more; the flow is as before.
        """
        self._check_open()
        source = self._shared.backend.open(self._shared.data)
        with self._shared.compiling:
            self._shared.source = source
            self._shared.plans.clear()  # they are of what was opened before, even where nothing changed
            self._shared.wants.clear()
        self._shared.work.supersede_all()

    def close(self) -> None:
        """Withdraw what this flow wants; with the last fork, leave the engine too. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for shown_by in tuple(self._shown_by):
            shown_by.close()
        self._shared.work.end(self._owner)
        with self._shared.compiling:
            self._shared.open_flows -= 1
            last = self._shared.open_flows == 0
        if last:
            self._shared.work.close()
            self._shared.backend.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """What a notebook shows of a flow that is the last line of a cell: the widget of `lazyflow.explore`."""
        # By name: the widget stands far above this room, which knows nothing of it but that.
        return None if self._closed else import_module("lazyflow.widget").bundle_of(self)

    def _follow_source(self) -> None:
        """Open the source anew if its files changed and the caller asked for that."""
        if self._shared.auto_refresh and self.outdated:
            self.refresh()

    def _check_open(self) -> None:
        if self._closed:
            raise LazyflowError("the flow is closed")

    def __enter__(self) -> DataFlow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def declared_statistics(own: tuple[Statistic, ...], backend: Backend) -> Registry:
    """The statistics of a flow: those that lazyflow brings, and the app's own, each tried once."""
    registry = Registry(REGISTRY.statistics, native=backend.folding.native or {})
    if own:
        reserved = {EDGES, *(statistic.name for statistic in HIDDEN)}
        registry = registry.declare(own, backend.name, reserved)
        try_builds(registry, own, backend.ns)
    return registry


def check_budget(seconds: float | None) -> None:
    """A budget is a positive number of seconds or None; InvalidValue for anything else."""
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise InvalidValue(f"statistic_budget is a positive number of seconds or None, not {seconds!r}")


def choose_backend(source: object) -> str:
    """The backend for a source when none is named.

    pandas for its frames, xorq for its expressions and builds, else DuckDB.
    """
    if is_frame(source):
        return "pandas"
    of_xorq = is_build(source) if isinstance(source, str | PathLike) else expression_family(source) == "xorq"
    return "xorq" if of_xorq else "duckdb"


def load_backend(backend: str | Backend) -> Backend:
    """A new instance of the backend registered under that name in the entry-point group `lazyflow.backends`.

    Raises
    ------
    UnknownName
        If no installed package brings such a backend.
    BackendNotInstalled
        If it is known but its engine is not installed.
    """
    if isinstance(backend, Backend):
        return backend
    found = {point.name: point for point in entry_points(group="lazyflow.backends")}
    if backend not in found:
        raise UnknownName.of("backend", backend, sorted(found))
    try:
        kind = found[backend].load()
    except ImportError as error:
        raise BackendNotInstalled(
            f'the {backend} backend needs packages that are not installed ({error}): pip install "lazyflow[{backend}]"'
        ) from error
    engine: Backend = kind()
    return engine
