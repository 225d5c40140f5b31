"""Values of filters against types of columns: what fits exactly, what lies between or beyond, what is no value."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from lazyflow.durations import UNITS_PER_SECOND, duration_seconds
from lazyflow.errors import InvalidValue
from lazyflow.moments import brought_near, date_text, day_of
from lazyflow.types import kind

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.expressions import Position

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_NON_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf}
_FRACTION = re.compile(r"([T ]\d{2}:\d{2}:\d{2})\.(\d+)")


class Operand(NamedTuple):
    """A value as the column's type can hold it, and where the asked value lies from it."""

    position: Position
    value: Any


def operand(value: Any, type: pa.DataType, where: str) -> Operand:
    """Place `value` among the values of `type`.

    Parameters
    ----------
    value
        A scalar as `State` keeps it, not None.
    type
        Canonical Arrow type of the column.
    where
        How an error names the place.

    Raises
    ------
    InvalidValue
        If the value has no place among values of that type.

    Examples
    --------
    >>> import pyarrow as pa
    >>> operand(1.5, pa.int64(), "filter on 'x'")
    Operand(position='above', value=1)
    >>> operand("2013-02-30", pa.date32(), "filter on 'day'")
    Traceback (most recent call last):
    lazyflow.errors.InvalidValue: filter on 'day': expected a date (YYYY-MM-DD), got '2013-02-30'
    """
    match kind(type):
        case "integer":
            return _integer(_number(value, where), type)
        case "float":
            return _float(_number(value, where), type)
        case "decimal":
            return _decimal(_number(value, where), type)
        case "text":
            return Operand("exact", _expect(value, str, "a text", where))
        case "boolean":
            return Operand("exact", _expect(value, bool, "true or false", where))
        case "date":
            return _date(value, where)
        case "timestamp":
            return _timestamp(value, type, where)
        case "time":
            return _time(value, type, where)
        case "duration":
            return _duration(value, type, where)
        case "binary":
            return _binary(value, where)
    raise InvalidValue(f"{where}: values of type {type} cannot be compared")


def _expect(value: Any, expected: type, words: str, where: str) -> Any:
    if isinstance(value, expected):
        return value
    raise InvalidValue(f"{where}: expected {words}, got {value!r}")


def _number(value: Any, where: str) -> int | float | decimal.Decimal:
    if isinstance(value, bool):
        raise InvalidValue(f"{where}: expected a number, got {value!r}")
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and value in _NON_FINITE:
        return _NON_FINITE[value]
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+\.\d+", value):  # a Decimal, as State keeps it
        return decimal.Decimal(value)
    raise InvalidValue(f"{where}: expected a number, got {value!r}")


def _integer(value: int | float | decimal.Decimal, type: pa.DataType) -> Operand:
    signed = str(type).startswith("int")
    lowest = -(2 ** (type.bit_width - 1)) if signed else 0
    highest = 2 ** (type.bit_width - signed) - 1
    if value > highest:
        return Operand("highest", None)
    if value < lowest:
        return Operand("lowest", None)
    floor = math.floor(value)
    return Operand("exact" if floor == value else "above", floor)


def _float(value: int | float | decimal.Decimal, type: pa.DataType) -> Operand:
    """The float of the type's width that is nearest; a number beyond the greatest lies between it and infinity."""
    if isinstance(value, float) and math.isinf(value):
        return Operand("exact", value)
    try:
        nearest = float(value)
        if type.bit_width == 32:
            (nearest,) = struct.unpack("f", struct.pack("f", nearest))
    except OverflowError:
        nearest = math.inf
    if math.isfinite(nearest):
        return Operand("exact", nearest)
    greatest = 3.4028234663852886e38 if type.bit_width == 32 else 1.7976931348623157e308
    return Operand("above", greatest if value > 0 else -math.inf)


def _decimal(value: int | float | decimal.Decimal, type: Any) -> Operand:
    if isinstance(value, float) and math.isinf(value):
        return Operand("highest" if value > 0 else "lowest", None)
    with decimal.localcontext(prec=1000):
        asked = decimal.Decimal(repr(value)) if isinstance(value, float) else decimal.Decimal(value)
        step = decimal.Decimal(1).scaleb(-type.scale)
        largest = decimal.Decimal(10) ** (type.precision - type.scale) - step
        if asked > largest:
            return Operand("highest", None)
        if asked < -largest:
            return Operand("lowest", None)
        floor = asked.quantize(step, rounding=decimal.ROUND_FLOOR)
        if floor < -largest:
            return Operand("lowest", None)
        return Operand("exact" if floor == asked else "above", format(floor, "f"))


def _date(value: Any, where: str) -> Operand:
    words = "a date (YYYY-MM-DD)"
    text = _expect(value, str, words, where)
    try:
        days = day_of(text)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}") from error
    return _within(days, 32) or Operand("exact", date_text(days))


def _within(count: int, bits: int) -> Operand | None:
    """Where an operand lies that a type of so many bits has no number for; None where it has one."""
    if -(2 ** (bits - 1)) < count < 2 ** (bits - 1):
        return None
    return Operand("highest" if count > 0 else "lowest", None)


def _timestamp(value: Any, type: Any, where: str) -> Operand:
    """A timestamp as text in the column's unit; a zoned column is compared in UTC, text without an offset is UTC."""
    words = "a timestamp (YYYY-MM-DD[ HH:MM[:SS[.fraction]]]" + ("[offset])" if type.tz else " without an offset)")
    text = _expect(value, str, words, where)
    whole, fraction = _split_fraction(text)
    near, later = brought_near(whole)
    try:
        moment = datetime.datetime.fromisoformat(near)
    except ValueError as error:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}") from error
    if moment.tzinfo is not None:
        if type.tz is None:
            raise InvalidValue(f"{where}: expected {words}, got {value!r}")
        try:
            moment = moment.astimezone(datetime.UTC)
        except OverflowError as error:
            raise InvalidValue(f"{where}: {value!r} is outside the years 1 to 9999 in UTC") from error
    since = moment.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)
    digits, days = _DIGITS[type.unit], since.days + later
    count = (days * 86_400 + since.seconds) * 10**digits + int(fraction[:digits].ljust(digits, "0") or 0)
    day = date_text(days)  # beyond Python's years with its sign
    return _within(count, 64) or _at_unit(moment.strftime("%H:%M:%S"), day + " ", fraction, type, "+00:00")


def _time(value: Any, type: Any, where: str) -> Operand:
    words = "a time of day (HH:MM[:SS[.fraction]])"
    text = _expect(value, str, words, where)
    whole, fraction = _split_fraction("T" + text)
    try:
        moment = datetime.time.fromisoformat(whole)
    except ValueError as error:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}") from error
    if moment.tzinfo is not None:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}")
    return _at_unit(moment.strftime("%H:%M:%S"), "", fraction, type, "")


def _duration(value: Any, type: Any, where: str) -> Operand:
    """A duration as a number of the column's units, in which it is compared."""
    words = "a duration (ISO 8601, such as PT1H30M or -P1DT0.5S)"
    seconds = duration_seconds(_expect(value, str, words, where))
    if seconds is None:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}")
    count = seconds * UNITS_PER_SECOND[type.unit]
    floor = math.floor(count)
    return _within(floor, 64) or Operand("exact" if floor == count else "above", floor)


def _binary(value: Any, where: str) -> Operand:
    words = "bytes in hexadecimal (such as 0x00ff)"
    text = _expect(value, str, words, where)
    try:
        return Operand("exact", bytes.fromhex(text.removeprefix("0x")))
    except ValueError as error:
        raise InvalidValue(f"{where}: expected {words}, got {value!r}") from error


def _split_fraction(text: str) -> tuple[str, str]:
    """A text without the fraction of its seconds, and that fraction's digits: Python would cut it to microseconds."""
    found = _FRACTION.search(text)
    return (_FRACTION.sub(r"\1", text), found.group(2)) if found else (text, "")


def _at_unit(clock: str, before: str, fraction: str, type: Any, offset: str) -> Operand:
    """The moment floored to the unit of the type: "exact" if nothing was cut, else "above" what is left."""
    digits = _DIGITS[type.unit]
    kept = fraction[:digits].ljust(digits, "0")
    exact = not fraction[digits:].strip("0")
    text = before + clock + (f".{kept}" if kept else "")
    if offset and getattr(type, "tz", None):
        text += offset
    return Operand("exact" if exact else "above", text)
