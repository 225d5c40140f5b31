"""lazyflow on pandas frames: expressions run by xorq's pandas executor, block by block until the window is full."""

from __future__ import annotations

from lazyflow_pandas.backend import PandasBackend

__all__ = ["PandasBackend"]
