"""Statistics as callers read them: scope -> column -> statistic -> cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lazyflow.errors import LazyflowError, UnknownName

Basis = Literal["exact", "approximate", "sampled", "pending"]
"""How a value came about: from all rows, by an algorithm that approximates, from some rows, or not yet."""

_TO_COME = ("pending", "sampled")
"""What some rows say stands only until all were asked."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value.

    Parameters
    ----------
    value
        The value, or None where there is none (the mean of no rows). While `basis` is "pending" it is the last
        known value of an earlier scope, to be shown until the true one comes, or None.
    basis
        How the value came about.
    error
        Why there is no value: the engine failed at it (`EngineError`), or it has no meaning for the column's type
        (`NotForThisType`). None where all is well.
    """

    value: Any = None
    basis: Basis = "exact"
    error: LazyflowError | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of a column's values by range.

    Parameters
    ----------
    edges
        n + 1 ascending values of the column's type; bin i holds `edges[i] <= value < edges[i + 1]`, the last also
        its upper edge. Empty where the scope that gives the edges has no finite value; one bin where it has one value.
    counts
        n numbers of rows.
    below, above
        Rows outside the edges, infinities among them.
    """

    edges: tuple[Any, ...]
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0


@dataclass(frozen=True)
class ScopeStatistics(Mapping[str, Mapping[str, Cell]]):
    """Statistics of one scope: column -> statistic -> `Cell`; `rows` is the cell of its number of rows."""

    scope: str
    rows: Cell
    columns: Mapping[str, Mapping[str, Cell]]

    @property
    def pending(self) -> bool:
        """Whether anything of the scope is still to come."""
        return self.rows.basis in _TO_COME or any(
            cell.basis in _TO_COME for cells in self.columns.values() for cell in cells.values()
        )

    def __getitem__(self, column: str) -> Mapping[str, Cell]:
        try:
            return self.columns[column]
        except KeyError:
            raise UnknownName.of("column", column, self.columns) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class Statistics(Mapping[str, ScopeStatistics]):
    """Statistics of a view: scope -> column -> statistic -> `Cell`."""

    scopes: Mapping[str, ScopeStatistics] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is still to come."""
        return not any(scope.pending for scope in self.scopes.values())

    def __getitem__(self, scope: str) -> ScopeStatistics:
        try:
            return self.scopes[scope]
        except KeyError:
            raise UnknownName.of("scope", scope, self.scopes) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.scopes)

    def __len__(self) -> int:
        return len(self.scopes)
