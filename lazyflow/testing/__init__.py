"""The conformance suite that authors of backends run; see `docs/backends.md`."""

from __future__ import annotations

from lazyflow.testing.harness import Harness

__all__ = ["Harness"]
