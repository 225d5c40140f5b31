"""DuckDB's own, faster forms of statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
from ibis.expr import datatypes as dt

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.builtin import QUANTILES


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
