"""Row numbers on DuckDB: those of Parquet files, of tables in its own format, and of Arrow tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlglot as sg
import sqlglot.expressions as sge

from lazyflow.data import integers, rows_of_arrow
from lazyflow.expressions import Table
from lazyflow.files import Files
from lazyflow.plan import ROW_NUMBER
from lazyflow.source import inside_names, outside_names
from lazyflow_duckdb.files import Scan, scan_files
from lazyflow_duckdb.statements import identifier, selected

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class Numbering(ABC):
    """How the rows of one source are numbered, and fetched by number."""

    @property
    @abstractmethod
    def all(self) -> str | None:
        """SQL for the source with its row numbers as one more column; None where its rows are to be counted."""

    @abstractmethod
    def some(self, cursor: duckdb.DuckDBPyConnection, numbers: pa.Array, inside: Sequence[str]) -> str:
        """SQL for columns, by inside names, of the rows of these numbers, which ascend, as `cursor` can run it."""


@dataclass(frozen=True)
class NumberedFiles(Numbering):
    """Parquet files: numbers count the rows of all files, one file after the other.

    Parameters
    ----------
    files
        In the order of their rows.
    scan
        How they are read.
    """

    files: Files
    scan: Scan

    @classmethod
    def of(cls, files: Files, scan: Scan) -> NumberedFiles | None:
        """None for formats without row numbers, and for files whose own columns hide DuckDB's."""
        hidden = {name.casefold() for name in (*scan.own, *scan.names)} & {"file_row_number", "file_index"}
        return cls(files, scan) if files.format == "parquet" and not hidden else None

    @cached_property
    def _starts(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The number of the first row of each file."""
        import pyarrow.parquet as pq

        rows = [pq.read_metadata(path).num_rows for path in self.files.paths]
        return np.cumsum([0, *rows[:-1]])

    @property
    def _number(self) -> str:
        if len(self._starts) == 1:
            return "file_row_number"
        listed = ", ".join(map(str, self._starts.tolist()))
        return f"(file_row_number + list_value({listed})[CAST(file_index AS BIGINT) + 1])"

    @property
    def all(self) -> str:
        """By DuckDB's number within each file."""
        numbered = f'SELECT *, {self._number} AS "{ROW_NUMBER}" FROM {self.scan.table}'
        return self.scan.over(numbered, ROW_NUMBER)

    def some(self, cursor: duckdb.DuckDBPyConnection, numbers: pa.Array, inside: Sequence[str]) -> str:
        """Told within each file too, which lets DuckDB pass over files and groups of rows."""
        wanted = integers(numbers)
        file = np.searchsorted(self._starts, wanted, side="right") - 1
        conditions = [f"file_row_number IN {_listed(np.unique(wanted - self._starts[file]))}"]
        if len(self._starts) > 1:
            files = ", ".join(map(str, np.unique(file).tolist()))  # as constants: others do not spare a file
            conditions += [f"file_index IN ({files})", f"{self._number} IN {_listed(wanted)}"]
        return self.scan.reading(inside, f" WHERE {' AND '.join(conditions)} ORDER BY {self._number}")


def _listed(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    """Ascending numbers that DuckDB looks values up in by hash, and whose bounds it knows when it scans."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    if 4 * len(runs) < len(numbers):  # said as ranges, many thousands of numbers need not be read one by one
        bounds = ", ".join(f"({run[0]}, {run[-1] + 1})" for run in runs)
        return f"(SELECT unnest(range(start, stop)) FROM (VALUES {bounds}) AS runs (start, stop))"
    return f"(SELECT unnest([{', '.join(map(str, numbers.tolist()))}]))"


@dataclass(frozen=True)
class NumberedTable(Numbering):
    """A table in DuckDB's own format, which numbers rows itself; where rows were deleted there are gaps.

    Parameters
    ----------
    table
        Its name as SQL.
    values, names
        The columns of the source as SQL over it, and their names inside.
    """

    table: str
    values: Sequence[str]
    names: Sequence[str]

    def _selected(self, inside: Sequence[str]) -> str:
        return selected(dict(zip(self.names, self.values, strict=True)), inside)

    @property
    def all(self) -> str:
        """By `rowid`."""
        return f'SELECT {self._selected(self.names)}, rowid AS "{ROW_NUMBER}" FROM {self.table}'

    def some(self, cursor: duckdb.DuckDBPyConnection, numbers: pa.Array, inside: Sequence[str]) -> str:
        """By `rowid`."""
        wanted = _listed(integers(numbers))
        return f"SELECT {self._selected(inside)} FROM {self.table} WHERE rowid IN {wanted} ORDER BY rowid"


@dataclass(frozen=True)
class NumberedArrow(Numbering):
    """An Arrow table: its rows are counted by DuckDB, and picked by Arrow."""

    lent: pa.Table

    @property
    def all(self) -> None:
        """Arrow has no row numbers."""
        return

    def some(self, cursor: duckdb.DuckDBPyConnection, numbers: pa.Array, inside: Sequence[str]) -> str:
        """The rows are lent to the cursor."""
        cursor.register("lazyflow_picked", rows_of_arrow(self.lent.select(inside), numbers))
        return "SELECT * FROM lazyflow_picked"


def numbering_of(connection: duckdb.DuckDBPyConnection, expression: Table, names: Sequence[str]) -> Numbering | None:
    """The row numbers of an expression of a caller's connection; None where it is neither a table nor Parquet files.

    Parameters
    ----------
    names
        The names of its columns inside.
    """
    op = expression.op()
    if type(op).__name__ != "DatabaseTable":
        return None
    where = {"name": op.name, "catalog": op.namespace.catalog, "schema": op.namespace.database}
    cursor = connection.cursor()
    try:
        views = connection.execute(
            "SELECT sql FROM duckdb_views() WHERE view_name = $name", {"name": op.name}
        ).fetchall()
        if views:
            return _of_view(cursor, views, names) if len(views) == 1 else None
        found = cursor.execute(
            "SELECT database_name, schema_name, table_name FROM duckdb_tables() JOIN duckdb_databases() "
            "USING (database_name) WHERE type = 'duckdb' AND table_name = $name "
            "AND database_name = coalesce($catalog, current_database()) "
            "AND schema_name = coalesce($schema, current_schema())",
            where,
        ).fetchall()
    finally:
        cursor.close()
    if len(found) != 1 or "rowid" in {name.casefold() for name in expression.columns}:
        return None
    return NumberedTable(".".join(map(identifier, found[0])), tuple(map(identifier, expression.columns)), names)


def numbering_of_scan(scan: Scan) -> Numbering | None:
    """The row numbers of a table of an attached database; None of a view, and where one of its columns hides them."""
    if not scan.numbered or "rowid" in {name.casefold() for name in scan.own}:
        return None
    return NumberedTable(scan.table, scan.values, inside_names(outside_names(scan.names)))


def _of_view(cursor: duckdb.DuckDBPyConnection, views: Sequence[tuple[str]], names: Sequence[str]) -> Numbering | None:
    """Of a view that is nothing but Parquet files, which is what `read_parquet` of ibis makes."""
    ((statement,),) = views
    select = sg.parse_one(statement, read="duckdb").expression
    paths = [literal.this for literal in select.find_all(sge.Literal)]
    files = Files("parquet", tuple(map(Path, paths)))
    listed = ", ".join(sge.Literal.string(path).sql("duckdb") for path in paths)
    if not paths or not all(path.is_file() for path in files.paths):
        return None
    if select != sg.parse_one(f"SELECT * FROM read_parquet([{listed}])", read="duckdb"):
        return None
    scan = scan_files(cursor, files, names)
    return NumberedFiles.of(files, scan) if len(scan.own) == len(names) else None
