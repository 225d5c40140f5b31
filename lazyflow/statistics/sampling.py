"""Statistics of some of the rows, which are there long before those of all, and what else they tell.

The rows are runs of neighbours at places spread over the source, the same ones each time: engines read those in a
fraction of the time of a pass. A view's sample is what of these rows the view has. What it says is shown as sampled
until all rows have been asked; what it tells of columns with many values, `lazyflow.statistics.likely` makes use of.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lazyflow import expressions as ex
from lazyflow.errors import LazyflowError
from lazyflow.source import SourceColumn
from lazyflow.statistics.building import computed_cell
from lazyflow.statistics.builtin import QUANTILES, SAMPLE, TOP
from lazyflow.statistics.edges import edges, just_above
from lazyflow.statistics.queries import StatisticsQuery, Want, hidden_key
from lazyflow.statistics.registry import EDGES, CellKey, Edges
from lazyflow.statistics.results import Cell
from lazyflow.statistics.value_counts import ValueCounts

if TYPE_CHECKING:
    import pyarrow as pa

CANDIDATES = TOP + 5
"""How many of a sample's most frequent values are counted among all rows."""


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
