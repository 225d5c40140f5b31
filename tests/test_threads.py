"""Calls beside an event loop."""

from __future__ import annotations

import asyncio

from lazyflow.threads import Threads
from tests.wire import run, told_when_gone, without_collector


class Failure(Exception):
    """What a call raises here."""


def fail() -> None:
    raise Failure


async def failed() -> asyncio.Event:
    """Told when the failure of a call is gone, which was raised and looked at here."""
    try:
        await Threads().run(fail)
    except Failure as error:
        return told_when_gone(error)
    raise AssertionError("a call's error is not raised")


def test_an_error_goes_with_those_who_saw_it() -> None:
    """Its frames hold what the call was about, a view and its statistics say."""

    async def main() -> None:
        await (await failed()).wait()

    with without_collector():
        run(main())
