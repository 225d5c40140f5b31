"""The rules of statistics as slow and obvious Python, in whole numbers and fractions until the last step."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lazyflow.statistics.results import Histogram
from lazyflow.testing.judge import Column, Frame

NOT_FOR_TYPE: Final = "not for this type"
"""The cell says that the statistic has no meaning for the column's type."""

NOT_ASKED: Final = "not asked"
"""The rules leave it open: a quantile beside an infinity, the mean of numbers whose sum no float holds."""

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP, BINS = 10, 20
LARGEST = Fraction(1e150)
"""Above it, squares and sums of floats leave their range: deviations are not asked."""

BY_ORDER = ("first", "last", "monotonic")
"""These have a meaning only where the rows have an order."""

SMALLEST_SPREAD = 1e-150

NUMBERS = {"integer", "float", "decimal"}
TEMPORAL = {"date", "timestamp", "time"}


def statistics(column: Column, origin: Column) -> dict[str, Any]:
    """All statistics of a column; `origin` is the same column in the scope that gives the histogram its edges."""
    nested = column.kind in {"duration", "binary", "list", "other"}
    present = column.present
    return {
        "count": len(present),
        "missing": len(column.values) - len(present),
        "distinct": NOT_FOR_TYPE if nested else len(set(present)),
        "min": NOT_FOR_TYPE if nested else min(present, default=None),
        "max": NOT_FOR_TYPE if nested else max(present, default=None),
        "mean": mean(present) if column.kind in NUMBERS else NOT_FOR_TYPE,
        "std": deviation(present) if column.kind in NUMBERS else NOT_FOR_TYPE,
        "zero_share": share(present, lambda value: value == 0) if column.kind in NUMBERS else NOT_FOR_TYPE,
        "negative_share": share(present, lambda value: value < 0) if column.kind in NUMBERS else NOT_FOR_TYPE,
        "true_count": present.count(True) if column.kind == "boolean" else NOT_FOR_TYPE,
        "false_count": present.count(False) if column.kind == "boolean" else NOT_FOR_TYPE,
        "min_length": min(map(len, present), default=None) if column.kind == "text" else NOT_FOR_TYPE,
        "mean_length": mean([len(text) for text in present]) if column.kind == "text" else NOT_FOR_TYPE,
        "max_length": max(map(len, present), default=None) if column.kind == "text" else NOT_FOR_TYPE,
        "skewness": skewness(present) if column.kind in NUMBERS else NOT_FOR_TYPE,
        "quantiles": {q: quantile(present, q) for q in QUANTILES} if column.kind in NUMBERS else NOT_FOR_TYPE,
        "histogram": histogram(present, edges(origin)) if column.kind in NUMBERS | TEMPORAL else NOT_FOR_TYPE,
        "top_values": NOT_FOR_TYPE if nested else most_frequent(present),
        "unique": NOT_FOR_TYPE if nested else len(set(present)) == len(present) if present else None,
        "first": NOT_FOR_TYPE if nested else present[0] if present else None,
        "last": NOT_FOR_TYPE if nested else present[-1] if present else None,
        "monotonic": NOT_FOR_TYPE if nested else monotonic(present),
    }


def of_scopes(scopes: Mapping[str, Frame]) -> dict[str, dict[str, dict[str, Any]]]:
    """Scope -> column -> statistic -> value. The first scope in which a column has its type gives the edges."""
    frames = list(scopes.values())

    def origin(column: Column) -> Column:
        same = (other for frame in frames for other in frame.columns)
        return next(other for other in same if (other.name, other.type) == (column.name, column.type))

    return {
        scope: {column.name: statistics(column, origin(column)) for column in frame.columns}
        for scope, frame in scopes.items()
    }


def is_infinite(value: Any) -> bool:
    """Whether a number is an infinity."""
    return isinstance(value, float) and math.isinf(value)


def mean(present: Sequence[Any]) -> Any:
    """The mean; infinite where one infinity is among the values, none where both are."""
    infinite = {value for value in present if is_infinite(value)}
    if not present or len(infinite) == 2:
        return None
    if infinite:
        return infinite.pop()
    total = sum(map(Fraction, present), Fraction(0))
    if any(isinstance(value, float) for value in present) and sum(abs(Fraction(value)) for value in present) > Fraction(
        1.7e308
    ):
        return NOT_ASKED
    return float(total / len(present))


def deviation(present: Sequence[Any]) -> Any:
    """The sample's standard deviation (n - 1); none below two values, or where it would be infinite."""
    if len(present) < 2 or any(is_infinite(value) for value in present):
        return None
    numbers = [Fraction(value) for value in present]
    if max(abs(number) for number in numbers) > LARGEST:
        return NOT_ASKED
    center = sum(numbers, Fraction(0)) / len(numbers)
    variance = sum((number - center) ** 2 for number in numbers) / (len(numbers) - 1)
    return math.sqrt(variance)


def skewness(present: Sequence[Any]) -> Any:
    """As pandas has it (adjusted Fisher-Pearson); none below three values, or where they do not differ."""
    spread = deviation(present)
    if spread is None or len(present) < 3 or len(set(present)) == 1 or spread == NOT_ASKED:
        return None if spread != NOT_ASKED else NOT_ASKED
    numbers = [Fraction(value) for value in present]
    if spread < SMALLEST_SPREAD:
        return NOT_ASKED  # its square is no float
    count, center = len(numbers), sum(numbers, Fraction(0)) / len(numbers)
    second, third = (sum((number - center) ** power for number in numbers) / count for power in (2, 3))
    biased = float(third**2 / second**3) ** 0.5 * (1 if third > 0 else -1)
    return biased * math.sqrt(count * (count - 1)) / (count - 2)


def share(present: Sequence[Any], condition: Callable[[Any], bool]) -> float | None:
    """Which part of the values meets a condition."""
    return sum(map(condition, present)) / len(present) if present else None


def monotonic(present: Sequence[Any]) -> str | None:
    """Whether the values, in the order of their rows, never fall or never rise."""
    if not present:
        return None
    rises = any(before < after for before, after in pairwise(present))
    falls = any(before > after for before, after in pairwise(present))
    return {(False, False): "constant", (True, False): "increasing", (False, True): "decreasing"}.get(
        (rises, falls), "no"
    )


def quantile(present: Sequence[Any], q: float) -> Any:
    """Linear interpolation between the two nearest values in order (type 7 of Hyndman and Fan)."""
    if not present:
        return None
    ascending = sorted(present)
    place = (len(ascending) - 1) * Fraction(str(q))
    low, high = ascending[math.floor(place)], ascending[min(math.floor(place) + 1, len(ascending) - 1)]
    if is_infinite(low) or is_infinite(high):
        return NOT_ASKED  # engines interpolate with no weight and an infinity, which is NaN
    return float(Fraction(low) + (Fraction(high) - Fraction(low)) * (place - math.floor(place)))


def most_frequent(present: Sequence[Any]) -> tuple[tuple[Any, int], ...]:
    """The ten most frequent values with their counts; ties are broken by the value."""
    counts = Counter(present)
    by_value = sorted(counts)
    return tuple((value, counts[value]) for value in sorted(by_value, key=lambda value: -counts[value])[:TOP])


def edges(origin: Column) -> tuple[Any, ...]:
    """At most twenty equal bins over the finite values: whole steps where the type has a smallest one."""
    finite = [value for value in origin.present if not is_infinite(value)]
    if not finite:
        return ()
    low, high = min(finite), max(finite)
    if low == high:
        return (low, high)
    if origin.kind == "float":
        return _float_edges(low, high, origin.type.bit_width)
    to_steps, from_steps = _steps(origin.type)
    first, last = to_steps(low), to_steps(high)
    width = math.ceil(Fraction(last - first + 1, BINS))
    bins = math.ceil(Fraction(last - first + 1, width))
    if first + bins * width <= _greatest(origin.type, last):
        return tuple(from_steps(first + part * width) for part in range(bins + 1))
    return (*(from_steps(step) for step in range(first, last, width)), high)


def _greatest(type: pa.DataType, highest: int) -> int:
    """The greatest number of steps that the type holds, for moments up to the year 9999 within that year."""
    if pa.types.is_integer(type):
        signed = str(type).startswith("int")
        return int(2 ** (type.bit_width - signed)) - 1
    if pa.types.is_decimal(type):
        return int(10**type.precision) - 1
    days = (datetime.date.max - datetime.date(1970, 1, 1)).days
    if pa.types.is_date(type):
        return days if highest <= days else 2**31 - 1
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[type.unit]
    if pa.types.is_time(type):
        return int(86_400 * per_second - 1)
    end = (days + 1) * 86_400 * per_second - 1
    return int(min(end, 2**63 - 1)) if highest <= end else 2**63 - 1


def _float_edges(low: float, high: float, bits: int) -> tuple[float, ...]:
    """Twentieths of the way, as the column's width holds them; each is kept once, in order."""
    result = [low]
    for part in range(1, BINS):
        point = low * (1 - part / BINS) + high * (part / BINS)
        point = float(np.float32(point)) if bits == 32 else point
        if result[-1] < point < high:
            result.append(point)
    return (*result, high)


def _steps(type: pa.DataType) -> tuple[Callable[[Any], int], Callable[[int], Any]]:
    if pa.types.is_decimal(type):
        wide = Context(prec=100)
        return lambda value: int(Fraction(value) * 10**type.scale), lambda step: wide.scaleb(Decimal(step), -type.scale)
    return int, lambda step: step


def histogram(present: Sequence[Any], points: tuple[Any, ...]) -> Histogram:
    """Counts between edges: lower edge in, upper edge out, but for the last bin; the rest is below or above."""
    if not points:
        below = sum(is_infinite(value) and value < 0 for value in present)
        return Histogram((), (), below, len(present) - below)
    inner = list(pairwise(points))
    counts = [sum(low <= value < high for value in present) for low, high in inner]
    counts[-1] = sum(inner[-1][0] <= value <= inner[-1][1] for value in present)
    below, above = sum(value < points[0] for value in present), sum(value > points[-1] for value in present)
    return Histogram(points, tuple(counts), below, above)
