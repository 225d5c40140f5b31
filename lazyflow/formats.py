"""Tables as files, written part by part: CSV (RFC 4180), Parquet, Arrow. What is kept is one part and the footer."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

import msgspec

from lazyflow.errors import NotForThisType
from lazyflow.types import TEMPORAL, kind
from lazyflow.values import any_far, plain, python_values

if TYPE_CHECKING:
    import pyarrow as pa

FileFormat: TypeAlias = Literal["csv", "parquet", "arrow"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

MEDIA_TYPES: dict[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}
"""What HTTP calls the formats. Arrow is the IPC file, not the stream: one that was cut short is seen to be."""

_MUST_BE_QUOTED = '[",\r\n]'


class Writer(Protocol):
    """A file under way."""

    def write(self, rows: pa.Table) -> bytes:
        """The next bytes of the file, with these rows."""

    def close(self) -> bytes:
        """The last bytes of the file; nothing comes after."""


def file_writer(format: FileFormat, schema: pa.Schema) -> Writer:
    r"""What writes tables of a schema as one file.

    Raises
    ------
    NotForThisType
        If the format has no such type; the message names the columns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = pa.table({"name": ["Bonn, Rhine", None], "size": [1.5, float("nan")]})
    >>> writer = file_writer("csv", rows.schema)
    >>> writer.write(rows) + writer.close()
    b'name,size\r\n"Bonn, Rhine",1.5\r\n,\r\n'
    """
    return _Csv(schema) if format == "csv" else _Binary(format, schema)


class _Csv:
    """Missing is empty, and an empty text is `""`; lines end in CR LF, text is UTF-8."""

    def __init__(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        self._head = _lines([_escaped(pa.array([name])) for name in schema.names])

    def write(self, rows: pa.Table) -> bytes:
        head, self._head = self._head, b""
        columns = [_escaped(column_text(column)) for column in rows.combine_chunks().columns]
        return head + _lines(columns)

    def close(self) -> bytes:
        head, self._head = self._head, b""
        return head


def _lines(columns: list[pa.Array]) -> bytes:
    """Fields as lines: the values of a text array lie one behind the other in its buffer, which is the file then."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not columns:
        return b""
    if len(columns) == 1:  # of which an empty line is no row
        columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
    comma, end = pa.scalar(",", pa.large_string()), pa.scalar("\r\n", pa.large_string())
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, comma), pa.scalar("", end.type), end)
    offsets, values = lines.buffers()[1:]
    if not len(lines):
        return b""
    bounds = memoryview(offsets).cast("q")
    return bytes(values[bounds[lines.offset] : bounds[lines.offset + len(lines)]])


def _escaped(texts: pa.Array) -> pa.Array:
    """Texts as fields; missing ones are empty, which empty ones are not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts.cast(pa.large_string())
    quote, nothing = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
    quoted = pc.binary_join_element_wise(quote, pc.replace_substring(texts, '"', '""'), quote, nothing)
    must = pc.or_(pc.match_substring_regex(texts, _MUST_BE_QUOTED), pc.equal(texts, ""))
    return pc.fill_null(pc.if_else(must, quoted, texts), "")


def column_text(column: pa.ChunkedArray) -> pa.Array:
    """The values of a column as text, in the forms that `lazyflow.values` gives them; lists and structs as JSON.

    Floats are the shortest text that reads as the same number.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pat

    type = column.type
    if pat.is_float16(type):
        column = column.cast(pa.float32())
    if pat.is_floating(type):
        column = pc.if_else(pc.is_nan(column), None, column)
        texts = column.cast(pa.string())
        texts = pc.if_else(pc.equal(texts, "inf"), "Infinity", pc.if_else(pc.equal(texts, "-inf"), "-Infinity", texts))
    elif pat.is_integer(type) or pat.is_boolean(type) or pat.is_decimal(type) or kind(type) == "text":
        texts = column.cast(pa.large_string() if kind(type) == "text" else pa.string())
    elif kind(type) in TEMPORAL and not pat.is_duration(type) and not any_far(column):
        texts = column.cast(pa.string())
        texts = pc.replace_substring_regex(texts, r"(\.\d*?)0+(Z?)$", r"\1\2")
        texts = pc.replace_substring_regex(texts, r"\.(Z?)$", r"\1")
        texts = pc.replace_substring_regex(texts, r"^(\S*\d) (\d)", r"\1T\2", max_replacements=1)
    else:
        texts = pa.chunked_array([pa.array([_text(value) for value in python_values(column)], pa.large_string())])
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _text(value: object) -> str | None:
    found = plain(value)
    return found if found is None or isinstance(found, str) else msgspec.json.encode(found).decode()


class _Pipe(io.RawIOBase):
    """What is written into it comes out by `take`, and is not kept."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _Binary:
    """A file by one of Arrow's own writers."""

    def __init__(self, format: FileFormat, schema: pa.Schema) -> None:
        self._pipe = _Pipe()
        self._writer = _opened(format, self._pipe, schema)

    def write(self, rows: pa.Table) -> bytes:
        if rows.num_rows:
            self._writer.write_table(rows.combine_chunks())
        return self._pipe.take()

    def close(self) -> bytes:
        self._writer.close()
        return self._pipe.take()


def _opened(format: FileFormat, pipe: io.RawIOBase, schema: pa.Schema) -> Any:
    import pyarrow as pa

    if format == "arrow":
        return pa.ipc.new_file(pipe, schema)
    import pyarrow.parquet

    try:
        return pa.parquet.ParquetWriter(pipe, schema)
    except pa.ArrowNotImplementedError as error:
        raise NotForThisType(f"Parquet has no place for a column of this table: {error}") from error
