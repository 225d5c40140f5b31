"""Calls beside an event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref

from lazyflow.threads import Threads


class Failure(Exception):
    """What a call raises here."""


def fail() -> None:
    raise Failure


async def failed() -> weakref.ref[Failure]:
    """The failure of a call, as it was raised and looked at here."""
    try:
        await Threads().run(fail)
    except Failure as error:
        return weakref.ref(error)
    raise AssertionError("a call's error is not raised")


def test_an_error_goes_with_those_who_saw_it() -> None:
    """Its frames hold what the call was about, a view and its statistics say."""

    async def main() -> None:
        gone = await failed()
        while gone() is not None:  # the thread is about to let go of it
            await asyncio.sleep(0)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(asyncio.wait_for(main(), 60))
    finally:
        gc.enable()
