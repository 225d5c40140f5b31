"""Value counts on DataFusion: a union would scan once per column, so the scope is scanned once, grouped by blocks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pyarrow as pa

from lazyflow.statistics.queries import ValueCountsQuery
from lazyflow.work import CancelToken
from lazyflow_xorq.opening import Opened
from lazyflow_xorq.session import Session

BLOCK_ROWS = 1_000_000
"""Rows that are held in memory at once."""


def count_values(
    session: Session, query: ValueCountsQuery, scope: str, opened: Opened, token: CancelToken, most: int | None
) -> pa.Table:
    """The answer to a value counts query.

    Parameters
    ----------
    scope
        SQL of the scope's table.
    most
        A column with more distinct values is given up.
    """
    selected = ", ".join(f'"{column.inside}"' for column in query.columns)
    stream = session.stream(f"SELECT {selected} FROM ({scope})", opened.scan, opened.watched, token)
    name = f"lazyflow_{uuid.uuid4().hex}"
    statements: list[str] = []
    counts: list[pa.Table | None] = [None] * len(query.columns)
    given_up: set[int] = set()
    for block in _blocks(stream):
        session.register(name, block)
        try:
            statements = statements or _statements(session, query, name, most)
            for position, statement in enumerate(statements):
                if position not in given_up:
                    token.check()
                    merged = counts[position] = _merge(counts[position], _count(session, statement))
                    if most is not None and merged.num_rows > most:
                        given_up.add(position)
                        counts[position] = None
        finally:
            session.forget(name)
    return query.answer([None if at in given_up else _parts(table) for at, table in enumerate(counts)])


def _blocks(stream: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    block: list[pa.RecordBatch] = []
    rows = 0
    for batch in stream:
        block.append(batch)
        rows += batch.num_rows
        if rows >= BLOCK_ROWS:
            yield block
            block, rows = [], 0
    if block:
        yield block


def _statements(session: Session, query: ValueCountsQuery, name: str, most: int | None) -> list[str]:
    """For each column, its value counts over the block, cut where there are more than it may have."""
    block = session.connection.table(name).op()
    bound = "" if most is None else f" LIMIT {most + 1}"
    replaced = {query.stage.table.op(): block}
    grouped = (query.group(column).op().replace(replaced).to_expr() for column in query.columns)
    return [f"SELECT * FROM ({session.compile(table)}){bound}" for table in grouped]


def _count(session: Session, statement: str) -> pa.Table:
    found = pa.Table.from_batches(session.connection.con.sql(statement).collect())
    return pa.table(found.columns, names=found.column_names)  # without what DataFusion says of nulls, block by block


def _merge(before: pa.Table | None, found: pa.Table) -> pa.Table:
    if before is None:
        return found
    both = pa.concat_tables([before, found]).group_by("value", use_threads=False).aggregate([("rows", "sum")])
    return both.select(["value", "rows_sum"]).rename_columns(["value", "rows"])


def _parts(table: pa.Table | None) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    if table is None:
        return pa.chunked_array([], pa.null()), pa.chunked_array([], pa.int64())
    return table["value"], table["rows"]
