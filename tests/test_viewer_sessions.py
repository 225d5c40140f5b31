"""The viewer and its session: lost connections, other tabs, links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

import lazyflow as lf
from lazyflow.protocol import StateFrame
from lazyflow.server import close_app, make_app
from lazyflow.settings import Settings
from tests.browsing import View, Wire, browser, chromium, viewing
from tests.test_security import in_loop
from tests.viewer_data import trips
from tests.wire import Server

pytestmark = browser

TRIPS = trips()


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


class Restarted:
    """A server that can be ended and started again at the same address, as after a crash."""

    def __init__(self, flow: lf.DataFlow) -> None:
        self._flow = flow
        self._port = 0

    async def start(self, token: str = "the same") -> Server:
        self._app = make_app({"trips": self._flow}, Settings(token=token))
        self._http = HTTPServer(self._app)
        sockets = bind_sockets(self._port, "127.0.0.1", reuse_port=True)
        self._http.add_sockets(sockets)
        self._port = sockets[0].getsockname()[1]
        return Server(f"127.0.0.1:{self._port}", token, self._app.settings["service"])

    async def end(self) -> None:
        self._http.stop()
        await close_app(self._app)
        await self._http.close_all_connections()


@in_loop
async def test_after_a_restart_of_the_server_the_view_is_there_again(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        restarted = Restarted(flow)
        server = await restarted.start()
        async with chromium() as running:
            view = View(await running.new_page(), server)
            view.columns = list(flow.schema)
            await view.open()
            await view.settled()
            await view.page.keyboard.type("rome")
            await expect(view.page.locator("mark").first).to_have_text("Rome")
            await expect(view.page).to_have_url(re.compile("session="))
            first = view.page.url
            await restarted.end()
            await expect(view.page.locator(".lf-link")).to_contain_text("connection lost")
            await view.audit("lost")
            await view.page.keyboard.type("!")  # what is done meanwhile is not lost
            await view.page.keyboard.press("Backspace")
            await view.header("number").locator(".lf-name").click()
            await view.header("number").locator(".lf-name").click()
            await restarted.start()
            await expect(view.page.locator(".lf-link")).to_have_text("")
            await expect(view.header("number")).to_have_attribute("aria-sort", "descending")
            await expect(view.cell(0, "city")).to_have_text("Rome")
            assert await view.search.input_value() == "rome"
            await view.settled()
            await expect(view.page).not_to_have_url(re.compile(f"session={_session(first)}"))
            await restarted.end()


@in_loop
async def test_after_a_restart_with_another_token_it_says_what_to_do(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        restarted = Restarted(flow)
        async with chromium() as running:
            view = View(await running.new_page(), await restarted.start())
            view.columns = list(flow.schema)
            await view.open()
            await view.settled()
            await restarted.end()
            await expect(view.page.locator(".lf-link")).to_contain_text("connection lost")
            await restarted.start("another")
            await expect(view.page.locator(".lf-link")).to_contain_text("open the link that the server printed")
            await restarted.end()


def _session(url: str) -> str:
    return re.escape(urlsplit(url).query.split("session=")[1])


@in_loop
async def test_two_tabs_see_the_same(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            other = View(await view.page.context.new_page(), view.server)
            other.columns = view.columns
            await expect(view.page).to_have_url(re.compile("session="))
            await other.page.goto(view.page.url)
            await other.settled()
            await view.page.keyboard.type("oslo")
            await expect(other.cell(0, "city")).to_have_text("Oslo")
            await expect(other.search).to_have_value("oslo")
            await other.header("number").locator(".lf-name").click()
            await expect(view.header("number")).to_have_attribute("aria-sort", "ascending")
            assert view.server.service.session_count == 1
            # Undo is of the one who did it: the other's sort stays until the other takes it back.
            await other.page.keyboard.press("Control+z")
            await expect(view.header("number")).to_have_attribute("aria-sort", "none")
            assert await view.search.input_value() == "oslo"
            assert other.complaints == []


@in_loop
async def test_a_link_to_a_view_begins_with_it_in_a_session_of_its_own(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.page.keyboard.type("oslo")
            await view.page.locator("mark").first.wait_for()
            await view.page.get_by_role("button", name="Share").click()
            await view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            await view.popup.get_by_role("button", name="Copy link to this view").click()
            await expect(view.page.locator(".lf-status .lf-told")).to_have_text("link copied")
            link = await view.page.evaluate("navigator.clipboard.readText()")
            assert "session=" not in link
            other = View(await view.page.context.new_page(), view.server)
            other.columns = view.columns
            await other.page.goto(link)
            await expect(other.cell(0, "city")).to_have_text("Oslo")
            await expect(other.search).to_have_value("oslo")
            await other.settled()
            assert view.server.service.session_count == 2
            assert other.complaints == []


@in_loop
async def test_the_view_is_taken_along_as_a_file_and_as_sql(expect: Any, tmp_path: Path) -> None:
    state = lf.State(search="oslo", sort=[lf.Sort("number", descending=True)])
    with lf.DataFlow(TRIPS, backend="duckdb") as flow:
        rows, sql = flow.rows(state, (0, TRIPS.num_rows)), flow.compile(state).sql()
        async with viewing(flow, path='#{"search":"oslo","sort":[{"column":"number","descending":true}]}') as view:
            await view.settled()
            await view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            press = view.page.keyboard.press
            await view.page.get_by_role("button", name="Share").focus()
            await press("Enter")
            await expect(view.popup).to_be_visible()
            for name, format in (("CSV", "csv"), ("Parquet", "parquet"), ("Arrow", "arrow")):
                await view.popup.get_by_role("link", name=f"Download {name}", exact=True).focus()
                async with view.page.expect_download() as waiting:
                    await press("Enter")
                download = await waiting.value
                assert download.suggested_filename == f"table.{format}"
                await download.save_as(tmp_path / f"table.{format}")
            assert pa.parquet.read_table(tmp_path / "table.parquet").equals(rows)
            assert pa.ipc.open_file(tmp_path / "table.arrow").read_all().equals(rows)
            lines = (tmp_path / "table.csv").read_bytes().split(b"\r\n")
            assert lines[0] == ",".join(rows.column_names).encode()
            assert len(lines) == rows.num_rows + 2
            await press("Tab")
            await expect(view.popup.get_by_role("button", name="Copy as SQL")).to_be_focused()
            await press("Enter")
            await expect(view.popup.get_by_label("The view as SQL")).to_have_text(sql)
            await expect(view.page.locator(".lf-status .lf-told")).to_have_text("SQL copied")
            assert await view.page.evaluate("navigator.clipboard.readText()") == sql
            await view.audit("share-sql")
            await press("Escape")
            await expect(view.popup).to_have_count(0)


@in_loop
async def test_an_engine_without_sql_says_so(expect: Any) -> None:
    with lf.DataFlow(TRIPS, backend="pandas") as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.page.get_by_role("button", name="Share").click()
            await view.popup.get_by_role("button", name="Copy as SQL").click()
            await expect(view.popup.get_by_role("status")).to_contain_text("speaks no SQL")
            await expect(view.popup.get_by_label("The view as SQL")).to_be_hidden()


@in_loop
async def test_a_state_in_the_address_that_does_not_fit_shows_the_table_and_says_so(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, path='#{"filters":[{"column":"gone","operator":"==","value":1}]}') as view:
            await view.settled()
            await expect(view.count).to_have_text("3,000 rows")
            await expect(view.page.locator(".lf-notice")).to_contain_text("unknown column 'gone'")


@in_loop
async def test_what_the_server_refuses_is_said_in_the_editor(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.page.get_by_role("button", name="+ Filter").click()
            await view.popup.get_by_label("Column").select_option("delay")
            await view.popup.get_by_label("Operator").select_option(">=")
            await view.popup.get_by_label("Value").fill("many")
            await view.popup.get_by_role("button", name="Apply").click()
            await expect(view.popup.get_by_role("alert")).to_contain_text("many")
            await view.audit("refused")
            await view.popup.get_by_label("Value").fill("40")
            await view.popup.get_by_role("button", name="Apply").click()
            await expect(view.popup).to_have_count(0)
            await expect(view.chips).to_have_text(["delay ≥ 40"])
            await view.drag(view.header("delay").locator(".lf-chart"), 0.02, 0.4)
            await expect(view.chips).to_have_text(["-5 ≤ delay < 14.8"])
            await view.chips.click()
            await expect(view.popup.get_by_label("From")).to_have_value("-5")
            await view.popup.get_by_label("Below").fill("0")
            await view.popup.get_by_role("button", name="Apply").click()
            await expect(view.chips).to_have_text(["-5 ≤ delay < 0"])
            await view.chips.click()
            await view.popup.get_by_label("Operator").select_option("is missing")
            await view.popup.get_by_role("button", name="Apply").click()
            await expect(view.chips).to_have_text(["delay is missing"])
            await expect(view.count).to_have_text("300 of 3,000 rows")
            await view.page.get_by_role("button", name="Remove delay is missing").click()
            await expect(view.count).to_have_text("3,000 rows")


@in_loop
async def test_an_app_offers_cleanings(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        flow.register_cleaning("known", lambda table, ns: table.filter(table["delay"].notnull()))
        async with viewing(flow) as view:
            await view.settled()
            await view.page.get_by_label("Cleaning").select_option("known")
            await expect(view.count).to_have_text("2,700 of 3,000 rows")
            await view.header("delay").locator(".lf-facts").click()
            await expect(view.panel.locator("thead th")).to_have_text(["raw", "clean", "filtered"])


@in_loop
async def test_another_table_is_chosen(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow, lf.DataFlow(trips(10)) as few:
        async with viewing({"many": flow, "few": few}) as view:
            await view.settled()
            await view.page.keyboard.type("rome")
            await expect(view.page.locator("mark").first).to_have_text("Rome")
            await view.page.get_by_label("Table", exact=True).select_option("few")
            await expect(view.count).to_have_text("10 rows")
            await expect(view.search).to_have_value("")
            await expect(view.page.get_by_role("button", name="Undo")).to_be_disabled()
            await expect(view.page).to_have_title("few - lazyflow")
            await view.page.get_by_label("Table", exact=True).select_option("many")
            await expect(view.count).to_have_text("3,000 rows")


@in_loop
async def test_a_slow_change_says_so_and_can_be_left(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            wire.holds = lambda header: isinstance(header, StateFrame) and bool(header.state.search)
            await view.page.keyboard.type("rome")
            await expect(view.page.locator(".lf-work")).to_contain_text(re.compile(r"fetching rows · \d s"))
            await expect(view.cell(0, "city")).to_have_text("Bonn")
            await view.page.get_by_role("button", name="Go back").click()
            await view.settled()
            await expect(view.search).to_have_value("")
            wire.release()  # what was left comes late, and is refused
            await view.page.keyboard.type("oslo")
            await expect(view.cell(0, "city")).to_have_text("Oslo")


@in_loop
async def test_an_editor_that_was_left_closes_no_other_and_what_it_asked_is_told(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            apply = view.popup.get_by_role("button", name="Apply")
            add = view.page.get_by_role("button", name="+ Filter")
            for value in "40", "many":
                wire.holds = lambda header: True
                await add.click()
                await view.popup.get_by_label("Column").select_option("delay")
                await view.popup.get_by_label("Operator").select_option(">=")
                await view.popup.get_by_label("Value").fill(value)
                await apply.click()
                await add.click()  # before the answer
                await expect(view.popup.get_by_label("Column")).to_have_value("number")
                wire.release()
                await view.settled()
                await expect(view.popup.get_by_label("Column")).to_have_value("number")
                await view.page.keyboard.press("Escape")
            await expect(view.page.locator(".lf-notice")).to_contain_text("many")
            await expect(view.chips).to_have_text(["delay ≥ 40"])
