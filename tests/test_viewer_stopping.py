"""Statistics that take long, in a browser: they are stopped, and go on."""

from __future__ import annotations

from typing import Any

import pytest

from lazyflow.testing.control import controlled
from tests.browsing import browser, viewing
from tests.drivers import HARNESSES
from tests.test_security import in_loop
from tests.viewer_data import trips

pytestmark = browser

TRIPS = trips()


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@in_loop
async def test_statistics_are_stopped_and_go_on(expect: Any) -> None:
    with controlled(HARNESSES["duckdb"](), TRIPS) as (flow, control):
        async with viewing(flow) as view:
            await view.settled()
            control.hold()
            await view.page.keyboard.type("rome")
            await expect(view.page.locator("mark").first).to_have_text("Rome")
            status, distinct = view.page.locator(".lf-status"), view.header("delay").locator("[data-form]").last
            await expect(distinct).to_have_text("…")
            stop = status.get_by_role("button", name="Stop statistics")
            await stop.focus()
            await view.page.keyboard.press("Enter")
            await expect(status).to_contain_text("statistics stopped")
            await expect(distinct).to_have_text("stopped")
            await expect(view.cell(0, "city")).to_have_text("Rome")
            await expect(view.page.locator("[aria-live='polite'].lf-hidden")).to_contain_text("statistics stopped")
            await view.audit("stopped")
            held = control.deferred[-1]
            assert held.token.cancelled
            control.release()
            go_on = status.get_by_role("button", name="Go on")
            await expect(go_on).to_be_focused()
            await view.page.keyboard.press("Enter")
            await view.settled()
            await expect(distinct).to_contain_text("distinct")
            await expect(view.count).to_contain_text(" of 3,000 rows")
            await expect(view.search).to_be_focused()
