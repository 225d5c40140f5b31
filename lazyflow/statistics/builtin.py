"""The statistics that lazyflow brings. Their rules: `docs/statistics.md`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lazyflow.expressions import Column, Namespace, literal, never
from lazyflow.statistics.registry import Edges, Statistic
from lazyflow.statistics.results import Histogram
from lazyflow.types import KINDS, NUMBERS, ORDERED, TEMPORAL, python_value

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP = 10
"""How many of the most frequent values are kept."""


def _number(column: Column) -> Column:
    """The values as float64: engines round the mean of decimals to their scale, and sums of integers wrap."""
    return column.cast("float64")


def _finite(column: Column) -> Column | None:
    """The condition under which a value is finite, or None where every value is."""
    return ~column.isinf() if column.type().is_floating() else None


def _build_std(column: Column, ns: Namespace, _: Edges) -> Mapping[str, Column]:
    """The deviation of the finite values (engines fail at infinities), and whether there are others."""
    parts = {"": _number(column).std(how="sample", where=_finite(column))}
    if column.type().is_floating():
        parts["infinite"] = column.isinf().cast("int64").sum()
    return parts


def _finish_std(parts: Mapping[str, pa.Scalar], _: Edges) -> float | None:
    infinite = parts["infinite"].as_py() if "infinite" in parts else 0
    return None if infinite else _not_nan(parts[""].as_py())


def _not_nan(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _build_quantiles(column: Column, ns: Namespace, _: Edges) -> Mapping[str, Column]:
    return {str(q): _number(column).quantile(q) for q in QUANTILES}


def _finish_quantiles(parts: Mapping[str, pa.Scalar], _: Edges) -> Mapping[float, float | None]:
    return {q: _not_nan(parts[str(q)].as_py()) for q in QUANTILES}


def build_histogram(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    """One sum per bin: arithmetic on dates and times has no form that every engine takes, comparison has."""

    def rows(condition: Column) -> Column:
        return condition.ifelse(1, 0).sum()

    if not edges:
        # No finite value gave edges: what there is lies beyond them, on the side of its sign.
        negative = column < 0 if column.type().is_floating() else never(column)
        return {"below": rows(negative), "above": rows(~negative & column.notnull())}
    points = [literal(ns, column, edge.as_py() if column.type().is_floating() else _plain(edge)) for edge in edges]
    parts = {"below": rows(column < points[0]), "above": rows(column > points[-1])}
    for index, (low, high) in enumerate(pairwise(points)):
        last = index == len(points) - 2
        parts[str(index)] = rows((column >= low) & ((column <= high) if last else (column < high)))
    return parts


def _plain(edge: pa.Scalar) -> Any:
    """An edge as `literal` takes it: numbers as they are, temporal values as text with all their digits."""
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_timestamp(edge.type):
        text = pa.scalar(edge.value, pa.int64()).cast(pa.timestamp(edge.type.unit)).cast(pa.string()).as_py()
        return text + "+00:00" if edge.type.tz else text
    return str(python_value(edge)) if pat.is_temporal(edge.type) else edge.as_py()


def _finish_histogram(parts: Mapping[str, pa.Scalar], edges: Edges) -> Histogram:
    counts = tuple(int(parts[str(index)].as_py() or 0) for index in range(len(edges) - 1)) if edges else ()
    below, above = int(parts["below"].as_py() or 0), int(parts["above"].as_py() or 0)
    return Histogram(tuple(map(python_value, edges)), counts, below, above)


def _count_histogram(counts: Any, edges: Edges) -> Histogram:
    bins, below, above = counts.histogram(edges)
    return Histogram(tuple(map(python_value, edges)), tuple(bins), below, above)


def _scalar(make: Callable[[Column], Column]) -> Callable[[Column, Namespace, Edges], Mapping[str, Column]]:
    return lambda column, ns, edges: {"": make(column)}


def _durable(*statistics: Statistic) -> tuple[Statistic, ...]:
    """Statistics of lazyflow itself: every process of the same version has the same."""
    return tuple(replace(statistic, durable=True) for statistic in statistics)


def _whole(parts: Mapping[str, pa.Scalar], _: Edges) -> int:
    return int(parts[""].as_py() or 0)


def _float(parts: Mapping[str, pa.Scalar], _: Edges) -> float | None:
    return _not_nan(parts[""].as_py())


BUILTIN = _durable(
    Statistic(
        "count", "summary", KINDS, lambda counts, _: counts.count,
        _scalar(lambda column: column.count()), _whole,
    ),
    Statistic(
        "missing", "summary", KINDS, lambda counts, _: counts.missing,
        _scalar(lambda column: column.isnull().ifelse(1, 0).sum()), _whole,
    ),
    Statistic(
        "distinct", "summary", ORDERED, lambda counts, _: counts.distinct,
        _scalar(lambda column: column.nunique()), _whole,
    ),
    Statistic(
        "min", "summary", ORDERED, lambda counts, _: counts.low,
        _scalar(lambda column: column.min()), in_column_type=True,
    ),
    Statistic(
        "max", "summary", ORDERED, lambda counts, _: counts.high,
        _scalar(lambda column: column.max()), in_column_type=True,
    ),
    Statistic(
        "mean", "summary", NUMBERS, lambda counts, _: counts.mean,
        _scalar(lambda column: _number(column).mean()), _float,
    ),
    Statistic(
        "std", "summary", NUMBERS, lambda counts, _: counts.std, _build_std, _finish_std,
    ),
    Statistic(
        "quantiles", "distribution", NUMBERS,
        lambda counts, _: {q: counts.quantile(q) for q in QUANTILES}, _build_quantiles, _finish_quantiles,
    ),
    Statistic(
        "histogram", "distribution", NUMBERS | TEMPORAL, _count_histogram,
        build_histogram, _finish_histogram, needs_edges=True,
    ),
    Statistic(
        "top_values", "distribution", ORDERED, lambda counts, _: counts.most_frequent(TOP),
    ),
)  # fmt: skip
"""All built-in statistics, in the order in which they are shown."""

NAMES = tuple(statistic.name for statistic in BUILTIN)

CARDINALITY = Statistic(
    "cardinality",
    "summary",
    ORDERED,
    lambda counts, _: counts.distinct,
    _scalar(lambda column: column.nunique()),
    _whole,
    durable=True,
)
"""Not shown: a number of distinct values, good enough to decide whether they can be counted one by one."""

RANGE = Statistic(
    "range", "summary", NUMBERS | TEMPORAL, lambda counts, _: counts.finite_range,
    lambda column, ns, edges: {"low": column.min(where=_finite(column)), "high": column.max(where=_finite(column))},
    lambda parts, _: (parts["low"], parts["high"]), in_column_type=True, durable=True,
)  # fmt: skip
"""Not shown: the least and greatest finite value as Arrow scalars, which give a histogram its edges."""
