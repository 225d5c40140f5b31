"""The core's speed: `python -m benchmarks.core [--rows N] [--backends a,b] [--quick] [--json FILE]`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import track

import lazyflow as lf
from benchmarks.flights import ROWS_ONCE, flights_file
from benchmarks.measure import Figure, longest_pause, median, ms, percentile, report, seconds

COMMON, ABSENT = "JFK", "zqzq"
WINDOW = (0, 100)
SOONER = {"duckdb": 20, "xorq": 20, "pandas": 10}
BUILDING = {"duckdb": 0.015, "xorq": 0.025, "pandas": 0.015}


def open_flow(backend: str, path: Path) -> lf.DataFlow:
    return lf.DataFlow(path, backend=backend)


def with_raw_statistics(backend: str, path: Path) -> lf.DataFlow:
    """A flow as it is when someone begins to type: the first view's statistics are known."""
    flow = open_flow(backend, path)
    flow.apply(lf.State()).resolve()
    return flow


def split_against_single(backend: str, path: Path, times: int) -> Iterator[Figure]:
    """Rows of a new view with the split, against rows and statistics delivered as one frame (resolve, then show)."""
    split, single, whole = [], [], []
    for _ in range(times):
        with with_raw_statistics(backend, path) as flow:
            state = lf.State(search=COMMON)
            start = time.perf_counter()
            step = flow.apply(state, WINDOW)
            split.append(time.perf_counter() - start)
            step.resolve()
            single.append(time.perf_counter() - start)
        with open_flow(backend, path) as flow:
            whole.append(seconds(lambda flow=flow: flow.apply(lf.State(search=COMMON), WINDOW).resolve()))
    rows, frame = percentile(split, 0.5), percentile(single, 0.5)
    need = SOONER[backend]
    yield Figure(
        "rows with the split, sooner than one frame", backend, frame / rows, "x", f">= {need}x", frame / rows >= need,
        f"rows {ms(rows)}, one frame {ms(frame)}; first view of all: one frame {ms(percentile(whole, 0.5))}",
    )  # fmt: skip


def bare_query(flow: lf.DataFlow, state: lf.State) -> Callable[[], Any]:
    """The engine's own way to the same rows as Arrow: the same statement, nothing of lazyflow around it."""
    from lazyflow.query import RowsQuery

    plan = flow.compile(state)
    backend: Any = flow._shared.backend
    query = RowsQuery(plan, *WINDOW)
    if flow.backend == "duckdb":
        cursor = backend._opened.connection.cursor()
        statement = backend._statement(query, backend._opened, cursor)
        return lambda: cursor.sql(statement).to_arrow_table()
    if flow.backend == "xorq":
        session = backend._rows
        statement = backend._window(session, query, backend._opened)
        return lambda: list(session.connection.con.sql(statement).collect())
    executor = plan.raw.op().source
    expression = plan.window(*WINDOW)
    return lambda: executor.to_pyarrow(expression)


def rows_against_bare(backend: str, path: Path, times: int) -> Iterator[Figure]:
    """First rows of a view that was never seen, and of a known one, against the bare engine."""
    with open_flow(backend, path) as flow:
        flow.rows(lf.State(search="warm up"), (0, 1))
        for kind, term in (("common", COMMON), ("absent", ABSENT)):
            bare = bare_query(flow, lf.State(search=term))
            bare()
            new_times, bare_times = [], []
            for number in range(times):
                # A filter that keeps every row makes the view a new one: nothing compiled before serves it.
                new = lf.State(search=term, filters=[lf.Filter("year", "!=", -number)])
                new_times.append(seconds(lambda new=new: flow.apply(new, WINDOW)))
                bare_times.append(seconds(bare))
            known = median(lambda term=term: seconds(lambda: flow.rows(lf.State(search=term), WINDOW)), times)
            rows, engine, slack = percentile(new_times, 0.5), percentile(bare_times, 0.5), BUILDING[backend]
            yield Figure(
                f"rows against the bare engine, {kind} term", backend, rows / engine, "x",
                f"<= 1.25x + {slack * 1000:.0f} ms", rows <= 1.25 * engine + slack,
                f"new view {ms(rows)}, known view {ms(known)}, bare {ms(engine)}",
            )  # fmt: skip
            yield Figure(
                f"rows against the bare engine, {kind} term, known view", backend, known / engine, "x", "", None,
                f"known view {ms(known)}, bare {ms(engine)}",
            )  # fmt: skip


def summarize_seconds(path: Path, times: int) -> float:
    """DuckDB's SUMMARIZE of the searched rows, on an engine set up as ours."""
    with open_flow("duckdb", path) as flow:
        import ibis

        backend: Any = flow._shared.backend
        statement = ibis.to_sql(flow.compile(lf.State(search=COMMON)).filtered, dialect="duckdb")
        cursor = backend._opened.connection.cursor()
        return median(lambda: seconds(lambda: cursor.execute(f"SUMMARIZE {statement}").fetchall()), times)


def statistics_against_summarize(backend: str, path: Path, times: int, summarize: float) -> Iterator[Figure]:
    """All statistics of the filtered scope, against SUMMARIZE of the same rows with the same number of threads."""
    taken = []
    for _ in range(times):
        with with_raw_statistics(backend, path) as flow:
            step = flow.apply(lf.State(search=COMMON), WINDOW)
            taken.append(seconds(step.resolve))
    value = percentile(taken, 0.5)
    bound = {
        "duckdb": "one filter pass, then a hash table per column",
        "xorq": "the filtered rows are materialised once, block by block, then grouped per column",
        "pandas": "the filter: text kernels over all rows; counting is a sixth of it",
    }[backend]
    must = backend == "duckdb"
    yield Figure(
        "statistics against SUMMARIZE", backend, value / summarize, "x", "<= 0.35x" if must else "",
        value / summarize <= 0.35 if must else None, f"{ms(value)}, SUMMARIZE {ms(summarize)}; bound by: {bound}",
    )  # fmt: skip


def unwanted_work(backend: str, path: Path, times: int) -> Iterator[Figure]:
    """From the moment nobody wants a running statistics query to the moment it has left the engine."""
    taken = []
    for number in range(times):
        with open_flow(backend, path) as flow:
            started, ended = threading.Event(), threading.Event()
            flow.watch_statistics_queries(lambda what, _, s=started, e=ended: (s if what == "started" else e).set())
            step = flow.apply(lf.State(), WINDOW)
            step._generation.start()
            started.wait()
            time.sleep(0.02 + 0.03 * number)  # at another point of the query each time
            start = time.perf_counter()
            flow._shared.work.end(flow._owner)
            ended.wait()
            taken.append(time.perf_counter() - start)
    worst = max(taken)
    must = backend != "pandas"
    yield Figure(
        "unwanted work off the engine", backend, worst * 1000, "ms", "<= 50 ms" if must else "one kernel",
        worst <= 0.05 if must else None, f"longest of {times}, median {ms(percentile(taken, 0.5))}",
    )  # fmt: skip


def window_beside_statistics(backend: str, path: Path, windows: int) -> Iterator[Figure]:
    """Windows of a known view while statistics run without a break, against idle."""
    with with_raw_statistics(backend, path) as flow:
        state = lf.State(search=COMMON)

        def take() -> list[float]:
            return [seconds(lambda at=at: flow.rows(state, (at * 100, at * 100 + 100))) for at in range(windows)]

        take()
        idle = take()
        stop = threading.Event()
        other = flow.fork()

        def work() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                view = lf.State(filters=[lf.Filter("flight", ">", number % 50), lf.Filter("year", "!=", -number)])
                try:
                    other.apply(view, (0, 1)).resolve()
                except lf.Superseded:
                    return

        started = threading.Event()
        flow.watch_statistics_queries(lambda what, _: started.set())
        thread = threading.Thread(target=work)
        thread.start()
        started.wait()
        busy = take()
        stop.set()
        other.close()
        thread.join()
    before, beside = percentile(idle, 0.95), percentile(busy, 0.95)
    must = backend != "pandas"
    yield Figure(
        "a window while statistics run, 95th percentile", backend, beside / before, "x", "<= 2x" if must else "",
        beside / before <= 2 if must else None,
        f"idle {ms(before)}, beside statistics {ms(beside)}; "
        f"medians {ms(percentile(idle, 0.5))}, {ms(percentile(busy, 0.5))}",
    )  # fmt: skip


def pauses(rows: int) -> Iterator[Figure]:
    """The longest pause of another Python thread while pandas computes the statistics of up to 1,000,000 rows."""
    import pyarrow.parquet as pq

    million = pq.read_table(flights_file(max(1, min(3, rows // ROWS_ONCE)))).slice(0, min(rows, 1_000_000))
    with lf.DataFlow(million, backend="pandas") as flow:
        flow.apply(lf.State(), WINDOW).resolve()
        with longest_pause() as idle:
            time.sleep(0.5)
        worst = []
        for term in (COMMON, "LAX", "N1"):
            step = flow.apply(lf.State(search=term), WINDOW)
            with longest_pause() as busy:
                step.resolve()
            worst.append(busy[0])
    value = max(worst)
    yield Figure(
        f"longest pause of another thread, {million.num_rows:,} rows", "pandas", value * 1000, "ms", "<= 30 ms",
        value <= 0.03, f"of three views; idle {ms(idle[0])}",
    )  # fmt: skip


def importing() -> Iterator[Figure]:
    """`import lazyflow` in a fresh interpreter, less the interpreter's own start."""

    def run(code: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    empty = median(lambda: run("pass"), 7)
    value = median(lambda: run("import lazyflow"), 7) - empty
    yield Figure(
        "import lazyflow", "", value * 1000, "ms", "<= 150 ms", value <= 0.15, f"an empty interpreter {ms(empty)}"
    )


def figures(rows: int, backends: list[str], times: int) -> Iterator[Figure]:
    path = flights_file(max(1, round(rows / ROWS_ONCE)))
    summarize = summarize_seconds(path, min(times, 3))
    for backend in backends:
        yield from split_against_single(backend, path, times)
        yield from rows_against_bare(backend, path, max(times, 5))
        yield from statistics_against_summarize(backend, path, times, summarize)
        yield from unwanted_work(backend, path, max(times, 5))
        yield from window_beside_statistics(backend, path, 20 * times)
    if "pandas" in backends:
        yield from pauses(rows)
    yield from importing()


@click.command(help=__doc__)
@click.option("--rows", default=15 * ROWS_ONCE, show_default=True, help="Rows, in whole copies of the 336,776 flights.")
@click.option("--backends", default="duckdb,xorq,pandas", show_default=True, help="Backends, separated by commas.")
@click.option("--quick", is_flag=True, help="One run of each instead of three: to see that it works.")
@click.option("--json", "target", type=click.Path(dir_okay=False), help="Write the figures to this file as JSON too.")
@click.option("--strict", is_flag=True, help="Exit with 1 where a budget is not kept.")
def main(rows: int, backends: str, quick: bool, target: str | None, strict: bool) -> None:
    found = list(track(figures(rows, backends.split(","), 1 if quick else 3), "measuring", transient=True, total=None))
    copies = max(1, round(rows / ROWS_ONCE))
    title = f"{copies * ROWS_ONCE:,} rows x 19 columns, search {COMMON!r}, {os.cpu_count()} cores"
    report(title, found, target, strict)


if __name__ == "__main__":
    main()
