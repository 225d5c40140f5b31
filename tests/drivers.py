"""What each engine's driver is asked, seen at the driver: harnesses of the suite for the backends of this repository.

The drivers are wrapped once, when a harness is made, and report to whichever logs are open.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from lazyflow.plan import Plan
from lazyflow.testing import Harness

_open_logs: list[list[str]] = []


def report(text: object) -> None:
    for log in list(_open_logs):
        log.append(str(text))


@contextmanager
def queries() -> Iterator[list[str]]:
    log: list[str] = []
    _open_logs.append(log)
    try:
        yield log
    finally:
        _open_logs[:] = [other for other in _open_logs if other is not log]


def reporting(owner: Any, name: str, describe: Callable[..., object]) -> None:
    """Replace a function of a driver by one that reports each call before it makes it."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        report(describe(*args, **kwargs))
        return original(*args, **kwargs)

    setattr(owner, name, wrapper)


SETTINGS = ("PRAGMA", "-- PRAGMA", "SELECT name FROM pragma_")
"""What ibis says to SQLite when it connects: it asks nothing of the data."""


def as_it_is(table: Any) -> Any:
    return table


def run_on_duckdb(plan: Plan) -> pa.Table:
    """Under DuckDB's own settings, far from the zone in which ours are."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        if plan.source.statement is None:
            opened = plan.raw.get_backend().con.sql(f"SELECT * FROM {plan.raw.get_name()}")
            connection.register("source", opened.to_arrow_table())
        return connection.sql(plan.sql()).to_arrow_table()


def run_on_datafusion(plan: Plan) -> pa.Table:
    """In a session that keeps the order of rows."""
    import xorq.api as xo

    source, session = plan.raw.to_pyarrow(), xo.connect().con
    batches = source.to_batches(max_chunksize=1_000) or [pa.RecordBatch.from_pylist([], source.schema)]
    session.sql("SET datafusion.execution.target_partitions = 1").collect()
    session.register_record_batches("source", [batches])
    result = session.sql(plan.sql())
    return pa.Table.from_batches([batch.to_pyarrow() for batch in result.execute_stream()], result.schema())


@functools.cache
def duckdb() -> Harness:
    from duckdb import DuckDBPyConnection
    from lazyflow_duckdb import DuckDBBackend

    for method in ("sql", "query", "execute", "executemany"):
        reporting(DuckDBPyConnection, method, lambda connection, statement="", *_, **__: statement)
    return Harness(DuckDBBackend, as_it_is, queries, run_on_duckdb)


@functools.cache
def xorq() -> Harness:
    from lazyflow_xorq import XorqBackend
    from xorq_datafusion import SessionContext

    reporting(SessionContext, "sql", lambda session, statement, *_: statement)
    return Harness(XorqBackend, as_it_is, queries, run_on_datafusion)


@functools.cache
def pandas() -> Harness:
    """pandas has no statements: a query is a kernel over a whole relation, or one of Arrow's that sorts or counts."""
    import pyarrow.compute
    from lazyflow_pandas import PandasBackend
    from xorq.backends.pandas.executor import PandasExecutor

    for kernel in ("Filter", "PandasAggregate", "PandasLimit", "Sort", "PandasJoin", "Union", "Distinct"):
        if hasattr(PandasExecutor, f"visit_{kernel}"):
            wrapped = getattr(PandasExecutor, f"visit_{kernel}")
            setattr(PandasExecutor, f"visit_{kernel}", staticmethod(_reporting_kernel(wrapped)))
    for kernel in ("sort_indices", "value_counts"):
        reporting(pyarrow.compute, kernel, lambda *_, kernel=kernel, **__: kernel)
    return Harness(PandasBackend, as_it_is, queries)


def _reporting_kernel(original: Any) -> Any:
    @functools.wraps(original)
    def kernel(op: Any, *args: Any, **kwargs: Any) -> Any:
        report(type(op).__name__)
        return original(op, *args, **kwargs)

    return kernel


@functools.cache
def sqlite() -> Harness:
    from tests.sqlite_backend import SQLiteBackend

    connect = sqlite3.connect

    def reporting_connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(lambda text: None if text.startswith(SETTINGS) else report(text))
        return connection

    sqlite3.connect = reporting_connect  # type: ignore[assignment]
    return Harness(SQLiteBackend, as_it_is, queries)


HARNESSES: dict[str, Callable[[], Harness]] = {"duckdb": duckdb, "xorq": xorq, "pandas": pandas, "sqlite": sqlite}
