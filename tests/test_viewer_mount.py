"""The viewer as a module: in an element of some other page, several times, and taken away again."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lazyflow as lf
from tests.browsing import browser, picture, viewing, violations
from tests.serving import until
from tests.test_security import in_loop
from tests.viewer_data import trips

pytestmark = browser

MOUNT = """
async () => {
  const { mount, webSocketTransport } = await import("./viewer.js");
  const host = document.createElement("div");
  host.id = "host";
  host.style.cssText = "position: fixed; inset: 300px 0 0 0; z-index: 100";
  document.body.append(host);
  const inside = document.createElement("div");
  inside.style.height = "100%";
  host.attachShadow({ mode: "open" }).append(inside);
  const nonce = document.getElementById("viewer").nonce;
  window.unmount = mount(inside, webSocketTransport(location.href), { nonce });
}
"""


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@in_loop
async def test_it_lives_in_a_shadow_root_and_goes_without_a_trace(expect: Any) -> None:
    with lf.DataFlow(trips(200)) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await expect(view.page).to_have_url(re.compile("session="))
            address = view.page.url
            styles = "document.adoptedStyleSheets.length + document.querySelectorAll('style').length"
            before = await view.page.evaluate(styles)
            await view.page.evaluate(MOUNT)
            other = view.page.locator("#host")
            await expect(other.locator(".ag-row[row-index='0'] [col-id='column-1'] .lf-value")).to_have_text("Bonn")
            await expect(other.locator(".lf-bar")).to_have_css("display", "flex")
            await expect(other.locator(".ag-cell").first).to_have_css("position", "absolute")
            await expect(view.search).to_be_focused()  # the focus is not taken from where it was
            await other.get_by_role("searchbox").first.fill("rome")
            await expect(other.locator("mark").first).to_have_text("Rome")
            await expect(view.search).to_have_value("")  # a session of its own
            assert view.page.url == address  # without an address nothing is kept in one
            assert view.server.service.client_count == 2
            await picture(view.page, "shadow")
            await view.page.evaluate("unmount()")
            await expect(other.locator(".lazyflow")).to_have_count(0)
            await until(lambda: view.server.service.client_count == 1)
            assert await view.page.evaluate(styles) == before
            await view.page.keyboard.press("/")
            await view.search.fill("oslo")
            await expect(view.cell(0, "city")).to_have_text("Oslo")


@in_loop
async def test_axe_finds_nothing_in_a_shadow_root(expect: Any) -> None:
    with lf.DataFlow(trips(200)) as flow:
        async with viewing(flow, browser_settings={"bypass_csp": True}) as view:
            await view.settled()
            await view.page.evaluate(MOUNT)
            other = view.page.locator("#host")
            await expect(other.locator(".lazyflow")).to_have_attribute("data-complete", "true")
            assert await violations(view.page, "#host") == [], "settled"
            await other.get_by_role("searchbox").first.fill("rome")
            await expect(other.locator("mark").first).to_have_text("Rome")
            await other.locator(".ag-header-cell[col-id='column-2'] .lf-facts").click()
            await expect(other.locator(".lf-panel")).to_be_visible()
            await expect(other.locator(".lazyflow")).to_have_attribute("data-complete", "true")
            assert await violations(view.page, "#host") == [], "panel"
            await other.get_by_role("button", name="Columns", exact=True).click()
            await expect(other.locator(".lf-popup")).to_be_visible()
            assert await violations(view.page, "#host") == [], "popup"
            # It looks there: what it finds is not nothing whatever is there.
            await other.locator(".lf-bar").evaluate("(bar) => bar.append(document.createElement('button'))")
            assert [found.split(":")[0] for found in await violations(view.page, "#host")] == ["button-name"]


@in_loop
async def test_importing_it_does_nothing(expect: Any) -> None:
    with lf.DataFlow(trips(10)) as flow:
        async with viewing(flow) as view:
            await view.settled()
            what = """async (again) => {
              const state = () => [document.all.length, document.adoptedStyleSheets.length, Object.keys(window).length];
              const before = state();
              const module = await import("./viewer.js?" + again);
              return [JSON.stringify(before) === JSON.stringify(state()), Object.keys(module).sort()];
            }"""
            same, exported = await view.page.evaluate(what, "again")
            assert same
            assert exported == ["default", "mount", "pageAddress", "webSocketTransport"]


RENDER = """
async (background) => {
  const { default: widget } = await import("./viewer.js");
  const host = document.createElement("div");
  host.id = "host";
  host.style.cssText = `position: fixed; inset: 300px 0 0 0; z-index: 100; background: ${background}`;
  document.body.append(host);
  window.said = [];
  const model = { get: () => 320, on() {}, off() {}, send: (message) => said.push(message.type) };
  window.unmount = widget.render({ model, el: host });
}
"""


@in_loop
async def test_as_a_widget_it_is_as_light_or_dark_as_what_is_behind_it(expect: Any) -> None:
    with lf.DataFlow(trips(200)) as flow:
        async with viewing(flow, browser_settings={"color_scheme": "dark", "bypass_csp": True}) as view:
            await view.settled()
            await view.page.evaluate(RENDER, "oklch(0.98 0.01 250)")
            root = view.page.locator("#host .lazyflow")
            await expect(root).to_have_css("color-scheme", "light")
            await expect(root.get_by_role("button", name="SQL")).to_be_visible()  # no links, no files
            await view.page.evaluate("""() => {
                document.getElementById("host").style.background = "rgb(20 20 20)";
                document.body.className = "dark";
            }""")
            await expect(root).to_have_css("color-scheme", "dark")
            await view.page.evaluate("() => unmount()")
            await expect(root).to_have_count(0)
            assert await view.page.evaluate("() => said") == ["join", "leave"]
