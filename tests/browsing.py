"""The viewer in a real browser: Chromium, driven by Playwright, against a real server in the test's own event loop."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lazyflow import DataFlow, viewer
from lazyflow.protocol import Frame
from tests import wire
from tests.wire import Server

SOON = 20_000
"""Milliseconds after which what should be seen will not be; a test that passes waits for none of them."""

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "screenshots"
AXE = ROOT / "lazyflow" / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


def _why_not() -> str | None:
    if find_spec("playwright") is None:
        return "playwright is not installed"
    if CHROMIUM is None:
        return "there is no chromium (apt-get install chromium, or say where it is by CHROMIUM)"
    if not viewer.is_built():
        return viewer.HOW_TO_BUILD
    return None if AXE.is_file() else "axe-core is not installed (python -m lazyflow.viewer.build --force)"


browser = [pytest.mark.browser, pytest.mark.skipif(_why_not() is not None, reason=str(_why_not()))]
"""The marks of a module of such tests."""


async def violations(page: Any, within: str = "html") -> list[str]:
    """What axe finds wrong in the element of a selector, shadow roots too: the rule, and the elements that break it."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "(within) => axe.run(document.querySelector(within)).then((results) => results.violations)", within
    )
    return [f"{each['id']}: {[node['html'][:200] for node in each['nodes'][:3]]}" for each in found]


async def picture(page: Any, name: str) -> None:
    """Keep a picture of what is seen now."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png")


class View:
    """A page that shows the viewer, and words for what a person does and sees there."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)

    async def open(self, path: str = "") -> None:
        await self.page.goto(self.server.url + path)

    # What is seen

    def cell(self, row: int, column: str) -> Any:
        """The cell of a row, counted from 0."""
        return self.page.locator(f".ag-row[row-index='{row}'] [col-id='{self._id(column)}'] .lf-value")

    def header(self, column: str) -> Any:
        return self.page.locator(f".ag-header-cell[col-id='{self._id(column)}']")

    def _id(self, column: str) -> str:
        return f"column-{self.columns.index(column)}"

    columns: list[str] = []  # noqa: RUF012  set by `viewing`

    @property
    def count(self) -> Any:
        return self.page.locator(".lf-count")

    @property
    def chips(self) -> Any:
        return self.page.locator(".lf-chip-text")

    @property
    def panel(self) -> Any:
        return self.page.locator(".lf-panel")

    @property
    def popup(self) -> Any:
        return self.page.locator(".lf-popup")

    @property
    def search(self) -> Any:
        return self.page.locator("#viewer").get_by_role("searchbox", name="Search all text columns")

    async def settled(self) -> None:
        """Wait until rows and all statistics of what was asked for are there, and drawn."""
        from playwright.async_api import expect

        await expect(self.page.locator(".lf-grid")).to_have_attribute("data-changing", "false")
        await expect(self.page.locator(".lazyflow")).to_have_attribute("data-complete", "true")
        await self.painted()

    async def painted(self) -> None:
        """Wait until what is known now has been painted."""
        await self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    async def column_values(self, column: str, rows: int) -> list[str]:
        return [await self.cell(row, column).inner_text() for row in range(rows)]

    # What is done

    async def drag(self, chart: Any, first: float, last: float) -> None:
        """Drag across a chart, from one part of its width to another."""
        box = await chart.bounding_box()
        y = box["y"] + box["height"] / 2
        await self.page.mouse.move(box["x"] + first * box["width"], y)
        await self.page.mouse.down()
        await self.page.mouse.move(box["x"] + last * box["width"], y, steps=4)
        await self.page.mouse.up()

    async def audit(self, name: str) -> None:
        """Axe must find nothing in what is seen now, of which a picture is kept."""
        found = await violations(self.page)
        assert not found, f"{name}: {found}"
        await picture(self.page, name)


class Wire:
    """The websocket of a page: what was said and seen; frames can be held back, and others sent."""

    def __init__(self) -> None:
        self.holds: Callable[[Any], bool] = lambda header: False
        self.seen: list[Any] = []
        self.said: list[dict[str, Any]] = []
        self._held: list[bytes] = []
        self._page: Any = None

    async def install(self, page: Any) -> None:
        await page.route_web_socket(re.compile(r"/ws\?"), self._route)

    def _route(self, route: Any) -> None:
        self._page = route
        server = route.connect_to_server()
        server.on_message(self._from_server)

        def from_page(text: str) -> None:
            self.said.append(json.loads(text))
            server.send(text)

        route.on_message(from_page)

    def _from_server(self, data: bytes) -> None:
        header = Frame.decode(data).header
        self.seen.append(header)
        if self.holds(header):
            self._held.append(data)
        else:
            self._page.send(data)

    def release(self) -> None:
        """Hold nothing back any more, and give what was."""
        self.holds = lambda header: False
        held, self._held = self._held, []
        for data in held:
            self._page.send(data)

    def send(self, frame: Frame) -> None:
        """Say something to the page as if it came from the service."""
        self._page.send(frame.encode())


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """A browser, until the block ends."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=SOON)
    async with async_playwright() as playwright:
        # With scroll bars, as people have them: they take place, and can be dragged.
        running = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, ignore_default_args=["--hide-scrollbars"]
        )
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def viewing(
    flow: DataFlow | dict[str, DataFlow], *, path: str = "", wire_of: Wire | None = None,
    width: int = 1280, height: int = 800, browser_settings: dict[str, Any] | None = None, **settings: Any,
) -> AsyncIterator[View]:  # fmt: skip
    """The page with a table, or several, the first shown; at the end nothing may have failed in it."""
    async with wire.serving(flow, **settings) as server, chromium() as running:
        context = await running.new_context(viewport={"width": width, "height": height}, **(browser_settings or {}))
        context.set_default_timeout(SOON)
        view = View(await context.new_page(), server)
        view.columns = list((flow if isinstance(flow, DataFlow) else next(iter(flow.values()))).schema)
        if wire_of is not None:
            await wire_of.install(view.page)
        await view.open(path)
        yield view
        assert not view.complaints, view.complaints
