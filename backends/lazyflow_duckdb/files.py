"""Files and database files read by DuckDB, those of text for every backend: types are guessed in one way."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from lazyflow.errors import SourceError
from lazyflow.files import Database, Files, has_intervals, read_arrow_files, read_parquet_files
from lazyflow.partitions import Partition
from lazyflow.source import inside_names, outside_names
from lazyflow_duckdb.guessing import narrow_types, reading_options
from lazyflow_duckdb.statements import describe, identifier, reader, selected, text

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

_attached = itertools.count(1)

_FILE = "lazyflow_file"
_TYPES = {"int64": "BIGINT", "date32[day]": "DATE", "string": "VARCHAR"}
_PLAIN = {
    **dict.fromkeys(("JSON", "UUID", "BIT", "INTERVAL", "BIGNUM", "VARIANT", "GEOMETRY", "TIME_NS"), "VARCHAR"),
    **dict.fromkeys(("HUGEINT", "UHUGEINT"), "DECIMAL(38,0)"),
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMPTZ_NS": "TIMESTAMP_NS",  # that is how Arrow's instants are lent: DuckDB's own end at microseconds
}
"""Types that Arrow or Parquet do not have, and what they are read as."""

_OFFSETS = {"TIME WITH TIME ZONE": "VARCHAR"}
"""In a database a time of day may have an offset, which no other type keeps."""

_OFFSET_TIME = re.compile(r"(?<![A-Z])TIME WITH TIME ZONE")
"""That is how Arrow's times of day are read from Parquet."""

_NOTHING = re.compile(r"\"NULL\"(?=$|[\[,)])")
"""The type of a column of nulls; before anything else, it is the name of a field."""

_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|\b[A-Z_]+\b|\[\d+\]")
"""The words of a type; names and labels, which are quoted, by themselves; the length of an array."""


@dataclass(frozen=True)
class Scan:
    """How a table is read.

    Parameters
    ----------
    table
        What is read, as SQL: a reader's call, a table of a database.
    own
        The names of its columns, as DuckDB has them.
    values
        The columns of the source, as SQL over it.
    names
        Their own names.
    attached
        The database that was attached for it.
    numbered
        Whether DuckDB numbers its rows itself: a table in its own format.
    """

    table: str
    own: tuple[str, ...]
    values: tuple[str, ...]
    names: tuple[str, ...]
    attached: str | None = None
    numbered: bool = False

    @property
    def standing(self) -> str:
        """The same as `statement`, for other connections, or for one that has the database as its own."""
        plain = all(value == identifier(name) for name, value in self._inside.items())
        table = self.table if self.attached is None else self.table.removeprefix(f"{self.attached}.")
        return f"SELECT {'*' if plain else self._columns} FROM {table}"

    @property
    def statement(self) -> str:
        """The source's columns under their inside names, as SQL."""
        return self.over(f"SELECT * FROM {self.table}")

    def over(self, statement: str, *also: str) -> str:
        """The same over what gives the columns of the table; `also` are names of further columns of it."""
        return f"SELECT {', '.join([self._columns, *map(identifier, also)])} FROM ({statement})"

    def reading(self, inside: Iterable[str], where: str = "") -> str:
        """Some of the source's columns by their inside names; `where` is said of the columns of the table."""
        return f"SELECT {selected(self._inside, inside)} FROM {self.table}{where}"

    @cached_property
    def _inside(self) -> Mapping[str, str]:
        """Inside name to value, as SQL."""
        return dict(zip(inside_names(outside_names(self.names)), self.values, strict=True))

    @property
    def _columns(self) -> str:
        return selected(self._inside, self._inside)


def scan_files(connection: duckdb.DuckDBPyConnection, files: Files, names: Sequence[str] | None = None) -> Scan:
    """Parquet, CSV or JSON files in the order given; types are guessed from the rows that DuckDB samples.

    Parameters
    ----------
    names
        The columns' own names, where DuckDB renames some.

    Raises
    ------
    SourceError
        If a file cannot be read, or CSV files have other columns than the first.
    """
    with _reading(files):
        options = reading_options(connection, files.format, files.paths)
        if files.partitions:
            options["filename"] = text(_FILE)
        table = reader(files.format, files.paths, options)
        described = [row for row in describe(connection, table) if row[0] != _FILE]
        narrow = narrow_types(connection, table, described) if files.format == "json" else {}
    own = list(names) if names is not None and len(names) == len(described) else [row[0] for row in described]
    partitions = files.partitions_beside(own)
    outside = (*own, *(partition.name for partition in partitions))
    values = [_readable(name, type, narrow.get(name)) for name, type in described]
    values += [_looked_up(partition, files.paths) for partition in partitions]
    return Scan(table, tuple(row[0] for row in described), tuple(values), outside)


def scan_database(connection: duckdb.DuckDBPyConnection, database: Database) -> Scan:
    """A table or view of a database file, which is attached to the connection, to be read only.

    Raises
    ------
    SourceError
        If somebody else writes to it, it is damaged, or does not have the table.
    """
    alias = f"lazyflow_database_{next(_attached)}"
    path = text(str(database.path.resolve()))
    with _reading(database):
        connection.execute(f"ATTACH {path} AS {alias} (TYPE duckdb, READ_ONLY)")
        found = connection.execute(
            "SELECT schema_name, table_name, true FROM duckdb_tables() WHERE database_name = $1 AND NOT internal "
            "UNION ALL SELECT schema_name, view_name, false FROM duckdb_views() WHERE database_name = $1 "
            "AND NOT internal ORDER BY ALL",
            [alias],
        ).fetchall()
        tables = {row[1] if row[0] == "main" else f"{row[0]}.{row[1]}": row for row in found}
        schema, name, own = tables[database.choose(list(tables))]
        table = f"{alias}.{identifier(schema)}.{identifier(name)}"
        described = describe(connection, table)
    outside = tuple(row[0] for row in described)
    values = tuple(_readable(name, type, _OFFSETS.get(type)) for name, type in described)
    return Scan(table, outside, values, outside, alias, own)


def to_arrow(data: Files | Database) -> pa.Table:
    """The rows as one Arrow table, its columns under their own names.

    Parquet and Arrow files are read by Arrow; what has to be guessed or queried, or is no type of Arrow's, by DuckDB.
    """
    if isinstance(data, Files) and data.format == "parquet" and not has_intervals(data.paths[0]):
        return read_parquet_files(data)
    if isinstance(data, Files) and data.format == "arrow":
        return read_arrow_files(data)

    def read(connection: duckdb.DuckDBPyConnection, scan: Scan) -> pa.Table:
        return connection.sql(scan.statement).to_arrow_table().rename_columns(list(scan.names))

    return _run(data, read)


def to_parquet(data: Files | Database, target: Path) -> tuple[str, ...]:
    """The rows brought into one Parquet file, without holding them in memory; the columns' own names."""

    def write(connection: duckdb.DuckDBPyConnection, scan: Scan) -> tuple[str, ...]:
        connection.execute(f"COPY ({scan.statement}) TO {text(str(target))} (FORMAT parquet)")
        return scan.names

    return _run(data, write)


def _run(data: Files | Database, work: Callable[[duckdb.DuckDBPyConnection, Scan], T]) -> T:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        scan = scan_database(connection, data) if isinstance(data, Database) else scan_files(connection, data)
        with _reading(data):
            return work(connection, scan)


@contextmanager
def _reading(data: Files | Database) -> Iterator[None]:
    """Say of which file an error of DuckDB's is, and what it means."""
    try:
        yield
    except duckdb.Error as error:
        message = str(error)
        if isinstance(data, Database):
            raise SourceError(f"{str(data.path)!r}: {_why_not_attached(message)}") from error
        others = len(data.paths) - 1
        named = repr(str(data.paths[0])) + (f" and {others} more" if others else "")
        raise SourceError(f"{named}: cannot be read as {data.format.upper()}: {_told(message)}") from error


def _why_not_attached(message: str) -> str:
    if "already attached" in message:
        return "this process has the database open for writing; close that connection, or open a table of it"
    if "Could not set lock" in message:
        holder = re.search(r"\(PID \d+\)", message)
        return f"another process{' ' + holder[0] if holder else ''} has the database open for writing"
    if "not a valid DuckDB database" in message:
        return "not a DuckDB database"
    return f"DuckDB cannot read it: {_told(message)}"


def _told(message: str) -> str:
    """The lines of an error that say what is wrong; not those that repeat data or give advice on options."""
    lines = [line.strip() for line in message.splitlines()]
    ended = next((at for at, line in enumerate(lines) if at and (not line or line.startswith("Possible"))), len(lines))
    return ": ".join(line.rstrip(":") for line in lines[:ended][:3] if not line.startswith("Original Line"))


def _looked_up(partition: Partition, paths: Sequence[Path]) -> str:
    """A partition's values, by the file that a row is of: files whose value a filter excludes are not read.

    Each value is cast for itself: a cast of what was looked up might fail, and so would keep all files in.
    """
    type = _TYPES[str(partition.type)]
    pairs = ", ".join(
        f"{text(str(path.resolve()))}: CAST({'NULL' if value is None else text(str(value))} AS {type})"
        for path, value in zip(paths, partition.values, strict=True)
    )
    return f"MAP {{{pairs}}}[{_FILE}]"


def _readable(name: str, type: str, target: str | None = None) -> str:
    """A column in a type that compares as it is shown, and that Arrow and Parquet have: `target` if one is given."""
    quoted, target = identifier(name), target or _plain(type)
    return quoted if target == type else f"CAST({quoted} AS {target})"


def _plain(type: str) -> str:
    if type.startswith(("ENUM(", "UNION(")):  # labels compare by their position
        return "VARCHAR"
    type = _NOTHING.sub("INTEGER", _OFFSET_TIME.sub("TIME", type))
    return _WORD.sub(lambda found: "[]" if found[0][0] == "[" else _PLAIN.get(found[0], found[0]), type)
