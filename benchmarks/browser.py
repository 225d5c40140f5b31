"""The ends that `benchmarks.viewer` measures between: `lazyflow serve` in a process of its own, pages in Chromium."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.browsing import Wire, chromium

SIZE = {"width": 1600, "height": 900}
PATIENCE = 120_000
"""Milliseconds after which something has failed."""


@asynccontextmanager
async def serving(path: Path, backend: str) -> AsyncIterator[str]:
    """`lazyflow serve` with a table, until the block ends; its address, which lets one in."""
    command = ["-m", "lazyflow.cli", "serve", str(path), "--backend", backend, "--port", "0"]
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL  # it logs each change
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=pipe, stderr=none)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE / 1000)
        yield line.decode().split()[1]
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def busy_core() -> AsyncIterator[None]:
    """A process that keeps a core busy with nothing, until the block ends."""
    script = "print(flush=True)\nwhile True: pass"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), PATIENCE / 1000)
        yield
    finally:
        process.kill()
        await process.wait()


class Echo(WebSocketHandler):
    """Says what it is told."""

    def on_message(self, message: str | bytes) -> None:
        """Say it again."""
        self.write_message(message)


class EchoPage(RequestHandler):
    """A field, and what was typed into it once it was there and back."""

    def get(self) -> None:
        """Answer with the page."""
        self.write(
            """<!doctype html><title>echo</title><link rel="icon" href="data:,"><input autofocus><p></p><script>
              const [field, told] = [document.querySelector("input"), document.querySelector("p")];
              const socket = new WebSocket(new URL("ws", location.href.replace("http", "ws")));
              socket.onopen = () => (told.textContent = "open");
              socket.onmessage = ({ data }) => (told.textContent = data);
              field.oninput = () => socket.send(field.value);
            </script>"""
        )


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """A page that does nothing but paint what comes back over a websocket, until the block ends; its address."""
    server = HTTPServer(Application([("/", EchoPage), ("/ws", Echo)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    finally:
        server.stop()
        await server.close_all_connections()


_TOOLS = """
(() => {
  const frame = () => new Promise(requestAnimationFrame);
  const painted = async () => {
    await frame();
    await new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(null);
    });
  };
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  const once = (root, matches) => new Promise((done) => {
    const look = () => matches() && (observer.disconnect(), done());
    const observer = new MutationObserver(look);
    observer.observe(root, everything);
    look();
  });
  const viewport = () => document.querySelector(".ag-grid-viewport");
  const marks = (within = "") =>
    [...document.querySelectorAll(`.ag-row${within} mark`)].map((each) => each.textContent.toLowerCase());
  const complete = () => document.querySelector(".lazyflow").dataset.complete === "true";
  const there = () => !document.querySelector(".ag-row .lf-value[data-form='pending']");
  window.measure = {
    /** Milliseconds from the next key's press to a frame in which `matches` is true has been painted. */
    key(matches) {
      window.taken = new Promise((done) => {
        const pressed = ({ timeStamp }) =>
          once(document.body, matches).then(painted).then(() => done(performance.now() - timeStamp));
        addEventListener("keydown", pressed, { capture: true, once: true });
      });
    },
    echo: (text) => measure.key(() => document.querySelector("p").textContent === text),
    match: (text) => measure.key(() => marks("[row-index='0']").includes(text)),
    matched: (text) => once(document.body, () => marks().includes(text)),
    settled: () => once(document.body, complete),
    /** Scroll, so much in each frame, until there are so many or the statistics are; how long each frame took. */
    async scroll(pixels, frames) {
      const taken = [];
      await painted();
      let last = await frame();
      while (frames === null ? !complete() : taken.length < frames) {
        viewport().scrollTop += pixels;
        const now = await frame();
        taken.push(now - last);
        last = now;
      }
      return taken;
    },
    /** Scroll over so many rows, screen by screen, each seen before the next. */
    async screens(rows, height) {
      const view = viewport();
      const end = view.scrollTop + rows * height;
      while (view.scrollTop < end) {
        view.scrollTop += view.clientHeight;
        await frame();
        await frame();
        await once(view, there);
      }
    },
    /** From now until the statistics are there and painted: how many changes there were in cells of rows. */
    statistics() {
      let touched = 0;
      const inRow = ({ target }) => (target.nodeType === 1 ? target : target.parentElement)?.closest(".ag-row");
      const observer = new MutationObserver((all) => (touched += all.filter(inRow).length));
      observer.observe(viewport(), everything);
      window.taken = once(document.body, complete).then(painted).then(() => touched);
    },
  };
})();
"""


class Page:
    """A page in a browser of its own, with what measures in it."""

    def __init__(self, page: Any, cdp: Any, browser: Any) -> None:
        self.page = page
        self._cdp = cdp
        self._browser = browser

    async def begin(self, what: str, *arguments: Any) -> None:
        """Begin to measure something whose result `taken` waits for."""
        await self.page.evaluate("([what, rest]) => { measure[what](...rest); }", [what, arguments])

    async def taken(self) -> Any:
        """The result of what was begun."""
        return await self.page.evaluate("window.taken")

    async def run(self, what: str, *arguments: Any) -> Any:
        """Do something, and wait for its result."""
        return await self.page.evaluate("([what, rest]) => measure[what](...rest)", [what, arguments])

    async def press(self, key: str) -> None:
        """Press a key."""
        await self.page.keyboard.press(key)

    async def search(self, text: str) -> None:
        """Have a text searched for, and wait for its rows."""
        await self.page.get_by_role("searchbox", name="Search all text columns").fill(text)
        await self.run("matched", text.lower())

    async def times(self) -> dict[str, float]:
        """Seconds that the page's thread has spent so far, by what on; and bytes of its heap."""
        found = await self._cdp.send("Performance.getMetrics")
        return {each["name"]: each["value"] for each in found["metrics"]}

    async def memory(self) -> tuple[float, float]:
        """Bytes of memory of the browser's tabs that are no file's, and of their heap, after a collection."""
        for _ in range(2):  # the first leaves what has a finaliser
            await self._cdp.send("HeapProfiler.collectGarbage")
        session = await self._browser.new_browser_cdp_session()
        found = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        await session.detach()
        tabs = [Path(f"/proc/{each['id']}/status").read_text() for each in found if each["type"] == "renderer"]
        resident = sum(int(line.split()[1]) for text in tabs for line in text.splitlines() if line[:8] == "RssAnon:")
        return resident * 1024, (await self.times())["JSHeapUsedSize"]


@asynccontextmanager
async def opened(address: str, wire: Wire | None = None) -> AsyncIterator[Page]:
    """A browser with one page, until the block ends; with `wire` between the page and the service."""
    async with chromium() as browser:
        page = await (await browser.new_context(viewport=SIZE)).new_page()
        page.set_default_timeout(PATIENCE)
        if wire is not None:
            await wire.install(page)
        await page.goto(address)
        await page.evaluate(_TOOLS)
        cdp = await page.context.new_cdp_session(page)
        await cdp.send("Performance.enable")
        yield Page(page, cdp, browser)
