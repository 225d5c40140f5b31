"""A client at the end of a websocket, whoever carries it: read no faster than allowed, sent no more than it reads."""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextlib import aclosing
from typing import Protocol

from lazyflow.protocol import (
    BROKEN,
    CLOSE_CODES,
    DID_NOT_READ,
    TOO_LONG,
    ErrorFrame,
    Frame,
    Join,
    Refusal,
    decode_join,
    refusal_of,
)
from lazyflow.server.rate import Rate
from lazyflow.service import Service
from lazyflow.session import Client
from lazyflow.threads import Threads

log = logging.getLogger("lazyflow.server")

_REASON_BYTES = 123
"""A close frame has room for 125 bytes, two of which are the code."""

LOOP_BYTES = 50_000
"""A frame of so many bytes is compressed in less than a millisecond; larger ones in a thread, off the event loop."""

_LEVEL = 1
"""Of zlib: higher ones take two to four times as long for a tenth less."""


class PeerGone(Exception):
    """The websocket has ended."""


class Peer(Protocol):
    """The websocket, as a web framework gives it."""

    async def send(self, data: bytes) -> None:
        """Send a binary message; done when it was taken. May be cancelled. Raises `PeerGone`."""

    async def close(self, code: int, reason: str) -> None:
        """End the websocket, if it has not ended."""

    def abort(self) -> None:
        """Drop the connection with whatever is still to be sent."""


class Conversation:
    """One client: `join`, then `serve` and, meanwhile, `receive`; in the end `leave`."""

    def __init__(self, service: Service, peer: Peer) -> None:
        settings = service.settings
        self._service = service
        self._settings = settings
        self._peer = peer
        self._rate = Rate(settings.max_messages_per_second, asyncio.get_running_loop().time())
        self._joined: Client | Refusal | None = None
        self._compresses = False
        self._threads = Threads()
        self._waits = 0
        self._code = 1000

    @property
    def busy(self) -> bool:
        """Whether the client is sent a frame now, or is not read from."""
        return self._waits > 0

    def join(self, text: str | None) -> None:
        """Join; `text` is the JSON of `lazyflow.protocol.Join`. Where that is refused, `serve` says why."""
        try:
            join = Join() if text is None else decode_join(text)
            self._compresses = join.compression is not None
            self._joined = self._service.join(join)
        except Exception as error:
            self._joined = refusal_of(error)
            if self._joined.broken:
                log.exception("a client could not join")

    async def receive(self, message: str | bytes) -> None:
        """Hand a message on. While this waits, nothing further is to be read, so that TCP makes the client wait."""
        most = self._settings.max_message_bytes
        if len(message) > most or (isinstance(message, str) and len(message.encode()) > most):
            self._code = TOO_LONG
            await self._peer.close(TOO_LONG, "message too big")
            return
        delay = self._rate.delay(asyncio.get_running_loop().time())
        if delay:
            self._waits += 1
            await asyncio.sleep(delay)
            self._waits -= 1
        if isinstance(self._joined, Client):
            self._joined.receive(message)

    async def serve(self) -> None:
        """Send what there is for the client, one frame at a time, until either side ends it."""
        try:
            code, reason = await self._send_all()
        except TimeoutError:
            # The peer reads nothing, so it will not answer a closing handshake either.
            self._code = DID_NOT_READ
            self._peer.abort()
        except PeerGone:
            pass
        except Exception:
            log.exception("a client could not be served")
            self._code = BROKEN
            await self._peer.close(BROKEN, CLOSE_CODES[BROKEN])
        else:
            self._code = code
            await self._peer.close(code, _short(reason))

    async def probe(self) -> None:
        """Send something now and then, though there is no news: only so does who does not read become known.

        For peers whose `send` is done before the frame was taken, and waits for the one before.
        """
        while True:
            await asyncio.sleep(self._settings.ping_interval)
            if isinstance(self._joined, Client):
                self._joined.repeat()

    def leave(self) -> None:
        """The websocket has ended, perhaps before `serve` began: let go of the session, and of it alone."""
        if isinstance(self._joined, Client):
            self._joined.leave()
        self._joined = None  # a session is too much to be kept with what is left of the websocket
        if self._service.metrics is not None:
            self._service.metrics.client_ended(self._code)

    async def _send_all(self) -> tuple[int, str]:
        """Send frames until there are no more; with which code and reason it ends."""
        if isinstance(self._joined, Refusal):
            refusal = self._joined
            await self._send(refusal.frame)
            return refusal.code, refusal.reason
        client = self._joined
        assert client is not None, "`join` comes first"
        try:
            async with aclosing(client.frames()) as frames:
                async for frame in frames:
                    await self._send(frame)
        finally:
            client.leave()  # the closing handshake may take its time
        return client.close_code, client.close_reason

    async def _send(self, frame: Frame) -> None:
        """Send a frame; done when it was taken, TimeoutError if that takes longer than it may."""
        self._waits += 1
        try:
            data = frame.encode()
            if self._compresses:
                large = len(data) > LOOP_BYTES
                data = await self._threads.run(zlib.compress, data, _LEVEL) if large else zlib.compress(data, _LEVEL)
            async with asyncio.timeout(self._settings.client_timeout):
                await self._peer.send(data)
        finally:
            self._waits -= 1
        if self._service.metrics is not None:
            self._service.metrics.sent(str(frame.header.__struct_config__.tag), len(data))
            if isinstance(frame.header, ErrorFrame):
                self._service.metrics.failed(frame.header.code)


def _short(reason: str) -> str:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")
