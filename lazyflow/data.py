"""What callers bring: paths and what lies there, frames and streams as Arrow tables, expressions as they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazyflow.errors import InvalidInput, SourceError
from lazyflow.files import Build, TableAt, find_source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def recognise(data: Any) -> Any:
    """What a backend has to open, of whatever the caller brought.

    Returns
    -------
    Files, Database or Build
        For a path; what is there is checked.
    pyarrow.Table
        For a frame of pandas or polars, a record batch, a dataset, and whatever else hands out a stream of Arrow.
    anything else
        As it is: a table expression, or what a backend of one's own takes.

    Raises
    ------
    SourceError
        If a path leads to nothing that can be opened, or a frame has no form as a table.

    Examples
    --------
    >>> import pyarrow as pa
    >>> recognise(pa.RecordBatch.from_pydict({"x": [1, 2]})).num_rows
    2
    """
    if isinstance(data, TableAt):
        return find_source(data.path, data.table)
    if isinstance(data, str | os.PathLike):
        return find_source(os.fspath(data))
    if is_frame(data):
        return arrow_from_frame(data)
    if is_arrow(data) or expression_family(data) is not None:
        return data
    if _is_of(data, "polars", "LazyFrame"):
        raise InvalidInput("a polars LazyFrame has no rows yet: give its collect()")
    if _is_of(data, "polars", "DataFrame"):
        objects = [name for name, type in data.schema.items() if str(type) == "Object"]
        if objects:
            raise SourceError(f"column {objects[0]!r} of the frame holds Python objects, which have no form as a table")
    if _is_of(data, "pyarrow", "Dataset"):
        return _arrow(data, data.to_table)
    if hasattr(data, "__arrow_c_stream__"):
        return arrow_from_stream(data)
    return data


def reads_once(data: object) -> bool:
    """Whether the rows may come a single time: a stream of Arrow whose kind is not known to give them again."""
    return (
        hasattr(data, "__arrow_c_stream__")
        and not (is_frame(data) or is_arrow(data) or expression_family(data) is not None)
        and not any(_is_of(data, *known) for known in (("polars", "DataFrame"), ("pyarrow", "RecordBatch")))
    )


def arrow_from_stream(data: Any) -> pa.Table:
    """All rows of a stream of Arrow, in memory.

    Raises
    ------
    SourceError
        If it is no stream of tables, has been read already, or breaks.
    """
    import pyarrow as pa

    return _arrow(data, lambda: pa.table(data))


def _arrow(data: object, read: Callable[[], pa.Table]) -> pa.Table:
    try:
        return read()
    except Exception as error:
        # Anything may be behind a stream: a query, a network, code of the caller's.
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"the {_kind(data)} cannot be read as a table: {why}") from error


def _kind(data: object) -> str:
    return f"{type(data).__module__.split('.')[0]} {type(data).__name__}"


def _is_of(data: object, package: str, name: str) -> bool:
    """Whether `data` is of a class of that name of a package, or of one derived from it, without importing it."""
    return any(base.__module__.split(".")[0] == package and base.__name__ == name for base in type(data).__mro__)


def is_frame(data: object) -> bool:
    """Whether `data` is a pandas frame, without importing pandas."""
    return _is_of(data, "pandas", "DataFrame")


def is_arrow(data: object) -> bool:
    """Whether `data` is an Arrow table, without importing pyarrow."""
    return _is_of(data, "pyarrow", "Table")


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
    `level_<n>` among several. A column of objects of no common type, or of a type that Arrow lacks, becomes text.

    Raises
    ------
    SourceError
        If a column holds what has no text either; the message names the column.
    """
    import pyarrow as pa

    levels = _index_levels(frame.index)
    names = [name for name, _ in levels] + list(frame.columns)
    series = [level for _, level in levels] + [frame.iloc[:, position] for position in range(frame.shape[1])]
    arrays = [_arrow_column(name, values) for name, values in zip(names, series, strict=True)]
    if not arrays:
        raise SourceError("the frame has no columns")
    return pa.Table.from_arrays(arrays, names=[_text(name) for name in names])


def _arrow_column(name: object, values: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    if str(values.dtype).startswith("Sparse"):
        values = values.sparse.to_dense()
    try:
        array = pa.Array.from_pandas(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = None
    if array is None or str(values.dtype).startswith("period"):  # of which Arrow keeps numbers
        try:
            array = pa.array(values.astype(object).map(_text, na_action="ignore"), pa.string(), from_pandas=True)
        except Exception as error:  # whatever objects of the caller's do
            raise SourceError(f"column {name!r} of the frame has values without a text: {error}") from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _text(value: object) -> str:
    """What Python writes for it; halves of surrogate pairs, which are no text, as escapes."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _index_levels(index: Any) -> list[tuple[object, Any]]:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        names = [f"level_{number}" if name is None else name for number, name in enumerate(index.names)]
        return [(name, index.get_level_values(number)) for number, name in enumerate(names)]
    plain = index.name is None and index.dtype.kind == "i" and (index == pd.RangeIndex(len(index))).all()
    return [] if plain else [("index" if index.name is None else index.name, index)]


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
    if isinstance(data, TableAt):
        data = data.path
    named = repr(os.fspath(data)) if isinstance(data, str | os.PathLike) else "the source"
    return SourceError(f"{named}: {engine} cannot open it: {(str(error).splitlines() or [type(error).__name__])[0]}")


def unsupported(data: object, backend: str) -> InvalidInput:
    """The error for data that a backend does not take."""
    if isinstance(data, Build):
        return InvalidInput(f"{str(data.path)!r}: a build is opened by the xorq backend, not by {backend}")
    family = expression_family(data)
    if family is not None:
        other = {"ibis": "duckdb", "xorq": "xorq"}[family]
        return InvalidInput(f"the {backend} backend cannot open an expression of {family}; the {other} backend can")
    return InvalidInput(
        f"the {backend} backend cannot open a {type(data).__module__}.{type(data).__name__}; expected a path, folder "
        "or glob of Parquet, Arrow, CSV or JSON files, a DuckDB database file, a frame of pandas or polars, an Arrow "
        "table or stream of Arrow, or a table expression of its engine"
    )
