"""All rows of a view as a file, for one reader: a window at a time, none before the last one is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from lazyflow.dataflow import DataFlow
from lazyflow.formats import FileFormat, file_writer
from lazyflow.protocol import Refused
from lazyflow.state import State
from lazyflow.threads import Threads
from lazyflow.windows import MOST_ROWS
from lazyflow.work import CancelToken

_FIRST_ROWS = 1_000
_MOST_ROWS = 100_000
"""Of views whose windows are not fetched by row numbers: each begins with a way through the rows before it."""
_PART_BYTES = 8_000_000
"""About so much of a table is in memory at a time. Rows are as wide as those before; who knows better?"""


class Download:
    """A download under way; made by `Session.download`.

    It has a fork of the session's flow, and so a view of its own: whatever becomes of the session's, all rows are of
    the state that was current when it was asked for.

    Parameters
    ----------
    flow
        The fork; it is closed at the end.
    state
        The state whose view is wanted.
    format
        As what.
    threads
        Where windows are fetched and written.
    seconds
        How long the engine may take for a window.
    """

    def __init__(self, flow: DataFlow, state: State, format: FileFormat, threads: Threads, seconds: float) -> None:
        self._flow = flow
        self._threads = threads
        self._seconds = seconds
        self._token = CancelToken()
        self._parts = _parts(flow, state, format, self._token)

    def cancel(self) -> None:
        """Nobody wants it any more: what runs for it is stopped, and `parts` ends with `Cancelled`."""
        self._token.cancel()

    async def parts(self, before_each: Callable[[], asyncio.Future[Any] | None]) -> AsyncGenerator[bytes, None]:
        """The file, part by part. However it ends, the fork is closed then, and no query runs on.

        Parameters
        ----------
        before_each
            Who goes first: what is waited for before the next window is asked for, or None.

        Raises
        ------
        Cancelled
            After `cancel`.
        Refused
            If the engine took too long for a window.
        NotForThisType
            If the format has no place for a column.
        SourceChanged, EngineError
            If the rows do not come.
        """
        try:
            while True:
                first = before_each()
                if first is not None:
                    await asyncio.wait({first})
                self._token.check()
                task = self._threads.start(next, self._parts, None)
                try:
                    done, _ = await asyncio.wait({task}, timeout=self._seconds)
                    if not done:
                        raise Refused("timeout")
                finally:
                    if not task.done():
                        self._token.cancel()
                        task.cancel()
                part = task.result()
                self._token.check()
                if part is None:
                    return
                yield part
        finally:
            self._token.cancel()
            self._flow.close()


def _parts(flow: DataFlow, state: State, format: FileFormat, token: CancelToken) -> Iterator[bytes]:
    """The file, a window of rows at a time. Row numbers, where they are prepared meanwhile, make far windows quick."""
    step = flow.apply(state, (0, 0))
    writer = file_writer(format, step.plan.no_rows().schema)
    start, asked = 0, _FIRST_ROWS
    while True:
        rows = step.fetch((start, start + asked), token=token)
        yield writer.write(rows)
        if rows.num_rows < asked:
            break
        start += asked
        most = MOST_ROWS if step.numbered else _MOST_ROWS
        asked = max(1, min(most, _PART_BYTES * rows.num_rows // max(1, rows.nbytes)))
    yield writer.close()
