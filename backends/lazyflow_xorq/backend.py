"""xorq: one session for rows, one for statistics, so that neither takes the other's core."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import xorq.vendor.ibis as ibis
from xorq.backends.xorq_datafusion.compiler import compiler

from lazyflow.backend import Backend, Capabilities
from lazyflow.data import expression_family, is_arrow, recognise, source_error, unsupported
from lazyflow.errors import LazyflowError
from lazyflow.expressions import Column, Namespace, Table
from lazyflow.files import Build, Database, Files
from lazyflow.memo import Memo
from lazyflow.numbering import carried_along, in_source_order, row_numbers
from lazyflow.plan import ROW_NUMBER, Plan
from lazyflow.query import CountQuery, PrepareQuery, Query, RowsQuery
from lazyflow.source import Source
from lazyflow.sql import SOURCE, laid_out
from lazyflow.statistics.order import OrderQuery
from lazyflow.statistics.queries import ValueCountsQuery
from lazyflow.statistics.sampling import SampleQuery, Sampling
from lazyflow.statistics.view import Folding
from lazyflow.work import CancelToken
from lazyflow_xorq.counting import count_scope, count_source
from lazyflow_xorq.native import NATIVE, QUANTILES_FUNCTION, comparable
from lazyflow_xorq.opening import Opened, open_arrow, open_build, open_database, open_expression, open_files
from lazyflow_xorq.session import Session

_FAR = 65_536
"""Rows: so far into a source, DataFusion, which reads all that it passes over, is slower than to pick rows."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class XorqBackend(Backend):
    """DataFusion through xorq. Expressions stay the caller's; they are run in sessions that read right and in order."""

    name: ClassVar[str] = "xorq"
    packages: ClassVar[tuple[str, ...]] = ("xorq", "xorq-datafusion", "duckdb", "pyarrow")
    capabilities: ClassVar[Capabilities] = Capabilities(
        interrupts=True,
        missing={
            "lists: elements of lists [list of times]": "DataFusion compares times of day only after a trip through "
            "text, on which it cannot send the elements of a list"
        },
    )
    folding: ClassVar[Folding] = Folding(ask_first=False, native=NATIVE, sampling=Sampling())

    def __init__(self) -> None:
        self._rows: Session | None = None
        self._statistics: Session | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._opened: Opened | None = None
        self._before: Opened | None = None
        self._statements: Memo[Plan, str] = Memo(64)

    @property
    def ns(self) -> Namespace:
        """Xorq's own copy of ibis."""
        return ibis

    def comparable(self, column: Column) -> Column:
        """The column, times of day by way of text."""
        return comparable(super().comparable(column))

    def field(self, column: Column, name: str) -> Column:
        """The field, asked only where the struct is there: DataFusion reads what lies in memory where it is not."""
        found = column[name]
        return column.notnull().ifelse(found, ibis.null())

    def matches(self, column: Column, pattern: str) -> Column:
        r"""As the pattern says; `\b` bounds words of ASCII, as RE2 has it, which Rust must be told."""
        return column.re_search(_ESCAPE.sub(lambda found: r"(?-u:\b)" if found[1] == "b" else found[0], pattern))

    def sql(self, plan: Plan) -> str:
        """A view in DataFusion's SQL, over a table `source`."""
        source = ibis.table(plan.raw.schema(), name=SOURCE)
        view = plan.named(plan.ordered).op().replace({plan.raw.op(): source.op()}).to_expr()
        query = compiler.to_sqlglot(view)
        if plan.positional:
            query.add_comments(["the order of the source is kept where datafusion.execution.target_partitions = 1"])
        return laid_out(query, compiler.dialect)

    def open(self, data: Any) -> Source:
        """Open files, a table of a DuckDB database file, an Arrow table, a xorq expression, or a build of one."""
        try:
            found = recognise(data)
            if isinstance(found, Files):
                opened = open_files(self._sessions(), found, self._scratch_folder)
            elif isinstance(found, Database):
                opened = open_database(self._sessions(), found, self._scratch_folder)
            elif isinstance(found, Build):
                opened = open_build(self._sessions(), found, self._scratch_folder)
            elif is_arrow(found):
                opened = open_arrow(self._sessions(), found)
            elif expression_family(found) == "xorq":
                opened = open_expression(self._sessions(), found, self._scratch_folder)
            else:
                raise unsupported(found, self.name)
        except LazyflowError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise source_error("xorq", data, error) from error
        stale, self._before, self._opened = self._before, self._opened, opened
        if stale is not None:  # not the one before: queries of it may be on their way
            for session in self._sessions():
                session.forget(stale.scan)
        return opened.source

    def execute(self, query: Query, token: CancelToken) -> pa.Table:
        """The answer to a query, from the session of its phase."""
        opened = self._opened
        rows, statistics = self._sessions()[0], self._sessions()[-1]
        assert opened is not None
        # Only the session of the rows keeps their order.
        session = statistics if query.deferred and not isinstance(query, OrderQuery) else rows
        if isinstance(query, ValueCountsQuery):
            most = self.folding.max_distinct
            wide = len(query.stage.columns) > self.folding.max_columns
            if query.stage.table.op() == opened.source.table.op() and not wide:
                return count_source(session, query, opened, token, most)
            scope = self._statement(session, query.table, opened)
            return count_scope(session, query, scope, opened, token, most)
        if isinstance(query, SampleQuery) and opened.pick is not None:
            statement = self._statement(session, query.expression, opened)
            return self._picked(session, statement, query.expression, query.numbers, opened, token)
        if isinstance(query, PrepareQuery):
            self._shown(rows, query.plan, opened)  # compiled here, its first window need not wait for it
            # Where more than one partition is read at once, rows come in no order that could be counted.
            statement = rows.compile(row_numbers(query.plan, _numbered(opened, query.plan)))
            columns = _columns(query.plan, opened)
            stream = rows.stream(statement, opened.scan, opened.watched, token, columns)
            return query.collect(batch.column(0) for batch in stream)
        plan = query.plan if isinstance(query, RowsQuery | CountQuery) else None
        columns = () if plan is None else _columns(plan, opened)
        if isinstance(query, RowsQuery):
            numbers = _numbers(query, opened) if opened.pick is not None else None
            if numbers is not None:
                shown = self._shown(session, query.plan, opened)
                return self._picked(session, shown, query.plan.shown, numbers, opened, token, columns)
            statement = self._window(session, query, opened)
            whole = query.plan.shown.schema()
            schema = pa.schema([(name, whole[name].to_pyarrow()) for name in query.inside])
        else:
            statement = self._statement(session, query.expression, opened, plan)
            schema = query.expression.schema().to_pyarrow()
        return session.table(statement, _nullable(schema), opened.scan, opened.watched, token, columns)

    def close(self) -> None:
        """Leave the sessions, and remove what was materialised."""
        self._opened = self._before = self._rows = self._statistics = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _statement(self, session: Session, expression: Table, opened: Opened, plan: Plan | None = None) -> str:
        """An expression over the source, or over that of a plan, as SQL over our table that stands for it."""
        replaced = {opened.source.table.op(): opened.stand_in}
        if plan is not None:
            replaced = {plan.raw.op(): _stand_in(opened, plan)}
        return session.compile(expression.op().replace(replaced).to_expr())

    def _window(self, session: Session, query: RowsQuery, opened: Opened) -> str:
        """The statement for a window. Unsorted, only its end differs from window to window: it is compiled once."""
        plan = query.plan
        if plan.state.sort or not plan.positional:
            return self._statement(session, query.expression, opened, plan)
        shown = self._shown(session, plan, opened)
        selected = ", ".join(f'"{name}"' for name in query.inside)
        return f"SELECT {selected} FROM ({shown}) LIMIT {query.stop - query.start} OFFSET {query.start}"

    def _shown(self, session: Session, plan: Plan, opened: Opened) -> str:
        return self._statements.get_or(plan, lambda: self._statement(session, plan.shown, opened, plan))

    def _picked(
        self,
        session: Session,
        statement: str,
        table: Table,
        numbers: pa.Array,
        opened: Opened,
        token: CancelToken,
        columns: Sequence[str] = (),
    ) -> pa.Table:
        """A statement for `table`, over rows of the source by their numbers: they are registered in its place."""
        assert opened.pick is not None
        rows = opened.pick(numbers, columns, token)
        read = session.schema(opened.scan)
        rows = rows.cast(pa.schema([read.field(name) for name in columns]) if columns else read)
        name = f"lazyflow_{uuid.uuid4().hex}"
        empty = pa.RecordBatch.from_pylist([], rows.schema)
        session.register(name, rows.combine_chunks().to_batches() or [empty])
        try:
            schema = _nullable(table.schema().to_pyarrow())
            statement = statement.replace(f'"{opened.scan}"', f'"{name}"')
            return session.table(statement, schema, name, opened.watched, token, columns)
        finally:
            session.forget(name)

    def _sessions(self) -> tuple[Session, ...]:
        """Those of rows and of statistics, which get all cores but one; where that is one, they share a session."""
        if self._rows is None or self._statistics is None:
            cores = max(1, (os.cpu_count() or 2) - 1)
            self._rows = Session(partitions=1)
            self._statistics = self._rows if cores == 1 else Session(cores)
            self._statistics.connection.con.register_udaf(QUANTILES_FUNCTION)
        return (self._rows,) if self._statistics is self._rows else (self._rows, self._statistics)

    def _scratch_folder(self) -> str:
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="lazyflow-")
        return self._scratch.name


def _is_whole(opened: Opened) -> bool:
    """Whether what stands for the source's table is all that is read, under the same names."""
    return bool(opened.stand_in == opened.read.op())


def _stand_in(opened: Opened, plan: Plan) -> Any:
    """What stands for a plan's source, which may be some columns of the table that was opened."""
    schema = plan.raw.schema()
    if schema == opened.stand_in.schema:
        return opened.stand_in
    if _is_whole(opened):
        return opened.stand_in.copy(schema=schema)
    return opened.stand_in.to_expr().select(schema.names).op()


def _columns(plan: Plan, opened: Opened) -> tuple[str, ...]:
    """What is read for a plan over some columns of the source, and to stop its reading; nothing where that is all."""
    if plan.raw.op() == opened.source.table.op() or not _is_whole(opened):
        return ()
    return tuple(dict.fromkeys([*plan.raw.columns, opened.watched]))


def _numbered(opened: Opened, plan: Plan) -> Table:
    """What stands for a plan's source, with the numbers of the rows that it reads."""
    stand_in = _stand_in(opened, plan)
    read = stand_in.to_expr() if _is_whole(opened) else opened.read
    counted = read.mutate(**{ROW_NUMBER: ibis.row_number()})
    return carried_along(stand_in.to_expr(), read, counted)


def _numbers(query: RowsQuery, opened: Opened) -> pa.Array | None:
    """The row numbers of a window: those prepared, and those that go without saying, where they are of use."""
    far = query.start >= _FAR and query.stop - query.start <= _FAR
    if query.numbers is None and far and _is_whole(opened) and in_source_order(query.plan):
        return pa.array(range(query.start, query.stop), pa.int64())
    return query.numbers


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])
