"""Statistics of some of the rows, which are there long before those of all, and what they are good for besides.

The rows are runs of neighbours at places spread over the source, the same ones each time: engines read those in a
fraction of the time of a pass. A view's sample is what of these rows the view has. What it says is shown as sampled
until all rows have been asked; and it tells which values may be frequent and between which values a quantile lies, so
that of columns with many values these are counted, instead of all being grouped and sorted.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lazyflow import expressions as ex
from lazyflow.errors import LazyflowError
from lazyflow.source import SourceColumn
from lazyflow.statistics.building import computed_cell
from lazyflow.statistics.builtin import QUANTILES, SAMPLE, TOP, build_histogram, edge_literal, finish_histogram
from lazyflow.statistics.edges import edges, just_above
from lazyflow.statistics.queries import AggregateQuery, StatisticsQuery, Want, hidden_key
from lazyflow.statistics.registry import EDGES, Build, CellKey, Edges, Group, Parts, Statistic
from lazyflow.statistics.results import Basis, Cell, Histogram
from lazyflow.statistics.value_counts import ValueCounts, skewness
from lazyflow.types import NUMBERS, ORDERED, Kind, python_value

if TYPE_CHECKING:
    import pyarrow as pa

CANDIDATES = TOP + 5
"""How many of a sample's most frequent values are counted among all rows."""

_WIDEST = 0.01
"""Share of the rows: a quantile that is only known to lie among more is computed from all values."""

_FAR = 1_000
"""Deviations: where the mean of all rows lies further off that of the sample, sums about the latter lose digits."""

_NEARLY = 0.9
"""Of the values, so many must be distinct for all to count as such: sketches are a few per cent off."""


@dataclass(frozen=True)
class Sampling:
    """How an engine samples.

    Parameters
    ----------
    above
        Sources with more rows are sampled.
    runs, run_rows
        How many runs of neighbours are read, and of how many rows each.
    least
        Fewer rows of a view say nothing of it.
    columns
        Most columns in one query.
    bins
        Whether counting the values in many ranges is much quicker than their quantiles.
    """

    above: int = 1_000_000
    runs: int = 12
    run_rows: int = 2_048
    least: int = 1_000
    columns: int = 64
    bins: bool = False

    def numbers(self, rows: int) -> pa.Array:
        """The row numbers of the sample of a source of so many rows, ascending, the same ones each time.

        Of as many equal parts of the source as there are runs, each gives one, from a place by chance: columns may
        repeat themselves at regular distances.

        >>> len(Sampling(runs=4, run_rows=10).numbers(100)), len(Sampling(runs=4, run_rows=10).numbers(30))
        (40, 30)
        """
        import numpy as np
        import pyarrow as pa

        if rows <= self.runs * self.run_rows:
            return pa.array(np.arange(rows))
        chance, part = random.Random(rows), rows // self.runs  # noqa: S311 - not for secrets
        starts = [number * part + chance.randint(0, part - self.run_rows) for number in range(self.runs)]
        return pa.array(np.concatenate([np.arange(start, start + self.run_rows) for start in starts]))


class Sample(NamedTuple):
    """What a sample tells of a column.

    Attributes
    ----------
    many
        Whether the column has too many distinct values to be counted one by one.
    repeated
        Values that came more than once, the most frequent ones, ascending, as Arrow scalars.
    brackets
        Ascending values between neighbours of which the quantiles lie, as far as the sample can tell.
    center, scale
        Mean and deviation of the values of a column of numbers; no scale where they do not differ, or not finitely.
    """

    many: bool = False
    repeated: tuple[pa.Scalar, ...] = ()
    brackets: Edges = ()
    center: float = 0.0
    scale: float = 0.0


class SampleQuery(StatisticsQuery):
    """The sampled rows of a scope: `expression` over the rows `numbers` of the source alone.

    Parameters
    ----------
    source_rows
        The number of rows of the source.
    sampling
        Which of them are read.
    max_distinct
        With more distinct values a column has many; None where none has.
    """

    def __init__(
        self, *arguments: Any, source_rows: int, sampling: Sampling, max_distinct: int | None, **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.source_rows = source_rows
        self.sampling = sampling
        self.max_distinct = max_distinct
        self.cells = frozenset(want.key.of_sample for want in self.wants)

    @cached_property
    def numbers(self) -> pa.Array:
        """The row numbers of the sample in the source, ascending."""
        return self.sampling.numbers(self.source_rows)

    @cached_property
    def expression(self) -> ex.Table:
        return self.stage.table.select([column.inside for column in self.columns])

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        result: dict[CellKey, Cell] = {}
        tells = answer.num_rows >= self.sampling.least
        for column in self.columns:
            sample = Sample()
            if tells:
                counted = answer[column.inside].value_counts()
                counts = ValueCounts(counted.field("values").cast(column.type), counted.field("counts"))
                result.update(self._cells(column, counts))
                sample = self._sample(column, counts)
            result[self._key(column)] = Cell(sample)
        return result

    def _key(self, column: SourceColumn) -> CellKey:
        return hidden_key(self.rows_key, column, SAMPLE).of_sample

    def _cells(self, column: SourceColumn, counts: ValueCounts) -> dict[CellKey, Cell]:
        factor = self.source_rows / len(self.numbers)
        cells = {}
        for want in self.wants:
            if want.column == column:
                assert want.statistic.scaled is not None
                value = partial(self._value, want, counts, factor)
                cells[want.key.of_sample] = computed_cell(value, "sampled")
        return cells

    def _value(self, want: Want, counts: ValueCounts, factor: float) -> Any:
        statistic, bounds = want.statistic, want.edges or ()
        assert statistic.from_counts is not None
        assert statistic.scaled is not None
        if EDGES in statistic.needs and want.edges is None:
            bounds = edges(*counts.finite_range, counts.values.type)
        value = statistic.from_counts(counts, bounds)
        return None if value is None else statistic.scaled(value, factor)

    def _sample(self, column: SourceColumn, counts: ValueCounts) -> Sample:
        most = self.max_distinct
        if most is None or not counts.count:
            return Sample()
        # Of rows by chance, so many distinct values are to be expected if there are no more than `most` of them.
        expected = most * -math.expm1(-counts.count / most) if most else 0
        if counts.distinct < 1.15 * expected:
            return Sample()
        import numpy as np

        frequent = np.argsort(-counts.counts, kind="stable")[:CANDIDATES]
        repeated = [int(place) for place in sorted(frequent) if counts.counts[place] > 1]
        sample = Sample(True, tuple(counts.values[place] for place in repeated))
        if column.kind not in ("integer", "float"):
            return sample
        center, scale = _moments_of(counts)
        return sample._replace(brackets=_brackets(counts) if self.sampling.bins else (), center=center, scale=scale)

    def unanswered(self, cells: Mapping[CellKey, Cell]) -> frozenset[CellKey]:
        return frozenset()  # the full pass will say

    def failed(self, error: LazyflowError) -> dict[CellKey, Cell]:
        return {self._key(column): Cell(Sample()) for column in self.columns}

    def singly(self) -> list[StatisticsQuery]:
        return []

    def split(self) -> list[StatisticsQuery]:
        return []


def _moments_of(counts: ValueCounts) -> tuple[float, float]:
    """Mean and deviation, or 0 for the latter where sums about the former would not be right to nine digits."""
    center, scale = counts.mean, counts.std
    if center is None or scale is None or not math.isfinite(center) or not math.isfinite(scale):
        return 0.0, 0.0
    greatest = max(abs(counts.low), abs(counts.high))
    if counts.kind == "integer" and greatest > 2**53 and scale < greatest * 2**-23:  # rounded to floats, they merge
        return 0.0, 0.0
    return center, scale


def _brackets(counts: ValueCounts) -> Edges:
    """Values on either side of each quantile, near and further off, by the standard error of its rank in the sample."""
    import numpy as np

    finite = np.isfinite(counts.floats)
    if not finite.any():
        return ()
    values, rows = counts.values.filter(finite), counts.counts[finite]
    ranks = rows.cumsum()
    number = int(ranks[-1])
    places = set()
    for q in QUANTILES:
        error = math.sqrt(q * (1 - q) * number)
        for away in (-5, -3, -1, 1, 3, 5):
            rank = min(max(round(q * number + away * error), 0), number - 1)
            places.add(int(ranks.searchsorted(rank, side="right")))
    found = []
    for place in sorted(places):
        found.append(values[place])
        above = just_above(values[place]) if rows[place] > 1 else None
        beyond = values[place + 1] if place + 1 < len(values) else None
        if above is not None and not (place + 1 in places and above == beyond):
            found.append(above)
    return tuple(found)


def _build_top(column: ex.Column, ns: ex.Namespace, sample: Sample) -> Mapping[str, ex.Column]:
    """How often each candidate occurs."""
    return {
        str(place): (column == _literal(ns, column, value)).ifelse(1, 0).sum()
        for place, value in enumerate(sample.repeated)
    }


def _literal(ns: ex.Namespace, column: ex.Column, value: pa.Scalar) -> ex.Column:
    return edge_literal(ns, column, value) if not column.type().is_string() else ex.literal(ns, column, value.as_py())


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
