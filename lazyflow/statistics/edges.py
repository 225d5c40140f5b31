"""Edges of histograms: whole-number arithmetic for everything that has a smallest step, floats else."""

from __future__ import annotations

import decimal
import math
import struct
from typing import TYPE_CHECKING, Any

from lazyflow.durations import UNITS_PER_SECOND
from lazyflow.types import is_far, kind

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 20
"""Most bins of a histogram."""


def edges(low: Any, high: Any, type: pa.DataType) -> tuple[pa.Scalar, ...]:
    """Edges that divide [low, high] into at most `BINS` equal bins.

    Parameters
    ----------
    low, high
        The least and the greatest finite value as Arrow scalars of `type`; null where there is none.
    type
        Canonical Arrow type: a number, a date, a timestamp or a time.

    Returns
    -------
    tuple of Arrow scalars of `type`
        Empty where there is no value, twice the value where there is one only. Types with a smallest step (integers,
        dates, timestamps, times, decimals) get bins of equally many steps, so that 1 to 12 are 12 bins; the last edge
        lies beyond the greatest value, unless the type, or the year 9999 of that value, ends before.

    Examples
    --------
    >>> import pyarrow as pa
    >>> [edge.as_py() for edge in edges(pa.scalar(1), pa.scalar(12), pa.int64())]
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    >>> len(edges(pa.scalar(0.0), pa.scalar(1.0), pa.float64()))
    21
    """
    import pyarrow as pa

    if not low.is_valid:
        return ()
    if kind(type) == "float":
        return tuple(pa.scalar(edge, type) for edge in _float_edges(low.as_py(), high.as_py(), type.bit_width))
    first, last = to_steps(low), to_steps(high)
    if first == last:
        return (low, high)
    width = -((first - last - 1) // BINS)
    steps = list(range(first, last + 1, width))
    top = steps[-1] + width
    if not _fits(top, type) or (is_far(from_steps(top, type)) and not is_far(high)):
        top = last
        steps = [step for step in steps if step < last]
    return tuple(from_steps(step, type) for step in [*steps, top])


def just_below(edge: pa.Scalar) -> pa.Scalar | None:
    """The greatest value of an edge's type that is less, or None where there is none.

    >>> import pyarrow as pa
    >>> just_below(pa.scalar(3)).as_py(), just_below(pa.scalar(0, pa.uint8()))
    (2, None)
    """
    return _beside(edge, -1)


def just_above(edge: pa.Scalar) -> pa.Scalar | None:
    """The least value of an edge's type that is greater, or None where there is none."""
    return _beside(edge, 1)


def _beside(edge: pa.Scalar, steps: int) -> pa.Scalar | None:
    import numpy as np
    import pyarrow as pa

    if kind(edge.type) == "float":
        beside = np.nextafter(edge.as_py(), steps * math.inf, dtype=f"float{edge.type.bit_width}")
        return pa.scalar(float(beside), edge.type) if np.isfinite(beside) else None
    step = to_steps(edge) + steps
    return from_steps(step, edge.type) if _fits(step, edge.type) else None


def _fits(steps: int, type: pa.DataType) -> bool:
    """Whether a type can hold what is so many smallest steps."""
    import pyarrow as pa

    if kind(type) == "time":  # Arrow takes 24:00 for 00:00
        return 0 <= steps < 86_400 * UNITS_PER_SECOND[type.unit]
    try:
        from_steps(steps, type)
    except (pa.ArrowException, OverflowError, ValueError):
        return False
    return True


def _float_edges(low: float, high: float, bits: int) -> list[float]:
    if low == high:
        return [low, high]
    points = [low * (1 - part / BINS) + high * (part / BINS) for part in range(1, BINS)]
    ascending = [low]
    for point in points:
        rounded = _round_float(point, bits)
        if ascending[-1] < rounded < high and math.isfinite(rounded):
            ascending.append(rounded)
    return [*ascending, high]


def _round_float(value: float, bits: int) -> float:
    """The value as a float of so many bits holds it, so that an edge equals itself after a trip through the engine."""
    return value if bits == 64 else float(struct.unpack("f", struct.pack("f", value))[0])


def to_steps(scalar: pa.Scalar) -> int:
    """A scalar as a number of its type's smallest steps."""
    type = scalar.type
    if kind(type) == "integer":
        return int(scalar.as_py())
    if kind(type) == "decimal":
        with decimal.localcontext(prec=100):
            return int(scalar.as_py().scaleb(type.scale))
    return int(scalar.value)


def from_steps(steps: int, type: pa.DataType) -> pa.Scalar:
    """The scalar of `type` that is so many smallest steps."""
    import pyarrow as pa

    if kind(type) == "integer":
        return pa.scalar(steps, type)
    if kind(type) == "decimal":
        with decimal.localcontext(prec=100):
            return pa.scalar(decimal.Decimal(steps).scaleb(-type.scale), type)
    width = pa.int32() if type.bit_width == 32 else pa.int64()
    return pa.scalar(steps, width).cast(type)
