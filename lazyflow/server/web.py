"""Tornado's side of what is answered over plain HTTP: its requests in, its answers out."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from lazyflow.server import download, pages
from lazyflow.server.access import Access, redacted
from lazyflow.server.download import ReaderGone
from lazyflow.server.guarded import HEADERS, Answer, answered, check, failure
from lazyflow.server.request import Request, headers_of
from lazyflow.service import Service

log = logging.getLogger("lazyflow.server")

_AT_ONCE = struct.pack("ii", 1, 0)
"""What SO_LINGER takes: a closed connection is reset, and what was not sent is thrown away."""


class Guarded(RequestHandler):
    """A handler whose answers have the headers of all answers, and whose request is free of the token."""

    def initialize(self, service: Service, access: Access, path: str | None = None) -> None:
        """Take what all handlers share, and the token out of what anybody may log."""
        self.service = service
        self.access = access
        asked = self.request
        headers = headers_of(asked.headers.get_all())
        self.asked = Request(asked.method or "", asked.path if path is None else path, asked.query, headers)
        self.request.uri = redacted(self.request.uri or "")

    def set_default_headers(self) -> None:
        """Set the headers of every answer; which server it is concerns nobody."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse whom `docs/security.md` refuses."""
        refused = answered(self.asked, lambda: check(self.access, self.asked))
        if refused is not None:
            self.give(refused)

    def give(self, answer: Answer) -> None:
        """Answer with this."""
        self.set_status(answer.status)
        for name, value in answer.all_headers.items():
            self.set_header(name, value)
        self.finish(answer.body)

    def compute_etag(self) -> None:
        """Nothing is stored, so nothing is compared."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what Tornado has against a request as everything else is said."""
        self.give(failure(status_code))

    def log_exception(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log what was not foreseen; unlike Tornado's own, without the headers and arguments of the request."""
        if not isinstance(error, HTTPError):
            exception = (kind, error, trace) if kind is not None and error is not None else True
            log.error("%s %s failed", self.request.method, self.request.path, exc_info=exception)
        elif error.log_message:
            log.info("%d %s %s: %s", error.status_code, self.request.method, self.request.path, error.log_message)


class Page(Guarded):
    """Whatever is answered at once."""

    def prepare(self) -> None:
        """Answer, whatever the method."""
        self.give(pages.answer(self.service, self.access, self.asked))


class Download(Guarded):
    """The view of a session as a file."""

    _download: download.Download | None = None

    async def get(self) -> None:
        """Answer with the file; where it breaks off, so does the connection."""
        made = answered(self.asked, lambda: download.Download(self.service, self.asked, _Reader(self)))
        if isinstance(made, Answer):
            self.give(made)
            return
        self._download = made
        try:
            refused = await made.run()
        except ReaderGone:
            self._break_off()
            return
        if refused is not None:
            self.give(refused)

    def on_connection_close(self) -> None:
        """The reader is gone."""
        super().on_connection_close()
        if self._download is not None:
            self._download.leave()

    def _break_off(self) -> None:
        """Reset the connection: nobody takes what came for the whole file then, also where they speak HTTP/1.0."""
        stream = self.detach()
        if not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            stream.close()


class _Reader:
    """Who downloads, at the end of a handler's connection."""

    def __init__(self, handler: Download) -> None:
        self._handler = handler

    async def begin(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            self._handler.set_header(name, value)

    async def send(self, part: bytes) -> None:
        self._handler.write(part)
        try:
            await taken(self._handler.flush())
        except StreamClosedError as error:
            raise ReaderGone from error

    async def end(self) -> None:
        await self._handler.finish()


async def taken(sent: Any) -> None:
    """Wait until the operating system took something; may be cancelled, which Tornado's own future may not."""
    future = asyncio.ensure_future(sent)
    future.add_done_callback(lambda sent: sent.cancelled() or sent.exception())  # it is seen, whoever waits
    await asyncio.shield(future)
