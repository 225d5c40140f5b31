"""Sources on xorq: files and frames in sessions of our own, expressions read there too, or materialised once."""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xorq.api as xo
from xorq.caching.strategy import ModificationTimeStrategy
from xorq.common.utils.graph_utils import walk_nodes
from xorq.expr.relations import CachedNode, Read, RemoteTable, Tag
from xorq.ibis_yaml.compiler import load_expr
from xorq.vendor.ibis.expr.operations import Node

from lazyflow.digest import is_pure
from lazyflow.errors import SourceError
from lazyflow.expressions import Table
from lazyflow.files import Build, Database, Files, parquet_schema, read_arrow_files
from lazyflow.fingerprint import Fingerprint
from lazyflow.partitions import Partition, PartitionValue
from lazyflow.plain import in_schema, plain_arrow
from lazyflow.plan import row_wise
from lazyflow.source import Source, arrow_inside, columns_of, inside_names, inside_type, outside_names
from lazyflow_xorq.declared import unreadable
from lazyflow_xorq.picking import Pick, pick_arrow, pick_files
from lazyflow_xorq.session import Session

_PLAIN = re.compile(r"[\w/.-]+")
"""Paths that DataFusion takes as they are."""


@dataclass(frozen=True)
class Opened:
    """A source, and where it is read: what stands for its table at execution, over the session's table `scan`.

    `pick` gives rows of `scan`, whose expression is `read`, by their numbers; None where these cannot be told.
    """

    source: Source
    stand_in: Any
    scan: str
    watched: str
    read: Table
    pick: Pick | None = None


def open_files(sessions: Sequence[Session], files: Files, scratch: Callable[[], str]) -> Opened:
    """Parquet files, read where they lie; CSV and JSON files, brought into a Parquet file once; Arrow files."""
    if files.format == "arrow":
        table = read_arrow_files(files)
        return open_arrow(sessions, table, files.fingerprint, "Arrow files are read into memory")
    if files.format != "parquet":
        return _open_copy(sessions, files, scratch, "DataFusion guesses the types of text otherwise: it is copied once")
    schema = parquet_schema(files.paths[0])
    names = schema.names
    if not names:
        raise SourceError(f"{str(files.paths[0])!r}: the file has no columns")
    if inside_names(outside_names(names)) == names and unreadable(files.paths[0]) is None:
        if len(files.paths) == 1 and not files.partitions and _PLAIN.fullmatch(str(files.paths[0].resolve())):
            path = str(files.paths[0].resolve())
            scan, table = _register_files(sessions, path)
            read, pick = xo.deferred_read_parquet(path), pick_files([path])
            return _opened(read, table, names, scan, files.fingerprint, pick, written=schema.types)
        with suppress(OSError):  # a file system without links, a value too long for a name
            return _open_linked(sessions, files, schema, Path(scratch()))
    # DataFusion drops the second of two equal names, and lacks types: such files are read by Arrow.
    why = "DataFusion cannot read these files as they are: they are read into memory"
    from lazyflow_duckdb.files import to_arrow

    return open_arrow(sessions, to_arrow(files), files.fingerprint, why)


def open_database(sessions: Sequence[Session], database: Database, scratch: Callable[[], str]) -> Opened:
    """A table of a DuckDB database file, brought into a Parquet file once."""
    return _open_copy(sessions, database, scratch, "DataFusion does not read DuckDB's files: the table is copied once")


def _open_copy(sessions: Sequence[Session], data: Files | Database, scratch: Callable[[], str], why: str) -> Opened:
    from lazyflow_duckdb.files import to_parquet

    path = Path(scratch()) / f"{uuid.uuid4().hex}.parquet"
    names = to_parquet(data, path)
    scan, table = _register_files(sessions, str(path))
    pick = pick_files([str(path)])
    read, written = xo.deferred_read_parquet(str(path)), parquet_schema(path).types
    return _opened(read, table, names, scan, data.fingerprint, pick, why, written)


def _open_linked(sessions: Sequence[Session], files: Files, schema: pa.Schema, scratch: Path) -> Opened:
    """Several files by way of links to them, in folders of names that DataFusion reads in our order and as our values.

    It sorts files by their paths, encoded, and takes `*` in them for a glob; of `key=value` it knows text alone.
    """
    names, partitions = schema.names, files.partitions_beside(schema.names)
    keys = ["lazyflow_file", *(f"lazyflow_{position}" for position in range(len(partitions)))]
    root, links = scratch / uuid.uuid4().hex, []
    for number, path in enumerate(files.paths):
        values = [f"{number:08}", *(_as_name(partition.values[number]) for partition in partitions)]
        folder = root.joinpath(*(f"{key}={value}" for key, value in zip(keys, values, strict=True)))
        folder.mkdir(parents=True)
        links.append(folder / "file.parquet")
        links[-1].symlink_to(path.resolve())
    outside = [*names, *(partition.name for partition in partitions)]
    inside = inside_names(outside_names(outside))
    values = [f'"{name}"' for name in names] + [_value(k, p) for k, p in zip(keys[1:], partitions, strict=True)]
    columns = ", ".join(f'{value} AS "{name}"' for value, name in zip(values, inside, strict=True))
    scan = _name()
    for session in sessions:
        session.register_linked(scan, root, keys, columns)
    table = sessions[0].connection.table(scan)
    pick = pick_files(list(map(str, links)), inside, partitions)
    return _opened(table, table, outside, scan, files.fingerprint, pick, written=schema.types)


def _as_name(value: PartitionValue) -> str:
    if value is None:
        return "missing"
    return f"text-{value.encode().hex()}" if isinstance(value, str) else str(value)


def _value(key: str, partition: Partition) -> str:
    """The value of a partition, from its name in a path, as SQL."""
    present = f"NULLIF(\"{key}\", 'missing')"
    if pa.types.is_string(partition.type):
        return f"CAST(decode(substr({present}, 6), 'hex') AS VARCHAR)"
    return f"CAST({present} AS {'DATE' if pa.types.is_date(partition.type) else 'BIGINT'})"


def open_arrow(
    sessions: Sequence[Session],
    arrow: pa.Table,
    fingerprint: Fingerprint | None = None,
    materialised: str | None = None,
) -> Opened:
    """An Arrow table, registered as it is: nothing is copied."""
    if not arrow.num_columns:
        raise SourceError("the Arrow table has no columns")
    columns, plain = arrow_inside(plain_arrow(arrow))
    renamed = in_schema(plain, pa.schema([field.with_type(inside_type(field.type)) for field in plain.schema]))
    scan = _name()
    batches = renamed.to_batches(max_chunksize=8_192) or [pa.RecordBatch.from_pylist([], schema=renamed.schema)]
    for session in sessions:
        session.register(scan, batches)
    table = sessions[0].connection.table(scan)
    identity = fingerprint or Fingerprint.of_opening()
    source = Source(table, columns, identity, positional=True, numbered=True, materialised=materialised)
    return Opened(source, table.op(), scan, columns[0].inside, table, pick_arrow(renamed))


def open_build(sessions: Sequence[Session], build: Build, scratch: Callable[[], str]) -> Opened:
    """The expression of a build, which is loaded, and the functions in it with it."""
    return open_expression(sessions, load_expr(build.path), scratch)


def open_expression(sessions: Sequence[Session], expression: Table, scratch: Callable[[], str]) -> Opened:
    """A xorq expression. Over Parquet files alone, row by row, it is read in our sessions; else materialised once.

    Where it is materialised (a join, an aggregate, a `.cache()`, a table of the caller's session), that is done by the
    caller's own engine, into a file of ours: its rows then come in one order, and its queries can be stopped.
    """
    names = list(expression.columns)
    columns = columns_of(names, [type.to_pyarrow() for type in expression.schema().types])
    inside = [column.inside for column in columns]
    table = (
        expression
        if inside == names
        else expression.select([expression[n].name(i) for n, i in zip(names, inside, strict=True)])
    )
    fingerprint = _fingerprint(expression)
    reads = _leaves(expression.op())
    if (
        len(reads) == 1
        and isinstance(reads[0], Read)
        and _parquet_paths(reads[0])
        and row_wise(expression, reads[0].to_expr())
    ):
        (read,) = reads
        scan, own = _register_files(sessions, *_parquet_paths(read))
        stand_in, pick = table.op().replace({read: own.op()}), pick_files(_parquet_paths(read))
        source = Source(table, columns, fingerprint, positional=True, numbered=pick is not None)
        return Opened(source, stand_in, scan, own.columns[0], own, pick)
    for read in reads:
        if isinstance(read, Read) and _parquet_paths(read):
            _warn_of_settings(read)
    path = Path(scratch()) / f"{uuid.uuid4().hex}.parquet"
    _materialise(expression, path)
    scan, own = _register_files(sessions, str(path))
    renamed = own if inside == names else own.select([own[n].name(i) for n, i in zip(names, inside, strict=True)])
    pick = pick_files([str(path)])
    why = "its rows come in no order that repeats, or from another engine: they are copied once"
    source = Source(table, columns, fingerprint, positional=True, numbered=pick is not None, materialised=why)
    return Opened(source, renamed.op(), scan, own.columns[0], own, pick)


def _fingerprint(expression: Table) -> Fingerprint:
    """Xorq's own token with the files behind it, where these and the expression by itself say what is computed.

    A snapshot cache keeps what its sources once were, whatever they are by now: of it, only this opening is known.
    """
    nodes = walk_nodes(Node, expression)
    reads = [node for node in nodes if isinstance(node, Read)]
    if not all(map(_parquet_paths, reads)):
        return Fingerprint.of_opening()
    for node in nodes:
        kept = isinstance(node, CachedNode) and isinstance(node.cache.strategy, ModificationTimeStrategy)
        if not (kept or is_pure(node) or type(node) in (Read, RemoteTable, Tag)):
            return Fingerprint.of_opening()
    files = [Path(path) for read in reads for path in _parquet_paths(read)]
    return Fingerprint.of_files(files, f"xorq {expression.ls.tokenized}")


def _opened(
    table: Table,
    own: Table,
    names: Sequence[str],
    scan: str,
    fingerprint: Fingerprint,
    pick: Pick | None,
    materialised: str | None = None,
    written: Sequence[pa.DataType] = (),
) -> Opened:
    """A source over a table of our sessions; `written` are the types of its first columns as their file has them.

    Expressions know one type for times of day, whatever their unit.
    """
    types = [type.to_pyarrow() for type in table.schema().types]
    columns = columns_of(names, [*written, *types[len(written) :]])
    numbered = pick is not None
    source = Source(table, columns, fingerprint, positional=True, numbered=numbered, materialised=materialised)
    return Opened(source, own.op(), scan, table.columns[0], own, pick)


def _register_files(sessions: Sequence[Session], *paths: str) -> tuple[str, Table]:
    scan = _name()
    tables = [
        session.connection.read_parquet(paths[0] if len(paths) == 1 else list(paths), table_name=scan)
        for session in sessions
    ]
    return scan, tables[0]


def _name() -> str:
    return f"lazyflow_{uuid.uuid4().hex}"


def _leaves(op: Any) -> list[Any]:
    """The relations that read something rather than another relation."""
    found: dict[Any, None] = {}
    pending, seen = [op], set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        kinds = {base.__name__ for base in type(node).__mro__}
        if "PhysicalTable" in kinds or isinstance(node, Read) or type(node).__name__ in ("CachedNode", "RemoteTable"):
            found[node] = None
        else:
            pending.extend(node.__children__)
    return list(found)


def _parquet_paths(read: Read) -> list[str]:
    """The local files that a deferred read names, or none where it reads something else."""
    if read.method_name != "read_parquet" or type(read.source).__module__.split(".")[-2] != "xorq_datafusion":
        return []
    arguments = dict(read.read_kwargs)
    named = arguments.get("hash_path") or arguments.get("path") or arguments.get("source_list") or ()
    paths = [named] if isinstance(named, str | PathLike) else list(named)
    local = [str(path) for path in paths]
    return local if all("://" not in path and Path(path).is_file() for path in local) else []


def _materialise(expression: Table, path: Path) -> None:
    reader = expression.to_pyarrow_batches()
    with pq.ParquetWriter(path, reader.schema) as writer:
        for batch in reader:  # read to the end: leaving early leaks threads and tables
            writer.write_batch(batch)


def _warn_of_settings(read: Read) -> None:
    """Say where the caller's session, which is asked to materialise the source, reads Parquet wrongly."""
    try:
        batch = read.source.con.sql("SHOW datafusion.execution.collect_statistics").collect()
        collects = batch[0].to_pydict()["value"][0] == "true"
    except Exception:  # noqa: BLE001 - a session without such settings has nothing to warn of
        return
    if collects:
        warnings.warn(
            "the xorq session has datafusion.execution.collect_statistics = true: it reads Parquet columns that hold "
            "NaN and one other value wrongly, and what it reads is what is shown",
            stacklevel=5,
        )
