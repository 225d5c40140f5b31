"""The widget in marimo: its server, its kernel, its page in Chromium."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.browsing import SOON, browser, chromium, picture
from tests.test_notebook import serving
from tests.test_security import in_loop

pytestmark = [
    *browser,
    pytest.mark.notebook,
    pytest.mark.skipif(find_spec("marimo") is None, reason="marimo is not installed"),
]

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import pyarrow as pa
    import lazyflow as lf
    widget = lf.explore(pa.table({"city": ["Bonn", "Rome", "Add Abba"] * 100, "size": range(300)}), height=320)
    widget
    return mo, widget


@app.cell
def _(mo):
    button = mo.ui.run_button(label="Look")
    button
    return (button,)


@app.cell
def _(button, mo, widget):
    mo.md(f"searched for {widget.state.search}, {widget.to_arrow().num_rows} rows" if button.value else "")
    return
"""


@in_loop
async def test_what_is_searched_there_is_known_in_python(tmp_path: Path) -> None:
    from playwright.async_api import expect

    notebook = tmp_path / "notebook.py"
    notebook.write_text(NOTEBOOK)
    complaints: list[str] = []
    command = ["marimo", "run", str(notebook), "--headless", "--no-token", "--no-sandbox"]
    async with serving(command, tmp_path / "log") as address, chromium() as running:
        page: Any = await running.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SOON)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(address)
        count = page.locator(".lazyflow .lf-count")
        await expect(count).to_have_text("300 rows")
        await page.get_by_role("searchbox", name="Search all text columns").fill("rome")
        await expect(count).to_have_text("100 of 300 rows")
        await page.get_by_role("button", name="Look").click()
        await expect(page.get_by_text("searched for rome, 100 rows")).to_be_visible()
        await picture(page, "marimo")
    assert not complaints, complaints
