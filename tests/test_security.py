"""What `docs/security.md` promises; each promise there names its test here."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import json
import logging
import os
import re
import socket
import stat
import struct
import textwrap
import tracemalloc
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from tornado.httpclient import HTTPClientError

import lazyflow as lf
from lazyflow import viewer
from lazyflow.cli import main
from lazyflow.protocol import InitialState, SqlFrame, StatsUpdate
from lazyflow.server import Access, make_app, make_asgi_app
from lazyflow.server.guarded import HEADERS
from lazyflow.service import Service
from lazyflow.settings import Settings
from tests.doors import door
from tests.serving import TOKEN, UPGRADE, Server, hosting, serving, until, until_frame
from tests.wire import PATIENCE, next_frame

ROOT = Path(__file__).parent.parent
FILES = ("/", "/page.js", "/viewer.js", "/page.css", "/favicon.ico", "/tables", "/metrics")
ROUTES = (*FILES, "/download", "/healthz", "/nowhere")
built = pytest.mark.skipif(not viewer.is_built(), reason=viewer.HOW_TO_BUILD)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def in_loop(test: Any) -> Any:
    """Run a test in an event loop of its own, and no longer than a minute."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(test(*args, **kwargs), 2 * PATIENCE)

        asyncio.run(bounded())

    return run


def at_each_door(test: Any) -> Any:
    """Run a test in an event loop of its own, once for each door of the server."""
    return pytest.mark.usefixtures("door")(in_loop(test))


# The token


@at_each_door
async def test_without_the_token_nothing_but_health_is_answered() -> None:
    async with serving() as server:
        for path in (*FILES, "/download", "/download?session=x", "/nowhere"):
            answer = await server.get(path)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert (await server.upgrade("/ws")).status == 401
        assert server.service.session_count == 0
        health = await server.get("/healthz")
        assert health.status == 200
        assert "numbers" not in health.body
        for path in FILES:
            assert (await server.get(path, BEARER)).status == 200


@at_each_door
async def test_a_wrong_token_is_refused() -> None:
    async with serving() as server:
        right = {"Cookie": f"lazyflow-{server.port}={server.access.cookie}"}
        assert (await server.get("/", right)).status == 200
        for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%ff%00", "é"):
            quoted = wrong.replace("é", "%C3%A9")
            assert (await server.get(f"/page.js?token={quoted}", right)).status == 401
            assert (await server.upgrade(f"/ws?token={quoted}", right)).status == 401
            assert (await server.get("/", {"Authorization": f"Bearer {quoted}"})).status in (400, 401)
            assert (await server.get("/", {"Cookie": f"lazyflow-{server.port}={quoted}"})).status == 401
        assert (await server.get("/", {"Cookie": f"lazyflow-{server.port}={TOKEN}"})).status == 401
        assert (await server.get("/", {"Authorization": f"Basic {TOKEN}"})).status == 401
        assert (await server.upgrade("/ws", {"Cookie": "lazyflow-1=" + right["Cookie"].split("=")[1]})).status == 401


@at_each_door
async def test_the_token_is_taken_from_the_address_and_the_header() -> None:
    async with serving() as server:
        assert (await server.get(f"/page.js?token={TOKEN}")).status == 200
        for word in ("Bearer", "bearer", "token"):
            assert (await server.get("/page.js", {"Authorization": f"{word} {TOKEN}"})).status == 200
            assert (await server.upgrade("/ws", {"Authorization": f"{word} {TOKEN}"})).status == 101
        assert (await server.upgrade(f"/ws?token={TOKEN}")).status == 101


@at_each_door
async def test_a_token_in_the_address_becomes_a_cookie() -> None:
    async with serving() as server:
        answer = await server.get(f"/?source=a%26b&token={TOKEN}&session=x+y")
        assert answer.status == 302
        assert answer.headers["Location"] == "./?source=a%26b&session=x+y"
        assert (await server.get(f"/?token={TOKEN}")).headers["Location"] == "./"
        cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
        assert {item.lower() for item in attributes} == {"httponly", "samesite=strict", "path=/"}
        name, value = cookie.split("=")
        assert name == f"lazyflow-{server.port}"
        assert TOKEN not in value
        for path in FILES:
            assert (await server.get(path, {"Cookie": cookie})).status == 200
        assert (await server.upgrade("/ws", {"Cookie": cookie})).status == 101
        assert "Set-Cookie" not in (await server.get("/?token=wrong")).headers


def test_tokens_are_compared_in_constant_time() -> None:
    for function in (Access.token_right, Access.cookie_right):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        (returned,) = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
        assert isinstance(returned.value, ast.Call)
        assert ast.unparse(returned.value.func) == "hmac.compare_digest"
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]


def test_a_token_is_made_at_each_start() -> None:
    tokens = {Access(Settings()).token for _ in range(5)}
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 32
    assert Access(Settings(token="mine")).token == "mine"


@pytest.mark.parametrize("make", [make_app, make_asgi_app])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "example.org", "::ffff:10.0.0.1"])
def test_beyond_loopback_a_token_is_needed(host: str, make: Any) -> None:
    with pytest.raises(lf.InvalidInput, match="--insecure"):
        make({}, Settings(host=host, token=""))
    assert Access(Settings(host=host)).token
    assert Access(Settings(host=host, token="", insecure=True)).admits(None, None)
    assert Access(Settings(host="127.0.0.1", token="")).admits(None, None)
    result = CliRunner().invoke(main, ["serve", "--demo", "--host", host, "--token", "", "--port", "0"])
    assert result.exit_code == 2
    assert "--insecure" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# Hosts and origins


@at_each_door
async def test_a_foreign_host_is_refused() -> None:
    async with serving(allow_hosts=("data.example.org",)) as server:
        foreign = ["evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "x.localhost", "localhost."]
        foreign += ["8.8.8.8", "[::2]", "", "localhost:x", "localhost, evil.example", "evil.example@localhost", None]
        for host in foreign:
            for path in ROUTES:
                assert (await server.get(path, {**BEARER, "Host": host})).status in (400, 403), (host, path)
            assert (await server.upgrade("/ws", {**BEARER, "Host": host})).status in (400, 403)
        assert (await server.get("/", {**BEARER, "Host": "evil.example"})).status == 403
        own = ["localhost", f"LOCALHOST:{server.port}", "127.0.0.1", f"[::1]:{server.port}", "data.example.org:443"]
        for host in own:
            assert (await server.get("/", {**BEARER, "Host": host})).status == 200
            assert (await server.upgrade("/ws", {**BEARER, "Host": host})).status == 101
        forwarded = {**BEARER, "Host": "evil.example", "X-Forwarded-Host": "localhost"}
        assert (await server.get("/", forwarded)).status == 403


def test_where_every_address_is_bound_any_address_is_a_host_and_no_name() -> None:
    everywhere, here = Access(Settings(host="0.0.0.0")), Access(Settings(host="192.168.1.2"))
    for host in ("192.168.1.2:8473", "[fe80::1]:8473"):
        assert everywhere.host_allowed(host)
    assert not everywhere.host_allowed("evil.example:8473")
    assert here.host_allowed("192.168.1.2:8473")
    assert not here.host_allowed("192.168.1.3:8473")


@at_each_door
async def test_a_foreign_origin_is_refused() -> None:
    async with serving(allow_origins=("https://App.example.org/",)) as server:
        own = f"127.0.0.1:{server.port}"
        foreign = [
            "https://evil.example",
            "null",
            "",
            "http://127.0.0.1:1",
            f"http://127.0.0.1.evil.example:{server.port}",
        ]
        foreign += [
            f"http://{own}@evil.example",
            f"file://{own}",
            "http://app.example.org",
            "https://app.example.org:8443",
        ]
        for origin in foreign:
            for path in ROUTES:
                assert (await server.get(path, {**BEARER, "Origin": origin})).status == 403, (origin, path)
            assert (await server.upgrade("/ws", {**BEARER, "Origin": origin})).status == 403, origin
        for origin in (f"http://{own}", f"https://{own}", "https://app.example.org"):
            assert (await server.get("/", {**BEARER, "Origin": origin})).status == 200
            assert (await server.upgrade("/ws", {**BEARER, "Origin": origin})).status == 101
        assert (await server.upgrade("/ws", BEARER)).status == 101
        forwarded = {**BEARER, "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
        assert (await server.upgrade("/ws", forwarded)).status == 403


@at_each_door
async def test_a_foreign_origin_is_refused_whatever_else_the_browser_says() -> None:
    async with serving() as server:
        for site in ("same-origin", "none", "same-site", "cross-site"):
            told = {**BEARER, "Origin": "https://evil.example", "Sec-Fetch-Site": site}
            assert (await server.upgrade("/ws", told)).status == 403
            assert (await server.get("/", told)).status == 403


@pytest.mark.parametrize("origin", ["*", "app.example.org", "ftp://app.example.org", "https://a/b", ""])
def test_an_allowed_origin_has_to_be_one(origin: str) -> None:
    with pytest.raises(lf.InvalidInput, match="an origin is"):
        Access(Settings(allow_origins=(origin,)))


# Answers


class Broken(Service):
    """A service that fails where it is asked for its tables."""

    @property
    def sources(self) -> tuple[str, ...]:
        raise RuntimeError("cannot read /home/me/secret.parquet")


async def _answers(server: Server) -> list[tuple[int, Any]]:
    """An answer of each kind: expected status, and the answer."""
    return [
        (200 if viewer.is_built() else 503, await server.get("/", BEARER)),
        (200 if viewer.is_built() else 404, await server.get("/viewer.js", BEARER)),
        *[(200, await server.get(path, BEARER)) for path in ("/page.js", "/page.css", "/favicon.ico", "/healthz")],
        (302, await server.get(f"/?token={TOKEN}")),
        (400, await server.get("/ws", BEARER)),
        (401, await server.get("/")),
        (401, await server.upgrade("/ws")),
        (403, await server.get("/", {"Host": "evil.example"})),
        (403, await server.upgrade("/ws", {**BEARER, "Origin": "https://evil.example"})),
        (404, await server.get("/../../etc/passwd", BEARER)),
        (404, await server.get("/page.html", BEARER)),
        (405, await server.get("/", BEARER, "POST")),
        (405, await server.get("/", BEARER, "PURGE")),
        (500, await server.get("/tables", BEARER)),
        (101, await server.upgrade("/ws", BEARER)),
    ]  # fmt: skip


@at_each_door
async def test_every_answer_has_the_headers() -> None:
    async with serving(kind=Broken) as server:
        for status, answer in await _answers(server):
            assert answer.status == status
            for name, value in HEADERS.items():
                given = answer.headers.get(name, "")
                assert re.sub(r" 'nonce-[\w-]{22}'(?=; connect-src)", "", given) == value, (status, name)
                assert ("nonce" in given) == (name == "Content-Security-Policy" and "<main" in answer.body)
            assert "Server" not in answer.headers
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert set(HEADERS) >= {"X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cache-Control"}


@at_each_door
async def test_failures_tell_nothing_of_the_inside() -> None:
    async with serving(kind=Broken) as server:
        for status, answer in await _answers(server):
            if status >= 400:
                assert len(answer.body.splitlines()) == 1
                assert "secret" not in answer.body
                assert "Traceback" not in answer.body
                assert not re.search(r"\.py\b|/home|/work|tornado|python", answer.body, re.IGNORECASE)
                assert re.match(r"\d{3} |Can ", answer.body)
                assert answer.headers["Content-Type"].startswith("text/")


@at_each_door
async def test_a_download_is_answered_like_everything_else() -> None:
    name = '../a"b\r\nX-Evil: 1\r\n'
    with lf.DataFlow(pa.table({"x": [1]})) as flow:
        async with hosting({name: flow}, Settings(token=TOKEN)) as server:
            client = await server.connect()
            joined = await until_frame(client, lambda header: isinstance(header, InitialState))
            path = f"/download?session={joined.session}"  # type: ignore[union-attr]
            answer = await server.get(path, BEARER)
            expected = [(answer, 200), (await server.get(path), 401)]
            cookie = {"Cookie": f"lazyflow-{server.port}={server.access.cookie}"}
            expected.append((await server.get(path, cookie), 200))
            for query, status in (("", 400), ("?session=nowhere", 404), ("?session=..%2F..%2Fetc", 404)):
                expected.append((await server.get(f"/download{query}", BEARER), status))
            expected.append((await server.get(f"{path}&format=..%2Fexe", BEARER), 400))
            for found, status in expected:
                assert found.status == status
                assert {key: found.headers.get(key) for key in HEADERS} == HEADERS
                assert found.body.count("\n") == (status != 200)
            assert "X-Evil" not in answer.headers
            saved = answer.headers["Content-Disposition"]
            assert saved.startswith('attachment; filename="a_b__X-Evil_ 1.csv";')
            assert not set('/\\"\r\n') & set(saved.replace('filename="', "").replace('";', ""))
            client.close()


@at_each_door
async def test_sql_does_not_say_where_files_lie(tmp_path: Path) -> None:
    pa.parquet.write_table(LONG.slice(0, 3), tmp_path / "secret.parquet")
    with lf.DataFlow(tmp_path / "secret.parquet", backend="duckdb") as flow:
        assert "secret" in flow.compile(lf.State()).sql()
        async with hosting({"long": flow}, Settings(token=TOKEN)) as server:
            client = await server.connect()
            await until_frame(client, lambda header: isinstance(header, InitialState))
            client.write_message('{"type": "sql_request", "generation": 1, "request": 1}')
            frame = await until_frame(client, lambda header: isinstance(header, SqlFrame))
            assert re.search(r"\bsource\b", frame.sql)  # type: ignore[union-attr]
            assert "secret" not in frame.sql  # type: ignore[union-attr]
            client.close()


@at_each_door
async def test_the_log_does_not_have_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(kind=Broken) as server:
        for path in (*ROUTES, "/ws"):
            for query in (f"token={TOKEN}", f"a=b&%74oken={TOKEN}", f"token={TOKEN}x&token={TOKEN}"):
                for method in ("GET", "POST", "PURGE"):
                    await server.get(f"{path}?{query}", method=method)
                await server.upgrade(f"{path}?{query}")
                await server.upgrade(f"{path}?{query}", {"Host": "evil.example"})
            await server.get(path, BEARER)
        await _answers(server)
    assert "/tables" in caplog.text
    assert "secret.parquet" in caplog.text
    assert len(caplog.records) > 50
    assert TOKEN not in caplog.text
    assert all(TOKEN not in repr(vars(record)) for record in caplog.records if record.name.startswith("lazyflow"))


@built
@at_each_door
async def test_a_nonce_for_styles_is_of_one_page_alone() -> None:
    async with serving() as server:
        nonces = []
        for _ in range(2):
            page = await server.get("/", BEARER)
            (nonce,) = re.findall(r'nonce="([\w-]{22})"', page.body)
            policy = page.headers["Content-Security-Policy"]
            assert f"style-src 'self' 'nonce-{nonce}';" in policy
            assert policy.count("nonce") == 1
            nonces.append(nonce)
        assert len(set(nonces)) == 2


def test_the_page_reads_no_data_as_html() -> None:
    folder, source = ROOT / "lazyflow" / "server" / "page", ROOT / "lazyflow" / "viewer" / "src"
    page = (folder / "page.html").read_text()
    scripts = {path: path.read_text() for path in (folder / "page.js", *source.rglob("*.ts"))}
    assert len(scripts) > 20
    assert any("textContent" in script for script in scripts.values())
    reads = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser"
    assert [path.name for path, script in scripts.items() if re.search(reads, script)] == []
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:|https?://", page)
    assert "http" not in (folder / "page.css").read_text()


# Bounds


def _raw_socket(port: int, join: str = "") -> socket.socket:
    """A websocket whose peer does only what the test does, and takes as little as can be."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(PATIENCE)
    peer.connect(("127.0.0.1", port))
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**UPGRADE, **BEARER}.items())
    peer.sendall(f"GET /ws{join} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return peer


def _send_too_much(port: int) -> bytes:
    """What the server says to a message of ten megabytes."""
    with _raw_socket(port) as peer:
        size = 10_000_000
        answered = b""
        with suppress(OSError):  # the server does not wait for the rest
            peer.sendall(struct.pack("!BBQ4s", 0x81, 0xFF, size, bytes(4)) + bytes(size))
        with suppress(OSError):
            while part := peer.recv(65536):
                answered += part
        return answered


@at_each_door
async def test_a_message_too_long_ends_its_connection_alone() -> None:
    async with serving() as server:
        neighbour = await server.connect()
        answered = await asyncio.to_thread(_send_too_much, server.port)
        assert struct.pack("!BBH", 0x88, 2 + len("message too big"), 1009) + b"message too big" in answered
        await until(lambda: server.service.client_count == 1)
        neighbour.write_message('{"type": "state_change", "state": {"search": "o"}, "request": 7}')
        await until_frame(neighbour, lambda header: getattr(header, "request", None) == 7)
        neighbour.close()


def _sockets() -> int:
    """How many websockets the server still has in memory."""
    gc.collect()
    return sum(isinstance(thing, door().kind) for thing in gc.get_objects())


@at_each_door
async def test_a_client_that_does_not_read_is_dropped() -> None:
    async with serving(LONG, client_timeout=0.2, session_expiry=0.0, ping_interval=0.2) as server:
        join = "?join=%7B%22window%22:[0,10000]%7D"
        first = await server.connect()  # what is kept once for all is there before memory is measured
        await until_frame(first, lambda header: isinstance(header, StatsUpdate) and header.final)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            peers = [await asyncio.to_thread(_raw_socket, server.port, join) for _ in range(3)]
            await until(lambda: server.service.client_count == 4)
            await until(lambda: tracemalloc.get_traced_memory()[1] > before + 10_000_000)
            await until(lambda: server.service.client_count == 1)
            await until(lambda: _sockets() == 1)
            await until(lambda: server.service.session_count == 1)
            if door().cuts_off:
                await until(lambda: gc.collect() >= 0 and tracemalloc.get_traced_memory()[0] < before + 2_000_000)
        finally:
            tracemalloc.stop()
        for peer in peers:
            peer.close()
        first.write_message('{"type": "rows_request", "generation": 1, "window": [0, 1], "request": 3}')
        await until_frame(first, lambda header: getattr(header, "request", None) == 3)
        first.close()


@at_each_door
async def test_messages_beyond_the_rate_wait_and_none_is_lost() -> None:
    count, rate = 120, 100.0
    async with serving(max_messages_per_second=rate, ping_interval=0.1) as server:
        client = await server.connect()
        await next_frame(client)
        start = asyncio.get_running_loop().time()
        for number in range(2 * int(rate) + count):
            client.write_message(f'{{"type": "rows_request", "generation": 99, "window": [0, 1], "request": {number}}}')
        answered = []
        while len(answered) < 2 * rate + count:
            frame = await next_frame(client)
            assert frame is not None, (client.close_code, client.close_reason)
            if getattr(frame.header, "code", None) == "unknown_generation":
                answered.append(frame.header.request)  # type: ignore[union-attr]
        assert answered == list(range(len(answered)))
        assert asyncio.get_running_loop().time() - start > 0.9 * count / rate
        client.close()


@at_each_door
async def test_a_client_that_is_gone_without_a_word_is_noticed() -> None:
    async with serving(ping_interval=0.2) as server:
        answering = await server.connect()
        answer = asyncio.create_task(until_frame(answering, lambda header: getattr(header, "request", None) == 7))
        peer = await asyncio.to_thread(_raw_socket, server.port)
        await until(lambda: server.service.client_count == 2)
        await until(lambda: server.service.client_count == 1)
        answering.write_message('{"type": "state_change", "state": {}, "request": 7}')
        await answer
        peer.close()
        answering.close()


@at_each_door
async def test_a_client_that_is_made_to_wait_is_not_taken_for_dead() -> None:
    async with serving(ping_interval=0.1, max_messages_per_second=2) as server:
        client = await server.connect()
        for number in range(6):  # of which the last two wait for half a second each, and pongs behind them
            client.write_message(f'{{"type": "state_change", "state": {{}}, "request": {number}}}')
        await until_frame(client, lambda header: getattr(header, "request", None) == 5)
        client.close()


@at_each_door
async def test_there_are_no_more_sessions_and_clients_than_allowed() -> None:
    async with serving(max_sessions=1, max_clients=2) as server:
        first = await server.connect()
        frame = await next_frame(first)
        assert frame is not None
        other = await server.connect()
        refused = await next_frame(other)
        assert refused is not None
        assert refused.header.code == "too_many_sessions"  # type: ignore[union-attr]
        assert await next_frame(other) is None
        assert other.close_code == 4429
        second = await server.connect({"session": frame.header.session})  # type: ignore[union-attr]
        assert await next_frame(second) is not None
        third = await server.connect({"session": frame.header.session})  # type: ignore[union-attr]
        await next_frame(third)
        assert await next_frame(third) is None
        assert third.close_code == 4429
        for client in (first, second):
            client.close()


LONG = pa.table({f"text{n}": [f"{n} {row} " + "long " * 40 for row in range(10_000)] for n in range(8)})


def _raw_download(port: int, session: str) -> socket.socket:
    """A download that nobody reads but its head."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(PATIENCE)
    peer.connect(("127.0.0.1", port))
    headers = "".join(f"{name}: {value}\r\n" for name, value in BEARER.items())
    peer.sendall(f"GET /download?session={session} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
    assert peer.recv(12) == b"HTTP/1.1 200"
    return peer


@at_each_door
async def test_there_are_no_more_downloads_than_allowed() -> None:
    async with serving(LONG, max_downloads=1) as server:
        client = await server.connect()
        joined = await until_frame(client, lambda header: isinstance(header, InitialState))
        path = f"/download?session={joined.session}&format=arrow"  # type: ignore[union-attr]
        peer = await asyncio.to_thread(_raw_download, server.port, joined.session)  # type: ignore[union-attr]
        refused = await server.get(path, BEARER)
        assert (refused.status, refused.body.count("\n")) == (429, 1)
        peer.close()
        await until(lambda: not server.service.download_count)
        assert (await server.get(path, BEARER)).status == 200
        client.close()


@at_each_door
async def test_a_download_that_is_not_read_is_dropped() -> None:
    async with serving(LONG, client_timeout=0.2) as server:
        client = await server.connect()
        joined = await until_frame(client, lambda header: isinstance(header, InitialState))
        peer = await asyncio.to_thread(_raw_download, server.port, joined.session)  # type: ignore[union-attr]
        await until(lambda: not server.service.download_count)
        peer.close()
        client.close()


@at_each_door
async def test_a_websocket_is_not_compressed() -> None:
    async with serving() as server:
        answer = await server.upgrade("/ws", {**BEARER, "Sec-WebSocket-Extensions": "permessage-deflate"})
        assert answer.status == 101
        assert "Sec-WebSocket-Extensions" not in answer.headers


@at_each_door
async def test_a_refused_websocket_opens_no_session() -> None:
    async with serving() as server:
        with pytest.raises(HTTPClientError, match="403"):
            await server.connect(headers={**BEARER, "Origin": "https://evil.example"})
        assert server.service.session_count == server.service.client_count == 0


# The cache on disk


def _look(path: Path, **how: Any) -> None:
    with lf.DataFlow(path, **how) as flow:
        flow.apply(lf.State()).resolve()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pyarrow.parquet.write_table(pa.table({"city": ["Bonn", None]}), tmp_path / "cities.parquet")
    return tmp_path / "cities.parquet"


def test_nothing_is_kept_on_disk_unless_it_is_asked_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().cache_directory is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    _look(path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_kept_on_disk_is_for_its_owner_alone(path: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        _look(path, cache_directory=tmp_path / "cache")
    finally:
        os.umask(before)
    found = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert len(found) > 2
    assert {stat.S_IMODE(one.stat().st_mode) for one in found} == {0o700, 0o600}


def test_a_directory_into_which_others_can_write_is_not_read(path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _look(path, cache_directory=cache)
    inodes = {found: found.stat().st_ino for found in cache.rglob("*.cells")}
    cache.chmod(0o777)
    with lf.DataFlow(path, cache_directory=cache) as flow:
        asked: list[object] = []
        flow.watch_statistics_queries(lambda *event: asked.append(event))
        flow.apply(lf.State()).resolve()
        assert asked
    assert {found: found.stat().st_ino for found in cache.rglob("*.cells")} == inodes


def test_files_on_disk_are_data_that_is_checked(path: Path, tmp_path: Path) -> None:
    _look(path, cache_directory=tmp_path / "cache")
    for found in (tmp_path / "cache").rglob("*.cells"):
        head, *lines = found.read_text().splitlines()
        assert re.fullmatch(r"lazyflow cache \d+ [0-9a-f]{64}", head)
        assert all(isinstance(json.loads(line), list) for line in lines)
        assert str(path) not in found.read_text()


def test_every_promise_names_its_test() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(test_\w+)`", page)
    defined = {name for name in globals() if name.startswith("test_")} - {"test_every_promise_names_its_test"}
    assert len(named) == len(set(named))
    assert set(named) == defined
