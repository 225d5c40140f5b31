"""pandas: rows come from blocks until the window is full; scopes are computed by blocks, counted by Arrow."""

from __future__ import annotations

import datetime
import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xorq.vendor.ibis as ibis
import xorq.vendor.ibis.expr.operations as ops
from xorq.backends.pandas import Backend as Executor
from xorq.vendor.ibis.formats.pyarrow import PyArrowSchema

from lazyflow.backend import Backend, Capabilities
from lazyflow.data import expression_family, is_arrow, recognise, rows_of_arrow, source_error, unsupported
from lazyflow.errors import LazyflowError, SourceError
from lazyflow.expressions import Column, Namespace, Table, far_count
from lazyflow.files import Database, Files
from lazyflow.fingerprint import Fingerprint
from lazyflow.memo import Memo
from lazyflow.moments import clock_count
from lazyflow.numbering import with_row_numbers
from lazyflow.plain import in_schema, plain_arrow
from lazyflow.plan import ROW_NUMBER, Plan, Stage, row_wise
from lazyflow.query import CountQuery, PrepareQuery, Query, RowsQuery
from lazyflow.source import Source, arrow_inside
from lazyflow.statistics.order import WindowQuery
from lazyflow.statistics.queries import AggregateQuery, ValueCountsQuery
from lazyflow.statistics.sampling import SampleQuery, Sampling
from lazyflow.statistics.view import Folding
from lazyflow.work import CancelToken
from lazyflow_pandas.evaluation import Evaluation
from lazyflow_pandas.frames import arrow_from_result, frame_from_arrow, held

FIRST_BLOCK_ROWS = 4_096
BLOCK_ROWS = 262_144
"""Rows of a block: small enough that no kernel holds the interpreter lock for long."""


class PandasBackend(Backend):
    """pandas through xorq's executor. The frame is read when it is opened; `refresh` reads it again."""

    name: ClassVar[str] = "pandas"
    packages: ClassVar[tuple[str, ...]] = ("pandas", "xorq", "duckdb", "pyarrow")
    capabilities: ClassVar[Capabilities] = Capabilities(
        interrupts=False, missing={"views as SQL": "pandas speaks no SQL"}
    )
    folding: ClassVar[Folding] = Folding(
        max_distinct=None, ask_first=False, max_columns=1, window_rows=None, sampling=Sampling(), keeps_rows=True
    )

    def __init__(self) -> None:
        self._arrow: pa.Table = pa.table({})
        self._frame: pd.DataFrame | None = None
        self._leaf: Any = None
        self._evaluations: Memo[Hashable, Evaluation] = Memo(64)
        self._scopes: Memo[Hashable, pa.Table] = Memo(3)
        self._orders: Memo[Plan, pa.Array] = Memo(2)

    @property
    def ns(self) -> Namespace:
        """Xorq's own copy of ibis."""
        return ibis

    def comparable(self, column: Column) -> Column:
        """The column, times of day as their nanoseconds: the executor has no literal for those below microseconds."""
        column = super().comparable(column)
        return column.cast("int64") if column.type().is_time() else column

    def literal(self, column: Column, value: Any) -> Column:
        """The executor reads text as nanoseconds, which end in 1677 and 2262: moments are Python's where they fit."""
        type = column.type()
        if type.is_integer() and isinstance(value, str):
            return super().literal(column, clock_count(value))
        if type.is_temporal() and far_count(type, value) is not None:
            return super().literal(column, value)
        if type.is_date():
            return ibis.literal(datetime.date.fromisoformat(value))
        if type.is_time():
            return ibis.literal(datetime.time.fromisoformat(value[:15]))
        if type.is_timestamp() and not re.search(r"[.]\d{6}\d*[1-9]", value):
            return ibis.literal(datetime.datetime.fromisoformat(re.sub(r"([.]\d{6})\d*", r"\1", value)))
        return super().literal(column, value)

    def open(self, data: Any) -> Source:
        """Open a frame, an Arrow table, files or an expression, which are read into memory."""
        try:
            arrow, fingerprint = self._read(data)
            if not arrow.num_columns:
                raise SourceError("the source has no columns")
            columns, plain = arrow_inside(plain_arrow(arrow))
            plain = in_schema(plain, pa.schema([field.with_type(held(field.type)) for field in plain.schema]))
            frame = frame_from_arrow(plain)
        except LazyflowError:
            raise
        except Exception as error:
            raise source_error("pandas", data, error) from error
        self._arrow, self._frame = plain, frame
        executor = Executor()
        executor.do_connect({"source": self._frame})
        schema = PyArrowSchema.to_ibis(self._arrow.schema)
        table = ops.DatabaseTable("source", schema, executor).to_expr()
        self._leaf = table.op()
        self._evaluations.clear()
        self._scopes.clear()
        self._orders.clear()
        why = "pandas works on frames in memory"
        return Source(table, columns, fingerprint, positional=True, numbered=True, materialised=why)

    def _read(self, data: Any) -> tuple[pa.Table, Fingerprint]:
        found = recognise(data)
        if isinstance(found, Files | Database):
            from lazyflow_duckdb.files import to_arrow

            return to_arrow(found), found.fingerprint
        if is_arrow(found):
            return found, Fingerprint.of_opening()
        if expression_family(found) is not None:
            return found.to_pyarrow(), Fingerprint.of_opening()
        raise unsupported(found, self.name)

    def execute(self, query: Query, token: CancelToken) -> pa.Table:
        """The answer to a query, computed in steps between which the token is asked."""
        if isinstance(query, RowsQuery):
            return self._rows(query, token)
        if isinstance(query, PrepareQuery):
            return query.collect(self._row_numbers(query.plan, token))
        if isinstance(query, CountQuery):
            return pa.table({"rows": [self._count(query.plan, token)]})
        if isinstance(query, SampleQuery):
            rows, table = rows_of_arrow(self._arrow, query.numbers), query.expression
            if query.stage.table.op() == self._leaf:
                return rows.select([column.inside for column in query.columns])
            return arrow_from_result(
                Evaluation(table.op(), self._leaf)(frame_from_arrow(rows), token.check), _schema(table)
            )
        if isinstance(query, ValueCountsQuery):
            scope = self._scope(query.stage, self._leaf, token)
            token.check()
            return query.answer([_value_counts(scope[column.inside]) for column in query.columns])
        if isinstance(query, WindowQuery):
            return self._scope(query.stage, self._leaf, token).slice(query.start, query.length)
        if isinstance(query, AggregateQuery) and not query.columns:
            return pa.table({"rows": [self._scope(query.stage, self._leaf, token).num_rows]})
        return self._aggregate(query, token)

    def _rows(self, query: RowsQuery, token: CancelToken) -> pa.Table:
        plan = query.plan
        shown, leaf = plan.stages["shown"], plan.raw.op()
        if query.numbers is not None:
            rows = rows_of_arrow(self._arrow.select(plan.raw.columns), query.numbers)
            if shown.table.op() == leaf:
                return rows
            evaluation = self._evaluation(shown.table, leaf, _key(shown))
            return arrow_from_result(evaluation(frame_from_arrow(rows), token.check), _schema(shown.table))
        if plan.state.sort or not plan.positional:
            rows = self._scope(shown, leaf, token)
            order = self._order(plan, rows, token)
            return rows_of_arrow(rows.select(query.inside), order.slice(query.start, query.stop - query.start))
        kept = self._arrow if shown.table.op() == leaf else self._scopes.get(_key(shown))
        if kept is not None:
            return kept.slice(query.start, query.stop - query.start)
        parts, passed = [], 0
        narrow, key = shown.table, _key(shown)
        if len(query.columns) < len(shown.columns):
            narrow, key = shown.table.select(query.inside), (*key, query.inside)
        for block in self._blocks(narrow, leaf, key, token):
            first, last = max(query.start - passed, 0), query.stop - passed
            if first < block.num_rows and last > first:
                parts.append(block.slice(first, last - first))
            passed += block.num_rows
            if passed >= query.stop:
                break
        return pa.concat_tables(parts) if parts else _schema(narrow).empty_table()

    def _count(self, plan: Plan, token: CancelToken) -> int:
        shown = plan.stages["shown"]
        kept = self._scopes.get(_key(shown))
        if kept is not None:
            return int(kept.num_rows)
        inside = (shown.columns[0].inside,)
        blocks = self._blocks(shown.table.select(inside), plan.raw.op(), (*_key(shown), inside), token)
        return sum(block.num_rows for block in blocks)

    def _order(self, plan: Plan, rows: pa.Table, token: CancelToken) -> pa.Array:
        """The row numbers of a plan's ordered table; Arrow's sort is stable, by code point, and puts NULL last."""

        def sort() -> pa.Array:
            token.check()
            keys, columns = [], {}
            for number, (column, places, descending) in enumerate(plan.sort_keys):
                values = pc.struct_field(rows[column], list(places)) if places else rows[column]
                columns[str(number)] = _sortable(values)
                keys.append((str(number), "descending" if descending else "ascending"))
            return pc.sort_indices(pa.table(columns), sort_keys=keys, null_placement="at_end")

        return self._orders.get_or(plan, sort)

    def _row_numbers(self, plan: Plan, token: CancelToken) -> Iterator[pa.Array]:
        """The row numbers of a plan's ordered table, in parts."""
        shown = plan.stages["shown"]
        if not plan.state.sort:
            yield from self._shown_numbers(plan, token)
            return
        leaf = plan.raw.op()
        order = self._order(plan, self._scope(shown, leaf, token), token)
        if shown.table.op() == leaf:
            yield order
            return
        yield pa.concat_arrays(list(self._shown_numbers(plan, token))).take(order)

    def _shown_numbers(self, plan: Plan, token: CancelToken) -> Iterator[pa.Array]:
        """The row numbers of a plan's shown table, block by block."""
        schema = ibis.schema({**dict(plan.raw.schema().items()), ROW_NUMBER: "int64"})
        numbered = ops.DatabaseTable("source", schema, self._leaf.source)
        table = with_row_numbers(plan, numbered.to_expr()).select(ROW_NUMBER)
        evaluation, passed = Evaluation(table.op(), numbered), 0
        yield pa.array([], pa.int64())
        for block in self._frames(plan.raw.columns):
            block = block.copy(deep=False)
            block[ROW_NUMBER] = np.arange(passed, passed + len(block))
            passed += len(block)
            yield arrow_from_result(evaluation(block, token.check), _schema(table)).column(0).combine_chunks()

    def _aggregate(self, query: Query, token: CancelToken) -> pa.Table:
        expression = query.expression
        result = Evaluation(expression.op(), self._leaf)(self._whole(), token.check)
        return arrow_from_result(result, _schema(expression))

    def _scope(self, stage: Stage, leaf: Any, token: CancelToken) -> pa.Table:
        """All rows of a stage over `leaf`, the source's table or some columns of it; kept for queries that follow."""
        if stage.table.op() == leaf:
            return self._arrow
        table, key = stage.table, _key(stage)
        return self._scopes.get_or(
            key, lambda: pa.concat_tables([_schema(table).empty_table(), *self._blocks(table, leaf, key, token)])
        )

    def _blocks(self, table: Table, leaf: Any, key: Hashable, token: CancelToken) -> Iterator[pa.Table]:
        """The rows of a table, block by block where each row of it comes from one row of the source, else at once."""
        evaluation, schema = self._evaluation(table, leaf, key), _schema(table)
        frames = self._frames(leaf.schema.names) if row_wise(table, leaf.to_expr()) else [self._whole()]
        for frame in frames:
            yield arrow_from_result(evaluation(frame, token.check), schema)

    def _evaluation(self, table: Table, leaf: Any, key: Hashable) -> Evaluation:
        return self._evaluations.get_or(key, lambda: Evaluation(table.op(), leaf))

    def _frames(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Columns of the source, block by block: small ones first."""
        frame, start, size = self._whole(), 0, FIRST_BLOCK_ROWS
        if len(names) < len(frame.columns):
            frame = pd.DataFrame({name: frame[name] for name in names}, copy=False)  # else they would be copied
        while start < len(frame):
            block = frame.iloc[start : start + size]
            block.index = pd.RangeIndex(len(block))  # `reset_index` would copy every column
            yield block
            start += size
            size = min(size * 4, BLOCK_ROWS)

    def _whole(self) -> pd.DataFrame:
        assert self._frame is not None
        return self._frame


def _key(stage: Stage) -> tuple[Hashable, ...]:
    """What a stage computes: of a wide table perhaps in some columns alone."""
    return stage.digest, tuple(column.inside for column in stage.columns)


def _schema(table: Table) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in table.schema().to_pyarrow()])


def _value_counts(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    counts = column.value_counts()
    return pa.chunked_array([counts.field("values")]), pa.chunked_array([counts.field("counts")])


def _sortable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column with missing values as NULL, in a type that Arrow sorts."""
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int8())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if pa.types.is_nested(column.type):
        return pa.chunked_array([pa.array([str(value) for value in column.to_pylist()], pa.string())])
    return column
