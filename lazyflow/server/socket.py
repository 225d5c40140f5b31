"""A client at the end of a websocket: joining, reading no faster than allowed, sending no more than is read."""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import aclosing

from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol

from lazyflow.protocol import CLOSE_CODES, ErrorFrame, Frame, Join, Refused, decode_join, error_of
from lazyflow.server.access import Access
from lazyflow.server.guarded import Guarded
from lazyflow.server.rate import Rate
from lazyflow.service import Service
from lazyflow.session import Client
from lazyflow.threads import Threads

log = logging.getLogger("lazyflow.server")

_REASON_BYTES = 123
"""A close frame has room for 125 bytes, two of which are the code."""

BROKEN, NOT_UNDERSTOOD, DID_NOT_READ = 1011, 4400, 4408


LOOP_BYTES = 50_000
"""A frame of so many bytes is compressed in less than a millisecond; larger ones in a thread, off the event loop."""

_LEVEL = 1
"""Of zlib: higher ones take two to four times as long for a tenth less."""


class _DidNotRead(Exception):
    """A frame waited longer for the client than it may."""


class Socket(Guarded, WebSocketHandler):
    """The websocket; its query parameter `join` is the JSON of `lazyflow.protocol.Join`."""

    def initialize(self, service: Service, access: Access, sockets: set[Socket]) -> None:  # type: ignore[override]
        """Take what all sockets share, the set of those that are open among it."""
        super().initialize(service, access)
        self._sockets = sockets
        self._client: Client | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: WebSocketProtocol | None = None
        self._excused = 0
        self._heard = True
        self._compresses = False
        self._threads = Threads()

    def check_origin(self, origin: str) -> bool:
        """Whether a page of this origin may connect: Tornado asks too, and gets the same answer as `prepare`."""
        return self.access.origin_allowed(origin, self.host)

    # These are Tornado's names of what would be settings of the whole application, which may be somebody else's.

    @property
    def max_message_size(self) -> int:
        """Bytes of a message; Tornado ends the connection with 1009 before it reads a longer one."""
        return self.service.settings.max_message_bytes

    @property
    def ping_interval(self) -> float:
        """Tornado's own pings are off: they end a connection that is busy, `_watch` ends one that is dead."""
        return 0

    async def open(self, *args: str, **kwargs: str) -> None:
        """Join, or say why not."""
        settings = self.service.settings
        self._connection = self.ws_connection
        self._sockets.add(self)
        self._rate = Rate(settings.max_messages_per_second, asyncio.get_running_loop().time())
        self.set_nodelay(True)
        self._tasks.append(asyncio.create_task(self._serve()))
        self._tasks.append(asyncio.create_task(self._watch(settings.ping_interval)))

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message on. While this waits, Tornado reads no further, and TCP makes the client wait."""
        self._heard = True
        delay = self._rate.delay(asyncio.get_running_loop().time())
        if delay:
            self._excused += 1
            await asyncio.sleep(delay)
            self._excused -= 1
        if self._client is not None:
            self._client.receive(message)

    def on_pong(self, data: bytes) -> None:
        """Note that the client is there."""
        self._heard = True

    def on_close(self) -> None:
        """Let go of everything; `_send_all` lets the client leave."""
        self._sockets.discard(self)
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        # Tornado's connection and this handler keep each other for a while; a session is too much to be kept with them.
        self._client = self._connection = None

    def abort(self) -> None:
        """Drop the connection with whatever is still to be sent."""
        if self._connection is not None and self._connection.stream is not None:
            self._connection.stream.close()

    async def _serve(self) -> None:
        """Send what there is for the client, one frame at a time, until either side ends it."""
        try:
            code, reason = await self._send_all()
        except _DidNotRead:
            # The peer reads nothing, so it will not answer a closing handshake either.
            self.close(DID_NOT_READ, CLOSE_CODES[DID_NOT_READ])
            self.abort()
        except WebSocketClosedError:
            pass
        except Exception:
            log.exception("a client could not be served")
            self.close(BROKEN, CLOSE_CODES[BROKEN])
        else:
            self.close(code, _short(reason))

    async def _send_all(self) -> tuple[int, str]:
        """Send frames until there are no more; with which code and reason it ends."""
        joins = self.request.query_arguments.get("join")
        try:
            join = decode_join(joins[-1]) if joins else Join()
            self._compresses = join.compression is not None
            client = self.service.join(join)
        except Exception as error:
            shown = error_of(error)
            code = error.close_code if isinstance(error, Refused) else NOT_UNDERSTOOD
            if shown.code == "internal":
                log.exception("a client could not join")
                code = BROKEN
            await self._send(Frame(ErrorFrame(code=shown.code, message=shown.message)))
            return code, shown.message
        self._client = client
        try:
            async with aclosing(client.frames()) as frames:
                async for frame in frames:
                    await self._send(frame)
        finally:
            client.leave()
        return client.close_code, client.close_reason

    async def _send(self, frame: Frame) -> None:
        """Send a frame; done when the operating system has taken it."""
        self._excused += 1
        try:
            data = frame.encode()
            if self._compresses:
                large = len(data) > LOOP_BYTES
                data = await self._threads.run(zlib.compress, data, _LEVEL) if large else zlib.compress(data, _LEVEL)
            # Not `wait_for`: it would cancel what Tornado's stream goes on to use.
            sent = asyncio.ensure_future(self.write_message(data, binary=True))
            sent.add_done_callback(_seen)
            done, _ = await asyncio.wait({sent}, timeout=self.service.settings.client_timeout)
            if not done:
                raise _DidNotRead
            sent.result()
        finally:
            self._excused -= 1

    async def _watch(self, interval: float) -> None:
        """Ping a client that was silent for `interval` seconds; drop it if it stays so for as long again.

        A client is excused while it is sent a frame, which may take its time, and while it is not read from.
        """
        pinged = False
        while True:
            await asyncio.sleep(interval)
            if self._heard or self._excused:
                self._heard = pinged = False
            elif pinged:
                self.abort()
                return
            else:
                self.ping()
                pinged = True


def _seen(sent: asyncio.Future[None]) -> None:
    """Look at how it went, which asyncio complains of otherwise where nobody waits any more."""
    if not sent.cancelled():
        sent.exception()


def _short(reason: str) -> str:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")
