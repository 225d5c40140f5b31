"""Files read by DuckDB's readers, CSV and JSON for every backend: types are guessed in one way, so all are alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot as sg

from lazyflow.data import Files
from lazyflow.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

_FUNCTIONS = {"csv": "read_csv", "json": "read_json", "parquet": "read_parquet"}
_JSON_TYPE = re.compile(r'"[^"]*"|\bJSON\b')


def scan(files: Files, *also: str) -> str:
    """SQL that reads files in the order given; types are guessed from the rows that DuckDB samples.

    `also` are further columns, as SQL.
    """
    listed = ", ".join(sg.exp.Literal.string(str(path.resolve())).sql("duckdb") for path in files.paths)
    return f"SELECT {', '.join(('*', *also))} FROM {_FUNCTIONS[files.format]}([{listed}])"


def selection(described: Sequence[tuple[str, str]], names: Iterable[str], select: str, *also: str) -> str:
    """The columns of a scan, as DESCRIBE gives them (name, type, ...), under other names and in types that compare.

    `also` are names of further columns, which are taken as they are.
    """
    columns = [f"{_readable(row[0], row[1])} AS {identifier(name)}" for row, name in zip(described, names, strict=True)]
    return f"SELECT {', '.join(columns + list(map(identifier, also)))} FROM ({select})"


def identifier(name: str) -> str:
    """A name as SQL."""
    return sg.to_identifier(name, quoted=True).sql("duckdb")


def _readable(name: str, type: str) -> str:
    """A column in a type that compares: Arrow's times of day are read as zoned ones; JSON becomes text."""
    quoted = identifier(name)
    if type == "TIME WITH TIME ZONE":
        return f"CAST({quoted} AS TIME)"
    plain = _JSON_TYPE.sub(lambda found: "VARCHAR" if found.group() == "JSON" else found.group(), type)
    return quoted if plain == type else f"CAST({quoted} AS {plain})"


def to_arrow(files: Files) -> pa.Table:
    """The files as one Arrow table."""
    table: Any = _run(files, lambda connection, select: connection.sql(select).to_arrow_table())
    return table


def to_parquet(files: Files, target: Path) -> None:
    """The files brought into one Parquet file, without holding them in memory."""
    written = sg.exp.Literal.string(str(target)).sql("duckdb")
    _run(files, lambda connection, select: connection.execute(f"COPY ({select}) TO {written} (FORMAT parquet)"))


def _run(files: Files, work: Any) -> Any:
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            described = connection.execute(f"DESCRIBE {scan(files)}").fetchall()
            return work(connection, selection(described, [row[0] for row in described], scan(files)))
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise SourceError(f"the {files.format.upper()} file cannot be read: {first}") from error
