"""Statistics of some of the rows first: `python -m benchmarks.sampled [--rows N] [--backends a,b] [--json FILE]`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import track

import lazyflow as lf
from benchmarks.core import COMMON, WINDOW, summarize_seconds, with_raw_statistics
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.statistics.sampling import SampleQuery


def sampled_and_all(backend: str, path: Path) -> tuple[float, float]:
    """Seconds from the start of a filtered view's statistics to those of the sample, and to all of them."""
    looks: list[float] = []
    with with_raw_statistics(backend, path) as flow:

        def watch(what: str, query: StatisticsQuery) -> None:
            if what == "started" and not isinstance(query, SampleQuery):  # what the sample told was handed over
                looks.append(time.perf_counter())

        step = flow.apply(lf.State(search=COMMON), WINDOW)
        flow.watch_statistics_queries(watch)
        start = time.perf_counter()
        step.resolve()
        return looks[0] - start, time.perf_counter() - start


def figures(path: Path, backends: list[str], times: int) -> Iterator[Figure]:
    summarize = summarize_seconds(path, times)
    for backend in backends:
        pairs = [sampled_and_all(backend, path) for _ in range(times)]
        first, whole = (percentile([pair[place] for pair in pairs], 0.5) for place in (0, 1))
        must = backend == "duckdb"
        yield Figure(
            "sampled statistics against SUMMARIZE", backend, first / summarize, "x", "<= 0.1x" if must else "",
            first <= 0.1 * summarize if must else None,
            f"{ms(first)}, SUMMARIZE {ms(summarize)}; of all rows {ms(whole)}, {whole / first:.1f}x as long",
        )  # fmt: skip


@click.command(help=__doc__)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--backends", default="duckdb,xorq,pandas", show_default=True, help="Backends, separated by commas.")
@click.option("--times", default=3, show_default=True, help="Rounds, of which the median counts.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(rows: int, backends: str, times: int, target: str | None, strict: bool) -> None:
    copies = max(3, round(rows / ROWS_ONCE))  # fewer rows are not sampled
    work = figures(flights_file(copies), backends.split(","), times)
    found = list(track(work, "measuring", transient=True, total=None))
    title = f"{copies * ROWS_ONCE:,} rows x 19 columns, those with {COMMON}; {os.cpu_count()} cores"
    report(title, found, target, strict)


if __name__ == "__main__":
    main()
