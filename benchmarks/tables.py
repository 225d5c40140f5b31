"""The made-up data of the benchmarks: tables with many columns, and columns with many values."""

from __future__ import annotations

import tempfile
from pathlib import Path


def wide_file(columns: int, rows: int) -> Path:
    """A Parquet file of numbers, text and dates in turn, each column with hundreds or thousands of values."""
    return _made(f"wide-{columns}x{rows}", f"SELECT {', '.join(map(_column, range(columns)))} FROM range({rows}) t(i)")


def _column(number: int) -> str:
    drawn = f"hash(i * {number + 1} + {number})"
    match number % 10:
        case 0 | 1 | 2 | 3:
            return f"CAST({drawn} % 10000 AS DOUBLE) / 10 AS f{number}"
        case 4 | 5 | 6:
            return f"CAST({drawn} % {1000 + number} AS INTEGER) AS n{number}"
        case 7 | 8:
            return f"'t' || CAST({drawn} % {50 + number} AS VARCHAR) AS t{number}"
        case _:
            return f"DATE '2020-01-01' + CAST({drawn} % 700 AS INTEGER) AS d{number}"


def high_cardinality_file(rows: int) -> Path:
    """A Parquet file of ten columns in which few values come twice: ids, continuous floats, instants, long text."""
    columns = """
        i AS id,
        hash(i) AS key,
        CAST(hash(i + 7) % 1000000007 AS BIGINT) AS account,
        (hash(i + 1) % 1000000000000) / 1e12 AS share,
        exp((hash(i + 2) % 1000000000000) / 1e11) AS amount,
        ((hash(i + 4) % 1000000000000) / 1e12 - 0.5) * 1e6 AS balance,
        TIMESTAMP '2020-01-01' + to_microseconds(CAST(hash(i + 3) % 100000000000000 AS BIGINT)) AS moment,
        md5(CAST(i AS VARCHAR)) AS token,
        'https://example.org/' || md5(CAST(i * 3 AS VARCHAR)) || '/' || (i % 1000) AS url,
        repeat(md5(CAST(i * 5 AS VARCHAR)), 1 + CAST(i % 4 AS INTEGER)) AS note
    """
    return _made(f"high-cardinality-{rows}", f"SELECT {columns} FROM range({rows}) t(i)")


def _made(name: str, select: str) -> Path:
    """The file of what a statement selects, made when first needed."""
    import duckdb

    path = Path(tempfile.gettempdir()) / f"lazyflow-{name}.parquet"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{unfinished}' (FORMAT parquet)")
        unfinished.rename(path)
    return path
