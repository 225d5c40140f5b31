"""Sources on DuckDB: views over files, Arrow tables lent to each cursor, expressions of a caller's connection."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from lazyflow.errors import InvalidInput, SourceError
from lazyflow.expressions import Table
from lazyflow.files import Database, Files, has_intervals, parquet_schema, read_arrow_files, read_parquet_files
from lazyflow.fingerprint import Fingerprint
from lazyflow.plain import in_schema, plain_arrow
from lazyflow.source import Source, SourceColumn, arrow_inside, columns_of, inside_names, inside_type, outside_names
from lazyflow.types import canonical
from lazyflow_duckdb.files import Scan, scan_database, scan_files, to_parquet
from lazyflow_duckdb.lossless import column_lost
from lazyflow_duckdb.numbering import NumberedArrow, NumberedFiles, Numbering, numbering_of, numbering_of_scan

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_names = itertools.count(1)

OURS = "lazyflow_"
"""What the names of our own views and tables begin with."""

NO_ORDER = "its rows come in no order that repeats, or one connection alone sees them: they are copied once"
"""Why a join, an aggregate or a temporary table is materialised."""

_IN_ORDER = frozenset(
    {
        "PROJECTION",
        "FILTER",
        "LIMIT",
        "STREAMING_LIMIT",
        "STREAMING_WINDOW",
        "ORDER_BY",
        "TOP_N",
        "EMPTY_RESULT",
        "DUMMY_SCAN",
    }
)
"""Physical operators that give the rows they read in the same order every time."""


@dataclass(frozen=True)
class Opened:
    """A source, the connection whose cursors read it, what each cursor needs first, and how to let go of it.

    `reading` gives SQL for some of its columns by their inside names, where that spares DuckDB the others.
    """

    source: Source
    connection: duckdb.DuckDBPyConnection
    prepare: Callable[[duckdb.DuckDBPyConnection], object] = lambda cursor: None
    numbering: Numbering | None = None
    release: Callable[[], object] = lambda: None
    reading: Callable[[Sequence[str]], str] | None = None


def open_files(engine: Any, files: Files) -> Opened:
    """A view over Parquet, CSV or JSON files, of which nothing is loaded; Arrow files as an Arrow table."""
    if files.format == "arrow":
        return open_arrow(engine, read_arrow_files(files), files.fingerprint, "Arrow files are read into memory")
    schema = _written(files.paths[0]) if files.format == "parquet" else None
    lost = None if schema is None else column_lost(files.paths, schema)
    if lost is not None:
        why = f"DuckDB would not read all of column {lost!r} from these files: they are read into memory"
        return open_arrow(engine, read_parquet_files(files), files.fingerprint, why)
    scan = scan_files(engine.con, files, None if schema is None else schema.names)
    return _open_view(engine, scan, NumberedFiles.of(files, scan), schema, files.fingerprint)


def open_database(engine: Any, scratch: Callable[[], str], database: Database) -> Opened:
    """A view over a table of a database file, which is attached to be read only.

    A view in it whose rows come in no order that repeats (a join, an aggregate) is materialised once.
    """
    scan = scan_database(engine.con, database)
    if _in_order(engine.con, lambda cursor: None, scan.statement):
        return _open_view(engine, scan, numbering_of_scan(scan), None, database.fingerprint)
    path = Path(scratch()) / f"source_{next(_names)}.parquet"
    return _open_copy(engine, path, to_parquet(database, path), None, database.fingerprint)


def _written(path: Path) -> pa.Schema | None:
    """The file's own names and types: DuckDB renames columns equal but for case, and has other units of time.

    None where Arrow does not know the types: DuckDB's are then everybody's.
    """
    return None if has_intervals(path) else parquet_schema(path)


def _open_copy(
    engine: Any, path: Path, names: Sequence[str], schema: pa.Schema | None, fingerprint: Fingerprint
) -> Opened:
    """What was materialised into a Parquet file."""
    files = Files("parquet", (path,))
    scan = scan_files(engine.con, files, names)
    return _open_view(engine, scan, NumberedFiles.of(files, scan), schema, fingerprint, NO_ORDER)


def _open_view(
    engine: Any,
    scan: Scan,
    numbering: Numbering | None,
    schema: pa.Schema | None,
    fingerprint: Fingerprint,
    materialised: str | None = None,
) -> Opened:
    if not scan.names:
        raise SourceError("the source has no columns")
    view = f"{OURS}{next(_names)}"
    engine.con.execute(f"CREATE VIEW {view} AS {scan.statement}")
    table = engine.table(view)
    columns = _columns(scan.names, table)
    if schema is not None:  # those of partitions follow
        written = [replace(column, type=canonical(type)) for column, type in zip(columns, schema.types, strict=False)]
        columns = (*written, *columns[len(written) :])
    source = Source(
        table,
        columns,
        fingerprint,
        positional=True,
        numbered=numbering is not None,
        materialised=materialised,
        statement=scan.standing if materialised is None else None,
    )

    def release() -> None:
        engine.con.execute(f"DROP VIEW {view}")
        if scan.attached is not None:
            engine.con.execute(f"DETACH {scan.attached}")

    return Opened(source, engine.con, numbering=numbering, release=release, reading=scan.reading)


def _columns(outside: Iterable[object], table: Table) -> tuple[SourceColumn, ...]:
    import pyarrow as pa

    types = [type.to_pyarrow() for type in table.schema().types]
    # Expressions have one type for times of day; DuckDB's have microseconds.
    return columns_of(outside, [pa.time64("us") if type == pa.time64("ns") else type for type in types])


def open_arrow(
    engine: Any, arrow: pa.Table, fingerprint: Fingerprint | None = None, materialised: str | None = None
) -> Opened:
    """An Arrow table, lent to each cursor: nothing is copied."""
    import pyarrow as pa

    if not arrow.num_columns:
        raise SourceError("the Arrow table has no columns")
    columns, plain = arrow_inside(plain_arrow(arrow))
    lent = in_schema(plain, pa.schema([field.with_type(inside_type(field.type, _lent)) for field in plain.schema]))
    name = f"{OURS}{next(_names)}"
    engine.con.register(name, lent)  # for callers who execute the plan's expressions themselves
    table = engine.table(name)
    identity = fingerprint or Fingerprint.of_opening()
    source = Source(table, columns, identity, positional=True, numbered=True, materialised=materialised)
    return Opened(
        source,
        engine.con,
        lambda cursor: cursor.register(name, lent),
        NumberedArrow(lent),
        lambda: engine.con.unregister(name),
    )


def _lent(type: pa.DataType) -> pa.DataType:
    """A type as DuckDB holds it, of which nothing is lost.

    Its zoned timestamps end at microseconds, intervals do not come back as durations, and ibis has no type for its
    times of day in nanoseconds.
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_timestamp(type) and type.tz and type.unit == "ns":
        return pa.timestamp("ns")
    return pa.int64() if pat.is_duration(type) or type == pa.time64("ns") else type


def open_expression(own: Callable[[], Any], scratch: Callable[[], str], expression: Table) -> Opened:
    """An ibis table of a caller's DuckDB connection, read through cursors of that connection.

    Where its rows come in no order that repeats (a join, an aggregate), or cursors cannot see it (temporary tables,
    memtables), it is materialised once into a file of our own engine.
    """
    backends, memtables = expression._find_backends()
    others = sorted(backend.name for backend in backends if backend.name != "duckdb")
    if others or len(backends) > 1:
        raise InvalidInput(
            f"the duckdb backend opens tables of one DuckDB connection, this one is on {', '.join(others) or 'several'}"
        )
    if not backends:
        return open_arrow(own(), expression.to_pyarrow(), None, "an expression without a database is computed once")
    (backend,) = backends
    statement = str(ibis.to_sql(expression, dialect="duckdb", pretty=False))
    _warn_of_settings(backend)
    prepare = _temporary_views(backend.con)
    if not memtables and _in_order(backend.con, prepare, statement):
        names = list(expression.columns)
        inside = inside_names(outside_names(names))
        table = expression.rename(dict(zip(inside, names, strict=True))) if inside != names else expression
        numbering = numbering_of(backend.con, expression, inside)
        source = Source(
            table,
            _columns(names, table),
            Fingerprint.of_opening(),
            positional=True,
            numbered=numbering is not None,
        )
        return Opened(source, backend.con, prepare, numbering)
    path = Path(scratch()) / f"source_{next(_names)}.parquet"
    _materialise(backend, expression, statement, path)
    schema = parquet_schema(path)
    return _open_copy(own(), path, schema.names, schema, Fingerprint.of_opening())


def _materialise(backend: Any, expression: Table, statement: str, path: Path) -> None:
    import pyarrow.parquet as pq

    backend._run_pre_execute_hooks(expression)  # memtables and functions that the expression brings along
    reader = backend.con.sql(statement).to_arrow_reader(122_880)
    with pq.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _temporary_views(connection: duckdb.DuckDBPyConnection) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """How a cursor gets the caller's temporary views, which each connection has for itself.

    `read_parquet` of ibis makes such views. They are made again in the cursor's own session, so nothing is written.
    """
    listed = "SELECT sql FROM duckdb_views() WHERE temporary AND NOT internal ORDER BY view_oid"
    found = connection.execute(listed).fetchall()

    def prepare(cursor: duckdb.DuckDBPyConnection) -> None:
        for (statement,) in found:
            cursor.execute(statement)

    return prepare


def _in_order(
    connection: duckdb.DuckDBPyConnection, prepare: Callable[[duckdb.DuckDBPyConnection], object], statement: str
) -> bool:
    """Whether a cursor can run the statement, and gives its rows in the same order every time."""
    import duckdb

    cursor = connection.cursor()
    try:
        prepare(cursor)
        kept = cursor.execute("SELECT current_setting('preserve_insertion_order')").fetchone()
        explained = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}").fetchall()
    except duckdb.Error:
        return False
    finally:
        cursor.close()
    pending = list(json.loads(explained[0][1]))
    while pending:
        node = pending.pop()
        name = node["name"].strip()
        if not (name in _IN_ORDER or name.endswith("_SCAN") or name.startswith("READ_") or "SCAN" in name):
            return False
        pending.extend(node["children"])
    return bool(kept and kept[0])


def _warn_of_settings(backend: Any) -> None:
    (kept,) = backend.con.cursor().execute("SELECT current_setting('preserve_insertion_order')").fetchone()
    if not kept:
        warnings.warn(
            "preserve_insertion_order = false on the connection: its rows come in no order, so they are materialised",
            stacklevel=2,
        )
