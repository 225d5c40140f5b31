"""Windows far down a view: `python -m benchmarks.deep [--rows N] [--backends a,b] [--straight] [--json FILE]`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
from rich.progress import track

import lazyflow as lf
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report, seconds

ROWS = 100
MOST = 3
"""So much longer than the first window of its view may any other one take."""

DELAYED = (lf.Sort("dep_delay", descending=True), lf.Sort("flight"))
VIEWS = {
    "searched": lf.State(search="JFK"),
    "sorted": lf.State(sort=DELAYED),
    "sorted by text": lf.State(sort=[lf.Sort("tailnum")]),
    "searched and sorted": lf.State(search="JFK", sort=DELAYED),
}


PLACES = {"in the middle": 0.5, "at the end": 1.0}


@dataclass
class Taken:
    """Seconds that each thing took, once for each round; `by_number` and `straight` by place."""

    first: list[float] = field(default_factory=list)
    preparing: list[float] = field(default_factory=list)
    by_number: dict[str, list[float]] = field(default_factory=lambda: {place: [] for place in PLACES})
    straight: dict[str, list[float]] = field(default_factory=lambda: {place: [] for place in PLACES})
    rows: int = 0


def window(rows: int, share: float) -> tuple[int, int]:
    """The window at a share of a view of so many rows."""
    start = min(int(rows * share), max(0, rows - ROWS))
    return start, start + ROWS


def round_of(backend: str, path: Path, state: lf.State, straight: bool, taken: Taken) -> None:
    """One round, with a flow to which the view is new; each window is fetched once."""
    with lf.DataFlow(path, backend=backend) as flow:
        flow.rows(lf.State(search="warm up"), (0, 1))
        taken.first.append(seconds(lambda: flow.apply(state, (0, ROWS))))
        step = flow.apply(state, (0, ROWS))
        taken.rows = taken.rows or flow.row_count(state)
        windows = {place: window(taken.rows, share) for place, share in PLACES.items()}
        if straight:
            for place in PLACES:
                taken.straight[place].append(seconds(partial(flow.rows, state, windows[place])))
        taken.preparing.append(seconds(step.prepare))
        for place in PLACES:
            taken.by_number[place].append(seconds(partial(step.fetch, windows[place])))


def view(backend: str, path: Path, name: str, times: int, straight: bool) -> Iterator[Figure]:
    """Windows far down a view whose row numbers are prepared, against its first one.

    With `straight`, the same windows are fetched without row numbers too, and held to nothing.
    """
    taken = Taken()
    for _ in range(times):
        round_of(backend, path, VIEWS[name], straight, taken)
    first, prepared = percentile(taken.first, 0.5), percentile(taken.preparing, 0.5)
    for place in PLACES:
        value = percentile(taken.by_number[place], 0.5)
        without = f", without row numbers {ms(percentile(taken.straight[place], 0.5))}" if straight else ""
        yield Figure(
            f"a window {place}, {name}", backend, value / first, "x", f"<= {MOST}x", value <= MOST * first,
            f"{ms(value)}, first {ms(first)}{without}; {taken.rows:,} row numbers {ms(prepared)}",
        )  # fmt: skip


def figures(path: Path, backends: list[str], times: int, straight: bool) -> Iterator[Figure]:
    for backend in backends:
        for name in VIEWS:
            yield from view(backend, path, name, times, straight)


@click.command(help=__doc__)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--backends", default="duckdb,xorq,pandas", show_default=True, help="Backends, separated by commas.")
@click.option("--times", default=3, show_default=True, help="Rounds, of which the median counts.")
@click.option("--straight", is_flag=True, help="Fetch the windows without row numbers too: on xorq, minutes.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(rows: int, backends: str, times: int, straight: bool, target: str | None, strict: bool) -> None:
    copies = max(1, round(rows / ROWS_ONCE))
    work = figures(flights_file(copies), backends.split(","), times, straight)
    found = list(track(work, "measuring", transient=True, total=None))
    title = f"windows of {ROWS} of {copies * ROWS_ONCE:,} rows x 19 columns, {os.cpu_count()} cores"
    report(title, found, target, strict)


if __name__ == "__main__":
    main()
