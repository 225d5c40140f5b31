"""The types of columns as callers see them: Arrow types in one canonical form, and the kinds that rules speak of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from lazyflow.durations import UNITS_PER_SECOND
from lazyflow.moments import date_text, is_far_day, moment_text

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

    Dictionaries and runs become their values, extension types what they store, the several layouts of text, binary,
    lists and decimals one, zoned timestamps UTC, unions structs; identifiers, calendar intervals and decimals of more
    than 38 digits, for which engines have no type, become text. So within lists, maps and structs too.

    >>> import pyarrow as pa
    >>> canonical(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    >>> canonical(pa.timestamp("us", "Europe/Berlin"))
    TimestampType(timestamp[us, tz=UTC])
    >>> canonical(pa.large_list(pa.field("element", pa.large_string())))
    ListType(list<item: string>)
    >>> canonical(pa.decimal256(38, 2)), canonical(pa.decimal256(39, 2))
    (Decimal128Type(decimal128(38, 2)), DataType(string))
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if isinstance(type, pa.BaseExtensionType):
        named = {"arrow.uuid": pa.string(), "arrow.bool8": pa.bool_()}
        return named.get(type.extension_name) or canonical(type.storage_type)
    if pat.is_dictionary(type) or pat.is_run_end_encoded(type):
        return canonical(type.value_type)
    if pat.is_large_string(type) or pat.is_string_view(type) or pat.is_interval(type):
        return pa.string()
    if pat.is_large_binary(type) or pat.is_binary_view(type) or pat.is_fixed_size_binary(type):
        return pa.binary()
    if pat.is_float16(type):
        return pa.float32()
    if pat.is_date64(type):
        return pa.date32()
    if pat.is_decimal(type):
        return _canonical_decimal(type.precision, type.scale)
    if pat.is_timestamp(type) and type.tz is not None:
        return pa.timestamp(type.unit, "UTC")
    if is_list(type):
        return pa.list_(canonical(type.value_type))
    if pat.is_map(type):
        return pa.map_(canonical(type.key_type), canonical(type.item_type))
    if pat.is_struct(type) or pat.is_union(type):
        fields = [type.field(position) for position in range(type.num_fields)]
        return pa.struct([pa.field(field.name, canonical(field.type)) for field in fields])
    return type


def _canonical_decimal(precision: int, scale: int) -> pa.DataType:
    """Scales lie between 0 and the precision: others are of another one, with as many digits as it then needs."""
    import pyarrow as pa

    precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
    return pa.decimal128(precision, scale) if precision <= 38 else pa.string()


def is_list(type: pa.DataType) -> bool:
    """Whether values of the type are lists, in whichever layout."""
    import pyarrow.types as pat

    layouts = (pat.is_list, pat.is_large_list, pat.is_fixed_size_list, pat.is_list_view, pat.is_large_list_view)
    return any(layout(type) for layout in layouts)


def python_value(scalar: pa.Scalar) -> Any:
    """A scalar as a Python value; as ISO text what Python has no value for, within lists, maps and structs too.

    These are times of day finer than microseconds, and dates and timestamps beyond the years 1 to 9999.

    >>> import pyarrow as pa
    >>> python_value(pa.scalar(1, pa.time64("ns"))), python_value(pa.scalar(1000, pa.time64("ns")))
    ('00:00:00.000000001', datetime.time(0, 0, 0, 1))
    >>> python_value(pa.scalar(4_000_000, pa.int32()).cast(pa.date32()))
    '+12921-08-18'
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if not scalar.is_valid:
        return None
    type = scalar.type
    if is_far(scalar):
        text = date_text if pat.is_date(type) else partial(moment_text, unit=type.unit, zoned=type.tz is not None)
        return text(scalar.value)
    if pat.is_time(type) and type.unit == "ns" and scalar.value % 1000:
        return str(scalar.cast(pa.string()).as_py())
    if pat.is_map(type):
        return [(python_value(pair["key"]), python_value(pair["value"])) for pair in scalar.values]
    if is_list(type):
        return [python_value(item) for item in scalar]
    if pat.is_struct(type):
        return {name: python_value(item) for name, item in scalar.items()}
    return scalar.as_py()


def is_far(scalar: pa.Scalar) -> bool:
    """Whether a scalar is a date or timestamp beyond the years that Python has."""
    import pyarrow.types as pat

    type = scalar.type
    if not scalar.is_valid or not (pat.is_date32(type) or pat.is_timestamp(type)):
        return False
    days = scalar.value if pat.is_date32(type) else scalar.value // (UNITS_PER_SECOND[type.unit] * 86_400)
    return is_far_day(days)


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
