"""What callers bring: paths that are checked before an engine sees them, and frames as Arrow tables."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lazyflow.errors import InvalidInput, SourceError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Format = Literal["parquet", "arrow", "csv", "json"]

_SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    **{text + packed: "csv" for packed in ("", ".gz") for text in (".csv", ".tsv")},
    **{text + packed: "json" for packed in ("", ".gz") for text in (".json", ".jsonl", ".ndjson")},
}


@dataclass(frozen=True)
class Files:
    """Files of one format, in the order in which their rows come."""

    format: Format
    paths: tuple[Path, ...]


def find_files(path: str | Path) -> Files:
    """The files that a path or glob names, sorted by name.

    Raises
    ------
    SourceError
        If there is none, one is empty or no file, the formats differ, or a Parquet file is truncated or none at all.

    Examples
    --------
    >>> find_files("nowhere/*.parquet")
    Traceback (most recent call last):
    lazyflow.errors.SourceError: 'nowhere/*.parquet': no such file
    """
    text = str(path)
    literal = Path(text)
    paths = [literal] if literal.exists() else [Path(found) for found in sorted(glob.glob(text, recursive=True))]
    if not paths:
        raise SourceError(f"{text!r}: no such file")
    formats = {_format(found) for found in paths}
    if len(formats) > 1:
        raise SourceError(f"{text!r}: files of several formats ({', '.join(sorted(formats))}); expected one")
    for found in paths:
        if not found.is_file():
            raise SourceError(f"{str(found)!r}: not a file; for a folder, give a glob such as '{found}/*.parquet'")
        if found.stat().st_size == 0:
            raise SourceError(f"{str(found)!r}: the file is empty")
    (format,) = formats
    if format == "parquet":
        for found in paths:
            _check_parquet(found)
        _check_alike(paths)
    return Files(format, tuple(paths))


def _format(path: Path) -> Format:
    name = path.name.lower()
    for suffix, format in _SUFFIXES.items():
        if name.endswith(suffix):
            return format
    if path.is_dir():
        raise SourceError(f"{str(path)!r}: not a file; for a folder, give a glob such as '{path}/*.parquet'")
    raise SourceError(f"{str(path)!r}: unknown kind of file; expected one of {', '.join(_SUFFIXES)}")


def _check_parquet(path: Path) -> None:
    """A Parquet file begins and ends with PAR1; one that only begins so was cut short."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        tail = file.read(4)
    if head != b"PAR1":
        raise SourceError(f"{str(path)!r}: not a Parquet file")
    if tail != b"PAR1" or path.stat().st_size < 12:
        raise SourceError(f"{str(path)!r}: the Parquet file is truncated")


def _check_alike(paths: list[Path]) -> None:
    """Files of one table have the same columns, in the same order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = None
    for path in paths:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{str(path)!r}: the Parquet file is damaged: {str(error).splitlines()[0]}") from error
        fields = [(field.name, field.type) for field in schema]
        first = first or fields
        _check_columns(path, fields, paths[0], first)


def _check_columns(path: Path, fields: Sequence[Any], first_path: Path, first: Sequence[Any]) -> None:
    """A file has the columns of the first one: (name, type, ...) each."""
    if fields != first:
        differ = [a[0] for a, b in zip(fields, first, strict=False) if a != b] or [f"{len(fields)} columns"]
        raise SourceError(
            f"{str(path)!r}: its columns differ from those of {str(first_path)!r} ({differ[0]!r}); "
            "expected files of one table"
        )


def read_arrow_files(files: Files) -> pa.Table:
    """Arrow IPC files, of the file or the stream format, as one table in memory.

    They are not mapped: a mapped file that somebody else truncates ends the process.

    Raises
    ------
    SourceError
        If one is no Arrow file, cut short, or of other columns than the first.
    """
    import pyarrow as pa

    tables: list[pa.Table] = []
    for path in files.paths:
        try:
            with pa.OSFile(str(path)) as file:
                try:
                    tables.append(pa.ipc.open_file(file).read_all())
                except pa.ArrowInvalid:
                    file.seek(0)
                    tables.append(pa.ipc.open_stream(file).read_all())
        except (pa.ArrowException, OSError) as error:
            why = str(error).splitlines()[0]
            raise SourceError(f"{str(path)!r}: not an Arrow file, or a damaged one: {why}") from error
        newest, first = ([(field.name, field.type, field.nullable) for field in tables[at].schema] for at in (-1, 0))
        _check_columns(path, newest, files.paths[0], first)
    return pa.concat_tables(tables)


def is_frame(data: object) -> bool:
    """Whether `data` is a pandas frame, without importing pandas."""
    return any(
        base.__module__.split(".")[0] == "pandas" and base.__name__ == "DataFrame" for base in type(data).__mro__
    )


def is_arrow(data: object) -> bool:
    """Whether `data` is an Arrow table, without importing pyarrow."""
    return any(base.__module__.split(".")[0] == "pyarrow" and base.__name__ == "Table" for base in type(data).__mro__)


def expression_family(data: object) -> str | None:
    """The family of a table expression, "ibis" or "xorq"; None for anything else."""
    for base in type(data).__mro__:
        root = base.__module__.split(".")[0]
        if root in ("ibis", "xorq") and base.__name__ == "Table":
            return root
    return None


def arrow_from_frame(frame: Any) -> pa.Table:
    """A pandas frame as an Arrow table, its index in front where it carries information; NaN becomes NULL.

    An index carries information unless it is an unnamed 0, 1, 2, ... A level without a name is called `index`, or
    `level_<n>` among several.

    Raises
    ------
    SourceError
        If a column holds what Arrow has no type for; the message names the column.
    """
    import pyarrow as pa

    levels = _index_levels(frame.index)
    names = [name for name, _ in levels] + list(frame.columns)
    series = [level for _, level in levels] + [frame.iloc[:, position] for position in range(frame.shape[1])]
    arrays = []
    for name, values in zip(names, series, strict=True):
        try:
            arrays.append(pa.Array.from_pandas(values))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"column {name!r} of the frame has values of no common type: {error}") from error
    arrays = [array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]) for array in arrays]
    if not arrays:
        raise SourceError("the frame has no columns")
    return pa.Table.from_arrays(arrays, names=[str(name) for name in names])


def _index_levels(index: Any) -> list[tuple[object, Any]]:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        names = [f"level_{number}" if name is None else name for number, name in enumerate(index.names)]
        return [(name, index.get_level_values(number)) for number, name in enumerate(names)]
    plain = index.name is None and index.dtype.kind == "i" and (index == pd.RangeIndex(len(index))).all()
    return [] if plain else [("index" if index.name is None else index.name, index)]


def plain_arrow(table: pa.Table) -> pa.Table:
    """An Arrow table in plain layouts: dictionaries decoded, no views, no extension types."""
    import pyarrow as pa
    import pyarrow.types as pat

    from lazyflow.types import canonical

    arrays = []
    for column in table.columns:
        type = column.type
        if isinstance(type, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], type.storage_type)
        if not pat.is_nested(column.type) and column.type != canonical(column.type):
            column = column.cast(canonical(column.type))
        arrays.append(column)
    fields = [pa.field(name, array.type) for name, array in zip(table.column_names, arrays, strict=True)]
    return pa.table(arrays, schema=pa.schema(fields))


def integers(numbers: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Whole numbers, none missing, for NumPy; `Array.to_numpy` would load pandas, which takes 0.2 s.

    >>> import pyarrow as pa
    >>> integers(pa.array([1, 2], pa.uint32()))
    array([1, 2])
    """
    import numpy as np

    return np.from_dlpack(numbers).astype(np.int64)


def rows_of_arrow(table: pa.Table, numbers: pa.Array) -> pa.Table:
    """The rows of these numbers, as far as there are such.

    `Table.take` would bring all chunks of a column together first.

    >>> import pyarrow as pa
    >>> table = pa.concat_tables([pa.table({"x": [1, 2]}), pa.table({"x": [3, 4]})])
    >>> rows_of_arrow(table, pa.array([2, 0]))["x"].to_pylist()
    [3, 1]
    """
    import numpy as np
    import pyarrow as pa

    wanted = integers(numbers)
    wanted = wanted[wanted < table.num_rows]
    ranks = np.argsort(wanted)
    wanted = wanted[ranks]
    columns = []
    for column in table.columns:
        chunks = column.chunks
        starts = np.cumsum([0, *map(len, chunks)])
        bounds = np.searchsorted(wanted, starts)
        parts = [
            chunk.take(pa.array(wanted[first:last] - start))
            for chunk, start, first, last in zip(chunks, starts, bounds, bounds[1:], strict=False)
            if first < last
        ]
        columns.append(pa.chunked_array(parts, column.type))
    return pa.table(columns, schema=table.schema).take(pa.array(np.argsort(ranks)))


def source_error(engine: str, data: object, error: BaseException) -> SourceError:
    """The error for a source that an engine failed to open."""
    named = repr(str(data)) if isinstance(data, str | Path) else "the source"
    return SourceError(f"{named}: {engine} cannot open it: {(str(error).splitlines() or [type(error).__name__])[0]}")


def unsupported(data: object, backend: str) -> InvalidInput:
    """The error for data that a backend does not take."""
    return InvalidInput(
        f"the {backend} backend cannot open a {type(data).__module__}.{type(data).__name__}; expected a path or glob "
        "of Parquet, Arrow, CSV or JSON files, a pandas frame, an Arrow table, or a table expression of its engine"
    )
