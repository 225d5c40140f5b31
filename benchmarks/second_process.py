"""A second process over the same file: `python -m benchmarks.second_process [--rows N] [--backends a,b]`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import track

import lazyflow as lf
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report

TERM = "JFK"
PAIRS = 40


def look(backend: str, path: str, directory: str | None) -> dict[str, Any]:
    """In this process: seconds until a searched view has its rows, and from then until all statistics are there."""
    queries: list[str] = []
    start = time.perf_counter()
    with lf.DataFlow(path, backend=backend, cache_directory=directory) as flow:
        flow.watch_statistics_queries(lambda what, _: queries.append(what))
        step = flow.apply(lf.State(search=TERM))
        rows = time.perf_counter()
        step.resolve()
        complete = time.perf_counter()
    return {"rows": rows - start, "statistics": complete - rows, "queries": queries.count("started")}


def in_a_process(backend: str, path: Path, directory: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.second_process", "--look", backend, str(path), directory]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def second_process(backend: str, path: Path, times: int) -> Iterator[Figure]:
    """From a view's rows to all its statistics, in a second process against the first."""
    first, second = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as directory:
            first.append(in_a_process(backend, path, directory))
            second.append(in_a_process(backend, path, directory))
            size = sum(found.stat().st_size for found in Path(directory).rglob("*") if found.is_file())
    one, other = (percentile([found["statistics"] for found in runs], 0.5) for runs in (first, second))
    queries = sum(found["queries"] for found in second)
    yield Figure(
        "statistics in a second process, sooner than in the first", backend, one / other, "x", "no query", queries == 0,
        f"first {ms(one)}, second {ms(other)}, {queries} queries; on disk {size / 1024:,.0f} KiB",
    )  # fmt: skip


def rows_with_a_directory(backend: str, path: Path) -> Iterator[Figure]:
    """What a cache directory costs the rows of views that were never seen, taken in turns with a flow without one."""
    with tempfile.TemporaryDirectory() as directory:
        flows = [lf.DataFlow(path, backend=backend, cache_directory=where) for where in (None, directory)]
        taken: list[list[float]] = [[], []]
        for number in range(PAIRS):
            for flow, times in zip(flows, taken, strict=True):
                # A filter that keeps every row makes the view a new one.
                state = lf.State(search=TERM, filters=[lf.Filter("year", "!=", -number)])
                start = time.perf_counter()
                step = flow.apply(state)
                times.append(time.perf_counter() - start)
                if number < 2:
                    step.resolve()
        for flow in flows:
            flow.close()
    differences = [beside - without for without, beside in zip(*taken, strict=True)][2:]
    later, without = percentile(differences, 0.5), percentile(taken[0][2:], 0.5)
    yield Figure(
        "rows, later with a cache directory than without", backend, later * 1000, "ms", "<= 1 ms", later <= 0.001,
        f"median of {len(differences)} pairs; without {ms(without)}",
    )  # fmt: skip


def figures(rows: int, backends: list[str], times: int) -> Iterator[Figure]:
    path = flights_file(max(1, round(rows / ROWS_ONCE)))
    for backend in backends:
        yield from second_process(backend, path, times)
        yield from rows_with_a_directory(backend, path)


@click.command(help=__doc__)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--backends", default="duckdb,xorq,pandas", show_default=True, help="Backends, separated by commas.")
@click.option("--times", default=3, show_default=True, help="Pairs of processes.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(rows: int, backends: str, times: int, target: str | None, strict: bool) -> None:
    found = list(track(figures(rows, backends.split(","), times), "measuring", transient=True, total=None))
    report(f"{max(1, round(rows / ROWS_ONCE)) * ROWS_ONCE:,} rows x 19 columns, search {TERM!r}", found, target, strict)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--look"]:
        print(json.dumps(look(*sys.argv[2:5])))
    else:
        main()
