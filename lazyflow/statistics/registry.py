"""How a statistic is declared: once, with both ways to compute it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.results import Basis
from lazyflow.types import Kind, python_value

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.statistics.value_counts import ValueCounts

Group = Literal["summary", "distribution"]
Edges: TypeAlias = "tuple[pa.Scalar, ...]"

Build: TypeAlias = Callable[[Column, Namespace, Edges], Mapping[str, Column]]
"""(column with missing as NULL, namespace, histogram edges) -> scalar expressions by name."""


@dataclass(frozen=True)
class Statistic:
    """One statistic of a column.

    Parameters
    ----------
    name
        What callers call it.
    group
        "summary" comes before "distribution".
    kinds
        The kinds of type that it has a meaning for.
    from_counts
        Its value from a column's value counts; exact.
    build
        Scalar expressions that an engine aggregates, for columns with too many distinct values to be counted one by
        one; None where it is no aggregate.
    finish
        Its value from the answers to `build`, Arrow scalars by the same names.
    basis
        Of what `build` gives.
    needs_edges
        Whether it needs the edges of the column's histogram.
    in_column_type
        Whether the answers to `build` are values of the column, to be brought into the type that callers see.
    version
        Raised whenever the same data would give another value: part of the content key.
    durable
        Whether name and version say in every process what is computed. Only then values are kept on disk.
    """

    name: str
    group: Group
    kinds: frozenset[Kind]
    from_counts: Callable[[ValueCounts, Edges], Any]
    build: Build | None = None
    finish: Callable[[Mapping[str, pa.Scalar], Edges], Any] = lambda parts, _: python_value(parts[""])
    basis: Basis = "exact"
    needs_edges: bool = False
    in_column_type: bool = False
    version: int = 1
    durable: bool = False


class CellKey(NamedTuple):
    """What a cell computes, whoever asks: the content key of one statistic of one column of one scope.

    `edges` is the digest of the scope whose values give a histogram its edges, else empty. `durable` says whether
    another process finds the same key for the same cell of the same data.
    """

    fingerprint: str
    scope: str
    column: str
    statistic: str
    version: int
    edges: str = ""
    durable: bool = False
