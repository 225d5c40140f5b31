"""What a backend makes of the data that the caller brought: a table expression, its columns, its identity."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from lazyflow.digest import Digest, digest_of_leaf
from lazyflow.fingerprint import Fingerprint as Fingerprint
from lazyflow.types import Kind, canonical, is_list, kind

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.expressions import Table


_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class SourceColumn:
    """One column: its name for callers, its name inside expressions, and the Arrow type that callers see."""

    name: str
    inside: str
    type: pa.DataType

    @cached_property
    def kind(self) -> Kind:
        """The kind of its type."""
        return kind(self.type)


@dataclass(frozen=True)
class Source:
    """A table that a backend opened.

    Parameters
    ----------
    table
        The table as an expression, columns under their inside names.
    columns
        One for each column of `table`, in its order.
    fingerprint
        Identity of the data.
    positional
        Whether the engine returns the rows of `table`, and of filters and projections over it, in one order that
        repeats from query to query. Where it does not, views are ordered by the values of all their columns.
    numbered
        Whether the engine fetches rows by their numbers: it answers a `RowsQuery` that has `numbers`, and a
        `PrepareQuery`. Only of use where the source is positional too.
    materialised
        Why the rows were copied when the source was opened; None where they are read where they lie.
    statement
        The table as a query in the engine's SQL that stands by itself; None where there is none.
    """

    table: Table
    columns: tuple[SourceColumn, ...]
    fingerprint: Fingerprint
    positional: bool = False
    numbered: bool = False
    materialised: str | None = None
    statement: str | None = None

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type, as callers see them."""
        return MappingProxyType({column.name: column.type for column in self.columns})

    @cached_property
    def digest(self) -> Digest:
        """The digest of the table."""
        return digest_of_leaf(self.table)


def outside_names(names: Iterable[object]) -> list[str]:
    r"""Names as callers see them: text, and each once; a repeated one gets a number.

    Control characters but tab and line feed, and halves of surrogate pairs, which are in no text, become U+FFFD.

    >>> outside_names(["x", "x", 3, "", ("a", 1), "nul\0"])
    ['x', 'x (2)', '3', '', "('a', 1)", 'nul�']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        text = _NO_TEXT.sub("\ufffd", str(name))
        candidates = itertools.chain([text], (f"{text} ({number})" for number in itertools.count(2)))
        result.append(next(candidate for candidate in candidates if candidate not in taken))
        taken.add(result[-1])
    return result


def inside_names(names: Iterable[str]) -> list[str]:
    """Names that every engine takes as they are: an ordinary name stays, any other becomes `column_<position>`.

    Not ordinary are names that some engine renames, drops or confuses: empty, equal but for case, with quotes or
    control characters, over 200 characters, `self`, and pandas' own names for an index.

    >>> inside_names(["A", "a", "", "self", "dep_delay"])
    ['column_0', 'column_1', 'column_2', 'column_3', 'dep_delay']
    """
    names = list(names)
    lowered = [name.lower() for name in names]
    times = Counter(lowered)
    ordinary = [
        bool(name) and name.isprintable() and '"' not in name and len(name) <= 200
        and times[folded] == 1 and folded != "self" and not folded.startswith(("__", "column_"))
        for name, folded in zip(names, lowered, strict=True)
    ]  # fmt: skip
    return [
        name if keep else f"column_{position}"
        for position, (name, keep) in enumerate(zip(names, ordinary, strict=True))
    ]


def inside_type(type: pa.DataType, held: Callable[[pa.DataType], pa.DataType] = lambda leaf: leaf) -> pa.DataType:
    """A canonical type with fields of structs under names that every engine takes.

    `held` says as what an engine holds what is not nested.

    >>> import pyarrow as pa
    >>> inside_type(pa.list_(pa.struct([("A", pa.int8()), ("a", pa.int8()), ("b", pa.int8())])))
    ListType(list<item: struct<column_0: int8, column_1: int8, b: int8>>)
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if is_list(type):
        return pa.list_(inside_type(type.value_type, held))
    if pat.is_map(type):
        return pa.map_(inside_type(type.key_type, held), inside_type(type.item_type, held))
    if pat.is_struct(type):
        names = inside_names(field.name for field in type)
        return pa.struct(
            [pa.field(name, inside_type(field.type, held)) for name, field in zip(names, type, strict=True)]
        )
    return held(type)


def arrow_inside(table: pa.Table) -> tuple[tuple[SourceColumn, ...], pa.Table]:
    """The columns of an Arrow table, and the table under their inside names."""
    columns = columns_of(table.column_names, table.schema.types)
    return columns, table.rename_columns([column.inside for column in columns])


def columns_of(names: Iterable[object], types: Iterable[pa.DataType]) -> tuple[SourceColumn, ...]:
    """The columns of a source from its own names and Arrow types."""
    outside = outside_names(names)
    return tuple(
        SourceColumn(name, inside, canonical(type))
        for name, inside, type in zip(outside, inside_names(outside), types, strict=True)
    )
