"""Columns, and fields of structs, by the names that filters and sorts give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lazyflow.errors import UnknownName

if TYPE_CHECKING:
    import pyarrow as pa


class FieldPath(NamedTuple):
    """A column, the places of the fields that lead into it (none for the column itself), and the type at their end."""

    column: str
    places: tuple[int, ...]
    type: pa.DataType


def find_field(name: str, schema: Mapping[str, pa.DataType]) -> FieldPath:
    """The column of that name, or the field of a struct that it leads to, as in `address.city`.

    A column of just that name comes first; else the longest name of a struct column before a dot, and so on within.

    Raises
    ------
    UnknownName
        Where there is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> schema = {"address": pa.struct([("city", pa.string())]), "a.b": pa.int64()}
    >>> find_field("address.city", schema).places, find_field("a.b", schema).places
    ((0,), ())
    >>> find_field("address.town", schema)
    Traceback (most recent call last):
    lazyflow.errors.UnknownName: unknown field of 'address' 'town'; expected one of: city
    """
    if name in schema:
        return FieldPath(name, (), schema[name])
    first = _longest_prefix(name, [column for column in schema if _fields(schema[column])])
    if first is None:
        raise UnknownName.of("column", name, schema)
    type, places, rest, within = schema[first], [], name[len(first) + 1 :], first
    while True:
        known = _fields(type)
        step = rest if rest in known else _longest_prefix(rest, [field for field in known if _fields(known[field])])
        if step is None:
            raise UnknownName.of(f"field of {within!r}", rest, known)
        places.append([field.name for field in type].index(step))
        type = type.field(places[-1]).type
        if step == rest:
            return FieldPath(first, tuple(places), type)
        rest, within = rest[len(step) + 1 :], f"{within}.{step}"


def _longest_prefix(name: str, known: list[str]) -> str | None:
    return max((start for start in known if name.startswith(start + ".")), key=len, default=None)


def _fields(type: pa.DataType) -> dict[str, pa.DataType]:
    """The fields of a struct, by name; none for any other type."""
    import pyarrow.types as pat

    return {field.name: field.type for field in type} if pat.is_struct(type) else {}
