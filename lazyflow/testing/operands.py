"""The judge of comparisons: a present value against what a filter names, by arithmetic without rounding."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from lazyflow.types import is_list, kind

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MOMENT = re.compile(
    r"(?P<date>(?:\d{4}|[+-]\d{4,})-\d\d-\d\d)?[T ]?"
    r"(?:(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?"
)


def holds(value: Any, operator: str, asked: Any, type: pa.DataType) -> bool:
    """Whether `value operator asked` is true, for a present value of a column of that type."""
    if operator in ("in", "not in"):
        wanted = [position(item, type) for item in asked if item is not None]
        return (value in wanted) == (operator == "in")
    if operator == "between":
        return None not in asked and all(
            holds(value, side, bound, type) for side, bound in zip((">=", "<="), asked, strict=True)
        )
    if asked is None:
        return False
    if is_list(type):
        assert operator == "contains"
        return any(item is not None and holds(item, "==", asked, type.value_type) for item in value)
    place = position(asked, type)
    match operator:
        case "==":
            return bool(value == place)
        case "!=":
            return bool(value != place)
        case "<":
            return bool(value < place)
        case "<=":
            return bool(value <= place)
        case ">":
            return bool(value > place)
        case ">=":
            return bool(value >= place)
        case "contains":
            return place in value
        case "starts with":
            return bool(value.startswith(place))
        case "ends with":
            return bool(value.endswith(place))
        case "matches":
            return re.search(_python_pattern(place), value) is not None
    raise AssertionError(f"the judge knows no operator {operator!r}")


_WORD = "0-9A-Za-z_"
_BOUNDARY = f"(?:(?<![{_WORD}])(?=[{_WORD}])|(?<=[{_WORD}])(?![{_WORD}]))"
_IN_PYTHON = {
    r"\d": "[0-9]", r"\D": "[^0-9]", r"\w": f"[{_WORD}]", r"\W": f"[^{_WORD}]", r"\s": r"[\t\n\f\r ]",
    r"\S": r"[^\t\n\f\r ]", r"\b": _BOUNDARY, r"\z": r"\Z", "$": r"\Z",
}  # fmt: skip


def _python_pattern(pattern: str) -> str:
    """A pattern in RE2's language as Python's `re` has it; (?m) beside $, and classes within others, are not judged."""
    return re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", lambda found: _IN_PYTHON.get(found[0], found[0]), pattern)


def position(asked: Any, type: pa.DataType) -> Any:
    """Where a filter's operand lies on the line of the column's values; it need not be one of them."""
    match kind(type):
        case "integer":
            return _number(asked)
        case "decimal":
            number = _number(asked)
            # A float means what its shortest text says: 0.1 finds 0.10.
            return Decimal(repr(number)) if isinstance(number, float) and math.isfinite(number) else number
        case "float":
            return _as_float(_number(asked), type.bit_width)
        case "date":
            return _days(asked)
        case "timestamp" | "time":
            return _moment(asked) * _UNITS[type.unit]
        case "duration":
            return _duration(asked) * _UNITS[type.unit]
        case "binary":
            return bytes.fromhex(asked.removeprefix("0x"))
    return asked


def _number(asked: Any) -> int | float | Decimal:
    if isinstance(asked, str):
        return {"Infinity": math.inf, "-Infinity": -math.inf}.get(asked) or Decimal(asked)
    number: int | float = asked
    return number


def _as_float(asked: int | float | Decimal, bits: int) -> Any:
    """The nearest float of the column's width, which is how the column would hold it; beyond its range as it is."""
    try:
        nearest = float(asked)
    except OverflowError:
        return asked
    if bits == 32:
        with np.errstate(over="ignore"):
            nearest = float(np.float32(nearest))
    return asked if math.isinf(nearest) else nearest


def _duration(text: str) -> Fraction:
    """Seconds of an ISO 8601 duration of days, hours, minutes and seconds."""
    found = re.fullmatch(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", text)
    assert found is not None, text
    days, hours, minutes, seconds = (Fraction(part or 0) for part in found.groups()[1:])
    return (-1 if found[1] else 1) * (days * 86400 + hours * 3600 + minutes * 60 + seconds)


def _days(text: str) -> int:
    """Days since 1970; NumPy has years of any size."""
    return int(np.datetime64(text.removeprefix("+"), "D").astype(np.int64))


def _moment(text: str) -> Fraction:
    """Seconds since 1970 (without a date, since midnight), in UTC."""
    found = _MOMENT.fullmatch(text)
    assert found is not None, text
    part = found.groupdict()
    days = _days(part["date"]) if part["date"] else 0
    clock = int(part["hour"] or 0) * 3600 + int(part["minute"] or 0) * 60 + int(part["second"] or 0)
    fraction = Fraction(int(part["fraction"]), 10 ** len(part["fraction"])) if part["fraction"] else Fraction(0)
    zone = part["zone"] or "Z"
    offset = 0 if zone == "Z" else int(zone[0] + "1") * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    return days * 86400 + clock - offset + fraction
