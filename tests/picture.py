"""Makes the picture in README of the viewer on the demo's flights: `python -m tests.picture`."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

import lazyflow as lf
from lazyflow.show.demo import demo_frame
from tests.browsing import ROOT, viewing

PICTURE = ROOT / "docs" / "viewer.png"


async def main() -> None:
    """Search, choose bars by dragging, open the column's panel, and keep what is seen."""
    with lf.DataFlow(demo_frame(), backend="duckdb") as flow:
        async with viewing(flow, width=1320, height=640) as view:
            await view.settled()
            await view.search.fill("jfk")
            await expect(view.count).to_contain_text("111,279 of")
            await view.settled()
            await view.drag(view.header("dep_time").locator(".lf-chart"), 0.67, 0.93)
            await expect(view.chips).to_have_count(1)
            await view.header("dep_delay").locator(".lf-facts").click()
            for name in ("year", "month", "day"):
                await view.page.get_by_role("button", name="Columns").click()
                await view.popup.get_by_label(name, exact=True).uncheck()
                await view.page.keyboard.press("Escape")
            await view.settled()
            await view.page.locator(".lf-panel h2").click()
            await view.painted()
            await view.page.screenshot(path=PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(main())
