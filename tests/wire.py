"""A service at a real socket, in the test's own event loop; and clients that say anything at all."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from lazyflow import DataFlow
from lazyflow.protocol import Frame
from lazyflow.service import Service
from lazyflow.settings import Settings
from lazyflow.testing import control
from tests.doors import door

PATIENCE = 3 * control.PATIENCE
"""Seconds after which a test that waits for what does not come has failed; no test needs them to pass."""


@dataclass(frozen=True)
class Server:
    """Where it is, and what is behind it."""

    address: str
    token: str
    service: Service

    @property
    def url(self) -> str:
        return f"http://{self.address}/?token={quote(self.token)}"

    async def raw(self, join: Any = None, **fields: Any) -> WebSocketClientConnection:
        """A websocket without the manners of `lazyflow.client`: `join` is sent as it is."""
        text = json.dumps(fields) if join is None else join
        url = f"ws://{self.address}/ws?join={quote(text)}"
        headers = {"Authorization": f"Bearer {self.token}"}
        return await websocket_connect(HTTPRequest(url, headers=headers), max_message_size=100_000_000)


@asynccontextmanager
async def serving(flows: Mapping[str, DataFlow] | DataFlow, **settings: Any) -> AsyncIterator[Server]:
    """A server over these tables, until the block ends."""
    named = {"table": flows} if isinstance(flows, DataFlow) else flows
    async with door().listening(named, Settings(**settings), None) as behind:
        yield Server(f"127.0.0.1:{behind.port}", behind.access.token, behind.service)


async def next_frame(connection: WebSocketClientConnection) -> Frame | None:
    """What the service says next; None once it says nothing more."""
    data = await asyncio.wait_for(asyncio.ensure_future(connection.read_message()), PATIENCE)
    if data is None:
        return None
    assert isinstance(data, bytes)
    return Frame.decode(data)


def told_when_gone(held: object) -> asyncio.Event:
    """Set, in the running loop, once nothing holds the object any more."""
    gone, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: the test has failed
            loop.call_soon_threadsafe(gone.set)

    weakref.finalize(held, tell).atexit = False
    return gone


@contextmanager
def without_collector() -> Iterator[None]:
    """While inside, cycles stay: what is gone was held by nothing."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run(main: Any, patience: float = PATIENCE) -> Any:
    """Run a test's coroutine; one that hangs fails."""
    return asyncio.run(asyncio.wait_for(main, patience))
