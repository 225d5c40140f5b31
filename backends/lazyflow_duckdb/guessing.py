"""How files of text are read: DuckDB guesses it once for all files of a table, and each query is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from lazyflow.files import check_columns
from lazyflow.listing import Format
from lazyflow_duckdb.statements import describe, identifier, reader, text

_HEAD = 65_536
"""So many bytes of a file are looked at for its header."""

_NONE = "(empty)"
"""What DuckDB says of a character that it did not find out."""


def reading_options(connection: duckdb.DuckDBPyConnection, format: Format, paths: Sequence[Path]) -> dict[str, str]:
    """What several files of text are to be read with, so that no query guesses again; one file guesses for itself.

    Guessing takes 10 to 50 ms a file; left to itself, DuckDB does it for ten of them, at each query.

    Raises
    ------
    SourceError
        If CSV files have other columns than the first.
    """
    if len(paths) == 1 or format not in ("csv", "json"):
        return {}
    return _csv(connection, paths) if format == "csv" else _json(connection, paths)


def _csv(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[str, str]:
    """The dialect of the largest file and the types that hold the values of all, if all have one header."""
    largest = max(paths, key=lambda path: path.stat().st_size)
    sniffed = (
        "SELECT Delimiter, Quote, Escape, SkipRows, HasHeader, DateFormat, TimestampFormat FROM "
        f"sniff_csv({text(str(largest.resolve()))})"
    )
    ((delimiter, quote, escape, skip, header, date, timestamp),) = connection.execute(sniffed).fetchall()
    if header and len({_header(path, skip) for path in paths}) > 1:
        _check_headers(connection, paths)
        return {"union_by_name": "true"}  # the same names, but quoted or delimited otherwise: each file for itself
    dialect = {
        "delim": text(delimiter),
        "quote": text('"' if quote == _NONE else quote),
        "escape": text('"' if escape == _NONE else escape),
        "skip": str(skip),
        "header": str(header).lower(),
    }
    described = describe(connection, reader("csv", paths, {**dialect, "union_by_name": "true"}))
    formats = {"dateformat": date, "timestampformat": timestamp}
    given = {name: text(format) for name, format in formats.items() if format is not None}
    return {"auto_detect": "false", **dialect, **given, "columns": _columns(described)}


def _header(path: Path, skip: int) -> bytes:
    """The line of a CSV file after those that are skipped; of a file that cannot be read, nothing."""
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            lines = file.read(_HEAD).split(b"\n", skip + 1)
    except (OSError, pa.ArrowException):
        return b""
    return bytes(lines[min(skip, len(lines) - 1)].rstrip(b"\r"))


def _check_headers(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    first = None
    for path in paths:
        fields = [(name, "text") for name, _ in describe(connection, reader("csv", [path], {}))]
        first = first or fields
        check_columns(path, fields, paths[0], first)


def _json(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[str, str]:
    """The fields of all files; DuckDB by itself would drop those of further ones."""
    options = {"maximum_sample_files": str(len(paths))}
    described = describe(connection, reader("json", paths, options))
    names = {name.lower() for name, _ in described}
    if any(re.sub(r"_\d+$", "", name) in names - {name} for name in names):
        return options  # perhaps a name that DuckDB gave: a field of that name there is not
    return {"columns": _columns(described)}


def _columns(described: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{text(name)}: {text(type)}" for name, type in described) + "}"


def narrow_types(
    connection: duckdb.DuckDBPyConnection, table: str, described: Sequence[tuple[str, str]]
) -> Mapping[str, str]:
    """Whole numbers of both signs in JSON, which DuckDB takes for HUGEINT, as BIGINT where that holds all of them."""
    wide = [name for name, type in described if type == "HUGEINT"]
    if not wide:
        return {}
    fits = ", ".join(
        f"coalesce(min({name}) >= -9223372036854775808 AND max({name}) <= 9223372036854775807, true)"
        for name in map(identifier, wide)
    )
    (answers,) = connection.execute(f"SELECT {fits} FROM {table}").fetchall()
    return {name: "BIGINT" for name, fit in zip(wide, answers, strict=True) if fit}
