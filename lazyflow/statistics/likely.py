"""Statistics of columns with many distinct values, in forms that follow what a sample told of them.

All rows are asked; but values that may be frequent are counted, instead of all being grouped, and quantiles are found
between values near them, instead of all being sorted. Where the sample was not enough like all rows, that shows, and
the statistic is computed without it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lazyflow import expressions as ex
from lazyflow.source import SourceColumn
from lazyflow.statistics.builtin import QUANTILES, SAMPLE, TOP, build_histogram, edge_value, finish_histogram
from lazyflow.statistics.edges import just_above
from lazyflow.statistics.queries import AggregateQuery, hidden_key
from lazyflow.statistics.registry import EDGES, Build, CellKey, Edges, Group, Parts, Statistic
from lazyflow.statistics.results import Basis, Cell, Histogram
from lazyflow.statistics.sampling import Sample
from lazyflow.statistics.value_counts import skewness
from lazyflow.types import NUMBERS, ORDERED, Kind, is_far, python_value

if TYPE_CHECKING:
    import pyarrow as pa

_WIDEST = 0.01
"""Share of the rows: a quantile that is only known to lie among more is computed from all values."""

_FAR = 1_000
"""Deviations: where the mean of all rows lies further off that of the sample, sums about the latter lose digits."""

_NEARLY = 0.9
"""Of the values, so many must be distinct for all to count as such: sketches are a few per cent off."""


def _build_top(column: ex.Column, ns: ex.Namespace, sample: Sample) -> Mapping[str, ex.Column]:
    """How often each candidate occurs."""
    return {
        str(place): (column == ex.literal(ns, column, edge_value(value))).ifelse(1, 0).sum()
        for place, value in enumerate(sample.repeated)
    }


def _finish_top(parts: Parts, sample: Sample) -> tuple[tuple[Any, int], ...]:
    rows = [int(parts[str(place)].as_py() or 0) for place in range(len(sample.repeated))]
    order = sorted(range(len(rows)), key=lambda place: -rows[place])[:TOP]  # of equals, the least value comes first
    return tuple((python_value(sample.repeated[place]), rows[place]) for place in order)


def _build_unique(column: ex.Column, ns: ex.Namespace, **needs: Any) -> Mapping[str, ex.Column]:
    return {}


def _finish_unique(parts: Parts, sample: Sample, count: int, distinct: int) -> bool | None:
    return (not sample.repeated and distinct >= _NEARLY * count) if count else None


def _all_edges(sample: Sample, edges: Edges) -> Edges:
    """The edges of a histogram and the brackets within them, ascending: one look at each value serves both."""
    if not edges:
        return sample.brackets
    low, high = edges[0].as_py(), edges[-1].as_py()
    if low == high:
        return edges
    inside = {edge.as_py(): edge for edge in sample.brackets if low < edge.as_py() < high}
    return tuple(edge for _, edge in sorted((inside | {edge.as_py(): edge for edge in edges}).items()))


def _build_bins(column: ex.Column, ns: ex.Namespace, sample: Sample, edges: Edges) -> Mapping[str, ex.Column]:
    return build_histogram(column, ns, _all_edges(sample, edges))


def _finish_bins(parts: Parts, sample: Sample, edges: Edges) -> Histogram:
    """The histogram, of finer bins than it shows."""
    fine = finish_histogram(parts, _all_edges(sample, edges))
    values = list(map(python_value, edges))
    counts = [0] * (len(values) - 1)
    for low, rows in zip(fine.edges, fine.counts, strict=False):
        counts[bisect.bisect_right(values, low) - 1 if low < values[-1] else -1] += rows
    return Histogram(tuple(values), tuple(counts), fine.below, fine.above)


class _Missed:
    """In the place of a value for which the sample was not enough like all rows."""


def _finish_quantiles(parts: Parts, sample: Sample, edges: Edges) -> Mapping[float, float | None] | _Missed:
    """By linear interpolation within the bracket, of which it is known how many values lie below and in it."""
    import numpy as np

    points = _all_edges(sample, edges)
    found = finish_histogram(parts, points)
    values = [float(point.as_py()) for point in points]
    below = np.cumsum([found.below, *found.counts])
    number = int(below[-1]) + found.above
    if not number:
        return dict.fromkeys(QUANTILES)
    result = {}
    for q in QUANTILES:
        rank = (number - 1) * q
        place = int(below.searchsorted(rank, side="right")) - 1
        if not 0 <= place < len(points) - 1:
            return _Missed()
        low, high, inside = values[place], values[place + 1], int(below[place + 1] - below[place])
        is_one = just_above(points[place]) == points[place + 1]
        if not is_one and inside > _WIDEST * number:
            return _Missed()
        result[q] = low if is_one else low + (high - low) * (rank - int(below[place])) / inside
    return result


def _build_moments(column: ex.Column, ns: ex.Namespace, sample: Sample) -> Mapping[str, ex.Column]:
    """Sums of powers of the values, near 0 and near 1 in size: nothing cancels out, and no power overflows."""
    scaled = (column.cast("float64") - sample.center) / sample.scale
    return {"n": column.count(), "1": scaled.sum(), "2": (scaled * scaled).sum(), "3": (scaled * scaled * scaled).sum()}


class _Moments(NamedTuple):
    """Number, mean and variance of scaled values, and their sums of powers."""

    n: int
    mean: float
    variance: float
    sums: tuple[float, float, float]


def _moments(parts: Parts) -> _Moments | _Missed | None:
    """None without values, and where one is infinite."""
    n = int(parts["n"].as_py())
    first, second, third = (parts[power].as_py() for power in ("1", "2", "3"))
    if not n or not math.isfinite(first) or not math.isfinite(second):
        return None
    if not math.isfinite(third):
        return _Missed()
    mean, square = first / n, second / n
    variance = square - mean * mean
    if abs(mean) > _FAR or (n > 1 and variance < square / _FAR**2):
        return _Missed()
    return _Moments(n, mean, variance, (first, second, third))


def _finish_mean(parts: Parts, sample: Sample) -> float | _Missed | None:
    found = _moments(parts)
    if found is None:  # the sum is missing, infinite, or of infinities of both signs
        total = parts["1"].as_py()
        return None if total is None or math.isnan(total) else float(total)
    return found if isinstance(found, _Missed) else sample.center + sample.scale * found.mean


def _finish_std(parts: Parts, sample: Sample) -> float | _Missed | None:
    found = _moments(parts)
    if found is None or isinstance(found, _Missed):
        return found
    return sample.scale * math.sqrt(found.variance * found.n / (found.n - 1)) if found.n > 1 else None


def _finish_skewness(parts: Parts, sample: Sample) -> float | _Missed | None:
    found = _moments(parts)
    if found is None or isinstance(found, _Missed):
        return found
    return skewness(found.n, *found.sums)


def _likely(
    name: str, kinds: Iterable[Kind], build: Build, finish: Any, needs: tuple[str, ...] = (), group: Group = "summary",
    basis: Literal["exact", "approximate"] = "exact",
) -> Statistic:  # fmt: skip
    return Statistic(name, build, frozenset(kinds), (SAMPLE.name, *needs), group, finish, basis=basis)


LIKELY: Mapping[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        _likely("mean", NUMBERS, _build_moments, _finish_mean),
        _likely("std", NUMBERS, _build_moments, _finish_std),
        _likely("skewness", NUMBERS, _build_moments, _finish_skewness),
        _likely("histogram", NUMBERS, _build_bins, _finish_bins, (EDGES,), "distribution"),
        _likely("quantiles", NUMBERS, _build_bins, _finish_quantiles, (EDGES,), "distribution", "approximate"),
        _likely(
            "top_values", ORDERED - {"boolean", "time"}, _build_top, _finish_top, (), "distribution", "approximate"
        ),
        _likely("unique", ORDERED, _build_unique, _finish_unique, ("count", "distinct"), "distribution", "approximate"),
    )
}
"""Forms of statistics of columns with many distinct values, by what a sample told of them.

Those that need the same are built alike, so that engines compute it once.
"""


def likely(name: str, column: SourceColumn, sample: Sample) -> Statistic | None:
    """The form of a statistic for a column of which a sample told something, or None."""
    form = LIKELY.get(name)
    if form is None or not sample.many or column.kind not in form.kinds:
        return None
    if (form.build is _build_moments and not sample.scale) or (form.build is _build_bins and not sample.brackets):
        return None
    if form.build is _build_top and any(map(is_far, sample.repeated)):  # of which each engine has literals of its own
        return None
    return form


class LikelyQuery(AggregateQuery):
    """Aggregates, some of which follow what a sample told; where that was wrong, the sample is not followed again."""

    def form(self, statistic: Statistic) -> tuple[Build, Basis]:
        if statistic.build is _build_bins:
            bins, _ = super().form(self.registry.by_name["histogram"])
            return lambda column, ns, sample, edges: bins(column, ns, _all_edges(sample, edges)), statistic.basis
        if SAMPLE.name in statistic.needs:
            assert statistic.build is not None
            return statistic.build, statistic.basis
        return super().form(statistic)

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        cells = super().read(answer)
        for want in self.wants:
            if isinstance(cells[want.key].value, _Missed) and want.column is not None:
                del cells[want.key]
                is_moment = want.statistic.build is _build_moments
                sample = want.needs[SAMPLE.name].value._replace(**{"scale": 0.0} if is_moment else {"brackets": ()})
                cells[hidden_key(self.rows_key, want.column, SAMPLE).of_sample] = Cell(sample)
        return cells

    def unanswered(self, cells: Mapping[CellKey, Cell]) -> frozenset[CellKey]:
        missed = {key.column for key in cells if key.sampled}
        return frozenset(key for key in super().unanswered(cells) if key.column not in missed)
