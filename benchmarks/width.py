"""Tables of any width and dirt: `python -m benchmarks.width [--backends a,b] [--quick] [--json FILE]`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.progress import track

import lazyflow as lf
from benchmarks import deep, sampled, second_process
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, ms, percentile, report, seconds
from benchmarks.tables import high_cardinality_file, wide_file

SIGHT = 20
"""Columns that a person sees at once."""

WINDOW = (0, 100)


def rows_of_a_wide_table(backend: str, narrow: Path, wide: Path, columns: int, times: int) -> Iterator[Figure]:
    """First rows of the columns in sight, against those of a table that has no others."""
    taken: dict[Path, list[float]] = {narrow: [], wide: []}
    for path in taken:
        with lf.DataFlow(path, backend=backend) as flow:
            sight = list(flow.schema)[:SIGHT]
            flow.apply(lf.State(sort=[lf.Sort(sight[1])]), WINDOW, sight)
            for number in range(times * 3):
                state = lf.State(filters=[lf.Filter("n4", ">", number)])
                taken[path].append(seconds(lambda s=state, f=flow, c=sight: f.apply(s, WINDOW, c)))
    few, many = (percentile(found, 0.5) for found in taken.values())
    yield Figure(
        f"rows of {SIGHT} columns in sight, of {columns:,}", backend, many / few, "x", "<= 3x", many <= 3 * few,
        f"{ms(many)}, of a table of {SIGHT} columns {ms(few)}",
    )  # fmt: skip


def statistics_in_sight(backend: str, path: Path, columns: int) -> Iterator[Figure]:
    """From the first view of a wide table to all statistics of the columns in sight."""
    with lf.DataFlow(path, backend=backend) as flow:
        sight = list(flow.schema)[:SIGHT]
        step = flow.apply(lf.State(), WINDOW, sight)
        known = []

        def watch(what: str, _: object) -> None:
            if what == "started":
                cells = step.known()[0].cells
                if not any(cell is None for want, cell in cells if want.column and want.column.name in sight):
                    known.append(time.perf_counter())

        flow.watch_statistics_queries(watch)
        start = time.perf_counter()
        step.resolve()
        whole = time.perf_counter() - start
    first = (known[0] if known else start + whole) - start
    yield Figure(
        f"statistics of {SIGHT} columns in sight, of {columns:,}", backend, first * 1000, "ms", "<= 5,000 ms",
        first <= 5, f"of all columns {ms(whole)}",
    )  # fmt: skip


def high_cardinality(backend: str, path: Path, rows: int, times: int) -> Iterator[Figure]:
    """All statistics of columns with as many values as rows, against SUMMARIZE with the same number of threads."""
    import duckdb

    taken, summarize = [], []
    for _ in range(times):
        with lf.DataFlow(path, backend=backend) as flow:
            step = flow.apply(lf.State(), WINDOW)
            taken.append(seconds(step.resolve))
        with duckdb.connect(config={"threads": max(1, (os.cpu_count() or 2) - 1)}) as connection:
            statement = f"SUMMARIZE SELECT * FROM '{path}'"
            summarize.append(seconds(lambda c=connection, s=statement: c.execute(s).fetchall()))
    value, against = percentile(taken, 0.5), percentile(summarize, 0.5)
    must = backend == "duckdb"
    yield Figure(
        f"statistics of ten columns of {rows:,} values against SUMMARIZE", backend, value / against, "x",
        "<= 0.6x" if must else "", value <= 0.6 * against if must else None, f"{ms(value)}, SUMMARIZE {ms(against)}",
    )  # fmt: skip


_PEAK = """
import sys
import lazyflow as lf
with lf.DataFlow(sys.argv[1], backend=sys.argv[2]) as flow:
    flow.apply(lf.State()).resolve()
    flow.apply(lf.State(search="1")).resolve()
# Not by getrusage, to which a program has what the process that started it once had.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def memory(backend: str, path: Path, what: str) -> Iterator[Figure]:
    """The greatest memory of a process that looks at a file and at a search in it; the file is not in memory."""
    answer = subprocess.run([sys.executable, "-c", _PEAK, path, backend], check=True, capture_output=True, text=True)
    value = int(answer.stdout) / 1024
    must = backend != "pandas"
    yield Figure(
        f"memory, {what}", backend, value, "MiB", "<= 1,024 MiB" if must else "", value <= 1024 if must else None,
        "the whole process, all statistics of two views" + ("" if must else "; the source is in memory too"),
    )  # fmt: skip


def figures(backends: list[str], columns: int, rows: int, high: int, times: int) -> Iterator[Figure]:
    narrow, wide, many = wide_file(SIGHT, rows), wide_file(columns, rows), high_cardinality_file(high)
    flights = flights_file(max(3, round(high / ROWS_ONCE)))
    for backend in backends:
        yield from rows_of_a_wide_table(backend, narrow, wide, columns, times)
        yield from statistics_in_sight(backend, wide, columns)
        yield from high_cardinality(backend, many, high, times)
        yield from memory(backend, many, f"{high:,} rows of ten columns, few values twice")
        yield from sampled.figures(flights, [backend], times)
        yield from deep.figures(flights, [backend], times, straight=False)
        yield from second_process.figures(high, [backend], times)


@click.command(help=__doc__)
@click.option("--backends", default="duckdb,xorq,pandas", show_default=True, help="Backends, separated by commas.")
@click.option("--quick", is_flag=True, help="A tenth of the columns and rows, once: to see that it works.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(backends: str, quick: bool, target: str | None, strict: bool) -> None:
    sizes = (200, 10_000, 500_000, 1) if quick else (2_000, 100_000, 5_000_000, 3)
    found = list(track(figures(backends.split(","), *sizes), "measuring", transient=True, total=None))
    report(f"{sizes[0]:,} columns, {sizes[1]:,} rows; {os.cpu_count()} cores", found, target, strict)


if __name__ == "__main__":
    main()
