"""The view of a session as a file over HTTP, whoever carries it: no faster than it is read, and no longer."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Protocol
from urllib.parse import quote

from lazyflow.errors import InvalidInput, SourceError
from lazyflow.formats import FILE_FORMATS, MEDIA_TYPES, FileFormat
from lazyflow.protocol import error_of
from lazyflow.server.guarded import Answer, Problem, failure
from lazyflow.server.request import Request
from lazyflow.service import Service

log = logging.getLogger("lazyflow.server")

_STATUS = {"no_such_session": 404, "unknown_generation": 409, "too_many_downloads": 429, "timeout": 504}
_NAME_CHARACTERS = 100


class ReaderGone(Exception):
    """The connection has ended."""


class Reader(Protocol):
    """Who reads, as a web framework gives them; each call is done when it was taken, and may be cancelled."""

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Send the head of an answer of unknown length."""

    async def send(self, part: bytes) -> None:
        """Send a part; raises `ReaderGone`."""

    async def end(self) -> None:
        """Say that it was whole."""


class Download:
    """A download; what it is of stands in its address: `session`, `format`.

    Raises
    ------
    Problem
        If there is no session in it, or no such format.
    """

    def __init__(self, service: Service, request: Request, reader: Reader) -> None:
        known: dict[str, FileFormat] = {name: name for name in FILE_FORMATS}
        session, format = request.argument("session"), request.argument("format") or "csv"
        if session is None or format not in known:
            raise Problem(400, "no session" if session is None else "no such format")
        self._service = service
        self._session, self._format = session, known[format]
        self._reader = reader
        self._begun = False
        self._task: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """The reader is gone: stop what runs for it."""
        if self._task is not None:
            self._task.cancel()

    async def run(self) -> Answer | None:
        """Send the file.

        Returns
        -------
        Answer or None
            The answer where it failed before the first bytes; None if it was sent as a whole.

        Raises
        ------
        ReaderGone
            If it broke off: the connection is to be broken, so that nobody takes what came for the whole file.
        """
        self._task = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait({self._task})
        finally:
            self.leave()  # also where this is cancelled
        if self._task.cancelled():
            log.info("a download was left by its reader")
        elif (error := self._task.exception()) is None:
            return None
        elif not self._begun:
            return _refusal(error)
        elif not isinstance(error, ReaderGone | TimeoutError):
            log.warning("a download broke off: %s", error, exc_info=error)
        raise ReaderGone

    async def _send(self) -> None:
        source, parts = self._service.download(self._session, self._format)
        async with aclosing(parts):
            await self._send_parts(parts, source)
        await self._reader.end()

    async def _send_parts(self, parts: AsyncGenerator[bytes, None], source: str) -> None:
        first = await anext(parts)
        disposed = disposition(source, self._format)
        self._begun = True
        await self._reader.begin({"Content-Type": MEDIA_TYPES[self._format], "Content-Disposition": disposed})
        await self._take(first)
        async for part in parts:
            await self._take(part)

    async def _take(self, part: bytes) -> None:
        async with asyncio.timeout(self._service.settings.client_timeout):
            await self._reader.send(part)


def _refusal(error: BaseException) -> Answer:
    shown = error_of(error)
    given = 400 if isinstance(error, InvalidInput) else 503 if isinstance(error, SourceError) else 500
    status = _STATUS.get(shown.code, given)
    if status >= 500:
        log.warning("a download failed: %s", error, exc_info=error)
    return failure(status, shown.message)


def disposition(source: str, format: FileFormat) -> str:
    r"""The header that names the file, after a table whose name may be anything.

    >>> disposition("flights", "csv")
    'attachment; filename="flights.csv"; filename*=UTF-8\'\'flights.csv'
    >>> disposition('../a"b\r\nö', "arrow")
    'attachment; filename="a_b___.arrow"; filename*=UTF-8\'\'a_b__%C3%B6.arrow'
    """
    name = re.sub(r"[^\w .()-]", "_", source)[:_NAME_CHARACTERS].strip(" ._") or "table"
    plain = re.sub(r"[^ -~]", "_", name)
    return f"attachment; filename=\"{plain}.{format}\"; filename*=UTF-8''{quote(name, safe='')}.{format}"
