"""The conformance suite on every backend of this repository."""

from __future__ import annotations

from lazyflow.testing.suite import *  # noqa: F403
