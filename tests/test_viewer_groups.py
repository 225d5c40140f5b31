"""Filters any of which is enough, in a browser: made, edited, and taken away; by mouse and from the keyboard."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

import lazyflow as lf
from tests.browsing import Wire, browser, viewing, violations
from tests.test_security import in_loop
from tests.viewer_data import trips

pytestmark = browser

TRIPS = trips()
CITIES = lf.Filter("city", "contains", "om")
LATE = lf.Filter("delay", ">=", 40)


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


def asked(wire: Wire) -> Any:
    """The filters of the state that the page asked for last."""
    return [message for message in wire.said if message["type"] == "state_change"][-1]["state"]["filters"]


@in_loop
async def test_a_filter_becomes_one_of_several_from_the_keyboard(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            press = view.page.keyboard.press
            await view.page.get_by_role("button", name="+ Filter").focus()
            await press("Enter")
            await view.popup.get_by_label("Column").select_option("city")
            await view.popup.get_by_label("Value").fill("om")
            await press("Enter")
            await expect(view.popup).to_have_count(0)  # and the focus is where it was
            await expect(view.chips).to_have_text(["city contains om"])
            await view.chips.first.focus()
            await press("Enter")
            await view.popup.get_by_role("button", name="Or …").focus()
            await press("Enter")
            await expect(view.popup).to_have_attribute("aria-label", "Any of")
            await expect(view.popup.get_by_label("Column")).to_be_focused()
            await view.popup.get_by_label("Column").select_option("delay")
            await view.popup.get_by_label("Operator").select_option(">=")
            await expect(view.popup.get_by_label("Operator").locator("option[value='from, below']")).to_have_count(0)
            await view.popup.get_by_label("Value").fill("40")
            await view.audit("group")
            await press("Enter")
            await expect(view.chips.first).to_have_text("city contains om or delay ≥ 40")
            rows = flow.row_count(lf.State(filters=[[CITIES, LATE]]))
            await expect(view.count).to_have_text(f"{rows:,} of 3,000 rows")
            assert asked(wire) == [[
                {"column": "city", "operator": "contains", "value": "om"},
                {"column": "delay", "operator": ">=", "value": 40},
            ]]  # fmt: skip
            await expect(view.popup.locator(".lf-chip-text").last).to_be_focused()
            await press("Escape")
            await expect(view.search).to_be_focused()  # the chip that was pressed is another one by now


@in_loop
async def test_each_of_a_group_is_edited_and_taken_away(expect: Any) -> None:
    wire = Wire()
    state = lf.State(filters=[lf.Filter("number", "<", 2000), [CITIES, LATE]])
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, wire_of=wire, path=f"#{quote(state.to_json())}") as view:
            await view.settled()
            await expect(view.chips).to_have_text(["number < 2,000", "city contains om or delay ≥ 40"])
            await view.chips.last.click()
            alternatives = view.popup.locator(".lf-chip-text")
            await expect(alternatives).to_have_text(["city contains om", "delay ≥ 40"])
            await alternatives.last.click()
            await expect(view.popup.get_by_label("Value")).to_have_value("40")
            await view.popup.get_by_label("Value").fill("much")
            await view.page.keyboard.press("Enter")
            await expect(view.popup.locator("form .lf-error")).to_contain_text("much")
            await view.popup.get_by_label("Value").fill("44")
            await view.page.keyboard.press("Enter")
            await expect(alternatives).to_have_text(["city contains om", "delay ≥ 44"])
            await view.popup.get_by_role("button", name="+ Or").click()
            await view.popup.get_by_label("Column").select_option("city")
            await view.popup.get_by_label("Operator").select_option("==")
            await view.popup.get_by_label("Value").fill("Oslo")
            await view.page.keyboard.press("Enter")
            await expect(alternatives).to_have_count(3)
            await view.popup.get_by_role("button", name="Remove city contains om").click()
            await expect(view.chips.nth(1)).to_have_text("delay ≥ 44 or city = Oslo")
            await view.popup.get_by_role("button", name="Remove delay ≥ 44").click()
            await expect(view.page.locator(".lf-chips .lf-chip-text")).to_have_text(["number < 2,000", "city = Oslo"])
            assert asked(wire)[1] == {"column": "city", "operator": "==", "value": "Oslo"}, "alone it is no group"
            await view.popup.get_by_role("button", name="Remove city = Oslo").click()
            await expect(view.popup).to_have_count(0)
            await expect(view.chips).to_have_text(["number < 2,000"])
            await expect(view.count).to_have_text("2,000 of 3,000 rows")


@in_loop
async def test_the_editor_of_a_group_stays_within_a_small_page(expect: Any) -> None:
    with lf.DataFlow(TRIPS) as flow:
        async with viewing(flow, width=400, height=420) as view:
            await view.settled()
            await view.page.get_by_role("button", name="+ Filter").click()
            await view.popup.get_by_label("Column").select_option("city")
            await view.popup.get_by_label("Value").fill("om")
            await view.page.keyboard.press("Enter")
            await expect(view.popup).to_have_count(0)
            await view.chips.first.click()
            await view.popup.get_by_role("button", name="Or …").click()
            await view.popup.get_by_label("Column").select_option("city")
            await view.popup.get_by_label("Operator").select_option("in")
            await expect(view.popup.get_by_role("button", name="Apply")).to_be_in_viewport(ratio=1)
            assert await violations(view.page) == []
