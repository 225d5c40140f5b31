"""DuckDB's own, faster forms of statistics."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
from ibis.expr import datatypes as dt

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.builtin import QUANTILES
from lazyflow.statistics.registry import Edges


def approximate_distinct(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    """DuckDB's sketch of the number of distinct values (HyperLogLog, a few per cent off)."""
    return {"": column.approx_nunique()}


@ibis.udf.agg.builtin(name="quantile_cont")
def _quantile_cont(column: dt.float64, quantiles: dt.Array[dt.float64]) -> dt.Array[dt.float64]:  # type: ignore[empty-body]
    """All quantiles in one pass over the sorted values, interpolated linearly."""


def list_of_quantiles(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    """All quantiles from one call; one call each costs as many sorts."""
    quantiles = _quantile_cont(column.cast("float64"), ns.array([float(q) for q in QUANTILES]))
    return {str(q): quantiles[position] for position, q in enumerate(QUANTILES)}
