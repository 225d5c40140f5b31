"""Values in the form that JSON has, for programs: nothing is cut, and no type that JSON lacks is left."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazyflow.durations import duration_text
from lazyflow.statistics.results import Cell, Histogram
from lazyflow.types import TEMPORAL, kind

if TYPE_CHECKING:
    import pyarrow as pa

_FRACTION = re.compile(r"\.(\d*?)0+(?=$|Z$)")
_BETWEEN = re.compile(r"(?<=\d) (?=\d)")  # a date and a time; Arrow writes `<value out of range: 1>` too


def python_values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; temporal ones as ISO text, since Python's own types cut nanoseconds and years."""
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_duration(column.type):
        unit = column.type.unit
        return [None if count is None else duration_text(count, unit) for count in column.cast(pa.int64()).to_pylist()]
    if kind(column.type) in TEMPORAL:
        return [None if value is None else iso(value) for value in column.cast(pa.string()).to_pylist()]
    return [_python_value(value) for value in column]


def _python_value(value: pa.Scalar) -> Any:
    """The value, or its type where Python has no such value (nested dates after the year 9999)."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return f"<{value.type}>"


def iso(text: str) -> str:
    """Arrow's text of a date or time as ISO 8601, without zeros that say nothing.

    >>> iso("2013-01-01 10:00:00.500000Z"), iso("10:00:00.000"), iso("2013-01-01")
    ('2013-01-01T10:00:00.5Z', '10:00:00', '2013-01-01')
    """
    text = _FRACTION.sub(lambda found: f".{found[1]}" if found[1] else "", text)
    return _BETWEEN.sub("T", text, count=1)


def iso_of(value: datetime.date | datetime.time) -> str:
    """A date, time or timestamp of Python (or pandas) in the form in which `iso` gives those of Arrow."""
    return iso(value.isoformat().replace("+00:00", "Z"))


def plain(value: Any) -> Any:
    """A value as JSON has it: missing as null, infinities, dates, times and decimals as text, bytes in hexadecimal.

    >>> plain({"a": [float("nan"), float("inf")]})
    {'a': [None, 'Infinity']}
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Histogram):
        return {
            "edges": plain(value.edges), "counts": plain(value.counts), "below": value.below, "above": value.above
        }  # fmt: skip
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.date | datetime.time):
        return iso_of(value)
    return str(value)


def cell_json(cell: Cell) -> dict[str, Any]:
    """A cell as JSON: its value and basis, or its error and the class of it."""
    if cell.error is not None:
        return {"error": str(cell.error), "kind": type(cell.error).__name__}
    return {"value": plain(cell.value), "basis": cell.basis}
