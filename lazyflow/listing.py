"""Which files a path, a folder or a glob means, and what kind each of them is."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from lazyflow.errors import SourceError

Format = Literal["parquet", "arrow", "csv", "json", "duckdb"]

_PACKED = ("", ".gz", ".zst")
_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    **{text + packed: "csv" for packed in _PACKED for text in (".csv", ".tsv")},
    **{text + packed: "json" for packed in _PACKED for text in (".json", ".jsonl", ".ndjson")},
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".db": "duckdb",
}
_KINDS = (
    "Parquet (.parquet, .pq), Arrow (.arrow, .feather, .ipc), CSV (.csv, .tsv), JSON (.json, .jsonl, .ndjson), the "
    "last two also as .gz or .zst, or a DuckDB database (.duckdb, .ddb, .db)"
)
BUILD = "expr.yaml"
"""The file by which a build of xorq is known."""

_LOGS = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}


def list_files(given: str) -> tuple[Path, ...]:
    """The files that a path, a folder or a glob means, in the order of their paths, by code point.

    Of a folder they are the data files in it and below it: files of a kind that is known, but for those whose names, or
    whose folders' names, begin with `.` or `_`. A glob may match files and folders; `**` is any depth.

    Raises
    ------
    SourceError
        If there is none; the message says what was expected.

    Examples
    --------
    >>> list_files("nowhere/*.parquet")
    Traceback (most recent call last):
    lazyflow.errors.SourceError: 'nowhere/*.parquet': no such file
    """
    if "://" in given:
        raise SourceError(f"{given!r}: an address; expected a path on this machine, or an engine's table that reads it")
    literal = Path(given)
    found = [literal] if given and literal.exists() else [Path(match) for match in glob.glob(given, recursive=True)]
    files: set[Path] = set()
    for path in found:
        files.update(_data_files(path) if path.is_dir() else [path])
    if not found:
        raise SourceError(f"{given!r}: no such file{_nearest(literal)}")
    if not files:
        raise SourceError(f"{given!r}: no data files in this folder; expected {_KINDS}")
    return tuple(sorted(files, key=str))


def _nearest(missing: Path) -> str:
    """What may have been meant, for who mistyped a path."""
    if glob.has_magic(str(missing)) or not missing.parts:
        return ""
    there = next((parent for parent in missing.parents if parent.is_dir()), Path("."))
    wrong = missing.relative_to(there).parts[0]
    close = get_close_matches(wrong, sorted(os.listdir(there)), n=1)
    if close:
        return f", did you mean {str(there / close[0])!r}?"
    return "" if missing.parent == there else f" (there is no {wrong!r} in {str(there)!r})"


def _data_files(folder: Path) -> Iterator[Path]:
    for name, what in _LOGS.items():
        if (folder / name).is_dir():
            raise SourceError(f"{str(folder)!r}: {what}: its files alone do not say which rows it has")
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(parent) in seen:  # a link to a folder that it is in
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        if BUILD in names:
            raise SourceError(f"{str(folder)!r}: {parent!r} in it is a build of xorq; give the build, or a glob")
        yield from (Path(parent, name) for name in names if not _is_hidden(name) and _format(name) is not None)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_")) and "=" not in name


def format_of(path: Path) -> Format:
    """The kind of a file, by its name.

    >>> format_of(Path("flights.csv.gz"))
    'csv'
    """
    format = _format(path.name)
    if format is None:
        raise SourceError(f"{str(path)!r}: unknown kind of file; expected {_KINDS}")
    return format


def _format(name: str) -> Format | None:
    lowered = name.lower()
    return next((format for suffix, format in _SUFFIXES.items() if lowered.endswith(suffix)), None)
