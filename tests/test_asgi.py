"""What is the ASGI application's alone: mounting, its life, its scope. Other tests of the server go in by it too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import lazyflow as lf
from lazyflow.client import Disconnected, connect
from lazyflow.protocol import CLOSE_CODES, Join, Refused
from lazyflow.server import make_asgi_app
from lazyflow.server.asgi import ASGIApp
from lazyflow.server.guarded import HEADERS
from lazyflow.settings import Settings
from lazyflow.testing.control import controlled
from tests.doors import running
from tests.drivers import HARNESSES
from tests.serving import TABLE, TOKEN, Server, until
from tests.test_download import PLAIN, far_visit, is_far, small_parts
from tests.test_security import BEARER
from tests.wire import PATIENCE, run

SETTINGS = Settings(token=TOKEN)


@pytest.fixture
def flow() -> Iterator[lf.DataFlow]:
    with lf.DataFlow(TABLE) as flow:
        yield flow


def in_starlette(explorer: ASGIApp) -> Starlette:
    home = Route("/", lambda request: PlainTextResponse("mine"))
    return Starlette(routes=[home, Mount("/some.tables", explorer)])


def in_fastapi(explorer: ASGIApp) -> FastAPI:
    app = FastAPI()
    app.mount("/some.tables", explorer)

    @app.get("/")
    def home() -> str:
        return "mine"

    return app


@pytest.mark.parametrize("made", [in_starlette, in_fastapi])
def test_it_is_mounted_in_an_application_of_somebody_else(made: Any, flow: lf.DataFlow) -> None:
    async def main() -> None:
        async with running(made(make_asgi_app({"numbers": flow}, SETTINGS))) as port:
            server = Server(port)
            assert "mine" in (await server.get("/", {"Host": "anything"})).body
            assert (await server.get("/some.tables/")).status == 401
            assert (await server.get("/someXtables/", BEARER)).status == 404
            assert (await server.get(f"/some.tables/?token={TOKEN}")).headers["Location"] == "./"
            assert (await server.get("/some.tables/page.js", BEARER)).status == 200
            assert (await server.get("/some.tables/nowhere", BEARER)).headers["X-Frame-Options"] == "DENY"
            assert (await server.upgrade("/some.tables/ws")).status == 401
            assert (await server.upgrade("/some.tables/nowhere", BEARER)).status == 404
            async with connect(f"http://127.0.0.1:{port}/some.tables/?token={TOKEN}") as client:
                view = await client.apply(lf.State(search="rome"))
                assert view.rows is not None
                assert view.rows.to_pylist() == [{"city": "Rome", "size": 2.5}]

    run(main())


def test_the_end_of_the_loop_ends_the_sessions_of_what_is_mounted(flow: lf.DataFlow) -> None:
    explorer = make_asgi_app({"numbers": flow}, SETTINGS)

    async def main() -> None:
        async with running(in_starlette(explorer)) as port:
            async with connect(f"http://127.0.0.1:{port}/some.tables/?token={TOKEN}"):
                pass
            sessions.extend(explorer.service._sessions.values())
        assert not sessions[-1].over, "the server does not tell what is mounted"

    sessions: list[Any] = []
    run(main())
    assert sessions[-1].over
    before = explorer.service
    run(main())  # as tests do that start an application several times
    assert explorer.service is not before
    assert [session.over for session in sessions] == [True, True]


def test_the_end_of_an_application_ends_its_sessions(flow: lf.DataFlow) -> None:
    explorer = make_asgi_app({"numbers": flow}, SETTINGS)

    async def main() -> None:
        async with running(explorer) as port, connect(f"http://127.0.0.1:{port}/?token={TOKEN}"):
            (session,) = explorer.service._sessions.values()
        assert session.over

    run(main())


def test_an_app_closes_it_in_a_lifespan_of_its_own(flow: lf.DataFlow) -> None:
    explorer = make_asgi_app({"numbers": flow}, SETTINGS)

    async def main() -> None:
        async with running(in_starlette(explorer)) as port:
            address = f"http://127.0.0.1:{port}/some.tables/?token={TOKEN}"
            async with connect(address) as client:
                await explorer.close()
                with pytest.raises(Disconnected) as told:
                    await asyncio.wait_for(client.wait_for(lambda view: False), PATIENCE)
                assert (told.value.code, told.value.reason) == (1001, CLOSE_CODES[1001])
                assert not explorer._conversations
            with pytest.raises(Refused):
                async with connect(address):
                    pass

    run(main())


def test_the_log_of_the_server_does_not_have_the_token(flow: lf.DataFlow, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with running(in_starlette(make_asgi_app({"numbers": flow}, SETTINGS))) as port:
            server = Server(port)
            await server.get(f"/some.tables/tables?a=b&%74oken={TOKEN}")
            await server.upgrade(f"/some.tables/ws?token={TOKEN}")
            await server.upgrade(f"/some.tables/ws?token={TOKEN}x")

    run(main())
    assert "/some.tables/tables?a=b&token=..." in caplog.text
    assert caplog.text.count("/some.tables/ws?token=...") == 2
    assert TOKEN not in caplog.text


async def asked(explorer: ASGIApp, scope: dict[str, Any]) -> list[Any]:
    """What is said to a request, where nothing but the application is there."""
    said: list[Any] = []

    asks = [{"type": f"{scope['type']}.connect"}]

    async def receive() -> dict[str, Any]:
        if not asks:
            await asyncio.Event().wait()
        return asks.pop()

    async def send(message: Any) -> None:
        said.append(message)

    plain = {"path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    await explorer({**plain, **scope}, receive, send)
    return said


def test_a_server_that_refuses_no_websocket_by_an_answer_closes_it(flow: lf.DataFlow) -> None:
    explorer = make_asgi_app({"numbers": flow}, SETTINGS)
    assert run(asked(explorer, {"type": "websocket", "path": "/ws"})) == [{"type": "websocket.close"}]


def test_a_download_needs_a_protocol_in_which_its_end_is_said(flow: lf.DataFlow) -> None:
    explorer = make_asgi_app({"numbers": flow}, SETTINGS)
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/download", "http_version": "1.0", "headers": headers}
    start, body = run(asked(explorer, scope))
    assert start["status"] == 505
    assert {name.lower() for name in HEADERS} <= {name.decode() for name, _ in start["headers"]}
    assert b"HTTP/1.1" in body["body"]
    start, _ = run(asked(explorer, {**scope, "http_version": "2"}))
    assert start["status"] == 400, "it says no session"


def test_a_download_that_the_server_cancels_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)

    async def main() -> None:
        with controlled(HARNESSES["duckdb"](), PLAIN) as (flow, control):
            explorer = make_asgi_app({"trips": flow}, SETTINGS)
            client = explorer.service.join(Join(body="json"))
            await anext(client.frames())
            control.hold(is_far)
            query = f"session={client.session}&token={TOKEN}".encode()
            download = {"type": "http", "method": "GET", "path": "/download", "query_string": query}
            answering = asyncio.create_task(asked(explorer, download))
            visit = await far_visit(control)
            answering.cancel()
            await until(lambda: visit.outcome == "stopped")
            await asyncio.gather(answering, return_exceptions=True)
            assert explorer.service.download_count == 0
            client.leave()

    run(main())
