"""Tornado's side of a websocket."""

from __future__ import annotations

import asyncio

from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol

from lazyflow.server.access import Access
from lazyflow.server.conversation import Conversation, PeerGone
from lazyflow.server.web import Guarded, taken
from lazyflow.service import Service


class Socket(Guarded, WebSocketHandler):
    """The websocket; its query parameter `join` is the JSON of `lazyflow.protocol.Join`."""

    def initialize(  # type: ignore[override]
        self, service: Service, access: Access, sockets: set[Socket], path: str | None = None
    ) -> None:
        """Take what all sockets share, the set of those that are open among it."""
        super().initialize(service, access, path)
        self._sockets = sockets
        self._conversation: Conversation | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: WebSocketProtocol | None = None
        self._heard = True

    def check_origin(self, origin: str) -> bool:
        """Whether a page of this origin may connect: Tornado asks too, and gets the same answer as `prepare`."""
        return self.access.origin_allowed(origin, self.asked.host)

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
        self._connection = self.ws_connection
        self._sockets.add(self)
        self.set_nodelay(True)
        self._conversation = Conversation(self.service, _Peer(self))
        self._conversation.join(self.asked.argument("join"))
        self._tasks.append(asyncio.create_task(self._conversation.serve()))
        watch = self._watch(self._conversation, self.service.settings.ping_interval)
        self._tasks.append(asyncio.create_task(watch))

    async def on_message(self, message: str | bytes) -> None:
        """Hand a message on. While this waits, Tornado reads no further."""
        self._heard = True
        if self._conversation is not None:
            await self._conversation.receive(message)

    def on_pong(self, data: bytes) -> None:
        """Note that the client is there."""
        self._heard = True

    def on_close(self) -> None:
        """Let go of everything."""
        self._sockets.discard(self)
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        if self._conversation is not None:
            self._conversation.leave()
        # Tornado's connection and this handler keep each other for a while; a session is too much to be kept with them.
        self._conversation = self._connection = None

    def abort(self) -> None:
        """Drop the connection with whatever is still to be sent."""
        if self._connection is not None and self._connection.stream is not None:
            self._connection.stream.close()

    async def _watch(self, conversation: Conversation, interval: float) -> None:
        """Ping a client that was silent for `interval` seconds; drop it if it stays so for as long again.

        A client is excused while it is sent a frame, which may take its time, and while it is not read from.
        """
        pinged = False
        while True:
            await asyncio.sleep(interval)
            if self._heard or conversation.busy:
                self._heard = pinged = False
            elif pinged:
                self.abort()
                return
            else:
                self.ping()
                pinged = True


class _Peer:
    """The client at the end of a handler's websocket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        try:
            await taken(self._socket.write_message(data, binary=True))
        except WebSocketClosedError as error:
            raise PeerGone from error

    async def close(self, code: int, reason: str) -> None:
        self._socket.close(code, reason)

    def abort(self) -> None:
        self._socket.abort()
