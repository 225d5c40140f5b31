"""A real server in the test's own event loop, and clients of it over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
from tornado.httpclient import HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketClientConnection, websocket_connect

import lazyflow as lf
from lazyflow.protocol import ErrorFrame, ServerMessage
from lazyflow.server import Access
from lazyflow.service import Service
from lazyflow.settings import Settings
from tests.doors import Open, door
from tests.wire import PATIENCE, next_frame

TABLE = pa.table({"city": ["Bonn", "Rome", None, "Oslo"], "size": [1.5, 2.5, None, 4.0]})
TOKEN = "the-token-of-the-tests"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: HTTPHeaders = field(default_factory=HTTPHeaders)
    body: str = ""


@dataclass
class Server:
    """A running server."""

    port: int
    behind: Open | None = None

    @property
    def service(self) -> Service:
        assert self.behind is not None
        return self.behind.service

    @property
    def access(self) -> Access:
        assert self.behind is not None
        return self.behind.access

    @property
    def connections(self) -> int:
        """How many websockets there are."""
        assert self.behind is not None
        return len(self.behind.connections)

    async def get(self, path: str, headers: Mapping[str, str | None] | None = None, method: str = "GET") -> Answer:
        """Ask with exactly these headers, `Host` among them; None leaves one out. The token is not added."""
        wanted = {"Host": f"127.0.0.1:{self.port}", "Connection": "close", **(headers or {})}
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in wanted.items() if value is not None),
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode()
            first, *rest = head.strip().split("\r\n")
            answer = Answer(int(first.split()[1]), HTTPHeaders(dict(line.split(": ", 1) for line in rest)))
            if answer.status != 101:
                length = int(answer.headers.get("Content-Length", "0"))
                answer.body = (await asyncio.wait_for(reader.readexactly(length), PATIENCE)).decode()
        finally:
            writer.close()
        return answer

    async def upgrade(self, path: str, headers: Mapping[str, str | None] | None = None) -> Answer:
        """Ask for a websocket, and leave if it is given."""
        return await self.get(path, {**UPGRADE, **(headers or {})})

    async def connect(self, join: Any = None, headers: Mapping[str, str] | None = None) -> WebSocketClientConnection:
        """A websocket; `join` is text, or what is to be written as JSON."""
        query = {"token": TOKEN} if headers is None else {}
        if join is not None:
            query["join"] = join if isinstance(join, str) else json.dumps(join)
        url = f"ws://127.0.0.1:{self.port}/ws?{urlencode(query)}"
        return await websocket_connect(HTTPRequest(url, headers=dict(headers or {})), max_message_size=10**9)


async def until_frame(socket: WebSocketClientConnection, wanted: Callable[[Any], bool]) -> ServerMessage:
    """The header of the first frame that is wanted; an error that is not has failed the test."""
    while True:
        frame = await next_frame(socket)
        assert frame is not None, f"closed: {socket.close_code} {socket.close_reason}"
        if wanted(frame.header):
            return frame.header
        assert not isinstance(frame.header, ErrorFrame), frame.header


async def until(holds: Callable[[], Any]) -> None:
    """Wait until this holds; how long is no matter of the test, unless it is for ever."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def hosting(
    flows: Mapping[str, lf.DataFlow], settings: Settings, service: Service | None = None
) -> AsyncIterator[Server]:
    """A server of these flows, or of this service, on a free port."""
    async with door().listening(flows, settings, service) as behind:
        yield Server(behind.port, behind)


@asynccontextmanager
async def serving(table: pa.Table = TABLE, kind: type[Service] = Service, **settings: Any) -> AsyncIterator[Server]:
    """A server of one table, `numbers`, whose token is `TOKEN` unless said otherwise."""
    chosen = Settings(**{"token": TOKEN, **settings})
    with lf.DataFlow(table) as flow:
        async with hosting({}, chosen, kind({"numbers": flow}, chosen)) as server:
            yield server
