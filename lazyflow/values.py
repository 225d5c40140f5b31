"""Values in the form that JSON has, for programs: nothing is cut, and no type that JSON lacks is left."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazyflow.durations import UNITS_PER_SECOND, duration_text
from lazyflow.moments import FIRST_DAY, LAST_DAY
from lazyflow.statistics.results import Cell, Histogram
from lazyflow.types import TEMPORAL, kind, python_value

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
    if kind(column.type) in ("list", "other"):
        return [python_value(value) for value in column]
    if kind(column.type) not in TEMPORAL:
        return column.to_pylist()  # type: ignore[no-any-return]
    texts = [None if value is None else iso(value) for value in column.cast(pa.string()).to_pylist()]
    for row in _far_rows(column):
        texts[row] = python_value(column[row])
    return texts


def _far_rows(column: pa.ChunkedArray) -> list[int]:
    """Where a column has dates or timestamps beyond the years that Python has."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pat

    if pat.is_time(column.type) or (pat.is_timestamp(column.type) and column.type.unit == "ns"):
        return []  # 64 bits of nanoseconds end in 1677 and 2262
    day = 1 if pat.is_date(column.type) else UNITS_PER_SECOND[column.type.unit] * 86_400
    counts = column.cast(pa.int32() if pat.is_date32(column.type) else pa.int64()).cast(pa.int64())
    far = pc.or_(pc.less(counts, FIRST_DAY * day), pc.greater_equal(counts, (LAST_DAY + 1) * day))
    return [row for row, beyond in enumerate(far.to_pylist()) if beyond] if pc.any(far).as_py() else []


def any_far(column: pa.ChunkedArray) -> bool:
    """Whether a temporal column has a year that Python lacks, which Arrow has no text for."""
    return bool(_far_rows(column))


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
