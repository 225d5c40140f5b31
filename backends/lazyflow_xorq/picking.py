"""Rows of a source by their numbers, read by Arrow: DataFusion finds a row by reading all those before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lazyflow.data import integers, rows_of_arrow
from lazyflow.files import with_partitions
from lazyflow.partitions import Partition
from lazyflow.work import CancelToken

Pick: TypeAlias = Callable[[pa.Array, Sequence[str], CancelToken], pa.Table]
"""The rows of these numbers, which ascend, in their order: columns of these names, or all where there are none."""

_BATCH_ROWS = 65_536

_PLAIN = re.compile(r"[\w/.=-]+", re.ASCII)
"""Paths that DataFusion sorts as Python does: it escapes other characters first."""


def pick_arrow(table: pa.Table) -> Pick:
    """Of an Arrow table."""
    return lambda numbers, columns, token: rows_of_arrow(table.select(columns) if columns else table, numbers)


def pick_files(
    paths: Sequence[str], names: Sequence[str] | None = None, partitions: Sequence[Partition] = ()
) -> Pick | None:
    """Of Parquet files: the groups of rows are read that hold any, one after the other, each no further than needed.

    DataFusion reads several files in the order of their paths, however they are given. None where that order cannot be
    told.

    Parameters
    ----------
    names
        Of the columns in the answer; None are their own.
    partitions
        Columns behind those of the files, with a value for each.
    """
    if len(paths) > 1 and not (all(map(_PLAIN.fullmatch, paths)) and len(set(paths)) == len(paths)):
        return None
    ordered = sorted(paths)

    def pick(numbers: pa.Array, columns: Sequence[str], token: CancelToken) -> pa.Table:
        wanted, found, passed = integers(numbers), [], 0
        schema = inside = None
        for number, path in enumerate(ordered):
            file = pq.ParquetFile(path)
            if schema is None or inside is None:
                inside = list(names or file.schema_arrow.names)
                schema, inside = _needed(file.schema_arrow, inside, columns)
            rows = file.metadata.num_rows
            mine = wanted[np.searchsorted(wanted, passed) : np.searchsorted(wanted, passed + rows)] - passed
            rows_of_file = pa.Table.from_batches(_of_file(file, mine, schema.names, token), schema)
            found.append(with_partitions(rows_of_file, partitions, number))
            passed += rows
        picked = pa.concat_tables(found).rename_columns(inside)
        return picked.select(columns) if columns else picked

    return pick


def _needed(schema: pa.Schema, inside: list[str], columns: Sequence[str]) -> tuple[pa.Schema, list[str]]:
    """The columns of a file that are read, and the names inside of these and of what follows them."""
    own, asked = len(schema), set(columns)
    if len(set(schema.names)) < own or not (wanted := [n for n in range(own) if inside[n] in asked]):
        return schema, inside
    return pa.schema([schema.field(n) for n in wanted]), [*(inside[n] for n in wanted), *inside[own:]]


def _of_file(
    file: pq.ParquetFile, wanted: np.ndarray[tuple[int], np.dtype[np.int64]], names: list[str], token: CancelToken
) -> list[pa.RecordBatch]:
    """The wanted rows of one file, columns by its own names; all of them where some are called alike."""
    whole = len(names) == len(file.schema_arrow)
    metadata = file.metadata
    starts = np.cumsum([0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))])
    found = []
    bounds = np.searchsorted(wanted, starts)
    for group in np.flatnonzero(np.diff(bounds)):
        rest = wanted[bounds[group] : bounds[group + 1]] - starts[group]
        read = None if whole else names
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[int(group)], columns=read, use_threads=False):
            batch = batch if whole else batch.select(names)
            token.check()
            here = np.searchsorted(rest, batch.num_rows)
            if here:
                found.append(batch.take(pa.array(rest[:here])))
            rest = rest[here:] - batch.num_rows
            if not len(rest):
                break
    return found
