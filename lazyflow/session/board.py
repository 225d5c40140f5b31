"""The statistics of one generation as clients see them: what is known, and what came since they last looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from lazyflow.errors import NotForThisType
from lazyflow.protocol import Cell, Cells, Progress, ScopeCells, error_of
from lazyflow.statistics import results
from lazyflow.statistics.builtin import BUILTIN
from lazyflow.statistics.results import Statistics
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


class Board:
    """Statistics in versions, each of which adds cells to those before it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], results.Cell] = {}
        self._versions: list[News] = []
        self._merged: dict[tuple[int, int], bytes] = {}

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

        for scope, of_scope in statistics.items():
            news = ScopeCells(see((scope, "", "rows"), "summary", of_scope.rows), {})
            for column, of_column in of_scope.items():
                found = {
                    name: cell
                    for name, value in of_column.items()
                    if (cell := see((scope, column, name), _GROUP[name], value)) is not None
                }
                if found:
                    news.columns[column] = found
            if news.rows is not None or news.columns:
                cells[scope] = news
        progress = {group: Progress(known[group], wanted[group]) for group in GROUPS}
        return News(cells, msgspec.json.encode(cells), progress, known == wanted)

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

    def since(self, version: int) -> Cells:
        """The cells that came after a version, ready to be put into a header."""
        key = (version, self.version)
        if key not in self._merged:
            news = self._versions[version:]
            merged = news[0].encoded if len(news) == 1 else msgspec.json.encode(_merge([item.cells for item in news]))
            self._merged[key] = merged
        return cast("Cells", msgspec.Raw(self._merged[key]))


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
