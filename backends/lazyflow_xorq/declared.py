"""What Parquet files say of the types of their columns, and which of these DataFusion reads."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pat

from lazyflow.files import parquet_schema

_ARROW = b"ARROW:schema"
"""Under this name Arrow's writers keep the types of the table that was written, by which DataFusion goes too."""


def unreadable(path: Path) -> str | None:
    """The name of a column that DataFusion, or its expressions, cannot read from a file; None where there is none."""
    found = parquet_schema(path)
    told = (pq.read_metadata(path).metadata or {}).get(_ARROW)
    schemas = [found] if told is None else [found, pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told)))]
    return next((field.name for schema in schemas for field in schema if not _reads(field.type)), None)


def _reads(type: pa.DataType) -> bool:
    if type.num_fields:
        fields = [type.field(position) for position in range(type.num_fields)]
        named = not pat.is_struct(type) or all(field.name for field in fields)
        return named and all(_reads(field.type) for field in fields)
    if pat.is_dictionary(type):
        return not pat.is_decimal(type.value_type)
    if pat.is_decimal(type):
        return bool(type.precision <= 38)
    return not (isinstance(type, pa.BaseExtensionType) or pat.is_fixed_size_binary(type))
