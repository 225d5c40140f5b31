"""The rules as slow and obvious Python: what the answers of every backend are compared with.

Nothing here calls the code that it judges. A table is a list of columns, a column a list of values, None is missing.
Values are in one exact, ordered form: temporal values as whole numbers of their type's unit (days for dates), so that
year 1 and nanoseconds are ordinary; numbers, text and booleans as Python has them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lazyflow.state import Condition, Filter, Sort, State
from lazyflow.testing.operands import holds
from lazyflow.types import Kind, canonical, is_list, kind


@dataclass(frozen=True)
class Column:
    """One column: its name, its canonical Arrow type, its values."""

    name: str
    type: pa.DataType
    values: tuple[Any, ...]

    @property
    def kind(self) -> Kind:
        """What the rules know the type as."""
        return kind(self.type)

    @property
    def present(self) -> list[Any]:
        """The values that are not missing, in the order of the rows."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True)
class Frame:
    """A table as the judge sees it."""

    columns: tuple[Column, ...]
    length: int

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def named(self, name: str) -> Column:
        """The column of that name; else the field of a struct that the path leads to, whose names have no dots."""
        if any(column.name == name for column in self.columns):
            return self[name]
        before, _, field = name.rpartition(".")
        whole = self.named(before)
        inner = tuple(None if value is None else value[field] for value in whole.values)
        return Column(name, canonical(whole.type.field(field).type), inner)

    def take(self, rows: Sequence[int]) -> Frame:
        """The rows at these positions, in this order."""
        columns = tuple(replace(column, values=tuple(column.values[row] for row in rows)) for column in self.columns)
        return Frame(columns, len(rows))


def frame(table: pa.Table) -> Frame:
    """An Arrow table as the judge sees it."""
    columns = [
        Column(name, canonical(column.type), values(column))
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return Frame(tuple(columns), table.num_rows)


def values(column: pa.ChunkedArray) -> tuple[Any, ...]:
    """The values of a column in the judge's form."""
    type = column.type
    if pat.is_dictionary(type):
        column = pa.chunked_array([chunk.dictionary_decode() for chunk in column.chunks], type.value_type)
        return values(column)
    if pat.is_date64(type):
        return values(column.cast(pa.date32()))
    if pat.is_struct(type):
        parts = [values(pc.struct_field(column, position)) for position in range(type.num_fields)]
        there = column.is_valid().to_pylist()
        names = [field.name for field in type]
        return tuple(
            dict(zip(names, row, strict=True)) if exists else None for exists, *row in zip(there, *parts, strict=True)
        )
    if is_list(type):
        inner = iter(values(pc.list_flatten(column)))
        return tuple(
            None if length is None else [next(inner) for _ in range(length)]
            for length in pc.list_value_length(column).to_pylist()
        )
    if pat.is_temporal(type):
        width = pa.int32() if type.bit_width == 32 else pa.int64()
        return tuple(column.cast(width).to_pylist())
    return tuple(without_nan(value) for value in column.to_pylist())


def without_nan(value: Any) -> Any:
    """The value with NaN, which is missing, as None; inside nested values too."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, tuple):
        return tuple(without_nan(item) for item in value)
    return value


def filtered(clean: Frame, state: State) -> Frame:
    """The rows that meet the search and every filter."""
    rows = [row for row in range(clean.length) if _found(clean, row, state.search) and _kept(clean, row, state.filters)]
    return clean.take(rows)


def _kept(clean: Frame, row: int, filters: Sequence[Condition]) -> bool:
    def meets(item: Condition) -> bool:
        return _meets(clean, row, item) if isinstance(item, Filter) else any(map(meets, item))

    return all(map(meets, filters))


def _meets(clean: Frame, row: int, item: Filter) -> bool:
    column = clean.named(item.column)
    value = column.values[row]
    if item.operator == "is missing":
        return value is None
    if item.operator == "is not missing":
        return value is not None
    return value is not None and holds(value, item.operator, item.value, column.type)


def _found(clean: Frame, row: int, term: str) -> bool:
    if not term:
        return True
    texts = [column.values[row] for column in clean.columns if column.kind == "text"]
    return any(text is not None and fold(term) in fold(text) for text in texts)


def fold(text: str) -> str:
    """Lower case of each code point by itself, final sigma as sigma."""
    lowered = [character.lower() for character in text]
    return "".join("σ" if character == "ς" else character for character in lowered)


def ordered(shown: Frame, sort: Sequence[Sort]) -> Frame:
    """The rows in order: missing last in both directions, ties in the order of the source."""
    rows = list(range(shown.length))
    for item in reversed(sort):  # sorting by the least key first: Python's sort keeps the order of ties
        cells = shown.named(item.column).values
        there = [row for row in rows if cells[row] is not None]
        there.sort(key=lambda row: cells[row], reverse=item.descending)
        rows = there + [row for row in rows if cells[row] is None]
    return shown.take(rows)


def view(table: pa.Table, state: State) -> Frame:
    """All rows of a state without transforms, in order."""
    return ordered(filtered(frame(table), state), state.sort)
