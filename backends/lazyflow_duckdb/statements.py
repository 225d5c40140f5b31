"""Pieces of statements in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import sqlglot as sg

_FUNCTIONS = {"csv": "read_csv", "json": "read_json", "parquet": "read_parquet"}


def identifier(name: str) -> str:
    """A name, quoted."""
    return sg.to_identifier(name, quoted=True).sql("duckdb")


def text(value: str) -> str:
    """A text, as a literal."""
    return sg.exp.Literal.string(value).sql("duckdb")


def reader(format: str, paths: Iterable[Path], options: Mapping[str, str]) -> str:
    """What reads files of a format, as a table; options are SQL."""
    listed = ", ".join(text(str(path.resolve())) for path in paths)
    given = "".join(f", {name} = {value}" for name, value in options.items())
    return f"{_FUNCTIONS[format]}([{listed}], hive_partitioning = false{given})"


def describe(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    """Names and types of a table's columns."""
    return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()]
