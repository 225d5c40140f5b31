"""The widget in JupyterLab itself: its server, its kernel, its page in Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import ROOT, SOON, browser, chromium, picture, violations
from tests.test_security import in_loop

pytestmark = [
    *browser,
    pytest.mark.notebook,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="jupyterlab is not installed"),
]

KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class Lab:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.path = path

    @property
    def widget(self) -> Any:
        return self.page.locator(".lazyflow").first

    @property
    def search(self) -> Any:
        return self.widget.get_by_role("searchbox", name="Search all text columns")

    def rows(self, column: int) -> Any:
        return self.widget.locator(f".ag-row [col-id='column-{column}'] .lf-value")

    @property
    def count(self) -> Any:
        return self.widget.locator(".lf-count")

    def code(self, number: int) -> Any:
        """A cell with code, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def output(self, number: int) -> Any:
        return self.code(number).locator(".jp-OutputArea-output")

    async def run(self, number: int) -> None:
        await self.code(number).locator(".jp-InputArea-editor").click()
        await self.page.keyboard.press("Shift+Enter")

    async def choose(self, *path: str) -> None:
        """A command of the menus."""
        await self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        for name in path[1:-1]:
            await self.page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).hover()
        await self.page.get_by_role("menuitem", name=path[-1], exact=True).click()

    async def save(self) -> Any:
        """Save the notebook, and read it."""
        async with self.page.expect_response(lambda it: it.request.method == "PUT" and ".ipynb" in it.url):
            await self.page.keyboard.press("Control+s")
        return json.loads(self.path.read_text())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """JupyterLab over a folder, with settings of its own."""
    home = folder / "home"
    for name, settings in SETTINGS.items():
        package, plugin = name.split(":")
        file = home / "settings" / package / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    own = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **own, "IPYTHONDIR": str(home), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    options = [
        "--no-browser", "--allow-root", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
        f"--ServerApp.root_dir={folder}", f"--LabApp.workspaces_dir={home / 'workspaces'}",
    ]  # fmt: skip
    async with serving(["jupyterlab", *options], folder / "log", environment) as address:
        yield address


@asynccontextmanager
async def serving(command: list[str], log: Path, environment: Mapping[str, str] = os.environ) -> AsyncIterator[str]:
    """A server that is a module of Python and takes a `--port`, until the block ends; its address."""
    port = free_port()
    with log.open("w") as told:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, f"--port={port}", env=environment, stdout=told, stderr=told
        )
        try:
            async with asyncio.timeout(SOON / 1000):
                while not await listens(port):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)  # it ends its kernels too
            await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def opened(folder: Path, cells: list[str] | Path) -> AsyncIterator[Lab]:
    """A notebook of these cells with code, or the one of a path, in JupyterLab; at the end nothing has failed there."""
    path = folder / "notebook.ipynb"
    if isinstance(cells, Path):
        path.write_bytes(cells.read_bytes())
    else:
        empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
        code = [{**empty, "id": f"cell-{number}", "source": source} for number, source in enumerate(cells)]
        path.write_text(json.dumps({"cells": code, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}))
    async with server(folder) as address, chromium() as running:
        page = await running.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SOON)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{address}/lab/tree/{path.name}?reset")
        await page.get_by_text("| Idle").wait_for()
        yield Lab(page, path)
        assert not complaints, complaints


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@in_loop
async def test_the_notebook_of_the_docs(expect: Any, tmp_path: Path) -> None:
    async with opened(tmp_path, ROOT / "docs" / "notebook.ipynb") as lab:
        await lab.choose("Run", "Run All Cells")
        await expect(lab.count).to_have_text("8,541 of 336,776 rows")
        await expect(lab.widget).to_have_attribute("data-complete", "true")
        await expect(lab.output(4)).to_have_text("('jfk', 8541)")
        await expect(lab.output(2).locator("tbody tr")).to_have_count(5)

        await lab.search.fill("")
        await lab.search.press_sequentially("ewr")
        await expect(lab.count).to_have_text("11,147 of 336,776 rows")
        await expect(lab.widget).to_have_attribute("data-complete", "true")
        await picture(lab.page, "notebook")
        await lab.run(4)
        await expect(lab.output(4)).to_have_text("('ewr', 11147)")

        saved = await lab.save()
        shown = next(cell for cell in saved["cells"] if cell["cell_type"] == "code")["outputs"][0]["data"]
        html = "".join(shown["text/html"])
        assert "336,776 rows × 19 columns" in html
        assert "<th>dep_delay</th>" in html
        assert "<script" not in html


CITIES = """
import time
import pyarrow as pa
import lazyflow as lf
widget = lf.explore(pa.table({"city": ["Bonn", "Rome", "Add Abba"] * 100, "size": range(300)}), height=320)
widget
"""


@in_loop
async def test_it_lives_while_a_cell_runs_and_keeps_its_keys(expect: Any, tmp_path: Path) -> None:
    waits = 'while widget.state.search != "add abba":\n    time.sleep(0.02)\nprint("it was seen")'
    async with opened(tmp_path, [CITIES, waits, "widget", "widget.close()"]) as lab:
        await lab.run(0)
        await expect(lab.count).to_have_text("300 rows")
        await lab.run(1)
        await expect(lab.page.get_by_text("| Busy")).to_be_visible()
        await lab.search.click()
        await lab.page.keyboard.type("add abba")  # each of these keys is a command of a notebook that is not typed in
        await expect(lab.count).to_have_text("100 of 300 rows")
        await expect(lab.output(1)).to_have_text("it was seen")
        await expect(lab.page.locator(".jp-CodeCell")).to_have_count(4)
        # Keys of the grid are its own too: `/` leads to the search, `b` adds no cell.
        await lab.rows(0).first.click()
        await lab.page.keyboard.press("b")
        await lab.page.keyboard.press("/")
        await expect(lab.search).to_be_focused()
        await expect(lab.page.locator(".jp-CodeCell")).to_have_count(4)

        await lab.run(2)  # a second view of the same widget
        await expect(lab.page.locator(".lazyflow")).to_have_count(2)
        await lab.search.fill("rome")
        await expect(lab.page.locator(".lazyflow .lf-count")).to_have_text(["100 of 300 rows"] * 2)
        searches = lab.page.get_by_role("searchbox", name="Search all text columns")
        await expect(searches.nth(1)).to_have_value("rome")
        await lab.run(3)
        await expect(lab.page.locator(".lazyflow")).to_have_count(0)


@in_loop
async def test_it_is_dark_where_the_notebook_is(expect: Any, tmp_path: Path) -> None:
    async with opened(tmp_path, [CITIES]) as lab:
        await lab.run(0)
        await expect(lab.widget).to_have_attribute("data-complete", "true")
        await expect(lab.widget).to_have_css("background-color", "rgb(255, 255, 255)")
        await picture(lab.page, "notebook-light")
        assert await violations(lab.page, ".lf-widget") == [], "light"
        await lab.choose("Settings", "Theme", "JupyterLab Dark")
        await expect(lab.widget).to_have_css("background-color", "rgb(18, 22, 28)")
        await expect(lab.page.locator("#jupyterlab-splash")).to_have_count(0)
        await picture(lab.page, "notebook-dark")
        assert await violations(lab.page, ".lf-widget") == [], "dark"
