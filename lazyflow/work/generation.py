"""One view's claim to what is computed: what it wants, what of that is known, and whether a newer view replaced it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from lazyflow.errors import LazyflowError, Superseded
from lazyflow.query import PrepareQuery
from lazyflow.statistics.results import Cell
from lazyflow.work.token import CancelToken

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.statistics.queries import StatisticsQuery
    from lazyflow.statistics.registry import CellKey
    from lazyflow.work.worker import Work

Known = Callable[["CellKey"], "Cell | None"]


class Wanted(Protocol):
    """What a view wants: content keys, and the query that would be next."""

    @property
    def identity(self) -> object:
        """Equal for equal states over the same source."""

    @property
    def keys(self) -> frozenset[CellKey]:
        """The content keys of all cells wanted."""

    def next_query(self, known: Known) -> StatisticsQuery | None:
        """The most urgent query for what is not known, or None."""

    def query_for(self, key: CellKey, known: Known, seconds: float | None) -> StatisticsQuery | None:
        """The query for one cell alone, with so many seconds, or for what it needs; None if it cannot be had."""

    def rows_known(self, known: Known) -> int | None:
        """The number of the view's rows, if it is known."""

    def prepare_query(self, max_bytes: int) -> PrepareQuery | None:
        """The query for its row numbers; None where the engine has no use for them."""


class Generation:
    """One view's claim: what it wants, what of it is known, and whether a newer view has replaced it.

    Made by `Work.begin`. Nothing is computed for it before `start`, so that its rows come first.
    """

    def __init__(self, work: Work, owner: object, number: int, wanted: Wanted) -> None:
        self._work = work
        self._owner = owner
        self.number = number
        self.wanted = wanted
        self.rows_token = CancelToken()
        self._cells: dict[CellKey, Cell] = {}
        self._listeners: list[Callable[[], None]] = []
        self._started = False
        self._stopped = False
        self._recalled = False
        self._superseded = False
        self._fault: LazyflowError | None = None
        self._rows: tuple[tuple[tuple[int, int], tuple[str, ...]], pa.Table] | None = None
        self._asked: object = None
        self._alone: dict[CellKey, float | None] = {}
        self.prepare_query = wanted.prepare_query(work.row_numbers.size)
        self._numbers: Literal["unasked", "asked", "given", "failed"] = "unasked"
        self.queries_started = 0
        self.queries_cancelled = 0

    @property
    def superseded(self) -> bool:
        """Whether a newer generation of the same owner took its place."""
        return self._superseded

    def known(self, key: CellKey) -> Cell | None:
        """The cell of that key, a failed one too, or None if it is not known."""
        cell = self._cells.get(key)
        if cell is None:
            cell = self._work.cache.get(key)
            if cell is not None:
                self._cells[key] = cell  # the view keeps what it has seen, whatever the cache forgets
        return cell

    @property
    def complete(self) -> bool:
        """Whether everything wanted is known."""
        return all(self.known(key) is not None for key in self.wanted.keys)

    def stands_for(self, wanted: Wanted) -> bool:
        """Whether this generation will do for what is wanted; one that broke is no help to anybody."""
        mine = self.wanted
        return self._fault is None and mine.identity == wanted.identity and mine.keys == wanted.keys

    def first_rows(self, window: tuple[int, int], columns: tuple[str, ...]) -> pa.Table | None:
        """The rows of a window and columns, if an equal state was applied for the same ones before."""
        kept = self._rows
        return kept[1] if kept is not None and kept[0] == (window, columns) else None

    def keep_first_rows(self, window: tuple[int, int], columns: tuple[str, ...], rows: pa.Table) -> None:
        """Keep the rows of a window and columns for an equal state."""
        self._rows = ((window, columns), rows)

    @property
    def row_numbers(self) -> pa.Array | None:
        """The row numbers of the view in its order, if they are prepared and kept."""
        query = self.prepare_query
        if query is None or self._superseded or self._numbers == "failed":
            return None
        return self._work.row_numbers.get(query.key)

    def prepare(self) -> None:
        """Have the row numbers prepared: from now on they are the next that the worker computes.

        Nothing happens where the engine has no use for them, or failed at them before.
        """
        self._work.prepare(self)

    def distrust_row_numbers(self) -> None:
        """Do without row numbers from now on: the engine failed at them."""
        self._numbers = "failed"

    def wait_prepared(self, timeout: float | None = None) -> bool:
        """Block until the row numbers are there, or known not to come; which of the two. As `wait` otherwise."""
        return self._work.wait_prepared(self, timeout)

    def wants(self, query: StatisticsQuery | PrepareQuery) -> bool:
        """Whether a query's answer is for this view."""
        if isinstance(query, PrepareQuery):
            return self.prepare_query is not None and self.prepare_query.key == query.key
        return bool(query.concerns & (self._alone.keys() if self._stopped else self.wanted.keys))

    @property
    def settled(self) -> bool:
        """Whether nothing more will come: complete, superseded, or broken."""
        return self._superseded or self._fault is not None or self.complete

    def see(self, wanted: Wanted) -> None:
        """Want the same in another order of priority, from the next query on."""
        self._work.see(self, wanted)

    def start(self) -> None:
        """Let the statistics phase begin, or go on: from now on the worker computes what this generation wants."""
        self._work.start(self)

    def stop(self) -> None:
        """Want no statistics until the next `start`, but for those that are asked for alone."""
        self._work.stop(self)

    def check(self) -> None:
        """Raise `Superseded` if a newer generation took this one's place."""
        if self._superseded:
            raise Superseded(f"generation {self.number} was superseded by a newer state")
        if self._fault is not None:
            raise self._fault

    def wait(self, timeout: float | None = None) -> None:
        """Block until everything wanted is known; `timeout` in seconds.

        Raises
        ------
        Superseded
            As soon as a newer generation takes this one's place.
        TimeoutError
            After `timeout`.
        """
        self._work.wait(self, timeout)

    def ask_alone(self, key: CellKey, seconds: float | None) -> None:
        """Have one cell computed before everything else, with so many seconds; as long as it takes with None."""
        self._work.ask_alone(self, key, seconds)

    def answered(self, key: CellKey) -> bool:
        """Whether a cell that was asked for alone is there, or will never be."""
        return self._superseded or self._fault is not None or key not in self._alone

    def wait_alone(self, key: CellKey) -> None:
        """Block until `answered`; raises as `check` does."""
        self._work.wait_alone(self, key)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after each change, from any thread; returns how to end that."""
        return self._work.subscribe(self, listener)

    def give_up(self, fault: LazyflowError) -> None:
        """Wait no longer for an engine that does not answer; see `Work.give_up`."""
        self._work.give_up(self, fault)
