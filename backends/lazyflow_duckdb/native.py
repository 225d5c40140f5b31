"""DuckDB's own, faster forms of statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
from ibis.expr import datatypes as dt

from lazyflow.expressions import Column, Namespace, far_count
from lazyflow.expressions import literal as plain_literal
from lazyflow.moments import clock_count, moment_count
from lazyflow.statistics.builtin import QUANTILES, build_histogram, edge_value
from lazyflow.statistics.edges import just_below
from lazyflow.statistics.registry import Edges


def moment(text: str, type: Any) -> str | None:
    """A date or moment as DuckDB reads it, where it does not read it as `lazyflow.moments` writes it; else None.

    >>> moment("-0043-03-15 10:00:00", dt.timestamp), moment("+12024-01-01", dt.date), moment("2024-01-01", dt.date)
    ('0044-03-15 (BC) 10:00:00', '12024-01-01', None)
    """
    count = far = far_count(type, text)
    if count is None and type.is_timestamp() and type.scale == 9:
        count = moment_count(text, "ns")
    if count is None:
        return None
    greatest = 2**31 - 1 if type.is_date() else 2**63 - 1
    if type.is_timestamp() and type.scale in (0, 3):  # its texts are read by way of microseconds
        greatest //= 10 ** (6 - type.scale)
    if abs(count) >= greatest:
        return "infinity" if count > 0 else "-infinity"
    if far is None:
        return None
    signed, rest = text[: text.index("-", 1)], text[text.index("-", 1) :]
    year = int(signed)
    return f"{year:04}{rest}" if year > 0 else f"{1 - year:04}{rest[:6]} (BC){rest[6:]}"


def literal(ns: Namespace, column: Column, value: Any) -> Column:
    """A value of the column's type as a literal, moments of any year; times of day may be held as numbers."""
    type = column.type()
    if type.is_integer() and isinstance(value, str):
        return plain_literal(ns, column, clock_count(value))
    text = moment(str(value), type)
    return plain_literal(ns, column, value) if text is None else ns.literal(text).cast(type)


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
        return build_histogram(column, ns, edges, literal)
    bounds = [*map(just_below, edges[:-1]), *edges[-1:]]
    if bounds and bounds[0] is not None and moment(str(edge_value(bounds[0])), type) == "-infinity":
        bounds[0] = None
    known = [edge_value(bound) for bound in bounds if bound is not None]
    if not bounds or len(known) < len(bounds) - 1:
        return build_histogram(column, ns, edges, literal)
    signature = ((type, dt.Array(type)), dt.Map(type, dt.int64))
    function: Any = ibis.udf.agg.builtin(_histogram, name="histogram", signature=signature)
    counts = function(column, ns.array([literal(ns, column, bound) for bound in known])).values()
    return {"counts" if bounds[0] is not None else "bins": counts}
