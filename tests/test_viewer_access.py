"""The viewer for everyone: keyboard, screen readers, light and dark, narrow screens."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lazyflow as lf
from tests.browsing import Wire, browser, viewing, violations
from tests.test_security import in_loop
from tests.viewer_data import trips

pytestmark = browser

TRIPS = trips()
CUT = """() => {
  const cut = (each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "auto";
  const named = (each) => each.className + ": " + each.textContent;
  const page = document.documentElement;
  const looked = ".lf-bar, .lf-bar *, .lf-popup, .lf-popup *, .lf-panel, .lf-panel button, .lf-count";
  return [
    ...[...document.querySelectorAll(looked)].filter((each) => each.clientWidth > 0 && cut(each)).map(named),
    ...(page.scrollWidth > page.clientWidth || page.scrollHeight > page.clientHeight ? ["the page scrolls"] : []),
  ];
}"""
"""What is wider than the room it has, and cannot be scrolled."""


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@pytest.mark.parametrize("scheme", ["light", "dark"])
@in_loop
async def test_axe_finds_nothing(scheme: str, expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire, height=520, browser_settings={"color_scheme": scheme}) as view:
            await view.settled()
            assert await violations(view.page) == [], "settled"
            wire.holds = lambda header: type(header).__name__ == "StatsUpdate"
            await view.page.keyboard.type("rome")
            await expect(view.page.locator("mark").first).to_have_text("Rome")
            assert await violations(view.page) == [], "pending"
            wire.release()
            await view.settled()
            await view.drag(view.header("delay").locator(".lf-chart"), 0.02, 0.4)
            await expect(view.chips).to_have_count(1)
            await view.header("delay").locator(".lf-facts").click()
            await view.settled()
            await expect(view.panel).to_be_visible()
            await view.audit(f"panel-{scheme}")
            await view.chips.first.click()
            await expect(view.popup).to_be_visible()
            await view.audit(f"editor-{scheme}")
            await view.page.keyboard.press("Escape")
            for name in ("Columns", "Share", "Keys and marks (F1)"):
                await view.page.get_by_role("button", name=name, exact=True).click()
                await expect(view.popup).to_be_visible()
                await view.audit(f"{name.split()[0].lower()}-{scheme}")
                await view.page.keyboard.press("Escape")
            await view.search.fill("nowhere")
            await expect(view.page.locator(".lf-message")).to_be_visible()
            assert await violations(view.page) == [], "no match"


@in_loop
async def test_everything_can_be_done_from_the_keyboard(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            press = view.page.keyboard.press
            # From the search to the rows, and up to the headers.
            await press("ArrowDown")
            await expect(view.page.locator(".ag-cell-focus")).to_have_attribute("col-id", "column-0")
            await press("ArrowRight")
            await press("ArrowRight")
            await press("ArrowUp")
            focused = view.page.locator(".ag-header-cell:focus")
            await expect(focused).to_have_attribute("col-id", "column-2")
            await press("Enter")
            await expect(view.header("delay")).to_have_attribute("aria-sort", "ascending")
            await press("Enter")
            await expect(view.header("delay")).to_have_attribute("aria-sort", "descending")
            # Wider, and to the right of the next one and back.
            header, following = view.header("delay"), view.header("day")
            await expect(header).to_have_css("width", "150px")
            await press("Alt+ArrowRight")
            await expect(header).to_have_css("width", "152px")
            await expect(header).to_have_attribute("aria-colindex", "4")
            await press("Shift+ArrowRight")
            await expect(header).to_have_attribute("aria-colindex", "5")
            await expect(following).to_have_attribute("aria-colindex", "4")
            await press("Shift+ArrowLeft")
            await expect(header).to_have_attribute("aria-colindex", "4")
            await expect(focused).to_have_attribute("col-id", "column-2")
            # Its panel: the bars have the focus; three of them are chosen.
            await press("Space")
            chart = view.panel.locator(".lf-chart")
            await expect(chart).to_be_focused()
            await press("Home")
            await press("ArrowRight")
            await press("Shift+ArrowRight")
            await press("Shift+ArrowRight")
            await expect(chart).to_have_attribute("aria-valuenow", "4")
            await expect(view.panel.locator(".lf-told")).to_contain_text("raw:")
            await press("Enter")
            await expect(view.chips).to_contain_text("≤ delay <")
            await expect(view.count).to_have_text(re.compile(r"^\d+ of 3,000 rows$"))
            count = await view.count.inner_text()
            await press("Control+z")
            await expect(view.count).to_have_text("3,000 rows")
            await press("Control+Shift+z")
            await expect(view.count).to_have_text(count)
            await expect(chart).to_be_focused()
            await press("Delete")
            await expect(view.chips).to_have_count(0)
            await expect(view.count).to_have_text("3,000 rows")
            # Back to the rows; a whole value; back again.
            await press("Escape")
            await expect(view.panel).to_be_hidden()
            await expect(view.page.locator(".ag-cell-focus")).to_be_focused()
            await press("Enter")
            await expect(view.popup.locator("pre")).to_have_text("44.5")
            await press("Escape")
            await expect(view.page.locator(".ag-cell-focus")).to_be_focused()
            # A filter from the menu, its field focused where it opens.
            await press("/")
            await expect(view.search).to_be_focused()
            await press("Tab")
            await press("Enter")
            await view.popup.get_by_label("Column").press("c")  # city
            await expect(view.popup.get_by_label("Column")).to_have_value("city")
            await view.popup.get_by_label("Value").press_sequentially("om")
            await press("Enter")
            await expect(view.chips).to_have_text(["city contains om"])
            await expect(view.page.get_by_role("button", name="+ Filter")).to_be_focused()


@in_loop
async def test_cells_are_copied_as_tab_separated_text(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            told = view.page.locator(".lf-status .lf-told")
            copied = "navigator.clipboard.readText()"
            await view.cell(5, "city").click()
            await view.page.keyboard.press("Control+c")
            await expect(told).to_have_text("1 cell copied")
            assert await view.page.evaluate(copied) == "Lima"
            await view.page.keyboard.press("Control+Shift+c")
            await expect(told).to_have_text("1 row copied")
            expected = ["5", "Lima", "37.5", "2024-01-06", "2024-01-01 00:05:00Z", "1.25", "false", "[a, b]", ""]
            assert await view.page.evaluate(copied) == "\t".join(expected)
            await view.page.keyboard.press("Shift+ArrowRight")
            await view.page.keyboard.press("Shift+ArrowDown")
            await expect(view.page.locator("[data-picked]")).to_have_count(4)
            await view.page.keyboard.press("Control+c")
            await expect(told).to_have_text("4 cells copied")
            assert await view.page.evaluate(copied) == "Lima\t37.5\nLima\t6"
            await view.page.keyboard.press("ArrowDown")
            await expect(view.page.locator("[data-picked]")).to_have_count(0)
            start, end = await view.cell(1, "number").bounding_box(), await view.cell(3, "city").bounding_box()
            await view.page.mouse.move(start["x"] + 20, start["y"] + 5)
            await view.page.mouse.down()
            await view.page.mouse.move(end["x"] + 20, end["y"] + 5, steps=5)
            await view.page.mouse.up()
            await expect(view.page.locator("[data-picked]")).to_have_count(6)
            await view.audit("picked")
            await view.page.keyboard.press("Control+c")
            await expect(told).to_have_text("6 cells copied")
            assert await view.page.evaluate(copied) == "1\tBonn\n2\tRome\n3\tRome"


@in_loop
async def test_columns_are_hidden_pinned_and_moved(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.header("city").locator(".lf-facts").click()
            await view.panel.get_by_role("button", name="Hide").click()
            await expect(view.header("city")).to_have_count(0)
            await view.page.get_by_role("button", name="Columns").click()
            await view.popup.get_by_label("city", exact=True).check()
            await expect(view.header("city")).to_be_visible()
            await view.page.keyboard.press("Escape")
            await view.header("delay").locator(".lf-facts").click()
            await view.panel.get_by_role("button", name="Pin", exact=True).click()
            await expect(view.page.locator(".ag-header .ag-grid-pinned-left-cells")).to_contain_text("delay")
            await expect(view.cell(0, "delay")).to_have_text("-5")
            box = await view.header("day").bounding_box()
            to = await view.header("number").bounding_box()
            await view.page.mouse.move(box["x"] + 15, box["y"] + 12)
            await view.page.mouse.down()
            await view.page.mouse.move(to["x"] + 10, to["y"] + 12, steps=12)
            await view.page.mouse.up()
            await expect(
                view.page.locator(".ag-header .ag-grid-scrolling-cells .ag-header-cell").first
            ).to_contain_text("day")
            await expect(view.header("day")).to_have_attribute("aria-sort", "none")


@in_loop
async def test_what_changed_is_announced(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            live = view.page.locator("[aria-live='polite'].lf-hidden")
            await expect(live).to_have_text("3,000 rows")
            await view.page.keyboard.type("rome")
            await view.settled()
            await expect(live).to_have_text(await view.count.inner_text())
            grid = view.page.get_by_role("grid")
            await expect(grid).to_be_visible()


@in_loop
async def test_light_and_dark_follow_the_system(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow) as view:
            await view.settled()
            page = view.page.locator(".lazyflow")
            await expect(page).to_have_css("background-color", "rgb(255, 255, 255)")
            await view.page.emulate_media(color_scheme="dark")
            await expect(page).to_have_css("background-color", "rgb(18, 22, 28)")
            await expect(view.page.locator(".ag-row").first).to_have_css("color", "rgb(215, 221, 230)")
            await view.audit("dark")


@in_loop
async def test_it_is_usable_on_a_narrow_screen(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, width=400, height=700) as view:
            await view.settled()
            assert await view.page.evaluate("document.documentElement.scrollWidth") == 400
            await expect(view.cell(0, "city")).to_be_visible()
            await view.audit("narrow")
            await view.header("city").locator(".lf-facts").click()
            await expect(view.panel).to_be_in_viewport()
            await view.audit("narrow-panel")
            await view.panel.get_by_role("button", name="Close").click()
            await view.page.get_by_role("button", name="+ Filter").click()
            box = await view.popup.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400


@in_loop
async def test_it_is_usable_at_twice_the_size(expect: Any) -> None:
    """A browser's zoom of 200 %: half the room, twice the pixels."""
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, width=640, height=400, browser_settings={"device_scale_factor": 2}) as view:
            await view.settled()
            controls = view.page.locator(".lf-bar :is(button, input, select):visible")
            assert await controls.count() == 7
            for place in range(await controls.count()):
                await expect(controls.nth(place)).to_be_in_viewport(ratio=1)
            await expect(view.count).to_be_in_viewport(ratio=1)
            await expect(view.cell(3, "city")).to_be_in_viewport(ratio=0.9)
            assert await view.page.evaluate(CUT) == []
            await view.audit("zoomed")
            for name in ("+ Filter", "Columns", "Share", "Keys and marks (F1)"):
                await view.page.get_by_role("button", name=name, exact=True).click()
                await expect(view.popup).to_be_in_viewport(ratio=1)
                last = view.popup.locator("button, a, tr").last
                await last.scroll_into_view_if_needed()
                await expect(last).to_be_in_viewport(ratio=1)
                assert await view.page.evaluate(CUT) == [], name
                assert await violations(view.page) == [], name
                await view.page.keyboard.press("Escape")
            await view.header("delay").locator(".lf-facts").click()
            for button in await view.panel.get_by_role("button").all():
                await button.scroll_into_view_if_needed()
                await expect(button).to_be_in_viewport(ratio=0.95)  # but for parts of a pixel
            assert await view.page.evaluate(CUT) == []
            await view.audit("zoomed-panel")


@in_loop
async def test_nothing_moves_for_those_who_do_not_want_it() -> None:
    wire = Wire()
    wire.holds = lambda header: type(header).__name__ == "StatsUpdate"
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire, browser_settings={"reduced_motion": "reduce"}) as view:
            await view.cell(0, "city").wait_for()
            assert await view.page.evaluate("document.getAnimations().length") == 0
