"""The viewer in a browser: what a person does, and what they then see."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow.protocol import ErrorFrame, Frame, RowCountFrame, RowsFrame, StateFrame, StatsUpdate
from tests.browsing import Wire, browser, viewing
from tests.test_security import at_each_door, in_loop
from tests.viewer_data import CITIES, trips

pytestmark = browser

TRIPS = trips()
DRAWN = re.compile("^M")


def is_statistics(header: Any) -> bool:
    return isinstance(header, StatsUpdate)


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@at_each_door
async def test_the_first_rows_are_there_before_any_statistic(expect: Any) -> None:
    held = Wire()
    held.holds = is_statistics
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=held) as view:
            await expect(view.cell(0, "city")).to_have_text(CITIES[0])
            await expect(view.cell(3, "delay")).to_have_text("—")
            await expect(view.cell(1, "note")).to_have_text('""')
            await expect(view.cell(2, "day")).to_have_text("2024-01-03")
            await expect(view.cell(2, "left")).to_have_text("2024-01-01 00:02:00Z")
            await expect(view.cell(5, "price")).to_have_text("1.25")
            await expect(view.cell(5, "tags")).to_have_text("[a, b]")
            await expect(view.header("city").locator("[data-form='pending']").last).to_have_text("…")
            await expect(view.header("delay").locator(".lf-chart")).to_be_hidden()
            await view.audit("pending")
            held.release()
            await view.settled()
            await expect(view.header("city")).to_contain_text("7 distinct")
            await expect(view.header("delay")).to_contain_text("10 % missing")
            await expect(view.header("delay").locator(".lf-chart path.lf-filtered")).to_have_attribute("d", DRAWN)
            await expect(view.count).to_have_text("3,000 rows")
            await view.audit("light")


@in_loop
async def test_rows_follow_what_is_typed_and_matches_are_marked(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await expect(view.search).to_be_focused()
            await view.page.keyboard.type("ROM")
            await expect(view.page.locator("mark").first).to_have_text("Rom")
            assert set(await view.column_values("city", 10)) == {"Rome"}
            rome = flow.row_count(lf.State(search="rom"))
            await expect(view.count).to_have_text(f"{rome:,} of 3,000 rows")
            await view.settled()
            await view.audit("search")
            await view.page.keyboard.press("Control+A")
            await view.page.keyboard.press("Delete")
            await expect(view.count).to_have_text("3,000 rows")
            await expect(view.page.locator("mark")).to_have_count(0)


@in_loop
async def test_each_keystroke_is_sent_at_once(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            await view.page.keyboard.type("rome")
            await expect(view.page.locator("mark").first).to_have_text("Rome")
            searches = [message["state"]["search"] for message in wire.said if message["type"] == "state_change"]
            assert searches == ["r", "ro", "rom", "rome"]


@in_loop
async def test_what_belongs_to_an_older_view_is_refused(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            first = wire.seen[0]
            await view.page.keyboard.type("rome")
            await expect(view.count).to_contain_text("of 3,000")
            await view.settled()
            count = await view.count.inner_text()
            facts = await view.header("city").inner_text()
            now = next(header.generation for header in reversed(wire.seen) if isinstance(header, StateFrame))
            old = first.generation
            assert old < now
            body = _rows(["stale"] * 100)
            state = {name: getattr(first, name) for name in StateFrame.__struct_fields__}
            wire.send(Frame(StateFrame(**{**state, "columns": ("city",), "window": (0, 100)}), body))
            wire.send(Frame(RowsFrame(generation=old, request=None, window=(0, 100), columns=("city",)), body))
            wire.send(Frame(RowCountFrame(generation=old, row_count={"raw": 5, "filtered": 5})))
            cells = {"filtered": {"columns": {"city": {"distinct": {"value": 77_777}}}}}
            update = StatsUpdate(generation=old, statistics=cells, progress={}, final=True)  # type: ignore[arg-type]
            wire.send(Frame(update))
            wire.send(Frame(ErrorFrame(code="engine_failed", message="stale", generation=old)))
            # What comes after them is of the view: once it is seen, they were all refused.
            wire.send(
                Frame(RowsFrame(generation=now, request=None, window=(0, 1), columns=("city",)), _rows(["fresh"]))
            )
            await expect(view.cell(0, "city")).to_have_text("fresh")
            await expect(view.cell(1, "city")).to_have_text("Rome")
            assert await view.count.inner_text() == count
            assert await view.header("city").inner_text() == facts
            await expect(view.page.get_by_text("stale")).to_have_count(0)
            assert await view.search.input_value() == "rome"


def _rows(values: list[str]) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"city": values})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@in_loop
async def test_while_statistics_are_pending_raw_is_shown_and_said_to_be(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            wire.holds = is_statistics
            await view.page.keyboard.type("rome")
            await expect(view.cell(0, "city")).to_have_text("Rome")
            chart = view.header("delay").locator(".lf-chart")
            await expect(chart).to_have_attribute("data-pending", "")
            await expect(chart.locator(".lf-filtered")).to_have_attribute("d", "")
            await expect(view.header("delay").locator(".lf-fact").last).to_have_text("…")
            await expect(view.page.locator(".lf-work")).to_contain_text("computing statistics")
            wire.release()
            await view.settled()
            await expect(chart.locator(".lf-filtered")).to_have_attribute("d", DRAWN)
            await expect(view.page.locator(".lf-work")).to_have_text("")


@in_loop
async def test_statistics_touch_no_cell_of_a_row(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            wire.holds = is_statistics
            await view.page.keyboard.type("rome")
            await view.page.locator("mark").first.wait_for()
            await expect(view.count).to_contain_text("of 3,000 rows")
            await view.painted()
            await view.page.evaluate(
                """() => {
                  window.touched = 0;
                  for (const rows of document.querySelectorAll('.ag-row'))
                    new MutationObserver((all) => { window.touched += all.length; })
                      .observe(rows, { subtree: true, childList: true, attributes: true, characterData: true });
                }"""
            )
            seen = -1
            while seen != (seen := await view.page.evaluate("window.touched")):  # the rows of the view are still drawn
                await view.painted()
            wire.release()
            await view.settled()
            assert await view.page.evaluate("window.touched") == seen


@in_loop
async def test_dragging_across_bars_filters_and_undo_takes_it_back(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            chart = view.header("delay").locator(".lf-chart")
            await view.drag(chart, 0.02, 0.23)
            await expect(view.chips).to_have_count(1)
            await expect(view.chips).to_contain_text("≤ delay <")
            await view.settled()
            count = await view.count.inner_text()
            assert count.endswith(" of 3,000 rows")
            assert all(float(value) < 8 for value in await view.column_values("delay", 12))
            await view.audit("brushed")
            await view.drag(chart, 0.02, 0.23)  # once more takes it back
            await expect(view.chips).to_have_count(0)
            await view.page.locator(".lf-status").click()
            await view.page.keyboard.press("Control+z")
            await expect(view.chips).to_have_count(1)
            await expect(view.count).to_have_text(count)
            await view.page.keyboard.press("Control+z")
            await expect(view.count).to_have_text("3,000 rows")
            await view.page.keyboard.press("Control+Shift+z")
            await expect(view.count).to_have_text(count)


@in_loop
async def test_a_click_on_a_frequent_value_keeps_it(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.drag(view.header("city").locator(".lf-chart"), 0.01, 0.02)
            await expect(view.chips).to_contain_text("city = ")
            await view.settled()
            assert len(set(await view.column_values("city", 10))) == 1


@in_loop
async def test_clicks_on_headers_sort(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.header("delay").locator(".lf-name").click()
            await expect(view.header("delay")).to_have_attribute("aria-sort", "ascending")
            await expect(view.cell(0, "delay")).to_have_text("-5")
            await view.header("delay").locator(".lf-name").click()
            await expect(view.cell(0, "delay")).to_have_text("44.5")
            await view.header("number").locator(".lf-name").click(modifiers=["Shift"])
            await view.header("number").locator(".lf-name").click(modifiers=["Shift"])
            await expect(view.header("number")).to_have_attribute("aria-sort", "descending")
            await expect(view.header("delay")).to_have_attribute("aria-sort", "descending")
            expected = flow.rows(
                lf.State(sort=[lf.Sort("delay", descending=True), lf.Sort("number", descending=True)]), (0, 8)
            )
            await expect(view.cell(0, "number")).to_have_text(str(expected["number"][0]))
            assert await view.column_values("number", 8) == [str(n) for n in expected["number"].to_pylist()]
            await expect(view.header("delay").locator(".lf-arrow")).to_have_text("▼1")
            await view.header("city").locator(".lf-name").click()
            await expect(view.header("delay")).to_have_attribute("aria-sort", "none")


@in_loop
async def test_any_depth_is_reached(expect: Any) -> None:
    rows = 5_000_000
    with lf.DataFlow(pa.table({"number": pa.array(range(rows), pa.int64())})) as flow:
        async with viewing(flow) as view:
            await expect(view.count).to_have_text("5,000,000 rows")
            # Dragging the bar: any place of the five million.
            for part, seen in (0.5, r"^2[45]\d{5}$"), (0.25, r"^12\d{5}$"), (0.9, r"^4[45]\d{5}$"):
                await view.page.locator(".ag-body-vertical-scroll-viewport").evaluate(
                    "(view, part) => { view.scrollTop = part * (view.scrollHeight - view.clientHeight); }", part
                )
                last = view.page.locator(".ag-row").last
                await expect(last).to_have_attribute("row-index", re.compile(seen))
                index = await last.get_attribute("row-index")
                await expect(view.cell(int(index), "number")).to_have_text(str(index))
            await view.page.locator(".ag-row").last.locator("[col-id='column-0']").click()
            await view.page.keyboard.press("Control+End")
            await expect(view.cell(rows - 1, "number")).to_have_text(str(rows - 1))
            await view.page.keyboard.press("Control+Home")
            await expect(view.cell(0, "number")).to_have_text("0")
