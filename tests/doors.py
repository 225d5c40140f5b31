"""The doors of the server: the same service behind Tornado, and behind Uvicorn, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sized
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from lazyflow import DataFlow
from lazyflow.server import Access, close_app, make_app, make_asgi_app
from lazyflow.server.conversation import Conversation
from lazyflow.server.socket import Socket
from lazyflow.service import Service
from lazyflow.settings import Settings

_PONG_TIMEOUT = 2.0


@dataclass(frozen=True)
class Open:
    """What is behind a door; `connections` are its websockets."""

    port: int
    service: Service
    access: Access
    connections: Sized


@dataclass(frozen=True)
class Door:
    """How a service is reached.

    Attributes
    ----------
    listening
        A server of these flows, or of this service, on a free port.
    kind
        What there is one of for each websocket.
    shuts_with
        The close code that clients get when the server shuts down.
    cuts_off
        Whether what a client has not read is thrown away with its connection.
    """

    name: str
    listening: Callable[[Mapping[str, DataFlow], Settings, Service | None], AbstractAsyncContextManager[Open]]
    kind: type
    shuts_with: int
    cuts_off: bool


@asynccontextmanager
async def tornado(flows: Mapping[str, DataFlow], settings: Settings, service: Service | None) -> AsyncIterator[Open]:
    app = make_app(flows, settings, service=service)
    async with listening(app) as port:
        yield Open(port, app.settings["service"], app.settings["access"], app.settings["sockets"])


@asynccontextmanager
async def listening(app: Application) -> AsyncIterator[int]:
    """A Tornado application on a free port, until the block ends; the port."""
    server = HTTPServer(app)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await close_app(app)
        await server.close_all_connections()


@asynccontextmanager
async def asgi(flows: Mapping[str, DataFlow], settings: Settings, service: Service | None) -> AsyncIterator[Open]:
    app = make_asgi_app(flows, settings, service=service)
    async with running(app, settings) as port:
        yield Open(port, app.service, app.access, app._conversations)


@asynccontextmanager
async def running(app: object, settings: Settings | None = None) -> AsyncIterator[int]:
    """An ASGI application under Uvicorn on a free port, as `docs/server.md` wants it; the port."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        log_level="info",
        server_header=False,
        timeout_graceful_shutdown=5,
        ws_per_message_deflate=False,
        ws_ping_interval=(settings or Settings()).ping_interval,
        ws_ping_timeout=_PONG_TIMEOUT,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                assert not serving.done()
                await asyncio.sleep(0.005)
            yield port
        finally:
            server.should_exit = True
            await serving


TORNADO = Door("tornado", tornado, Socket, 1001, True)
ASGI = Door("asgi", asgi, Conversation, 1012, False)

chosen = TORNADO
"""Where tests go in; those that go in by each have the fixture `door`."""


def door() -> Door:
    """The door of this test."""
    return chosen
