"""Value counts on DataFusion, column by column: one union of all would scan the scope once per branch anyway.

The source itself is scanned per column, which reads that column only. A scope behind a filter is computed once, held
block by block, and each block is grouped per column; so is a wide source, since each scan reads what the file says of
all columns.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lazyflow.source import SourceColumn
from lazyflow.statistics.queries import ValueCountsQuery
from lazyflow.work import CancelToken
from lazyflow_xorq.opening import Opened
from lazyflow_xorq.session import Session

BLOCK_ROWS = 1_000_000
"""Rows that are held in memory at once."""


def count_source(
    session: Session, query: ValueCountsQuery, opened: Opened, token: CancelToken, most: int | None
) -> pa.Table:
    """The answer over the source itself; a column with more than `most` distinct values is given up."""
    counts = []
    for column in query.columns:
        statement = _statement(session, query, column, opened.stand_in, most)
        found = _count(session, statement, opened.scan, opened.watched, token)
        counts.append(None if _too_many(found, most) else found)
    return query.answer([None if table is None else (table["value"], table["rows"]) for table in counts])


def count_scope(
    session: Session, query: ValueCountsQuery, scope: str, opened: Opened, token: CancelToken, most: int | None
) -> pa.Table:
    """The answer over a scope, given as SQL for the columns asked about; one with more than `most` is given up."""
    stream = session.stream(scope, opened.scan, opened.watched, token)
    name = f"lazyflow_{uuid.uuid4().hex}"
    statements: list[str] = []
    counts: dict[int, pa.Table | None] = {}
    for block in _blocks(stream):
        session.register(name, block)
        try:
            if not statements:
                table = session.connection.table(name).op()
                statements = [_statement(session, query, column, table, most) for column in query.columns]
            for position, statement in enumerate(statements):
                before = counts.get(position, _NOTHING)
                if before is not None:
                    found = _merge(before, _count(session, statement, name, query.columns[0].inside, token))
                    counts[position] = None if _too_many(found, most) else found
        finally:
            session.forget(name)
    found_in = [counts.get(position, _NOTHING) for position in range(len(query.columns))]
    return query.answer([None if table is None else (table["value"], table["rows"]) for table in found_in])


_NOTHING = pa.table({"value": pa.nulls(0), "rows": pa.nulls(0, pa.int64())})


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


def _statement(session: Session, query: ValueCountsQuery, column: SourceColumn, table: Any, most: int | None) -> str:
    """The value counts of a column of `table`, cut where there are more than it may have."""
    grouped = session.compile(query.group(column).op().replace({query.table.op(): table}).to_expr())
    return grouped if most is None else f"SELECT * FROM ({grouped}) LIMIT {most + 1}"


def _count(session: Session, statement: str, scan: str, watched: str, token: CancelToken) -> pa.Table:
    batches = list(session.stream(statement, scan, watched, token))
    if not batches:
        return _NOTHING
    found = pa.Table.from_batches(batches)
    return pa.table(found.columns, names=found.column_names)  # without what DataFusion says of nulls, block by block


def _merge(before: pa.Table, found: pa.Table) -> pa.Table:
    if not before.num_rows or not found.num_rows:
        return found if found.num_rows else before
    both = pa.concat_tables([before, found]).group_by("value", use_threads=False).aggregate([("rows", "sum")])
    return both.select(["value", "rows_sum"]).rename_columns(["value", "rows"])


def _too_many(counts: pa.Table, most: int | None) -> bool:
    return most is not None and counts.num_rows > most
