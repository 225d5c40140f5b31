"""Sources on xorq: files and frames in sessions of our own, expressions read there too, or materialised once."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Sequence
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
from xorq.vendor.ibis.expr.operations import Node

from lazyflow.data import Files, find_files, plain_arrow, read_arrow_files
from lazyflow.digest import is_pure
from lazyflow.errors import SourceError
from lazyflow.expressions import Table
from lazyflow.plan import row_wise
from lazyflow.source import Fingerprint, Source, arrow_inside, columns_of, inside_names, outside_names
from lazyflow_xorq.picking import Pick, pick_arrow, pick_files
from lazyflow_xorq.session import Session


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


def open_files(sessions: Sequence[Session], path: str | PathLike[str], scratch: Callable[[], str]) -> Opened:
    """Parquet files, read where they lie; CSV and JSON files, brought into a Parquet file once; Arrow files."""
    files = find_files(str(path))
    fingerprint = Fingerprint.of_files(files.paths)
    if files.format == "arrow":
        return open_arrow(sessions, read_arrow_files(files), fingerprint)
    if files.format != "parquet":
        from lazyflow_duckdb.files import to_parquet

        converted = Path(scratch()) / f"{uuid.uuid4().hex}.parquet"
        to_parquet(files, converted)
        files = Files("parquet", (converted,))
    schema = pq.read_schema(files.paths[0])
    if not schema.names:
        raise SourceError(f"{path}: the file has no columns")
    if inside_names(outside_names(schema.names)) != schema.names:
        # DataFusion drops the second of two equal names: such files are read by Arrow and renamed.
        return open_arrow(sessions, pa.concat_tables([pq.read_table(found) for found in files.paths]), fingerprint)
    paths = [str(found.resolve()) for found in files.paths]
    scan, table = _register_files(sessions, paths)
    plan_table = xo.deferred_read_parquet(paths[0] if len(paths) == 1 else tuple(paths))
    return _opened(plan_table, table, scan, fingerprint, pick_files(paths))


def open_arrow(sessions: Sequence[Session], arrow: pa.Table, fingerprint: Fingerprint | None = None) -> Opened:
    """An Arrow table, registered as it is: nothing is copied."""
    if not arrow.num_columns:
        raise SourceError("the Arrow table has no columns")
    columns, renamed = arrow_inside(plain_arrow(arrow))
    scan = _name()
    batches = renamed.to_batches(max_chunksize=8_192) or [pa.RecordBatch.from_pylist([], schema=renamed.schema)]
    for session in sessions:
        session.register(scan, batches)
    table = sessions[0].connection.table(scan)
    source = Source(table, columns, fingerprint or Fingerprint.of_opening(), positional=True, numbered=True)
    return Opened(source, table.op(), scan, columns[0].inside, table, pick_arrow(renamed))


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
        scan, own = _register_files(sessions, _parquet_paths(read))
        stand_in, pick = table.op().replace({read: own.op()}), pick_files(_parquet_paths(read))
        source = Source(table, columns, fingerprint, positional=True, numbered=pick is not None)
        return Opened(source, stand_in, scan, own.columns[0], own, pick)
    for read in reads:
        if isinstance(read, Read) and _parquet_paths(read):
            _warn_of_settings(read)
    path = Path(scratch()) / f"{uuid.uuid4().hex}.parquet"
    _materialise(expression, path)
    scan, own = _register_files(sessions, [str(path)])
    renamed = own if inside == names else own.select([own[n].name(i) for n, i in zip(names, inside, strict=True)])
    pick = pick_files([str(path)])
    source = Source(table, columns, fingerprint, positional=True, numbered=pick is not None)
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


def _opened(table: Table, own: Table, scan: str, fingerprint: Fingerprint, pick: Pick | None) -> Opened:
    columns = columns_of(table.columns, [type.to_pyarrow() for type in table.schema().types])
    source = Source(table, columns, fingerprint, positional=True, numbered=pick is not None)
    return Opened(source, own.op(), scan, table.columns[0], own, pick)


def _register_files(sessions: Sequence[Session], paths: list[str]) -> tuple[str, Table]:
    scan = _name()
    tables = [
        session.connection.read_parquet(paths[0] if len(paths) == 1 else paths, table_name=scan) for session in sessions
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
