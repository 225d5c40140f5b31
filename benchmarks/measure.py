"""Taking times, and saying whether they are good enough."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One line of a benchmark's table.

    Parameters
    ----------
    what, backend
        What was measured, where.
    value, unit
        The figure: a ratio ("x"), or milliseconds ("ms").
    budget
        The bound that must be kept, as text, or empty where the figure is only reported.
    met
        Whether it is kept; None where there is no bound.
    detail
        The times behind it.
    """

    what: str
    backend: str
    value: float
    unit: str
    budget: str
    met: bool | None
    detail: str

    def as_json(self) -> dict[str, object]:
        """The figure as JSON takes it."""
        return asdict(self)


def columns(figure: Figure) -> tuple[str, ...]:
    """The cells of a figure's line in a table: what, backend, figure, must reach, whether it does, behind it."""
    mark = {True: "yes", False: "[red]NO[/red]", None: ""}[figure.met]
    value = f"{figure.value:,.2f}{figure.unit}" if figure.unit == "x" else f"{figure.value:,.1f} {figure.unit}"
    return figure.what, figure.backend, value, figure.budget, mark, figure.detail


def told(figures: AsyncIterator[Figure]) -> list[Figure]:
    """All figures, each of which is printed once it is there."""
    found: list[Figure] = []

    async def measure() -> None:
        async for figure in figures:
            found.append(figure)
            console().print(" | ".join(filter(None, columns(figure))), soft_wrap=True)

    asyncio.run(measure())
    return found


def report(title: str, found: list[Figure], target: str | None, strict: bool) -> None:
    """Print all figures as a table, and write them to a JSON file where one is named.

    Raises
    ------
    SystemExit
        With 1, if it is `strict` and a budget is not kept.
    """
    table = Table(title=title)
    for column in ("what", "backend", "figure", "must reach", "", "behind it"):
        table.add_column(column, justify="right" if column == "figure" else "left")
    for figure in found:
        table.add_row(*columns(figure))
    console().print(table)
    if target:
        Path(target).write_text(json.dumps([figure.as_json() for figure in found], indent=1))
    if strict and any(figure.met is False for figure in found):
        raise SystemExit(1)


def console() -> Console:
    """The terminal, or a file as wide as a table needs."""
    return Console(width=max(Console().width, 150))


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def median(function: Callable[[], float], times: int) -> float:
    """The median of what `function` returns."""
    return statistics.median(function() for _ in range(times))


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ms(value: float) -> str:
    return f"{value * 1000:,.1f} ms"


@contextmanager
def longest_pause() -> Iterator[list[float]]:
    """Yields a list that holds, after the block, the longest time for which another Python thread did not run."""
    ended = threading.Event()
    longest = [0.0]

    def tick() -> None:
        last = time.perf_counter()
        while not ended.is_set():
            time.sleep(0.0005)
            now = time.perf_counter()
            longest[0] = max(longest[0], now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield longest
    finally:
        ended.set()
        thread.join()
