"""The viewer: one ES module, `static/viewer.js`, that is made of the TypeScript in `src` when lazyflow is installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BUNDLE = Path(__file__).parent / "static" / "viewer.js"
"""The module; what it exports stands in `docs/viewer.md`."""

HOW_TO_BUILD = (
    "the viewer was not built: install lazyflow without LAZYFLOW_SKIP_VIEWER, or run lazyflow/viewer/build.py"
)


def is_built() -> bool:
    """Whether the bundle is there. Only a checkout that was never installed, or installed without it, lacks it."""
    return BUNDLE.is_file()


@cache
def bundle() -> bytes:
    """The bundle's content.

    Raises
    ------
    FileNotFoundError
        If it was not built.
    """
    return BUNDLE.read_bytes()
