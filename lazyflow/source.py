"""What a backend makes of the data that the caller brought: a table expression, its columns, its identity."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from lazyflow.types import Kind, canonical, kind

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.expressions import Table

_opened = itertools.count(1)


FileStatus: TypeAlias = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, inode."""


_SECOND = 10**9


def file_status(path: Path) -> FileStatus:
    """What changes when a file is written to or replaced."""
    return _status(path.stat())


def _status(stat: os.stat_result) -> FileStatus:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _may_hide_a_change(modified: int) -> bool:
    """Whether a file could be written to again and keep its modification time, given in nanoseconds.

    A stamp of whole seconds may come from a file system that knows no finer ones (FAT: two seconds). Others stamp by
    the tick of the kernel, 10 ms at most: less than a file takes to be written, read and written again.
    """
    return modified % _SECOND == 0 and abs(time.time_ns() - modified) <= 2 * _SECOND


@dataclass(frozen=True)
class Fingerprint:
    """Identity of the data behind a source: equal values mean equal data.

    Parameters
    ----------
    value
        Any text that changes when the data does.
    durable
        Whether another process would find the same value for the same data, and no other data could ever have it.
    files
        The files that hold the data, where it lies in files, each with what the file system said of it.
    """

    value: str
    durable: bool = False
    files: tuple[tuple[Path, FileStatus], ...] = ()

    @classmethod
    def of_files(cls, paths: Iterable[Path], what: str = "") -> Fingerprint:
        """Identity of what lies in files.

        Made of each file's resolved path, size in bytes, modification time in nanoseconds and inode, and of the time in
        nanoseconds of its last change of any kind, which nobody can set back. It must be made before the files are
        read: else it might be that of a file which took their place meanwhile.

        Parameters
        ----------
        paths
            The files, in the order in which they are read.
        what
            What of them is read, and how, where the same files may give several tables.
        """
        files, parts, durable = [], [what], True
        for path in paths:
            stat = path.stat()
            files.append((path, _status(stat)))
            parts.append(":".join(map(str, (path.resolve(), *_status(stat), stat.st_ctime_ns))))
            durable = durable and not _may_hide_a_change(stat.st_mtime_ns)
        return cls("files " + " ".join(parts), durable, tuple(files))

    @property
    def outdated(self) -> bool:
        """Whether the files are no longer those that were opened: written to, replaced, or gone."""
        try:
            return any(file_status(path) != status for path, status in self.files)
        except OSError:
            return True

    @classmethod
    def of_opening(cls) -> Fingerprint:
        """Identity of data that has none to be seen from outside: this opening of it, in this process."""
        return cls(f"opening {next(_opened)}")


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
    """

    table: Table
    columns: tuple[SourceColumn, ...]
    fingerprint: Fingerprint
    positional: bool = False
    numbered: bool = False

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type, as callers see them."""
        return MappingProxyType({column.name: column.type for column in self.columns})


def outside_names(names: Iterable[object]) -> list[str]:
    """Names as callers see them: text, and each once; a repeated one gets a number.

    >>> outside_names(["x", "x", 3, ""])
    ['x', 'x (2)', '3', '']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        text = "".join(
            character if character.isprintable() or character in "\n\t" else "\ufffd" for character in str(name)
        )
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
