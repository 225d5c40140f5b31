"""Sources on DuckDB: views over files, Arrow tables lent to each cursor, expressions of a caller's connection."""

from __future__ import annotations

import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from lazyflow.data import Files, arrow_from_frame, find_files, plain_arrow, read_arrow_files
from lazyflow.errors import InvalidInput, SourceError
from lazyflow.expressions import Table
from lazyflow.source import Fingerprint, Source, SourceColumn, arrow_inside, columns_of, inside_names, outside_names
from lazyflow_duckdb.files import scan, selection
from lazyflow_duckdb.numbering import NumberedArrow, NumberedFiles, Numbering, numbering_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

log = logging.getLogger("lazyflow.duckdb")

_names = itertools.count(1)

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
    """A source, the connection whose cursors read it, what each cursor needs first, and its row numbers."""

    source: Source
    connection: duckdb.DuckDBPyConnection
    prepare: Callable[[duckdb.DuckDBPyConnection], object] = lambda cursor: None
    numbering: Numbering | None = None


def open_files(engine: Any, path: str | PathLike[str]) -> Opened:
    """A view over Parquet, CSV or JSON files, of which nothing is loaded; Arrow files as an Arrow table."""
    files = find_files(str(path))
    fingerprint = Fingerprint.of_files(files.paths)
    if files.format == "arrow":
        return open_arrow(engine, read_arrow_files(files), fingerprint)
    schema = _parquet_schema(files.paths[0]) if files.format == "parquet" else None
    return _open_view(engine, files, schema, fingerprint)


def _parquet_schema(path: Path) -> pa.Schema:
    """The file's own names and types: DuckDB renames columns equal but for case, and reads durations as numbers."""
    import pyarrow.parquet as pq

    return pq.read_schema(path)


def _open_view(engine: Any, files: Files, schema: pa.Schema | None, fingerprint: Fingerprint) -> Opened:
    select = scan(files)
    described = engine.con.execute(f"DESCRIBE {select}").fetchall()
    if not described:
        raise SourceError("the source has no columns")
    own = schema is not None and len(schema.names) == len(described)
    outside = schema.names if schema is not None and own else [row[0] for row in described]
    inside = inside_names(outside_names(outside))
    view = f"lazyflow_{next(_names)}"
    engine.con.execute(f"CREATE VIEW {view} AS {selection(described, inside, select)}")
    table = engine.table(view)
    columns = _columns(outside, table)
    if schema is not None and own:
        columns = tuple(map(_as_written, columns, schema.types))
    numbering = NumberedFiles.of(files, described, inside)
    source = Source(table, columns, fingerprint, positional=True, numbered=numbering is not None)
    return Opened(source, engine.con, numbering=numbering)


def _as_written(column: SourceColumn, type: pa.DataType) -> SourceColumn:
    """The column with the type that the file gives it, where DuckDB knows it as a number only."""
    import pyarrow.types as pat

    return replace(column, type=type) if pat.is_duration(type) else column


def _columns(outside: Iterable[object], table: Table) -> tuple[SourceColumn, ...]:
    types = [type.to_pyarrow() for type in table.schema().types]
    return columns_of(outside, types)


def open_frame(engine: Any, frame: Any) -> Opened:
    """A pandas frame, by way of Arrow."""
    return open_arrow(engine, arrow_from_frame(frame))


def open_arrow(engine: Any, arrow: pa.Table, fingerprint: Fingerprint | None = None) -> Opened:
    """An Arrow table, lent to each cursor: nothing is copied."""
    import pyarrow as pa
    import pyarrow.types as pat

    if not arrow.num_columns:
        raise SourceError("the Arrow table has no columns")
    columns, plain = arrow_inside(plain_arrow(arrow))
    arrays = []
    for column in plain.columns:
        if pat.is_timestamp(column.type) and column.type.tz and column.type.unit == "ns":
            column = column.cast(pa.timestamp("ns"))  # DuckDB's zoned timestamps end at microseconds
        elif pat.is_duration(column.type):
            column = column.cast(pa.int64())  # DuckDB's intervals do not come back as durations
        arrays.append(column)
    lent = pa.table(arrays, names=plain.column_names)
    name = f"lazyflow_{next(_names)}"
    engine.con.register(name, lent)  # for callers who execute the plan's expressions themselves
    table = engine.table(name)
    source = Source(table, columns, fingerprint or Fingerprint.of_opening(), positional=True, numbered=True)
    return Opened(source, engine.con, lambda cursor: cursor.register(name, lent), NumberedArrow(lent))


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
        return open_arrow(own(), expression.to_pyarrow())
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
    log.info("the source has no order of its own, or is seen by one cursor only: it is materialised once")
    path = Path(scratch()) / f"source_{next(_names)}.parquet"
    _materialise(backend, expression, statement, path)
    return _open_view(own(), Files("parquet", (path,)), _parquet_schema(path), Fingerprint.of_opening())


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
