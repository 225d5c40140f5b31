"""A column as its distinct values and how often each occurs: from this, every statistic follows exactly."""

from __future__ import annotations

import bisect
import math
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from lazyflow.statistics.edges import to_steps
from lazyflow.types import kind, python_value

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def skewness(count: int, first: float, second: float, third: float) -> float | None:
    """The sample's skewness (adjusted Fisher-Pearson, as pandas has it), from sums of powers of scaled values.

    The values may be shifted and scaled in any way; best is near their mean, by near their deviation. None below three
    values, and where they do not differ.

    >>> skewness(4, 0.0, 2.0, 0.0), skewness(2, 0.0, 2.0, 0.0)
    (0.0, None)
    """
    if count < 3:
        return None
    mean, square, cube = first / count, second / count, third / count
    variance = square - mean * mean
    if not 0 < variance < math.inf:
        return None
    biased = (cube - 3 * mean * square + 2 * mean**3) / variance**1.5
    return float(biased * math.sqrt(count * (count - 1)) / (count - 2))


class ValueCounts:
    """Distinct present values in ascending order, with their numbers of rows.

    Parameters
    ----------
    values
        Arrow array of a canonical type; NULL and NaN are missing, -0.0 is 0.0, a value may occur twice.
    counts
        Arrow array of the same length: numbers of rows.
    """

    def __init__(self, values: pa.Array, counts: pa.Array) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        self.kind = kind(values.type)
        missing = pc.is_null(values, nan_is_null=True)
        rows = int(pc.sum(counts).as_py() or 0)
        if pc.any(missing).as_py():
            kept = pc.invert(missing)
            values, counts = values.filter(kept), counts.filter(kept)
        if self.kind == "float":
            values = pc.add(values, pa.scalar(0.0, values.type))
        # Arrow cannot sort booleans; few as they are, they sort as numbers.
        order = pc.sort_indices(values.cast(pa.int8()) if self.kind == "boolean" else values)
        self.values: pa.Array = values.take(order)
        self.counts: np.ndarray[Any, np.dtype[np.int64]] = (
            counts.take(order).to_numpy(zero_copy_only=False).astype(np.int64)
        )
        self._merge_equal()
        self.count = int(self.counts.sum())
        self.missing = rows - self.count

    def _merge_equal(self) -> None:
        """Join neighbours that are one value, as -0.0 and 0.0 are, or the same value in two blocks."""
        import numpy as np
        import pyarrow.compute as pc

        if len(self.values) < 2:
            return
        differs = pc.not_equal(self.values[1:], self.values[:-1]).to_numpy(zero_copy_only=False)
        if not differs.all():
            starts = np.concatenate(([0], np.flatnonzero(differs) + 1))
            self.counts = np.add.reduceat(self.counts, starts)
            self.values = self.values.take(starts)

    @property
    def rows(self) -> int:
        """Number of rows, missing ones included."""
        return self.count + self.missing

    @property
    def distinct(self) -> int:
        """Number of distinct present values."""
        return len(self.values)

    @property
    def low(self) -> Any:
        """The least value, or None."""
        return python_value(self.values[0]) if self.distinct else None

    @property
    def high(self) -> Any:
        """The greatest value, or None."""
        return python_value(self.values[-1]) if self.distinct else None

    @cached_property
    def finite_range(self) -> tuple[pa.Scalar, pa.Scalar]:
        """The least and the greatest finite value as Arrow scalars, null where there is none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = self.values
        if self.kind == "float":
            values = values.filter(pc.is_finite(values))
        if not len(values):
            return pa.scalar(None, values.type), pa.scalar(None, values.type)
        return values[0], values[-1]

    @cached_property
    def floats(self) -> Any:
        """The values of a number column as a numpy array of float64."""
        import pyarrow as pa

        return self.values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)

    @cached_property
    def _origin(self) -> int:
        """The least value of an integer column, from which the others are a small way."""
        return int(self.low)

    @cached_property
    def _offsets(self) -> Any:
        """Values relative to the least one where that is exact (integers within 2**62 of it), else as floats."""
        if self.kind == "integer" and self.high - self.low < 2**62:
            whole = self._wide()
            return (whole - whole[0]).astype("float64")
        return self.floats

    @cached_property
    def mean(self) -> float | None:
        """The arithmetic mean, or None without values or between infinities; integers are summed exactly."""
        import numpy as np

        if not self.count:
            return None
        if self.kind == "integer":
            return self._integer_total() / self.count
        with np.errstate(all="ignore"):
            total = math.fsum(self.floats * self.counts) if np.isfinite(self.floats).all() else float(self.floats.sum())
        return None if math.isnan(total) else total / self.count

    def _wide(self) -> Any:
        """The values of an integer column in 64 bits, signed or not as they are."""
        whole = self.values.to_numpy(zero_copy_only=False)
        return whole.astype("uint64" if whole.dtype.kind == "u" else "int64")

    def _integer_total(self) -> int:
        """The exact sum of an integer column: its high and low 32 bits are summed apart, where neither can wrap."""
        whole = self._wide()
        high = (whole >> 32).astype("int64")
        low = (whole & 0xFFFFFFFF).astype("int64")
        return (int((high * self.counts).sum()) << 32) + int((low * self.counts).sum())

    @cached_property
    def std(self) -> float | None:
        """The sample's standard deviation (n - 1), or None below two values or with an infinity among them."""
        import numpy as np

        if self.count < 2 or not np.isfinite(self.floats).all():
            return None
        offsets = self._offsets
        if offsets is self.floats:
            center = self.mean
        else:
            center = (self._integer_total() - self._origin * self.count) / self.count
        with np.errstate(over="ignore"):
            squares = math.fsum((offsets - center) ** 2 * self.counts)
        return math.sqrt(squares / (self.count - 1))

    @cached_property
    def skewness(self) -> float | None:
        """The sample's skewness, or None where it has none; see the function of that name."""
        if self.std is None or self.distinct < 2 or not 0 < self.std < math.inf:
            return None
        offsets = self._offsets
        scaled = (offsets - (offsets * (self.counts / self.count)).sum()) / self.std
        sums = [float((scaled**power * self.counts).sum()) for power in (1, 2, 3)]
        return skewness(self.count, *sums)

    def share(self, sign: Literal[0, -1]) -> float | None:
        """The share of zeros (0) or of negative values (-1) in a column of numbers, or None without values."""
        if not self.count:
            return None
        numbers = self.floats
        return int(self.counts[numbers == 0 if sign == 0 else numbers < 0].sum()) / self.count

    def rows_of(self, value: bool) -> int:
        """How many rows of a boolean column have this value."""
        return sum(int(rows) for found, rows in zip(self.values, self.counts, strict=True) if found.as_py() is value)

    @cached_property
    def _lengths(self) -> Any:
        """The lengths of a text column's values in code points, as a numpy array."""
        import pyarrow.compute as pc

        return pc.utf8_length(self.values).to_numpy(zero_copy_only=False).astype("int64")

    def length(self, which: Literal["min", "mean", "max"]) -> float | int | None:
        """The least, mean or greatest length of a text column's values in code points, or None without any."""
        if not self.count:
            return None
        if which == "mean":
            return int((self._lengths * self.counts).sum()) / self.count
        return int(getattr(self._lengths, which)())

    @property
    def unique(self) -> bool | None:
        """Whether no value occurs twice, or None without any."""
        return self.distinct == self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """The quantile by linear interpolation between order statistics (Hyndman and Fan 1996, type 7)."""
        if not self.count:
            return None
        position = (self.count - 1) * q
        below = math.floor(position)
        low, high = self._at(below), self._at(min(below + 1, self.count - 1))
        if low == high or position == below:
            return low
        value = low + (high - low) * (position - below)
        return None if math.isnan(value) else value

    @cached_property
    def _ranks(self) -> Any:
        return self.counts.cumsum()

    def _at(self, rank: int) -> float:
        """The value at a rank (from 0) among all rows, as float."""
        return float(self.floats[self._ranks.searchsorted(rank, side="right")])

    def histogram(self, edges: tuple[pa.Scalar, ...]) -> tuple[list[int], int, int]:
        """Counts per bin, and the rows below and above the edges."""
        if not edges:
            # Without a finite value to give edges, only infinities are left, or values that came with a later scope.
            negative = int(self.counts[self.floats < 0].sum()) if self.kind == "float" else 0
            return [], negative, self.count - negative
        ordinal = (lambda scalar: scalar.as_py()) if self.kind == "float" else to_steps
        points = [ordinal(edge) for edge in edges]

        def rows_below(point: Any, inclusive: bool) -> int:
            cut = bisect.bisect_right if inclusive else bisect.bisect_left
            index = cut(range(self.distinct), point, key=lambda position: ordinal(self.values[position]))
            return int(self._ranks[index - 1]) if index else 0

        cuts = [rows_below(point, inclusive=False) for point in points[:-1]] + [rows_below(points[-1], inclusive=True)]
        return [after - before for before, after in pairwise(cuts)], cuts[0], self.count - cuts[-1]

    def most_frequent(self, k: int) -> tuple[tuple[Any, int], ...]:
        """The k most frequent values with their numbers of rows; ties are broken by the value, ascending."""
        order = (-self.counts).argsort(kind="stable")[:k]
        return tuple((python_value(self.values[int(index)]), int(self.counts[index])) for index in order)
