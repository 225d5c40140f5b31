"""One table in all the forms in which callers bring it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq

Make = Callable[[pa.Table, Path], Any]
"""From a table and an empty folder, what `DataFlow` is to open."""


class Stream:
    """Hands out a stream of Arrow, and is nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self._table.__arrow_c_stream__(schema)


def parquet(table: pa.Table, folder: Path) -> Path:
    """One Parquet file of several row groups."""
    pq.write_table(table, folder / "table.parquet", row_group_size=3)
    return folder / "table.parquet"


def arrow(table: pa.Table, folder: Path) -> Path:
    """One file of Arrow's."""
    with pa.ipc.new_file(str(folder / "table.arrow"), table.schema) as writer:
        writer.write_table(table)
    return folder / "table.arrow"


def packed(path: Path, content: bytes) -> Path:
    """A file, compressed as its name says."""
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.output_stream(str(path), compression=compression) as file:
        file.write(content)
    return path


def csv(name: str) -> Make:
    """One file of text with commas, or tabs."""

    def make(table: pa.Table, folder: Path) -> Path:
        buffer = pa.BufferOutputStream()
        options = pyarrow.csv.WriteOptions(delimiter="\t" if ".tsv" in name else ",")
        pyarrow.csv.write_csv(table, buffer, options)
        return packed(folder / name, buffer.getvalue().to_pybytes())

    return make


def json(name: str) -> Make:
    """One file of JSON lines."""

    def make(table: pa.Table, folder: Path) -> Path:
        import json

        lines = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist())
        return packed(folder / name, lines.encode())

    return make


def database(table: pa.Table, folder: Path) -> Path:
    """A DuckDB database file with one table."""
    return database_of(folder / "table.duckdb", "CREATE TABLE the_table AS FROM given", given=table)


def database_of(path: Path, statement: str, **tables: pa.Table) -> Path:
    """A DuckDB database file, as a statement over tables makes it."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        connection.execute(statement)
    return path


def folder_of_files(table: pa.Table, folder: Path) -> Path:
    """A folder with files in folders, in the order of their paths, and with what is no data."""
    for name, start, rows in (("a/10", 0, 2), ("a/2", 2, 3), ("b/1", 5, None)):
        path = folder / "data" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(start, rows), path)
    (folder / "data" / "README.txt").write_text("no data")
    (folder / "data" / "_SUCCESS").touch()
    (folder / "data" / "a" / ".part.parquet.crc").write_bytes(b"no data")
    return folder / "data"


def glob_of_files(table: pa.Table, folder: Path) -> str:
    """A glob of CSV files."""
    csv("part-0.csv")(table.slice(0, 4), folder)
    csv("part-1.csv")(table.slice(4), folder)
    return str(folder / "part-*.csv")


def polars_frame(table: pa.Table, folder: Path) -> Any:
    """A frame of polars."""
    import polars

    return polars.from_arrow(table)


def pandas_frame(table: pa.Table, folder: Path) -> Any:
    """A frame of pandas, in Arrow's types, so that none changes on the way."""
    import pandas

    return table.to_pandas(types_mapper=pandas.ArrowDtype)


SOURCES: dict[str, Make] = {
    "parquet": parquet,
    "arrow": arrow,
    **{name: csv(f"table.{name}") for name in ("csv", "csv.gz", "csv.zst", "tsv", "tsv.gz")},
    **{name: json(f"table.{name}") for name in ("jsonl", "jsonl.gz", "jsonl.zst", "json", "ndjson.zst")},
    "database": database,
    "folder": folder_of_files,
    "glob": glob_of_files,
    "pandas frame": pandas_frame,
    "polars frame": polars_frame,
    "arrow table": lambda table, folder: table,
    "record batch": lambda table, folder: table.combine_chunks().to_batches()[0],
    "reader": lambda table, folder: table.to_reader(max_chunksize=2),
    "stream": lambda table, folder: Stream(table),
    "dataset": lambda table, folder: pyarrow.dataset.dataset(parquet(table, folder)),
}
"""Name -> how it is made; all give the rows of the table in its order, under its types."""
