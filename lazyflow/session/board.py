"""The statistics of one generation as clients see them: what is known, and what came since they last looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from lazyflow.memo import Memo
from lazyflow.protocol import Cell, Cells, Progress, ScopeCells, error_of
from lazyflow.statistics import results
from lazyflow.statistics.queries import Want
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.view import KnownScope
from lazyflow.step import Step
from lazyflow.values import plain

GROUPS = ("summary", "distribution", "order")


@dataclass(frozen=True)
class News:
    """What one look at the statistics found: the cells that are new, encoded too, and how far all has come.

    `found` are those cells by scope and key, `whole` the scopes of which all is known.
    """

    cells: Cells
    encoded: bytes
    progress: Mapping[str, Progress]
    complete: bool
    found: Mapping[tuple[str, CellKey], results.Cell]
    whole: frozenset[str]

    @property
    def row_count(self) -> dict[str, int]:
        """Numbers of rows by scope, of those that are new."""
        return {
            scope: int(cells.rows.value)
            for scope, cells in self.cells.items()
            if cells.rows is not None and cells.rows.error is None
        }


_whole_scopes: Memo[object, tuple[ScopeCells, msgspec.Raw]] = Memo(16)
"""Scopes that are known in full, by content, also as JSON: many states and sessions have the raw one in common."""


class Board:
    """Statistics in versions, each of which adds cells to those before it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, CellKey], results.Cell] = {}
        self._begun: set[str] = set()
        self._whole: set[str] = set()
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

    def look(self, step: Step) -> News:
        """What is new in the statistics of a step; it is new until it is added."""
        cells: Cells = {}
        written: dict[str, ScopeCells | msgspec.Raw] = {}
        known, wanted = Counter[str](), Counter[str]()
        new: dict[tuple[str, CellKey], results.Cell] = {}
        whole: set[str] = set()
        for found in step.known():
            wanted.update(found.numbers)
            if found.scope in self._whole:
                known.update(found.numbers)
            elif found.scope not in self._begun and (all_of_it := _whole_scope(found)) is not None:
                whole.add(found.scope)
                known.update(found.numbers)
                cells[found.scope], written[found.scope] = all_of_it
            elif found.begun or found.sampled:
                news = ScopeCells(None, {})
                for want, cell in found.cells:
                    if cell is None:
                        continue
                    known[want.statistic.group] += cell.basis != "sampled"
                    if self._seen.get((found.scope, want.key)) is not cell:
                        new[found.scope, want.key] = cell
                        _put(news, want, cell)
                if news.rows is not None or news.columns:
                    cells[found.scope] = written[found.scope] = news
        progress = {group: Progress(known[group], wanted[group]) for group in GROUPS}
        return News(cells, msgspec.json.encode(written), progress, known == wanted, new, frozenset(whole))

    def add(self, news: News) -> None:
        """Keep what `look` found."""
        self._versions.append(news)
        self._seen.update(news.found)
        self._begun.update(scope for scope, _ in news.found)
        self._whole.update(news.whole)
        self._merged.clear()

    def since(self, version: int) -> tuple[Cells, bytes]:
        """The cells that came after a version, and the same as JSON: it is written once for all clients."""
        news = self._versions[version:]
        if len(news) == 1:
            return news[0].cells, news[0].encoded
        if version not in self._merged:
            merged = _merge([item.cells for item in news])
            self._merged[version] = (merged, msgspec.json.encode(merged))
        return self._merged[version]


def _whole_scope(found: KnownScope) -> tuple[ScopeCells, msgspec.Raw] | None:
    """A scope as it is written, if all of it is known and nothing failed."""
    whole = _whole_scopes.get(found.content)
    if whole is None and found.begun:
        cells = ScopeCells(None, {})
        for want, cell in found.cells:
            if cell is None or cell.error is not None or cell.basis != "exact":  # it may yet be known exactly
                return None
            _put(cells, want, cell)
        whole = cells, msgspec.Raw(msgspec.json.encode(cells))
        _whole_scopes.put(found.content, whole)
    return whole


def _put(written: ScopeCells, want: Want, cell: results.Cell) -> None:
    if want.column is None:
        written.rows = wire_cell(cell)
    else:
        written.columns.setdefault(want.column.name, {})[want.statistic.name] = wire_cell(cell)


def wire_cell(cell: results.Cell) -> Cell:
    """A cell that is known, as it is written."""
    if cell.error is not None:
        return Cell(error=error_of(cell.error))
    assert cell.basis != "pending", "what is not known is not written"
    return Cell(plain(cell.value), cell.basis)


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
