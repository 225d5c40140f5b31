"""The routes, the application made of them, and its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from tornado.routing import URLSpec
from tornado.web import Application

from lazyflow.dataflow import DataFlow
from lazyflow.server.access import Access
from lazyflow.server.pages import DOWNLOAD, PAGES, SOCKET
from lazyflow.server.socket import Socket
from lazyflow.server.web import Download, Page
from lazyflow.service import Service
from lazyflow.settings import Settings

_FAREWELL = 2.0
"""Seconds that clients have to answer the closing handshake when the server shuts down."""


def handlers(service: Service, access: Access, prefix: str, sockets: set[Socket]) -> list[URLSpec]:
    """The routes; see `lazyflow.server.handlers`."""
    service.measure()
    shared: dict[str, Any] = {"service": service, "access": access}

    def at(path: str, handler: type, **more: Any) -> URLSpec:
        return URLSpec(re.escape(prefix + path), handler, {**shared, "path": path, **more})

    return [
        *(at(path, Page) for path in PAGES),
        at(DOWNLOAD, Download),
        at(SOCKET, Socket, sockets=sockets),
    ]


def make_app(flows: Mapping[str, DataFlow], settings: Settings | None, service: Service | None) -> Application:
    """The application; see `lazyflow.server.make_app`."""
    if service is None:
        service = Service(flows, settings or Settings())
    access = Access(settings or service.settings)
    sockets: set[Socket] = set()
    return Application(
        handlers(service, access, "", sockets),
        default_handler_class=Page,
        default_handler_args={"service": service, "access": access},
        service=service,
        access=access,
        sockets=sockets,
    )


async def close_app(app: Application) -> None:
    """End the service, and see the clients off; see `lazyflow.server.close_app`."""
    await app.settings["service"].close()
    sockets: set[Socket] = app.settings["sockets"]
    loop = asyncio.get_running_loop()
    until = loop.time() + _FAREWELL
    while sockets and loop.time() < until:
        await asyncio.sleep(0.01)
    for socket in list(sockets):
        socket.abort()
    while sockets and loop.time() < until + _FAREWELL:
        await asyncio.sleep(0.01)
