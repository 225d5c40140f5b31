"""Pieces of statements in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import sqlglot as sg
from ibis.backends.sql.compilers.duckdb import compiler

from lazyflow.expressions import Table


class Explicit(compiler.dialect):  # type: ignore[misc]
    """DuckDB's SQL that says where missing values come: a connection may have been told otherwise."""

    class Generator(compiler.dialect.Generator):  # type: ignore[misc]
        """What writes it."""

        def ordered_sql(self, expression: sg.exp.Ordered) -> str:
            """One key of a sort."""
            text: str = super().ordered_sql(expression)
            return text if text.endswith((" NULLS FIRST", " NULLS LAST")) else f"{text} NULLS LAST"


_FUNCTIONS = {"csv": "read_csv", "json": "read_json", "parquet": "read_parquet"}


def compiled(table: Table) -> str:
    """A table expression as SQL."""
    return str(compiler.to_sqlglot(table).sql(Explicit))


def identifier(name: str) -> str:
    """A name, quoted."""
    return sg.to_identifier(name, quoted=True).sql("duckdb")


def selected(values: Mapping[str, str], names: Iterable[str]) -> str:
    """Columns of a SELECT: of these names, each with its value, which is SQL.

    >>> selected({"a": "A + 1", "b": "B", "c": "C"}, ["c", "a"])
    'C AS "c", A + 1 AS "a"'
    """
    return ", ".join(f"{values[name]} AS {identifier(name)}" for name in names)


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
