"""lazyflow on DuckDB: files, Arrow tables and frames on an engine of its own, ibis tables on the caller's."""

from __future__ import annotations

from lazyflow_duckdb.backend import DuckDBBackend

__all__ = ["DuckDBBackend"]
