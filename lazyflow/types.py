"""The types of columns as callers see them: Arrow types in one canonical form, and the kinds that rules speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["integer", "float", "decimal", "text", "boolean", "date", "timestamp", "time", "other"]
"""What the rules distinguish; "other" (nested, binary, duration, null) is shown and counted as missing or not."""

NUMBERS: frozenset[Kind] = frozenset({"integer", "float", "decimal"})
TEMPORAL: frozenset[Kind] = frozenset({"date", "timestamp", "time"})
ORDERED: frozenset[Kind] = NUMBERS | TEMPORAL | {"text", "boolean"}


def canonical(type: pa.DataType) -> pa.DataType:
    """The Arrow type under which values of `type` are handed out, the same on every engine.

    Dictionaries become their values, the several text and binary layouts one, zoned timestamps UTC.

    >>> import pyarrow as pa
    >>> canonical(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    >>> canonical(pa.timestamp("us", "Europe/Berlin"))
    TimestampType(timestamp[us, tz=UTC])
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_dictionary(type):
        return canonical(type.value_type)
    if pat.is_large_string(type) or pat.is_string_view(type):
        return pa.string()
    if pat.is_large_binary(type) or pat.is_binary_view(type) or pat.is_fixed_size_binary(type):
        return pa.binary()
    if pat.is_float16(type):
        return pa.float32()
    if pat.is_date64(type):
        return pa.date32()
    if pat.is_timestamp(type) and type.tz is not None:
        return pa.timestamp(type.unit, "UTC")
    return type


def python_value(scalar: pa.Scalar) -> Any:
    """A scalar as a Python value; a time of day finer than Python's microseconds as ISO text.

    >>> import pyarrow as pa
    >>> python_value(pa.scalar(1, pa.time64("ns"))), python_value(pa.scalar(1000, pa.time64("ns")))
    ('00:00:00.000000001', datetime.time(0, 0, 0, 1))
    """
    import pyarrow as pa

    if scalar.is_valid and scalar.type == pa.time64("ns") and scalar.value % 1000:
        return str(scalar.cast(pa.string()).as_py())
    return scalar.as_py()


def kind(type: pa.DataType) -> Kind:
    """The kind of a canonical Arrow type.

    >>> import pyarrow as pa
    >>> kind(pa.uint8()), kind(pa.string()), kind(pa.list_(pa.int8()))
    ('integer', 'text', 'other')
    """
    import pyarrow.types as pat

    if pat.is_integer(type):
        return "integer"
    if pat.is_floating(type):
        return "float"
    if pat.is_decimal(type):
        return "decimal"
    if pat.is_string(type):
        return "text"
    if pat.is_boolean(type):
        return "boolean"
    if pat.is_date(type):
        return "date"
    if pat.is_timestamp(type):
        return "timestamp"
    if pat.is_time(type):
        return "time"
    return "other"
