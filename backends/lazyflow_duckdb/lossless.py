"""Which Parquet files DuckDB does not read as they are: values cut short, or at which it fails."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_MILLISECONDS = (2**63 - 1) // 1000
"""Since 1970; DuckDB brings timestamps into microseconds, and a query fails at those that are more."""


def column_lost(paths: Iterable[Path], schema: pa.Schema) -> str | None:
    """The name of a column of which DuckDB would not read all; None where there is none.

    Parameters
    ----------
    paths
        Files of one table.
    schema
        Their names and types, as Arrow has them.
    """
    for field in schema:
        if not _reads_all(field.type):
            return str(field.name)
    if "timestamp[ms" in str(schema):
        return next((name for name in map(_beyond_microseconds, paths) if name is not None), None)
    return None


def _beyond_microseconds(path: Path) -> str | None:
    """The name of a column with timestamps too far for DuckDB, as far as the file says what lies in it."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        columns = [metadata.schema.column(place) for place in range(metadata.num_columns)]
        for place, column in enumerate(columns):
            if "timeUnit=milliseconds" not in str(column.logical_type) or "Timestamp" not in str(column.logical_type):
                continue
            for group in range(metadata.num_row_groups):
                known = metadata.row_group(group).column(place).statistics
                ends = (known.min_raw, known.max_raw) if known is not None and known.has_min_max else ()
                if any(abs(end) > _MOST_MILLISECONDS for end in ends):
                    return str(column.path.split(".")[0])
    return None


def _reads_all(type: pa.DataType) -> bool:
    """Whether DuckDB reads all that is in values of a type of Arrow's from a Parquet file.

    Of times of day it cuts the nanoseconds, of decimals of more than 38 digits it makes floats, fields without a name
    are not asked for, and what is a boolean only by an extension is a number to it.
    """
    import pyarrow as pa
    import pyarrow.types as pat

    if isinstance(type, pa.BaseExtensionType):
        return bool(type.extension_name != "arrow.bool8") and _reads_all(type.storage_type)
    if pat.is_dictionary(type):
        return _reads_all(type.value_type)
    if type.num_fields:
        fields = [type.field(position) for position in range(type.num_fields)]
        named = not pat.is_struct(type) or all(field.name for field in fields)
        return named and all(_reads_all(field.type) for field in fields)
    return type != pa.time64("ns") and not (pat.is_decimal(type) and type.precision > 38)
