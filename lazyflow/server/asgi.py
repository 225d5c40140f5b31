"""The server as an ASGI application, alone or mounted in one of Starlette's or FastAPI's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from lazyflow.dataflow import DataFlow
from lazyflow.server import pages
from lazyflow.server.access import Access, redacted
from lazyflow.server.conversation import Conversation, PeerGone
from lazyflow.server.download import Download, ReaderGone
from lazyflow.server.guarded import HEADERS, Answer, Problem, answered, check
from lazyflow.server.request import Request, headers_of
from lazyflow.service import Service
from lazyflow.settings import Settings

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_FAREWELL = 2.0
"""Seconds that a websocket has to take its end."""


class ASGIApp:
    """See `lazyflow.server.make_asgi_app`.

    Attributes
    ----------
    access
        Who may connect; its `token` is the token.
    service
        The sessions. An application that is started again, in another event loop, has new ones.
    """

    def __init__(self, flows: Mapping[str, DataFlow], settings: Settings | None, service: Service | None) -> None:
        self.service = Service(flows, settings) if service is None else service
        self.service.measure()
        self.access = Access(settings or self.service.settings)
        self._again = (lambda: Service(flows, settings)) if service is None else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: AsyncGenerator[None, None] | None = None
        self._conversations: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; called by what carries it."""
        await self._begin()
        match scope["type"]:
            case "http":
                await self._answer(scope, receive, send)
            case "websocket":
                await self._converse(scope, receive, send)
            case "lifespan":
                await self._live(receive, send)

    # -- its life

    async def close(self) -> None:
        """End the sessions: clients are told, queries are stopped.

        It is called when the server shuts down: by the server where this is its application, and where it is mounted,
        which the server does not know of, by the end of the event loop. An app that closes the flows before that calls
        it before.
        """
        await self.service.close()
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=_FAREWELL)

    async def _begin(self) -> None:
        """See that the sessions are of this event loop, and end with it."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and self._again is not None:
            self.service = self._again()
            self.service.measure()
            self._conversations.clear()
        self._loop = loop
        self._end = self._until_the_end()
        await anext(self._end)

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        """A generator that is suspended until its event loop ends, which ends it then."""
        try:
            yield
        finally:
            await self.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    # -- over plain HTTP

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        if request.path != pages.DOWNLOAD:
            await _give(pages.answer(self.service, self.access, request), send)
            return
        made = answered(request, lambda: self._download(request, scope, send))
        if isinstance(made, Answer):
            await _give(made, send)
            return
        leaving = asyncio.create_task(_until_left(receive, made))
        try:
            refused = await made.run()
        except ReaderGone:
            if leaving.done():
                return
            raise  # what carries it breaks the connection then
        finally:
            leaving.cancel()
        if refused is not None:
            await _give(refused, send)

    def _download(self, request: Request, scope: Scope, send: Send) -> Download:
        check(self.access, request)
        if scope.get("http_version") == "1.0":
            raise Problem(505, hint="a download needs HTTP/1.1, in which one that broke off is not taken for whole")
        return Download(self.service, request, _Reader(send))

    # -- over a websocket

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)

        def act() -> None:
            check(self.access, request)
            if request.path != pages.SOCKET:
                raise Problem(404)

        refused = answered(request, act)
        await receive()  # it only says that there is somebody
        if refused is not None:
            await _refuse(refused, scope, send)
            return
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            await send({"type": "websocket.accept", "headers": _pairs(HEADERS)})
            await self._carry(Conversation(self.service, _Peer(send)), request.argument("join"), receive)
        except OSError:
            return  # whoever it was is gone
        finally:
            self._conversations.discard(task)

    async def _carry(self, conversation: Conversation, join: str | None, receive: Receive) -> None:
        """Read and send until either ends; a dropped connection is one that is not spoken to any more."""
        conversation.join(join)
        work = conversation.serve(), _read(receive, conversation), conversation.probe()
        tasks = [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            conversation.leave()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _read(receive: Receive, conversation: Conversation) -> None:
    """Hand on what the client says until it is gone, no message before the last one was taken."""
    while (message := await receive())["type"] != "websocket.disconnect":
        text = message.get("text")
        await conversation.receive(message.get("bytes", b"") if text is None else text)
        await asyncio.sleep(0)  # what many messages at once are answered with is sent meanwhile


async def _refuse(answer: Answer, scope: Scope, send: Send) -> None:
    """Refuse a websocket: by an answer where the server can do that, else it says 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await _give(answer, send, "websocket.http.response")
    else:
        await send({"type": "websocket.close"})


async def _until_left(receive: Receive, download: Download) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    download.leave()


async def _give(answer: Answer, send: Send, kind: str = "http.response") -> None:
    headers = {**answer.all_headers, "Content-Length": str(len(answer.body))}
    await send({"type": f"{kind}.start", "status": answer.status, "headers": _pairs(headers)})
    await send({"type": f"{kind}.body", "body": answer.body})


def _pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _request(scope: Scope) -> Request:
    """What is asked for, below the path at which this is mounted; the scope is free of the token then, for logs."""
    query = scope.get("query_string", b"").decode("latin-1")
    scope["query_string"] = redacted(f"?{query}")[1:].encode("latin-1")
    headers = headers_of((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
    return Request(scope.get("method", "GET"), path, query, headers)


class _Reader:
    """Who downloads."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def begin(self, headers: Mapping[str, str]) -> None:
        await self._say({"type": "http.response.start", "status": 200, "headers": _pairs(HEADERS | dict(headers))})

    async def send(self, part: bytes) -> None:
        await self._say({"type": "http.response.body", "body": part, "more_body": True})

    async def end(self) -> None:
        await self._say({"type": "http.response.body", "body": b""})

    async def _say(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            raise ReaderGone from error


class _Peer:
    """The client at the end of a websocket."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._closed = False

    async def send(self, data: bytes) -> None:
        if self._closed:
            raise PeerGone
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except OSError as error:
            raise PeerGone from error

    async def close(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def abort(self) -> None:
        self._closed = True
