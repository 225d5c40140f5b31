"""A DataFusion session of our own, set up to read right and in order, whose queries can be stopped.

DataFusion has no cancel. A function in the scan's filter, called once per batch, raises when the query's ticket was
withdrawn; between batches of a result the token is asked too.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import xorq.api as xo
from xorq_datafusion import SessionConfig, udf

from lazyflow.expressions import Table
from lazyflow.work import CancelToken

_WANTED = "lazyflow_wanted"


class Withdrawn(Exception):
    """Raised inside the engine to end a query that nobody wants any more."""


class Session:
    """One DataFusion session.

    Parameters
    ----------
    partitions
        How many cores a query may use. With one, rows come in the order of the source, every time.
    """

    def __init__(self, partitions: int) -> None:
        config = (
            SessionConfig()
            # A Parquet column whose statistics know one value would be read as all that value, over NaN too.
            .set("datafusion.execution.collect_statistics", "false")
            .set("datafusion.optimizer.repartition_file_scans", "false")
            .set("datafusion.execution.parquet.schema_force_view_types", "false")
            .with_target_partitions(partitions)
        )
        self.connection = xo.connect(config)
        self._tickets: set[int] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._true = pa.array([True] * 8192)
        self.connection.con.register_udf(udf(self._wanted, [pa.bool_(), pa.int64()], pa.bool_(), "volatile", _WANTED))

    def _wanted(self, missing: pa.Array, ticket: pa.Array) -> pa.Array:
        if len(ticket) and ticket[0].as_py() not in self._tickets:
            raise Withdrawn
        rows = len(missing)
        return self._true[:rows] if rows <= len(self._true) else pa.array([True] * rows)

    def register(self, name: str, batches: Sequence[pa.RecordBatch]) -> None:
        """Make record batches readable under a name; nothing is copied."""
        self.connection.con.register_record_batches(name, [list(batches)])

    def register_linked(self, name: str, root: Path, keys: Sequence[str], columns: str) -> None:
        """Make Parquet files readable under a name.

        Parameters
        ----------
        root
            A folder with one file in each folder of the lowest level.
        keys
            Those of the folders `key=value` between; each is a column of text.
        columns
            What is read of them, as SQL.
        """
        partitions = [(key, "string") for key in keys]
        self.connection.con.register_parquet(f"{name}_files", [f"{root}/"], table_partition_cols=partitions)
        self.connection.con.sql(f'CREATE VIEW "{name}" AS SELECT {columns} FROM "{name}_files"')

    def forget(self, name: str) -> None:
        """Take back what `register` gave."""
        self.connection.con.deregister_table(name)

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table as the engine reads them; dictionaries decoded."""
        schema = self.connection.con.table(name).schema()
        decoded = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
        return pa.schema([field.with_type(type) for field, type in zip(schema, decoded, strict=True)])

    def compile(self, expression: Table) -> str:
        """An expression over tables of this session as SQL; functions and tables that it brings along are registered.

        The connection's own `compile` keeps every expression for ever and opens a telemetry thread.
        """
        connection = self.connection
        connection._register_udfs(expression)
        connection._register_in_memory_tables(expression)
        return str(connection.compiler.to_sqlglot(expression).sql(dialect=connection.dialect))

    def stream(
        self, statement: str, scan: str, column: str, token: CancelToken, columns: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """The result of a statement, batch by batch.

        Parameters
        ----------
        statement
            SQL over the table `scan`, and no other.
        scan
            Name of the table that is watched: its reading stops when the token is cancelled.
        column
            Any column of it.
        columns
            Those that the statement needs, where it does not need many: none are all.
        """
        with self._lock:
            ticket = next(self._numbers)
            self._tickets.add(ticket)
        selected = ", ".join(f'"{name}"' for name in columns) or "*"
        watched = f'(SELECT {selected} FROM "{scan}" WHERE {_WANTED}("{column}" IS NULL, {ticket}))'
        try:
            with token.on_cancel(lambda: self._tickets.discard(ticket)):
                result = self.connection.con.sql(statement.replace(f'"{scan}"', watched))
                for batch in result.execute_stream():
                    token.check()
                    yield batch.to_pyarrow()
        finally:
            self._tickets.discard(ticket)

    def table(
        self, statement: str, schema: pa.Schema, scan: str, column: str, token: CancelToken, columns: Sequence[str] = ()
    ) -> pa.Table:
        """The result of a statement as a table of that schema; see `stream`."""
        batches = list(self.stream(statement, scan, column, token, columns))
        return pa.Table.from_batches(batches).cast(schema) if batches else schema.empty_table()
