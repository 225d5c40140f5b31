"""The statistics that lazyflow brings. Their rules: `docs/statistics.md`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lazyflow.expressions import Column, Namespace, literal, never
from lazyflow.statistics.registry import EDGES, Build, Edges, Group, Parts, Registry, Statistic, value_of
from lazyflow.statistics.results import Histogram
from lazyflow.statistics.value_counts import skewness
from lazyflow.types import KINDS, NUMBERS, ORDERED, TEMPORAL, Kind, is_far, python_value

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.statistics.value_counts import ValueCounts

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP = 10
"""How many of the most frequent values are kept."""


def _number(column: Column) -> Column:
    """The values as float64: engines round the mean of decimals to their scale, and sums of integers wrap."""
    return column.cast("float64")


def _finite_values(column: Column, ns: Namespace) -> Column:
    """The finite values: engines look at a condition in the value faster than at one in the aggregate."""
    return column.isinf().ifelse(ns.null(column.type()), column) if column.type().is_floating() else column


def _build_std(column: Column, ns: Namespace) -> Mapping[str, Column]:
    """The deviation of the finite values (engines fail at infinities), and whether there are others."""
    parts = {"": _number(_finite_values(column, ns)).std(how="sample")}
    if column.type().is_floating():
        parts["infinite"] = column.isinf().cast("int64").sum()
    return parts


def _finish_std(parts: Parts) -> float | None:
    infinite = parts["infinite"].as_py() if "infinite" in parts else 0
    return None if infinite else _not_nan(parts[""].as_py())


def _not_nan(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _build_quantiles(column: Column, ns: Namespace) -> Mapping[str, Column]:
    return {str(q): _number(column).quantile(q) for q in QUANTILES}


def _finish_quantiles(parts: Parts) -> Mapping[float, float | None]:
    return {q: _not_nan(parts[str(q)].as_py()) for q in QUANTILES}


def build_histogram(
    column: Column, ns: Namespace, edges: Edges, write: Callable[[Namespace, Column, Any], Column] = literal
) -> Mapping[str, Column]:
    """One sum per bin: arithmetic on dates and times has no form that every engine takes, comparison has.

    `write` makes a literal of a value, as `lazyflow.expressions.literal` does.
    """

    def rows(condition: Column) -> Column:
        return condition.ifelse(1, 0).sum()

    if not edges:
        # No finite value gave edges: what there is lies beyond them, on the side of its sign.
        negative = column < 0 if column.type().is_floating() else never(column)
        return {"below": rows(negative), "above": rows(~negative & column.notnull())}
    points = [write(ns, column, edge_value(edge)) for edge in edges]
    parts = {"below": rows(column < points[0]), "above": rows(column > points[-1])}
    for index, (low, high) in enumerate(pairwise(points)):
        last = index == len(points) - 2
        parts[str(index)] = rows((column >= low) & ((column <= high) if last else (column < high)))
    return parts


def edge_value(edge: pa.Scalar) -> Any:
    """An edge as `literal` takes it: numbers as they are, temporal values as text with all their digits."""
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_timestamp(edge.type) and not is_far(edge):
        text = pa.scalar(edge.value, pa.int64()).cast(pa.timestamp(edge.type.unit)).cast(pa.string()).as_py()
        return text + "+00:00" if edge.type.tz else text
    return str(python_value(edge)) if pat.is_temporal(edge.type) else edge.as_py()


def finish_histogram(parts: Parts, edges: Edges) -> Histogram:
    """The histogram from a part for each bin and each side, or from one list.

    The list `counts` has the rows below, those of each bin, and those above; the list `bins` has none below, where the
    first edge is the least value there can be.
    """
    if "counts" in parts or "bins" in parts:
        given = (*(parts["counts"].as_py() or ()),) if "counts" in parts else (0, *(parts["bins"].as_py() or ()))
        below, *bins = (*given, *[0] * (len(edges) + 1))[: len(edges) + 1]
        return Histogram(tuple(map(python_value, edges)), tuple(bins[:-1]), below, bins[-1])
    counts = tuple(int(parts[str(index)].as_py() or 0) for index in range(len(edges) - 1)) if edges else ()
    below, above = int(parts["below"].as_py() or 0), int(parts["above"].as_py() or 0)
    return Histogram(tuple(map(python_value, edges)), counts, below, above)


def _count_histogram(counts: Any, edges: Edges) -> Histogram:
    bins, below, above = counts.histogram(edges)
    return Histogram(tuple(map(python_value, edges)), tuple(bins), below, above)


def _scalar(make: Callable[[Column], Column]) -> Build:
    return lambda column, ns: make(column)


def _rows_where(condition: Callable[[Column], Column]) -> Build:
    return lambda column, ns: condition(column).ifelse(1, 0).sum()


def _whole(parts: Parts) -> int:
    return int(parts[""].as_py() or 0)


def _whole_or_none(parts: Parts) -> int | None:
    return None if parts[""].as_py() is None else int(parts[""].as_py())


def _float(parts: Parts) -> float | None:
    return _not_nan(parts[""].as_py())


def _share(condition: Callable[[Column], Column]) -> Build:
    return lambda column, ns: {"rows": condition(column).ifelse(1, 0).sum(), "count": column.count()}


def _finish_share(parts: Parts) -> float | None:
    count = parts["count"].as_py()
    return int(parts["rows"].as_py() or 0) / count if count else None


def _build_skewness(column: Column, ns: Namespace, min: Any, max: Any, mean: float) -> Mapping[str, Column] | None:
    """Sums of powers of (value - mean) / (max - min): how far the mean was rounded comes out of the first of them."""
    low, width = float(min), float(max) - float(min)
    if min == max or not math.isfinite(width) or not math.isfinite(mean):
        return None
    offset = _number(column) - low
    if column.type().is_integer() and max - min < 2**62:  # exact, where floats would merge neighbours
        whole = column if column.type().is_unsigned_integer() else column.cast("int64")
        offset, width = _number(whole - literal(ns, whole, min)), float(max - min)
    scaled = (offset - (mean - low)) / width
    return {"1": scaled.sum(), "2": (scaled * scaled).sum(), "3": (scaled * scaled * scaled).sum(), "n": column.count()}


def _finish_skewness(parts: Parts, min: Any, max: Any, mean: float) -> float | None:
    sums = [parts[power].as_py() for power in ("1", "2", "3")]
    return None if None in sums else skewness(int(parts["n"].as_py()), *sums)


def _as_it_is(value: Any, factor: float) -> Any:
    return value


def _times(value: int, factor: float) -> int:
    return round(value * factor)


def _scaled_histogram(value: Histogram, factor: float) -> Histogram:
    counts = tuple(_times(rows, factor) for rows in value.counts)
    return Histogram(value.edges, counts, _times(value.below, factor), _times(value.above, factor))


def _scaled_top(value: tuple[tuple[Any, int], ...], factor: float) -> tuple[tuple[Any, int], ...]:
    """Of a value that a sample has once, nobody can say that it is frequent."""
    return tuple((found, _times(rows, factor)) for found, rows in value if rows > 1)


def _statistic(
    name: str,
    kinds: Iterable[Kind],
    from_counts: Callable[[ValueCounts], Any],
    build: Build | None,
    finish: Callable[..., Any] = value_of,
    group: Group = "summary",
    needs: tuple[str, ...] = (),
    in_column_type: bool = False,
    scaled: Callable[[Any, float], Any] | None = None,
) -> Statistic:
    return Statistic(
        name, build, frozenset(kinds), needs, group, finish, from_counts=lambda counts, _: from_counts(counts),
        in_column_type=in_column_type, durable=True, scaled=scaled,
    )  # fmt: skip


_SUMMARY = (
    _statistic(
        "count", KINDS, lambda counts: counts.count, _scalar(lambda column: column.count()), _whole, scaled=_times
    ),
    _statistic(
        "missing", KINDS, lambda counts: counts.missing, _rows_where(lambda column: column.isnull()), _whole,
        scaled=_times,
    ),
    _statistic("distinct", ORDERED, lambda counts: counts.distinct, _scalar(lambda column: column.nunique()), _whole),
    _statistic("min", ORDERED, lambda counts: counts.low, _scalar(lambda column: column.min()), in_column_type=True),
    _statistic("max", ORDERED, lambda counts: counts.high, _scalar(lambda column: column.max()), in_column_type=True),
    _statistic(
        "mean", NUMBERS, lambda counts: counts.mean, _scalar(lambda column: _number(column).mean()), _float,
        scaled=_as_it_is,
    ),
    _statistic("std", NUMBERS, lambda counts: counts.std, _build_std, _finish_std, scaled=_as_it_is),
    _statistic(
        "zero_share", NUMBERS, lambda counts: counts.share(0), _share(lambda c: c == 0), _finish_share,
        scaled=_as_it_is,
    ),
    _statistic(
        "negative_share", NUMBERS, lambda counts: counts.share(-1), _share(lambda c: c < 0), _finish_share,
        scaled=_as_it_is,
    ),
    _statistic(
        "true_count", {"boolean"}, lambda counts: counts.rows_of(True), _rows_where(lambda c: c), _whole, scaled=_times
    ),
    _statistic(
        "false_count", {"boolean"}, lambda counts: counts.rows_of(False), _rows_where(lambda c: ~c), _whole,
        scaled=_times,
    ),
    _statistic(
        "min_length", {"text"}, lambda counts: counts.length("min"),
        _scalar(lambda column: column.length().min()), _whole_or_none,
    ),
    _statistic(
        "mean_length", {"text"}, lambda counts: counts.length("mean"),
        _scalar(lambda column: _number(column.length()).mean()), _float, scaled=_as_it_is,
    ),
    _statistic(
        "max_length", {"text"}, lambda counts: counts.length("max"),
        _scalar(lambda column: column.length().max()), _whole_or_none,
    ),
)  # fmt: skip

_DISTRIBUTION = (
    _statistic(
        "skewness", NUMBERS, lambda counts: counts.skewness, _build_skewness, _finish_skewness,
        "distribution", ("min", "max", "mean"), scaled=_as_it_is,
    ),
    _statistic(
        "quantiles", NUMBERS, lambda counts: {q: counts.quantile(q) for q in QUANTILES},
        _build_quantiles, _finish_quantiles, "distribution", scaled=_as_it_is,
    ),
    Statistic(
        "histogram", build_histogram, NUMBERS | TEMPORAL, (EDGES,), "distribution", finish_histogram,
        from_counts=_count_histogram, durable=True, scaled=_scaled_histogram,
    ),
    _statistic(
        "top_values", ORDERED, lambda counts: counts.most_frequent(TOP), None, group="distribution",
        scaled=_scaled_top,
    ),
    _statistic("unique", ORDERED, lambda counts: counts.unique, None, group="distribution"),
)  # fmt: skip

FIRST, LAST, MONOTONIC = (
    Statistic(name, None, ORDERED, group="order", durable=True) for name in ("first", "last", "monotonic")
)

HEAD, TAIL = (Statistic(name, None, ORDERED, group="order") for name in ("head", "tail"))
"""Not shown: the course of a column's first rows, and of its first and last ones; see `lazyflow.statistics.order`."""

REGISTRY = Registry((*_SUMMARY, *_DISTRIBUTION, FIRST, LAST, MONOTONIC))
"""The statistics that lazyflow brings, in the order in which they are shown."""

NAMES = tuple(REGISTRY.by_name)

CARDINALITY = _statistic(
    "cardinality", ORDERED, lambda counts: counts.distinct, _scalar(lambda column: column.nunique()), _whole
)
"""Not shown: a number of distinct values, good enough to decide whether they can be counted one by one."""

RANGE = _statistic(
    "range", NUMBERS | TEMPORAL, lambda counts: counts.finite_range,
    lambda column, ns: {"low": _finite_values(column, ns).min(), "high": _finite_values(column, ns).max()},
    lambda parts: (parts["low"], parts["high"]), in_column_type=True,
)  # fmt: skip
"""Not shown: the least and greatest finite value as Arrow scalars, which give a histogram its edges."""

ROWS = Statistic("rows", None, frozenset(), from_counts=lambda counts, _: counts.rows, durable=True)
"""The number of rows of a scope: a cell without a column."""

SAMPLE = Statistic("sample", None, ORDERED, from_counts=lambda counts, _: counts)
"""Not shown: what a sample of the rows tells of a column; see `lazyflow.statistics.sampling`."""

HIDDEN = (CARDINALITY, RANGE, ROWS, HEAD, TAIL, SAMPLE)
"""Those that have cells and are not shown as statistics of a column."""
