"""The view of a session as a file over HTTP, no faster than it is read, and no longer."""

from __future__ import annotations

import asyncio
import http
import logging
import re
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from lazyflow.errors import InvalidInput, SourceError
from lazyflow.formats import FILE_FORMATS, MEDIA_TYPES, FileFormat
from lazyflow.protocol import error_of
from lazyflow.server.guarded import Guarded

log = logging.getLogger("lazyflow.server")

_STATUS = {"no_such_session": 404, "unknown_generation": 409, "too_many_downloads": 429, "timeout": 504}
_AT_ONCE = struct.pack("ii", 1, 0)
"""What SO_LINGER takes: a closed connection is reset, and what was not sent is thrown away."""
_NAME_CHARACTERS = 100


class Download(Guarded):
    """A download; what it is of stands in its address: `session`, `format`."""

    _task: asyncio.Task[None] | None = None

    async def get(self) -> None:
        """Answer with the file. What fails before its first bytes is a status; after them the transfer breaks off."""
        session, format = self.get_query_argument("session"), self.get_query_argument("format", "csv")
        known: dict[str, FileFormat] = {name: name for name in FILE_FORMATS}
        if format not in known:
            raise HTTPError(400, "no such format")
        self._task = asyncio.ensure_future(self._send(session, known[format]))
        await asyncio.wait({self._task})
        if self._task.cancelled():
            log.info("a download was left by its reader")
        elif (error := self._task.exception()) is None:
            return
        elif not self._headers_written:
            self._refuse(error)
            return
        elif not isinstance(error, StreamClosedError):
            log.warning("a download broke off: %s", error, exc_info=error)
        self._break_off()

    def on_connection_close(self) -> None:
        """The reader is gone: stop what runs for it."""
        super().on_connection_close()
        if self._task is not None:
            self._task.cancel()

    async def _send(self, session: str, format: FileFormat) -> None:
        source, parts = self.service.download(session, format)
        async with aclosing(parts):
            await self._send_parts(parts, source, format)
        await self.finish()

    async def _send_parts(self, parts: AsyncGenerator[bytes, None], source: str, format: FileFormat) -> None:
        first = await anext(parts)
        self.set_header("Content-Type", MEDIA_TYPES[format])
        self.set_header("Content-Disposition", disposition(source, format))
        await self._flush(first)
        async for part in parts:
            await self._flush(part)

    async def _flush(self, part: bytes) -> None:
        """Send a part; done when the operating system has taken it."""
        self.write(part)
        sent = asyncio.ensure_future(self.flush())
        sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())  # it is seen, whoever waits
        done, _ = await asyncio.wait({sent}, timeout=self.service.settings.client_timeout)
        if not done:
            raise StreamClosedError
        sent.result()

    def _refuse(self, error: BaseException) -> None:
        shown = error_of(error)
        given = 400 if isinstance(error, InvalidInput) else 503 if isinstance(error, SourceError) else 500
        status = _STATUS.get(shown.code, given)
        if status >= 500:
            log.warning("a download failed: %s", error, exc_info=error)
        self.set_status(status)
        self.clear_header("Content-Disposition")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status} {http.HTTPStatus(status).phrase}: {shown.message}\n")

    def _break_off(self) -> None:
        """Reset the connection: nobody takes what came for the whole file then, also where they speak HTTP/1.0."""
        stream = self.detach()
        if not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            stream.close()


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
