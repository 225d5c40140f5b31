"""The statistics of one generation as clients see them: what is known, and what came since they last looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from lazyflow.errors import NotForThisType
from lazyflow.memo import Memo
from lazyflow.protocol import Cell, Cells, Progress, ScopeCells, error_of
from lazyflow.statistics import results
from lazyflow.statistics.builtin import BUILTIN
from lazyflow.statistics.results import ScopeStatistics, Statistics
from lazyflow.values import plain

GROUPS = ("summary", "distribution")
_GROUP = {statistic.name: statistic.group for statistic in BUILTIN}


@dataclass(frozen=True)
class News:
    """What one look at the statistics found: the cells that are new, encoded too, and how far all has come."""

    cells: Cells
    encoded: bytes
    progress: Mapping[str, Progress]
    complete: bool


@dataclass(frozen=True)
class _Whole:
    """A scope that is known in full, as it is written, and how many cells each group has."""

    of: ScopeStatistics
    cells: ScopeCells
    numbers: Mapping[str, int]


_whole_scopes: Memo[int, _Whole] = Memo(16)
"""Scopes that are known in full are the same for many states and sessions, the raw one above all."""


def _written_whole(of_scope: ScopeStatistics) -> _Whole:
    whole = _whole_scopes.get(id(of_scope))
    if whole is None or whole.of is not of_scope:
        known, wanted = dict.fromkeys(GROUPS, 0), dict.fromkeys(GROUPS, 0)
        whole = _Whole(of_scope, Board()._look_at(of_scope, known, wanted), wanted)
        _whole_scopes.put(id(of_scope), whole)
    return whole


class Board:
    """Statistics in versions, each of which adds cells to those before it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], results.Cell] = {}
        self._begun: set[str] = set()
        self._whole: dict[str, _Whole] = {}
        self._versions: list[News] = []
        self._merged: dict[int, tuple[Cells, bytes]] = {}

    @property
    def version(self) -> int:
        """How many times something new was found."""
        return len(self._versions)

    @property
    def progress(self) -> dict[str, Progress]:
        """How far each group has come."""
        return dict(self._versions[-1].progress) if self._versions else {}

    @property
    def complete(self) -> bool:
        """Whether nothing is pending."""
        return bool(self._versions) and self._versions[-1].complete

    def look(self, statistics: Statistics) -> News:
        """What is new in the statistics; one thread at a time."""
        cells: Cells = {}
        known, wanted = dict.fromkeys(GROUPS, 0), dict.fromkeys(GROUPS, 0)
        for scope, of_scope in statistics.items():
            whole = self._whole.get(scope)
            if whole is None and scope not in self._begun and not of_scope.pending:
                whole = self._whole[scope] = _written_whole(of_scope)
                cells[scope] = whole.cells
            if whole is None:
                self._begun.add(scope)
                news = self._look_at(of_scope, known, wanted)
                if news.rows is not None or news.columns:
                    cells[scope] = news
            else:
                for group in GROUPS:
                    known[group] += whole.numbers[group]
                    wanted[group] += whole.numbers[group]
        progress = {group: Progress(known[group], wanted[group]) for group in GROUPS}
        return News(cells, msgspec.json.encode(cells), progress, known == wanted)

    def _look_at(self, of_scope: ScopeStatistics, known: dict[str, int], wanted: dict[str, int]) -> ScopeCells:
        """The cells of one scope that were not seen before; counts those that are known and those that are wanted."""

        def see(place: tuple[str, str, str], group: str, cell: results.Cell) -> Cell | None:
            if isinstance(cell.error, NotForThisType):
                return None
            wanted[group] += 1
            if cell.basis == "pending":
                return None
            known[group] += 1
            before = self._seen.get(place)
            if before is cell or before == cell:
                return None
            self._seen[place] = cell
            return wire_cell(cell)

        scope = of_scope.scope
        news = ScopeCells(see((scope, "", "rows"), "summary", of_scope.rows), {})
        for column, of_column in of_scope.items():
            found = {
                name: cell
                for name, value in of_column.items()
                if (cell := see((scope, column, name), _GROUP[name], value)) is not None
            }
            if found:
                news.columns[column] = found
        return news

    def add(self, news: News) -> None:
        """Keep what `look` found."""
        self._versions.append(news)
        self._merged.clear()

    def row_count(self, version: int = 0) -> dict[str, int]:
        """Numbers of rows by scope that came after a version."""
        return {
            scope: int(cells.rows.value)
            for news in self._versions[version:]
            for scope, cells in news.cells.items()
            if cells.rows is not None and cells.rows.error is None
        }

    def since(self, version: int) -> tuple[Cells, bytes]:
        """The cells that came after a version, and the same as JSON: it is written once for all clients."""
        news = self._versions[version:]
        if len(news) == 1:
            return news[0].cells, news[0].encoded
        if version not in self._merged:
            merged = _merge([item.cells for item in news])
            self._merged[version] = (merged, msgspec.json.encode(merged))
        return self._merged[version]


def wire_cell(cell: results.Cell) -> Cell:
    """A cell that is known, as it is written."""
    if cell.error is not None:
        return Cell(error=error_of(cell.error))
    return Cell(plain(cell.value), "exact" if cell.basis == "pending" else cell.basis)


def _merge(all_cells: list[Cells]) -> Cells:
    """The cells of all, the later ones in place of the earlier."""
    merged: Cells = {}
    for cells in all_cells:
        for scope, news in cells.items():
            of_scope = merged.setdefault(scope, ScopeCells(None, {}))
            of_scope.rows = news.rows or of_scope.rows
            for column, found in news.columns.items():
                of_scope.columns[column] = {**of_scope.columns.get(column, {}), **found}
    return merged
