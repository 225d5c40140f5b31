"""The whole view as a file, and as SQL: over a real server, on each backend."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet
import pytest
from tornado.httputil import HTTPHeaders

import lazyflow as lf
from lazyflow.client import Client, connect
from lazyflow.errors import EngineError, NotForThisEngine
from lazyflow.formats import FILE_FORMATS, MEDIA_TYPES, column_text, file_writer
from lazyflow.query import Query, RowsQuery
from lazyflow.session import download
from lazyflow.testing import Harness
from lazyflow.testing.control import Visit, controlled, watched
from lazyflow.testing.layouts import LAYOUTS
from lazyflow.values import plain, python_values
from tests.serving import until
from tests.viewer_data import trips
from tests.wire import PATIENCE, Server, run, serving

TRIPS = trips()
PLAIN = TRIPS.select(["number", "city", "delay", "paid", "note"])
VIEW = lf.State(search="o", filters=[lf.Filter("paid", "==", False)], sort=[lf.Sort("delay", descending=True)])


@dataclass
class Answer:
    """What came back: `whole` says whether the server said that this is the end."""

    status: int
    headers: HTTPHeaders
    body: bytes
    whole: bool


class Reader:
    """Somebody who downloads, as slowly as the test wants."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.reader, self.writer = streams

    async def head(self) -> tuple[int, HTTPHeaders]:
        first, *rest = (await self._within(self.reader.readuntil(b"\r\n\r\n"))).decode().strip().split("\r\n")
        return int(first.split()[1]), HTTPHeaders(dict(line.split(": ", 1) for line in rest))

    async def part(self) -> bytes:
        """One part, empty at the end; IncompleteReadError or ConnectionError where it broke off."""
        size = int(await self._within(self.reader.readuntil(b"\r\n")), 16)
        return (await self._within(self.reader.readexactly(size + 2)))[:-2]

    async def answer(self) -> Answer:
        status, headers = await self.head()
        if "Content-Length" in headers:
            body = await self._within(self.reader.readexactly(int(headers["Content-Length"])))
            return Answer(status, headers, body, True)
        return await self.rest(status, headers)

    async def rest(self, status: int = 200, headers: HTTPHeaders | None = None) -> Answer:
        """The parts that come, after the head."""
        parts, whole = [], True
        try:
            while part := await self.part():
                parts.append(part)
        except (asyncio.IncompleteReadError, ConnectionError):
            whole = False
        return Answer(status, headers or HTTPHeaders(), b"".join(parts), whole)

    async def _within(self, reading: Any) -> Any:
        return await asyncio.wait_for(reading, PATIENCE)


@asynccontextmanager
async def reading(
    server: Server, session: str, format: str = "csv", token: str | None = None, **headers: str
) -> AsyncIterator[Reader]:
    host, port = server.address.split(":")
    streams = await asyncio.open_connection(host, int(port))
    query = urlencode({"session": session, "format": format})
    given = {"Host": server.address, "Authorization": f"Bearer {token or server.token}", **headers}
    lines = [f"GET /download?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    streams[1].write("\r\n".join([*lines, "", ""]).encode())
    try:
        yield Reader(streams)
    finally:
        streams[1].close()


async def downloaded(server: Server, session: str, format: str = "csv", **more: Any) -> Answer:
    async with reading(server, session, format, **more) as reader:
        return await reader.answer()


def table_of(answer: Answer, format: str) -> pa.Table:
    if format == "parquet":
        return pa.parquet.read_table(io.BytesIO(answer.body))
    return pa.ipc.open_file(answer.body).read_all()


def written(rows: pa.Table) -> list[list[str]]:
    """Rows as a reader of CSV is to find them."""
    columns = [["" if text is None else text for text in column_text(column).to_pylist()] for column in rows.columns]
    return [rows.column_names, *map(list, zip(*columns, strict=True))]


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of a few rows, so that there are many."""
    monkeypatch.setattr(download, "_FIRST_ROWS", 100)
    monkeypatch.setattr(download, "_PART_BYTES", 10_000)


def is_far(query: Query) -> bool:
    """Whether these are rows of a download, beyond its first window."""
    return isinstance(query, RowsQuery) and query.start >= 100


async def far_visit(control: Any) -> Visit:
    """The first query of a download beyond its first window, once it stands before the engine."""
    await until(lambda: any(is_far(visit.query) for visit in control.visits))
    visit: Visit = next(visit for visit in control.visits if is_far(visit.query))
    return visit


@asynccontextmanager
async def held_far_down(server: Server, client: Client, control: Any) -> AsyncIterator[tuple[Reader, Visit]]:
    """A download of which the first part came, and its first query beyond that, which stands before the engine."""
    control.hold(is_far)
    async with reading(server, client.view.session) as reader:
        await reader.head()
        yield reader, await far_visit(control)


# What it holds


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("state", [lf.State(), VIEW, lf.State(search="nowhere")], ids=["all", "view", "none"])
def test_a_download_is_the_view(harness: Harness, state: lf.State, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)

    async def main() -> None:
        table = PLAIN if harness.backend.__name__ == "SQLiteBackend" else TRIPS
        with lf.DataFlow(harness.source(table), backend=harness.backend()) as flow:
            rows = flow.rows(state, (0, TRIPS.num_rows))
            async with serving({"trips": flow}) as server, connect(server.url, state=state) as client:
                for format in FILE_FORMATS:
                    answer = await downloaded(server, client.view.session, format)
                    assert (answer.status, answer.whole) == (200, True)
                    assert answer.headers["Content-Type"] == MEDIA_TYPES[format]
                    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="trips.{format}";')
                    if format == "csv":
                        read = list(csv.reader(io.StringIO(answer.body.decode(), newline=""), strict=True))
                        assert read == written(rows)
                        assert answer.body.endswith(b"\r\n")
                    else:
                        assert table_of(answer, format).equals(rows), format
                assert not server.service._sessions[client.view.session].downloads

    run(main())


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_type_is_written(layout: Any) -> None:
    rows = pa.table({"x": layout.plain})
    for format in FILE_FORMATS:
        if format == "parquet" and layout.name == "structs without fields":
            with pytest.raises(lf.NotForThisType, match="'x'"):
                file_writer(format, rows.schema)
            continue
        writer = file_writer(format, rows.schema)
        body = writer.write(rows) + writer.close()
        if format == "csv":
            found = [line[0] for line in csv.reader(io.StringIO(body.decode(), newline=""), strict=True)][1:]
            values = python_values(rows["x"])
            assert len(found) == len(values)
            for text, value in zip(found, values, strict=True):
                _check_text(text, value)
        else:
            table = table_of(Answer(200, HTTPHeaders(), body, True), format)
            assert table.schema == rows.schema
            assert table["x"].equals(rows["x"]) or str(table["x"]) == str(rows["x"]), "NaN is not equal to itself"


def _check_text(text: str, value: Any) -> None:
    """A value in CSV is the text that `lazyflow.values` gives, or its JSON; a number reads as the same."""
    form = plain(value)
    if form is None or isinstance(form, str):
        assert text == (form or "")
    elif isinstance(form, float):
        assert pa.scalar(float(text), pa.float32()) == pa.scalar(form, pa.float32())
    else:
        assert json.loads(text) == form


def test_text_in_csv_is_what_it_was() -> None:
    hostile = ["a,b", 'say "yes"', "two\nlines", "\r", " ", "", None, "=1+1", "\u202e", "😀", "x" * 100_000]
    rows = pa.table({'the "name", quoted': hostile, "row": range(len(hostile))})
    writer = file_writer("csv", rows.schema)
    body = writer.write(rows.slice(0, 4)) + writer.write(rows.slice(4)) + writer.close()
    found = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    assert found == written(rows)
    assert b'\r\n"",5\r\n,6\r\n' in body, "an empty text is not missing"
    alone = file_writer("csv", rows.select([0]).schema)
    assert alone.write(rows.select([0]).slice(6, 1)).endswith(b'\r\n""\r\n'), "an empty line would be no row"


# What happens meanwhile


@pytest.mark.usefixtures("door")
def test_a_newer_state_does_not_mix_into_a_download(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)

    async def main() -> None:
        with controlled(harness, PLAIN) as (flow, control):
            rows = flow.rows(VIEW, (0, TRIPS.num_rows))
            async with serving(flow) as server, connect(server.url, state=VIEW, window=(0, 10)) as client:
                control.hold(is_far)
                async with reading(server, client.view.session, "arrow") as reader:
                    await reader.head()
                    await client.apply(lf.State(search="rome"), window=(0, 5))
                    assert client.view.rows is not None, "rows that people look at do not wait for a download"
                    control.release()
                    answer = await reader.rest()
                assert answer.whole
                assert table_of(answer, "arrow").equals(rows)

    run(main())


@pytest.mark.usefixtures("door")
def test_who_goes_stops_the_query(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_parts(monkeypatch)
    caplog.set_level(logging.INFO, "lazyflow.server")

    async def main() -> None:
        with controlled(harness, PLAIN) as (flow, control):
            async with serving(flow) as server, connect(server.url, window=(0, 10)) as client:
                async with held_far_down(server, client, control) as (_, visit):
                    pass  # whoever reads is gone then
                await until(lambda: visit.outcome == "stopped")
                session = server.service._sessions[client.view.session]
                await until(lambda: not session.downloads)
                assert "a download was left by its reader" in caplog.text
                assert "broke off" not in caplog.text
                assert len([each for each in control.visits if is_far(each.query)]) == 1
                assert (await client.apply(lf.State(search="rome"))).rows is not None

    run(main())


@pytest.mark.usefixtures("door")
def test_what_breaks_in_the_middle_has_no_end(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_parts(monkeypatch)

    def execute(self: Any, query: Query, token: Any) -> pa.Table:
        if is_far(query):
            raise EngineError("cannot read /home/me/secret.parquet")
        return super(type(self), self).execute(query, token)  # type: ignore[misc]

    async def main() -> None:
        with controlled(harness, PLAIN) as (flow, _):
            engine = flow._shared.backend
            engine.__class__ = type("Breaking", (type(engine),), {"execute": execute})
            async with serving(flow) as server, connect(server.url, window=(0, 10)) as client:
                for format in FILE_FORMATS:
                    with caplog.at_level(logging.CRITICAL):
                        answer = await downloaded(server, client.view.session, format)
                    assert (answer.status, answer.whole) == (200, False)
                    assert b"secret" not in answer.body

    run(main())


@pytest.mark.usefixtures("door")
def test_files_that_change_break_a_download_off(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_parts(monkeypatch)
    path = tmp_path / "trips.parquet"
    pa.parquet.write_table(PLAIN, path)

    async def main() -> None:
        engine, control = watched(harness)
        with lf.DataFlow(path, backend=engine) as flow:
            async with (
                serving(flow) as server,
                connect(server.url, window=(0, 10)) as client,
                held_far_down(server, client, control) as (reader, _),
            ):
                pa.parquet.write_table(PLAIN.slice(1), tmp_path / "newer.parquet")
                (tmp_path / "newer.parquet").replace(path)
                control.release()
                assert not (await reader.rest()).whole

    run(main())


@pytest.mark.usefixtures("door")
def test_the_end_of_the_server_breaks_a_download_off(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)

    async def main() -> None:
        with controlled(harness, PLAIN) as (flow, control):
            async with (
                serving(flow) as server,
                connect(server.url, window=(0, 10)) as client,
                held_far_down(server, client, control) as (reader, visit),
            ):
                await server.service.close()
                await until(lambda: visit.outcome == "stopped")
                assert not (await reader.rest()).whole

    run(main())


@pytest.mark.usefixtures("door")
def test_a_session_with_a_download_does_not_expire(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)

    async def main() -> None:
        with controlled(harness, PLAIN) as (flow, control):
            async with serving(flow, session_expiry=0.001) as server:
                async with (
                    connect(server.url, window=(0, 10)) as client,
                    held_far_down(server, client, control) as (reader, _),
                ):
                    await client.close()
                    await until(lambda: server.service.client_count == 0)
                    service = server.service
                    for _ in range(3):
                        service._expire(service._sessions[client.view.session])
                    control.release()
                    assert (await reader.rest()).whole
                await until(lambda: server.service.session_count == 0)

    run(main())


# SQL


async def sql_of(client: Client) -> str:
    return await asyncio.wait_for(client.sql(), PATIENCE)


@pytest.mark.usefixtures("door")
def test_the_view_as_sql(harness: Harness) -> None:
    async def main() -> None:
        with lf.DataFlow(harness.source(PLAIN), backend=harness.backend()) as flow:
            async with serving(flow) as server, connect(server.url, state=VIEW) as client:
                if harness.run_sql is None:
                    with pytest.raises(NotForThisEngine):
                        await sql_of(client)
                    return
                sql = await sql_of(client)
                assert sql == flow.compile(VIEW).sql()
                assert client.view.sql == sql
                assert (await client.apply(lf.State())).sql is None
                assert await sql_of(client) == flow.compile(lf.State()).sql()
                assert client.stale_frames == 0

    run(main())
