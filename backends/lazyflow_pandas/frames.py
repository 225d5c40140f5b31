"""Arrow tables as frames that the executor computes rightly on, and its frames as Arrow tables again."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.types as pat

from lazyflow.source import inside_type

TEXT = pd.StringDtype("pyarrow")

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(), pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype(),
}  # fmt: skip


def held(type: pa.DataType) -> pa.DataType:
    """A canonical type as it is held: nulls within structs and lists as integers, since Arrow slices them wrongly."""
    if pat.is_null(type):
        return type
    return inside_type(type, lambda leaf: pa.int8() if pat.is_null(leaf) else leaf)


def frame_from_arrow(table: pa.Table) -> pd.DataFrame:
    """A frame over the same memory where pandas can hold it.

    Integers and booleans beside NULLs stay what they are (not floats, not objects), text is Arrow's (object text holds
    the interpreter lock while it is searched), dates are whole seconds (objects do not compare), zones are UTC.
    """
    series = {name: column_from_arrow(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return pd.DataFrame(series, index=pd.RangeIndex(table.num_rows), copy=False)


def column_from_arrow(column: pa.ChunkedArray) -> Any:
    """A column's values as pandas holds them in such a frame."""
    type = column.type
    if pat.is_string(type) or pat.is_null(type):
        text = column.cast(pa.large_string())  # in one chunk: taking scattered rows from many is slow
        return TEXT.__from_arrow__(pa.chunked_array([text.combine_chunks()]) if text.num_chunks > 1 else text)
    if type in _NULLABLE:
        return _NULLABLE[type].__from_arrow__(column) if column.null_count else column.to_numpy()
    if pat.is_floating(type):
        return column.to_numpy()
    if pat.is_date(type):
        return column.cast(pa.date32()).to_numpy().astype("M8[s]")
    if pat.is_timestamp(type):
        naive = column.cast(pa.timestamp(type.unit)).to_numpy().astype(f"M8[{type.unit}]", copy=False)
        return pd.Series(naive).dt.tz_localize("UTC").array if type.tz else naive
    return pd.ArrowDtype(type).__from_arrow__(column)


def arrow_from_result(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """What the executor computed, as an Arrow table of that schema; nothing is cut below its own unit."""
    if not len(frame):
        return schema.empty_table()  # kernels give empty frames any type
    arrays = [_array(frame.iloc[:, position], field.type) for position, field in enumerate(schema)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(series: pd.Series, type: pa.DataType) -> pa.Array | pa.ChunkedArray:
    values = series.array
    if pat.is_null(type):
        return pa.nulls(len(series))
    if hasattr(values, "_pa_array"):
        array = values._pa_array
    elif series.dtype == object:
        array = pa.array(series.to_numpy(), type, from_pandas=True)
    elif series.dtype.kind == "M":
        instants = values._ndarray if hasattr(values, "_ndarray") else series.to_numpy()
        array = pa.array(instants)
        if pat.is_timestamp(type) and type.tz:
            array = array.cast(pa.timestamp(array.type.unit, "UTC"))
    else:
        array = pa.array(series, from_pandas=True)
    return array if array.type == type else array.cast(type)
