"""DuckDB's own, faster forms of statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
from ibis.expr import datatypes as dt

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.builtin import QUANTILES, build_histogram, edge_literal
from lazyflow.statistics.edges import just_below
from lazyflow.statistics.registry import Edges


def approximate_distinct(column: Column, ns: Namespace) -> Mapping[str, Column]:
    """DuckDB's sketch of the number of distinct values (HyperLogLog, a few per cent off)."""
    return {"": ns.least(column.approx_nunique(), column.count())}


def _quantile_cont(column: dt.float64, quantiles: dt.Array[dt.float64]) -> dt.Array[dt.float64]:
    """All quantiles in one pass over the values, interpolated linearly."""
    raise NotImplementedError("DuckDB's own function")


_quantiles: Any = ibis.udf.agg.builtin(_quantile_cont, name="quantile_cont")


def list_of_quantiles(column: Column, ns: Namespace) -> Mapping[str, Column]:
    """All quantiles from one call; one call each costs as many sorts."""
    quantiles = _quantiles(column.cast("float64"), ns.array([float(q) for q in QUANTILES]))
    return {str(q): quantiles[position] for position, q in enumerate(QUANTILES)}


def _histogram(column: Any, bounds: Any) -> Any:
    """The rows in each bin, by its upper bound, which it holds; those above the last, if there are such, come after."""
    raise NotImplementedError("DuckDB's own function")


def list_of_bins(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    """All bins from one call, which looks each value up; a sum for each bin would compare each value with each edge.

    DuckDB's bins hold their upper bound and not the lower one, ours the other way round but for the last: hence the
    bounds are the values just below the edges, and the last edge. Times and long decimals it looks up wrongly (2.0.1).
    """
    type = column.type()
    if not (type.is_integer() or type.is_floating() or type.is_date() or type.is_timestamp()):
        return build_histogram(column, ns, edges)
    bounds = [*map(just_below, edges[:-1]), *edges[-1:]]
    known = [bound for bound in bounds if bound is not None]
    if not bounds or len(known) < len(bounds) - 1:
        return build_histogram(column, ns, edges)
    signature = ((type, dt.Array(type)), dt.Map(type, dt.int64))
    function: Any = ibis.udf.agg.builtin(_histogram, name="histogram", signature=signature)
    counts = function(column, ns.array([edge_literal(ns, column, bound) for bound in known])).values()
    return {"counts" if bounds[0] is not None else "bins": counts}
