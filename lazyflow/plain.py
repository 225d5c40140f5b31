"""Arrow tables in the canonical types: what is said of these is true of every engine's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazyflow.durations import UNITS_PER_SECOND
from lazyflow.types import canonical, is_list

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def plain_arrow(table: pa.Table) -> pa.Table:
    """An Arrow table in the canonical types, nested values included; what is so already is not copied.

    >>> import pyarrow as pa
    >>> plain_arrow(pa.table({"x": pa.array(["a", None, "a"]).dictionary_encode()})).schema.types
    [DataType(string)]
    """
    import pyarrow as pa

    columns = [plain_column(column) for column in table.columns]
    fields = [pa.field(name, column.type) for name, column in zip(table.column_names, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in the canonical type of its own."""
    import pyarrow as pa

    return pa.chunked_array([plain_array(chunk) for chunk in column.chunks], canonical(column.type))


def plain_array(array: pa.Array) -> pa.Array:
    """An array in the canonical type of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pat

    type, target = array.type, canonical(array.type)
    if str(type) == str(target):
        return array
    if isinstance(type, pa.BaseExtensionType):
        if type.extension_name == "arrow.uuid":
            return _identifiers(array.storage)
        return array.storage.cast(target) if type.extension_name == "arrow.bool8" else plain_array(array.storage)
    if pat.is_dictionary(type):
        return plain_array(array.dictionary).take(array.indices)
    if pat.is_run_end_encoded(type):
        return plain_array(pc.run_end_decode(array))
    if is_list(type):  # not by a cast, which loses the elements of views
        return pa.ListArray.from_arrays(_offsets(array), plain_array(pc.list_flatten(array)), mask=array.is_null())
    if pat.is_map(type):
        offsets, keys, items = _map_parts(array)
        return pa.MapArray.from_arrays(offsets, plain_array(keys), plain_array(items), mask=array.is_null())
    if pat.is_struct(type):
        return pa.StructArray.from_arrays(
            [plain_array(part) for part in array.flatten()], fields=list(target), mask=array.is_null()
        )
    if pat.is_union(type):
        return _members(array, target)
    if pat.is_interval(type):
        return _calendar_intervals(array)
    if pat.is_date64(type):  # which may have times of day, against its definition
        array = array.cast(pa.timestamp("ms"))
    return array.cast(target)


def in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table's columns, and the fields of structs in them, by position under the names and types of a schema.

    Parameters
    ----------
    schema
        Of canonical types, or of what an engine holds in their place.

    Examples
    --------
    >>> import pyarrow as pa
    >>> found = pa.table({"a": pa.array([[{"b": 1}]])})
    >>> in_schema(found, pa.schema([("x", pa.list_(pa.struct([("", pa.int8())])))])).schema
    x: list<item: struct<: int8>>
      child 0, item: struct<: int8>
          child 0, : int8
    """
    import pyarrow as pa

    columns = []
    for column, type in zip(table.columns, schema.types, strict=True):
        if str(column.type) != str(type):  # as text: to Arrow lists and maps are equal whatever their parts are called
            column = pa.chunked_array([_in_type(chunk, type) for chunk in column.chunks], type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _in_type(array: pa.Array, type: pa.DataType) -> pa.Array:
    """An array in another type of the same structure: Arrow's own cast goes by names of fields, and knows no null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pat

    if str(array.type) == str(type):
        return array
    if pat.is_null(type):
        return pa.nulls(len(array))
    if is_list(type):
        elements = _in_type(pc.list_flatten(array), type.value_type)
        return pa.ListArray.from_arrays(_offsets(array), elements, type, mask=array.is_null())
    if pat.is_map(type):
        offsets, keys, items = _map_parts(array)
        keys, items = _in_type(keys, type.key_type), _in_type(items, type.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, type, mask=array.is_null())
    if pat.is_struct(type):
        parts = [_in_type(part, field.type) for part, field in zip(array.flatten(), type, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=list(type), mask=array.is_null())
    return array.cast(type)


def _map_parts(maps: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Offsets, keys and items of maps, no more of them than the maps have."""
    import pyarrow.compute as pc

    first, last = maps.offsets[0].as_py(), maps.offsets[-1].as_py()
    return pc.subtract(maps.offsets, first), maps.keys.slice(first, last - first), maps.items.slice(first, last - first)


def _offsets(lists: pa.Array) -> pa.Array:
    """Where the lists of an array begin in its flattened elements."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())


def _identifiers(stored: pa.Array) -> pa.Array:
    """UUIDs as text, in the usual form: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12."""
    import numpy as np
    import pyarrow as pa

    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    octets = _fixed(stored, np.dtype((np.uint8, 16)))
    written = np.full((len(stored), 36), ord("-"), np.uint8)
    places = [place for place in range(36) if place not in (8, 13, 18, 23)]
    written[:, places[0::2]], written[:, places[1::2]] = digits[octets >> 4], digits[octets & 15]
    offsets = pa.array(np.arange(len(stored) + 1) * 36, pa.int32())
    return _with_missing(pa.StringArray.from_buffers(len(stored), offsets.buffers()[1], pa.py_buffer(written)), stored)


def _calendar_intervals(array: pa.Array) -> pa.Array:
    """Intervals of months, days and nanoseconds as ISO 8601; a negative part has a sign of its own."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = _fixed(array, np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")]))
    months, days, nanoseconds = (parts[name].astype(np.int64) for name in ("months", "days", "nanoseconds"))
    per_second = UNITS_PER_SECOND["ns"]
    whole = nanoseconds // per_second + ((nanoseconds < 0) & (nanoseconds % per_second != 0))  # towards zero
    rest = np.abs(nanoseconds - whole * per_second)

    def text(numbers: Any) -> pa.Array:
        return pa.array(numbers).cast(pa.string())

    sign = pa.array(np.where((nanoseconds < 0) & (whole == 0), "-", ""))
    fraction = pc.utf8_rtrim(pc.utf8_lpad(text(rest), 9, "0"), "0")
    fraction = pc.if_else(pc.equal(fraction, ""), "", pc.binary_join_element_wise("", fraction, "."))
    written = pc.binary_join_element_wise(
        "P", text(months), "M", text(days), "DT", sign, text(whole), fraction, "S", ""
    )
    return _with_missing(written, array)


def _members(union: pa.Array, target: pa.DataType) -> pa.Array:
    """A union as a struct of which one field has a value."""
    import numpy as np
    import pyarrow as pa

    start, stop = union.offset, union.offset + len(union)  # which Arrow's own attributes do not heed
    codes = np.frombuffer(union.buffers()[1], np.int8)[start:stop]
    places = None if union.type.mode == "sparse" else np.frombuffer(union.buffers()[2], np.int32)[start:stop]
    parts = []
    for position, code in enumerate(union.type.type_codes):
        others = codes != code
        where = np.arange(len(union)) if places is None else places
        parts.append(plain_array(union.field(position)).take(pa.array(where, mask=others)))
    return pa.StructArray.from_arrays(parts, fields=list(target))


def _fixed(array: pa.Array, dtype: np.dtype[Any]) -> Any:
    """The values of an array of fixed width as they lie in memory, whatever is missing."""
    import numpy as np

    buffer = array.buffers()[1]
    stop = array.offset + len(array)
    return np.frombuffer(buffer, dtype, count=stop)[array.offset :] if len(array) else np.empty(0, dtype)


def _with_missing(values: pa.Array, model: pa.Array) -> pa.Array:
    """The values, missing where those of `model` are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(model.is_null(), pa.scalar(None, values.type), values) if model.null_count else values
