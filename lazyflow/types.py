"""The types of columns as callers see them: Arrow types in one canonical form, and the kinds that rules speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal[
    "integer", "float", "decimal", "text", "boolean", "date", "timestamp", "time", "duration", "binary", "list", "other"
]
"""What the rules distinguish; "other" (structs, maps, null) is shown and counted as missing or not."""

KINDS: frozenset[Kind] = frozenset(get_args(Kind))

NUMBERS: frozenset[Kind] = frozenset({"integer", "float", "decimal"})
TEMPORAL: frozenset[Kind] = frozenset({"date", "timestamp", "time"})
ORDERED: frozenset[Kind] = NUMBERS | TEMPORAL | {"text", "boolean"}
COMPARABLE: frozenset[Kind] = ORDERED | {"duration", "binary"}
"""What filters compare and sorts order; those that are not `ORDERED` have no statistics of their values yet."""


def canonical(type: pa.DataType) -> pa.DataType:
    """The Arrow type under which values of `type` are handed out, the same on every engine.

    Dictionaries become their values, the several layouts of text, binary and lists one, zoned timestamps UTC; so within
    lists and structs too.

    >>> import pyarrow as pa
    >>> canonical(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    >>> canonical(pa.timestamp("us", "Europe/Berlin"))
    TimestampType(timestamp[us, tz=UTC])
    >>> canonical(pa.large_list(pa.field("element", pa.large_string())))
    ListType(list<item: string>)
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
    if is_list(type):
        return pa.list_(canonical(type.value_type))
    if pat.is_struct(type):
        return pa.struct([pa.field(field.name, canonical(field.type)) for field in type])
    return type


def is_list(type: pa.DataType) -> bool:
    """Whether values of the type are lists, in whichever layout."""
    import pyarrow.types as pat

    return bool(pat.is_list(type) or pat.is_large_list(type) or pat.is_fixed_size_list(type))


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
    >>> kind(pa.uint8()), kind(pa.string()), kind(pa.list_(pa.int8())), kind(pa.null())
    ('integer', 'text', 'list', 'other')
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
    if pat.is_duration(type):
        return "duration"
    if pat.is_binary(type):
        return "binary"
    if is_list(type):
        return "list"
    return "other"
