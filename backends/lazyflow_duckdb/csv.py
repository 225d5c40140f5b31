"""CSV files read by DuckDB's reader, for every backend: one way to guess types, so the same table everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from lazyflow.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa


def csv_scan(paths: Iterable[Path]) -> str:
    """SQL that reads CSV files in the order given; types are guessed from all rows of the sample that DuckDB takes."""
    listed = ", ".join("'" + str(path.resolve()).replace("'", "''") + "'" for path in paths)
    return f"read_csv([{listed}])"


def csv_to_arrow(paths: Iterable[Path]) -> pa.Table:
    """CSV files as one Arrow table."""
    table: Any = _run(lambda connection: connection.sql(f"SELECT * FROM {csv_scan(paths)}").to_arrow_table())
    return table


def csv_to_parquet(paths: Iterable[Path], target: Path) -> None:
    """CSV files brought into one Parquet file, without holding them in memory."""
    written = str(target).replace("'", "''")
    _run(
        lambda connection: connection.execute(f"COPY (SELECT * FROM {csv_scan(paths)}) TO '{written}' (FORMAT parquet)")
    )


def _run(work: Any) -> Any:
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            return work(connection)
        except duckdb.Error as error:
            raise SourceError(f"the CSV file cannot be read: {str(error).splitlines()[0]}") from error
