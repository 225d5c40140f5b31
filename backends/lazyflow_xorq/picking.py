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

Pick: TypeAlias = Callable[[pa.Array, CancelToken], pa.Table]
"""The rows of these numbers, which ascend, in their order."""

_BATCH_ROWS = 65_536

_PLAIN = re.compile(r"[\w/.=-]+", re.ASCII)
"""Paths that DataFusion sorts as Python does: it escapes other characters first."""


def pick_arrow(table: pa.Table) -> Pick:
    """Of an Arrow table."""
    return lambda numbers, token: rows_of_arrow(table, numbers)


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

    def pick(numbers: pa.Array, token: CancelToken) -> pa.Table:
        wanted, found, passed = integers(numbers), [], 0
        schema = None
        for number, path in enumerate(ordered):
            file = pq.ParquetFile(path)
            schema = schema or file.schema_arrow
            rows = file.metadata.num_rows
            mine = wanted[np.searchsorted(wanted, passed) : np.searchsorted(wanted, passed + rows)] - passed
            rows_of_file = pa.Table.from_batches(_of_file(file, mine, token), schema)
            found.append(with_partitions(rows_of_file, partitions, number))
            passed += rows
        picked = pa.concat_tables(found)
        return picked if names is None else picked.rename_columns(list(names))

    return pick


def _of_file(
    file: pq.ParquetFile, wanted: np.ndarray[tuple[int], np.dtype[np.int64]], token: CancelToken
) -> list[pa.RecordBatch]:
    """The wanted rows of one file."""
    metadata = file.metadata
    starts = np.cumsum([0, *(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))])
    found = []
    bounds = np.searchsorted(wanted, starts)
    for group in np.flatnonzero(np.diff(bounds)):
        rest = wanted[bounds[group] : bounds[group + 1]] - starts[group]
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[int(group)], use_threads=False):
            token.check()
            here = np.searchsorted(rest, batch.num_rows)
            if here:
                found.append(batch.take(pa.array(rest[:here])))
            rest = rest[here:] - batch.num_rows
            if not len(rest):
                break
    return found
