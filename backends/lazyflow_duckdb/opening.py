"""Sources on DuckDB: views over files, Arrow tables lent to each cursor, expressions of a caller's connection."""

from __future__ import annotations

import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import sqlglot as sg

from lazyflow.data import arrow_from_frame, find_files, plain_arrow
from lazyflow.errors import InvalidInput, SourceError
from lazyflow.expressions import Table
from lazyflow.source import Fingerprint, Source, SourceColumn, columns_of, inside_names, outside_names

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
    """A source, the connection whose cursors read it, and what each cursor needs first."""

    source: Source
    connection: duckdb.DuckDBPyConnection
    prepare: Callable[[duckdb.DuckDBPyConnection], object] = lambda cursor: None


def open_files(engine: Any, path: str | PathLike[str]) -> Opened:
    """A view over Parquet or CSV files; nothing is loaded."""
    files = find_files(str(path))
    function = {"parquet": "read_parquet", "csv": "read_csv"}[files.format]
    listed = ", ".join(_quoted(str(found.resolve())) for found in files.paths)
    scan = f"SELECT * FROM {function}([{listed}])"
    names = _parquet_names(files.paths[0]) if files.format == "parquet" else None
    return _open_view(engine, scan, names, Fingerprint.of_files(files.paths))


def _parquet_names(path: Path) -> list[str]:
    """The file's own column names: DuckDB renames those that are empty or equal but for case."""
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _open_view(engine: Any, scan: str, names: list[str] | None, fingerprint: Fingerprint) -> Opened:
    described = engine.con.execute(f"DESCRIBE {scan}").fetchall()
    if not described:
        raise SourceError("the source has no columns")
    outside = names if names is not None and len(names) == len(described) else [row[0] for row in described]
    inside = inside_names(outside_names(outside))
    selected = ", ".join(
        f"{_readable(_identifier(row[0]), row[1])} AS {_identifier(name)}"
        for row, name in zip(described, inside, strict=True)
    )
    view = f"lazyflow_{next(_names)}"
    engine.con.execute(f"CREATE VIEW {view} AS SELECT {selected} FROM ({scan})")
    table = engine.table(view)
    return Opened(Source(table, _columns(outside, table), fingerprint, positional=True), engine.con)


def _readable(identifier: str, type: str) -> str:
    """A column of a view in a type that compares: Arrow's times of day are read as zoned ones."""
    return f"CAST({identifier} AS TIME)" if type == "TIME WITH TIME ZONE" else identifier


def _columns(outside: Iterable[object], table: Table) -> tuple[SourceColumn, ...]:
    types = [type.to_pyarrow() for type in table.schema().types]
    return columns_of(outside, types)


def open_frame(engine: Any, frame: Any) -> Opened:
    """A pandas frame, by way of Arrow."""
    return open_arrow(engine, arrow_from_frame(frame))


def open_arrow(engine: Any, arrow: pa.Table) -> Opened:
    """An Arrow table, lent to each cursor: nothing is copied."""
    import pyarrow as pa
    import pyarrow.types as pat

    if not arrow.num_columns:
        raise SourceError("the Arrow table has no columns")
    plain = plain_arrow(arrow)
    columns = columns_of(arrow.column_names, plain.schema.types)
    arrays = []
    for column in plain.columns:
        if pat.is_timestamp(column.type) and column.type.tz and column.type.unit == "ns":
            column = column.cast(pa.timestamp("ns"))  # DuckDB's zoned timestamps end at microseconds
        arrays.append(column)
    lent = pa.table(arrays, names=[column.inside for column in columns])
    name = f"lazyflow_{next(_names)}"
    cursor = engine.con.cursor()
    cursor.register(name, lent)
    schema = ibis.Schema({row[0]: _ibis_type(row[1]) for row in cursor.execute(f"DESCRIBE {name}").fetchall()})
    cursor.close()
    table = ibis.table(schema, name=name)
    source = Source(table, columns, Fingerprint.of_opening(), positional=True)
    return Opened(source, engine.con, lambda cursor: cursor.register(name, lent))


def _ibis_type(text: str) -> Any:
    from ibis.backends.sql.datatypes import DuckDBType

    return DuckDBType.from_string(text)


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
    if not memtables and _in_order(backend.con, statement):
        names = list(expression.columns)
        inside = inside_names(outside_names(names))
        table = expression.rename(dict(zip(inside, names, strict=True))) if inside != names else expression
        source = Source(table, _columns(names, table), Fingerprint.of_opening(), positional=True)
        return Opened(source, backend.con)
    log.info("the source has no order of its own, or is seen by one cursor only: it is materialised once")
    path = Path(scratch()) / f"source_{next(_names)}.parquet"
    _materialise(backend, expression, path)
    return _open_view(
        own(), f"SELECT * FROM read_parquet([{_quoted(str(path))}])", list(expression.columns), Fingerprint.of_opening()
    )


def _materialise(backend: Any, expression: Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with (
        backend.to_pyarrow_batches(expression, chunk_size=122_880) as batches,
        pq.ParquetWriter(path, batches.schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)


def _in_order(connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Whether a cursor can run the statement, and gives its rows in the same order every time."""
    import duckdb

    cursor = connection.cursor()
    try:
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


def _identifier(name: str) -> str:
    return sg.to_identifier(name, quoted=True).sql("duckdb")


def _quoted(text: str) -> str:
    return sg.exp.Literal.string(text).sql("duckdb")
