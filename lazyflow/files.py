"""Sources that lie in the file system, checked before an engine sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazyflow.errors import InvalidInput, SourceError
from lazyflow.fingerprint import Fingerprint
from lazyflow.listing import BUILD, Format, format_of, list_files
from lazyflow.partitions import Partition, partitions_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Files:
    """Files of one format that make one table.

    Parameters
    ----------
    format
        What they are.
    paths
        The files, in the order in which their rows come.
    partitions
        Columns whose values lie in the paths.
    fingerprint
        Identity of the files, taken before they are read.
    """

    format: Format
    paths: tuple[Path, ...]
    partitions: tuple[Partition, ...] = ()
    fingerprint: Fingerprint = field(default_factory=Fingerprint.of_opening)

    def partitions_beside(self, names: Iterable[str]) -> tuple[Partition, ...]:
        """The columns that come from the paths, where the files have those of these names: their own stand."""
        own = set(names)
        return tuple(found for found in self.partitions if found.name not in own)


@dataclass(frozen=True)
class Database:
    """A table of a DuckDB database file; without a name the only one."""

    path: Path
    table: str | None
    fingerprint: Fingerprint

    def choose(self, tables: Sequence[str]) -> str:
        """The table that is meant, of those that are there.

        Raises
        ------
        SourceError
            If there is no table of that name, or none was named and there are none or several.
        """
        listed = ", ".join(tables[:20]) + (", ..." if len(tables) > 20 else "")
        if not tables:
            raise SourceError(f"{str(self.path)!r}: the database has no tables")
        if self.table is None and len(tables) > 1:
            raise SourceError(
                f"{str(self.path)!r}: the database has {len(tables)} tables: say which with table=... in Python, "
                f"--table on the command line; one of: {listed}"
            )
        if self.table is not None and self.table not in tables:
            close = get_close_matches(self.table, tables, n=1)
            hint = f", did you mean {close[0]!r}?" if close else f"; one of: {listed}"
            raise SourceError(f"{str(self.path)!r}: no table {self.table!r} in this database{hint}")
        return self.table or tables[0]


@dataclass(frozen=True)
class TableAt:
    """A path as a caller gave it, and the table there."""

    path: str
    table: str


@dataclass(frozen=True)
class Build:
    """A folder that `xorq build` made of an expression."""

    path: Path


def find_source(path: str | Path, table: str | None = None) -> Files | Database | Build:
    """What lies at a path, or at those that a folder or glob means.

    Raises
    ------
    SourceError
        If there is nothing, it is empty, of several kinds, or not what its name says.
    InvalidInput
        If a table is named where files have none.
    """
    given = str(path)
    literal = Path(given)
    if is_build(literal):
        _no_table(given, table)
        return Build(literal)
    paths = list_files(given)
    formats: dict[Format, Path] = {}
    for found in paths:
        formats.setdefault(format_of(found), found)
    if len(formats) > 1:
        first, second, *_ = (f"{str(found)!r} ({format})" for format, found in formats.items())
        raise SourceError(f"{given!r}: files of several kinds, {first} and {second}; choose with a glob as '*.parquet'")
    for found in paths:
        if not found.is_file():
            raise SourceError(f"{str(found)!r}: not a file")
        if found.stat().st_size == 0:
            raise SourceError(f"{str(found)!r}: the file is empty")
    (format,) = formats
    if format == "duckdb":
        return _database(given, paths, table)
    _no_table(given, table)
    listed = None if literal.is_file() else given
    partitions = partitions_of(paths)
    part = " ".join(f"{found.name}:{found.type}" for found in partitions)
    fingerprint = Fingerprint.of_files(paths, part, listed)
    if format == "parquet":
        _check_parquet(paths)
    return Files(format, paths, partitions, fingerprint)


def is_build(path: str | PathLike[str]) -> bool:
    """Whether it is a folder that `xorq build` made."""
    return Path(path, BUILD).is_file()


def _no_table(given: str, table: str | None) -> None:
    if table is not None:
        raise InvalidInput(f"table {table!r}: {given!r} is one table; tables are named in a DuckDB database file")


def _database(given: str, paths: Sequence[Path], table: str | None) -> Database:
    if len(paths) > 1:
        raise SourceError(f"{given!r}: {len(paths)} database files; expected one")
    (path,) = paths  # not looked into: to close it would take away the lock that this process may have on it
    log = path.with_name(path.name + ".wal")
    return Database(path, table, Fingerprint.of_files((path, log), f"table {table!r}"))


def _check_parquet(paths: Sequence[Path]) -> None:
    """Whole files of one table: the same columns, in the same order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = None
    for path in paths:
        _check_marks(path)
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{str(path)!r}: the Parquet file is damaged: {str(error).splitlines()[0]}") from error
        fields = [(field.name, field.type) for field in schema]
        first = first or fields
        check_columns(path, fields, paths[0], first)


def _check_marks(path: Path) -> None:
    """A Parquet file begins and ends with PAR1; one that only begins so was cut short."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        tail = file.read(4)
    if head != b"PAR1":
        raise SourceError(f"{str(path)!r}: not a Parquet file")
    if tail != b"PAR1" or path.stat().st_size < 12:
        raise SourceError(f"{str(path)!r}: the Parquet file is truncated")


def check_columns(path: Path, fields: Sequence[Any], first_path: Path, first: Sequence[Any]) -> None:
    """A file has the columns of the first one: (name, type, ...) each.

    Raises
    ------
    SourceError
        Naming both files and the first column that differs.
    """
    if fields == first:
        return
    for mine, other in zip(fields, first, strict=False):
        if mine != other:
            what = (
                f"column {mine[0]!r} in place of {other[0]!r}"
                if mine[0] != other[0]
                else f"column {mine[0]!r} is {mine[1]}, not {other[1]}"
            )
            break
    else:
        what = f"{len(fields)} columns, not {len(first)}"
    raise SourceError(
        f"{str(path)!r}: its columns differ from those of {str(first_path)!r} ({what}); expected files of one table"
    )


def read_arrow_files(files: Files) -> pa.Table:
    """Arrow IPC files, of the file or the stream format, as one table in memory.

    They are not mapped: a mapped file that somebody else truncates ends the process.

    Raises
    ------
    SourceError
        If one is no Arrow file, cut short, or of other columns than the first.
    """
    import pyarrow as pa

    tables: list[pa.Table] = []
    for path in files.paths:
        try:
            with pa.OSFile(str(path)) as file:
                try:
                    tables.append(pa.ipc.open_file(file).read_all())
                except pa.ArrowInvalid:
                    file.seek(0)
                    tables.append(pa.ipc.open_stream(file).read_all())
        except (pa.ArrowException, OSError) as error:
            why = str(error).splitlines()[0]
            raise SourceError(f"{str(path)!r}: not an Arrow file, or a damaged one: {why}") from error
        newest, first = ([(field.name, field.type, field.nullable) for field in tables[at].schema] for at in (-1, 0))
        check_columns(path, newest, files.paths[0], first)
    return _joined(files, tables)


def parquet_schema(path: Path) -> pa.Schema:
    """The names and types of a Parquet file's columns, those that only its own format has (UUID, JSON) among them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.schema_arrow


def has_intervals(path: Path) -> bool:
    """Whether a Parquet file has intervals of months, days and milliseconds, which Arrow takes for bytes."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return any(file.schema.column(place).converted_type == "INTERVAL" for place in range(file.metadata.num_columns))


def read_parquet_files(files: Files) -> pa.Table:
    """Parquet files as one table in memory.

    Raises
    ------
    SourceError
        If one is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for path in files.paths:
        try:
            tables.append(pq.read_table(path, partitioning=None))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{str(path)!r}: the Parquet file is damaged: {str(error).splitlines()[0]}") from error
    return _joined(files, tables)


def _joined(files: Files, tables: Sequence[pa.Table]) -> pa.Table:
    """The tables of files one after the other, with the columns that lie in the paths."""
    import pyarrow as pa

    partitions = files.partitions_beside(tables[0].column_names)
    return pa.concat_tables(with_partitions(table, partitions, number) for number, table in enumerate(tables))


def with_partitions(table: pa.Table, partitions: Sequence[Partition], number: int) -> pa.Table:
    """The rows of the file of that number, with the columns that lie in its path."""
    import pyarrow as pa

    for partition in partitions:
        value = pa.scalar(partition.values[number], partition.type)
        table = table.append_column(pa.field(partition.name, partition.type), pa.repeat(value, table.num_rows))
    return table
