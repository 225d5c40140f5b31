"""The viewer's speed, in Chromium against `lazyflow serve`.

`python -m benchmarks.viewer [--backend NAME]... [--rows N] [--scrolled N] [--quick] [--json FILE] [--strict]`
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click
import msgspec

import lazyflow as lf
from benchmarks.browser import Page, busy_core, echoing, opened, serving
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report, told
from benchmarks.tables import wide_file
from benchmarks.wire import Words
from lazyflow.client import connect
from lazyflow.protocol import Frame, ScopeCells, StatsUpdate
from tests.browsing import Wire

WINDOW = (0, 100)
ROW_HEIGHT = 25
PIXELS = 60
"""How far one scrolls in a frame of the screen: 3,600 pixels a second, which is a brisk hand."""
FRAME = 0.033


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rows: int
    keys: int
    views: int
    updates: int
    scrolled: int
    quick: bool

    def bound(self, budget: str, kept: bool) -> tuple[str, bool | None]:
        """The budget and whether it is kept; a quick run holds nothing to it."""
        return budget, None if self.quick else kept


async def keystroke(address: str, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """From pressing a key to the painted row that matches, against the same change by a program, and an echo's paint.

    The key is the last of an airplane's first three characters, pressed once all statistics of the first two are there.
    The program makes the same change with the neighbour in the order of how often they occur, in a session of its own,
    in turn, so that no view was ever seen. The echo is the same way without lazyflow: a key, a websocket, a text.
    """
    found = words.of_length(3, size.rows // 1000)[: 2 * size.keys]
    seen, wire, floor = [], [], []
    async with (
        echoing() as echo_address, opened(echo_address) as echo, opened(address) as page,
        connect(address, window=WINDOW) as client,
    ):  # fmt: skip
        await page.run("settled")
        for number, (typed, asked) in enumerate(zip(found[::2], found[1::2], strict=False)):
            await page.search(typed[:2])
            await page.run("settled")
            seen.append(await key(page, "match", typed))
            await page.run("settled")
            await client.apply(lf.State(search=asked[:2]))
            await client.settled()
            start = time.perf_counter()
            await client.apply(lf.State(search=asked))
            wire.append(time.perf_counter() - start)
            await client.settled()
            floor.append(await key(echo, "echo", "x" * (number + 1)))
    page_time, wire_time, echo_time = (percentile(times, 0.5) for times in (seen, wire, floor))
    more = page_time - wire_time
    yield Figure(
        "keystroke to painted row, later than the wire", backend, more * 1000, "ms",
        *size.bound("<= 60 ms", more <= 0.06),
        f"medians of {len(seen)}: page {ms(page_time)}, wire {ms(wire_time)}, echo {ms(echo_time)}; "
        f"95th percentiles {ms(percentile(seen, 0.95))}, {ms(percentile(wire, 0.95))}, {ms(percentile(floor, 0.95))}",
    )  # fmt: skip


async def key(page: Page, what: str, text: str) -> float:
    """Seconds from pressing the last key of a text to its paint."""
    await page.begin(what, text.lower())
    await page.press(text[-1])
    return float(await page.taken()) / 1000


async def frames(address: str, words: Words, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Frames of the screen while one scrolls and the statistics of a new view arrive, then when they are there.

    Each view is scrolled from its first rows on until its statistics are there, then for as many frames more, and as
    many again beside a process that keeps a core busy, as statistics do: so many the machine gives whatever they are.
    """
    busy: list[float] = []
    idle: list[float] = []
    floor: list[float] = []
    async with opened(address) as page:
        await page.run("settled")
        for word in words.of_length(3, size.rows // 1000)[2 * size.keys :][: size.views]:
            await page.search(word)
            taken = await page.run("scroll", PIXELS, None)
            busy += taken
            idle += await page.run("scroll", PIXELS, len(taken))
            async with busy_core():
                floor += await page.run("scroll", PIXELS, len(taken))
    beside, alone = (percentile(taken, 0.95) / 1000 for taken in (busy, idle))
    under, under_alone, under_floor = (
        sum(each < FRAME * 1000 for each in taken) / len(taken) for taken in (busy, idle, floor)
    )
    behind = (
        f"of {len(busy)} frames; medians {ms(percentile(busy, 0.5) / 1000)}, {ms(percentile(idle, 0.5) / 1000)}, "
        f"longest {ms(max(busy) / 1000)}, {ms(max(idle) / 1000)}"
    )
    yield Figure(
        "frames under 33 ms while statistics arrive and one scrolls", backend, 100 * under, "%",
        *size.bound(">= 95 %", under >= 0.95),
        f"without statistics {100 * under_alone:.1f} %, beside a busy core {100 * under_floor:.1f} %, {behind}",
    )  # fmt: skip
    yield Figure(
        "95th percentile of those frames against those without statistics", backend, beside / alone, "x",
        *size.bound("<= 1.1x", beside <= 1.1 * alone), f"{ms(beside)}, without {ms(alone)}",
    )  # fmt: skip


async def update(address: str, size: Size, backend: str) -> AsyncIterator[Figure]:
    """One update with all statistics of a new view of 20 columns, which the service gave in several.

    Script is what the page's thread spends on it, from decoding the frame until it is painted.
    """
    wire = Wire()
    script, whole, touched = [], [], 0
    async with opened(address, wire) as page:
        await page.run("settled")
        for number in range(size.updates):
            wire.holds = lambda header: isinstance(header, StatsUpdate)
            first = len(wire.seen)
            await page.search(f"t{number + 1}")
            held: list[StatsUpdate] = []
            while not (held and held[-1].final):
                await asyncio.sleep(0.01)
                held = [header for header in wire.seen[first:] if isinstance(header, StatsUpdate)]
            merged = together(held)
            await page.begin("statistics")
            before = await page.times()
            wire.send(Frame(merged))
            touched += await page.taken()
            after = await page.times()
            script.append(after["ScriptDuration"] - before["ScriptDuration"])
            whole.append(after["TaskDuration"] - before["TaskDuration"])
    named = merged.statistics["filtered"].columns
    median = percentile(script, 0.5)
    yield Figure(
        f"script of one stats_update of {len(named)} columns", backend, median * 1000, "ms",
        *size.bound("< 16 ms", median < 0.016),
        f"{sum(map(len, named.values()))} statistics, median of {len(script)}, longest {ms(max(script))}; "
        f"with styles, layout and paint {ms(percentile(whole, 0.5))}",
    )  # fmt: skip
    yield Figure(
        "changes in cells of rows by a stats_update",
        backend,
        touched,
        "",
        "0",
        touched == 0,
        f"of {len(script)} updates",
    )


def together(updates: list[StatsUpdate]) -> StatsUpdate:
    """Several updates as one."""
    cells: dict[str, ScopeCells] = {}
    for header in updates:
        for scope, news in header.statistics.items():
            known = cells.setdefault(scope, ScopeCells(columns={}))
            known.rows = news.rows or known.rows
            for column, statistics in news.columns.items():
                known.columns.setdefault(column, {}).update(statistics)
    return msgspec.structs.replace(updates[-1], statistics=cells)


async def memory(address: str, size: Size, backend: str) -> AsyncIterator[Figure]:
    """Memory of the tab after scrolling over rows, screen by screen, each drawn, against after a tenth of them."""
    async with opened(address) as page:
        await page.run("settled")
        start, (opening, _) = time.perf_counter(), await page.memory()
        await page.run("screens", size.scrolled // 10, ROW_HEIGHT)
        few, few_heap = await page.memory()
        await page.run("screens", size.scrolled - size.scrolled // 10, ROW_HEIGHT)
        many, many_heap = await page.memory()
    mib = 2**20
    yield Figure(
        f"memory of the tab after {size.scrolled:,} rows against {size.scrolled // 10:,}", backend, many / few, "x",
        *size.bound("<= 1.5x", many <= 1.5 * few),
        f"opened {opening / mib:,.0f} MiB, then {few / mib:,.0f} MiB, {many / mib:,.0f} MiB, of it objects "
        f"{few_heap / mib:,.1f} MiB, {many_heap / mib:,.1f} MiB; in {time.perf_counter() - start:,.0f} s",
    )  # fmt: skip


async def figures(backends: list[str], size: Size) -> AsyncIterator[Figure]:
    flights, wide = flights_file(round(size.rows / ROWS_ONCE)), wide_file(20, 100_000)
    words = Words(flights)
    for backend in backends:
        async with serving(flights, backend) as address:
            for measure in (keystroke, frames):
                async for figure in measure(address, words, size, backend):
                    yield figure
            async for figure in memory(address, size, backend):
                yield figure
        async with serving(wide, backend) as address:
            async for figure in update(address, size, backend):
                yield figure


@click.command(help=__doc__)
@click.option("--backend", "backends", multiple=True, default=("duckdb",), show_default=True)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--scrolled", default=100_000, show_default=True, help="Rows after which memory is looked at.")
@click.option("--quick", is_flag=True, help="Little of everything, to see that it works; no bound but 0 changes.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(backends: tuple[str, ...], rows: int, scrolled: int, quick: bool, target: str | None, strict: bool) -> None:
    copies = max(1, round(rows / ROWS_ONCE))
    size = Size(copies * ROWS_ONCE, 20, 12, 10, scrolled, quick)
    if quick:
        size = Size(ROWS_ONCE, 3, 2, 2, 2_000, quick)
    found = told(figures(list(backends), size))
    report(f"{size.rows:,} rows x 19 columns, in Chromium, {os.cpu_count()} cores", found, target, strict)


if __name__ == "__main__":
    main()
