"""lazyflow on xorq: its expressions, run by its DataFusion engine in sessions of our own."""

from __future__ import annotations

from lazyflow_xorq.backend import XorqBackend

__all__ = ["XorqBackend"]
