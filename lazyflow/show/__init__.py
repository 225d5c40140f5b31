"""What `lazyflow show` does: a table's rows at once, below them its statistics as they arrive."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lazyflow.dataflow import DataFlow
from lazyflow.show.asking import parse_columns, parse_filter, parse_sort
from lazyflow.show.demo import NAME as DEMO
from lazyflow.show.demo import demo_frame
from lazyflow.show.events import Events
from lazyflow.show.page import Page
from lazyflow.state import State
from lazyflow.statistics.registry import Statistic
from lazyflow.statistics.results import Statistics
from lazyflow.step import Step


@dataclass(frozen=True)
class Request:
    """What a person typed; `path` is None for the demo, `table` for all but one of several in a database.

    `statistics` are the app's own. `cache` are the keywords of `DataFlow` for the one on disk.
    """

    path: str | None
    table: str | None
    backend: str | None
    search: str = ""
    filters: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()
    rows: int = 10
    columns: tuple[str, ...] = ()
    cache: Mapping[str, Any] = field(default_factory=dict)
    statistics: tuple[Statistic, ...] = ()

    @property
    def name(self) -> str:
        """What is shown, as its heading says it."""
        if self.path is None:
            return DEMO
        return self.path if self.table is None else f"{self.path} {self.table}"


class Output(Protocol):
    """Where it is shown. The methods are called in this order, `statistics` any number of times."""

    def opened(self, flow: DataFlow, name: str) -> None:
        """The source is open."""

    def rows(self, step: Step, columns: tuple[str, ...]) -> None:
        """The rows are there; `columns` are those asked for, none means all."""

    def statistics(self, statistics: Statistics) -> None:
        """More statistics are known."""

    def complete(self, statistics: Statistics) -> None:
        """All that was asked for is known."""

    def close(self) -> None:
        """Nothing more comes, whatever the reason."""


def show_table(request: Request, as_json: bool, start: float) -> None:
    """Show what was asked for on stdout.

    Parameters
    ----------
    request
        What to show.
    as_json
        Whether to write events as JSON, one a line.
    start
        When the command began, as `time.perf_counter()` tells it.
    """
    output: Output = Events(sys.stdout, start) if as_json else Page(sys.stdout, start)
    try:
        with _open(request) as flow:
            output.opened(flow, request.name)
            asyncio.run(_show(flow, request, output))
    finally:
        output.close()


def show_sql(request: Request) -> None:
    """Write the view, all of its rows and columns, as one statement of the engine's SQL to stdout."""
    with _open(request) as flow:
        sys.stdout.write(flow.compile(_state(flow, request)).sql() + "\n")


def _open(request: Request) -> DataFlow:
    if request.path is None:
        return DataFlow(demo_frame(), backend=request.backend or "duckdb", statistics=request.statistics)
    given = {"table": request.table, "statistics": request.statistics, **request.cache}
    return DataFlow(request.path, request.backend, **given)


def _state(flow: DataFlow, request: Request) -> State:
    return State(
        search=request.search,
        filters=tuple(parse_filter(text, flow.schema) for text in request.filters),
        sort=tuple(key for text in request.sorts for key in parse_sort(text, flow.schema)),
    )


async def _show(flow: DataFlow, request: Request, output: Output) -> None:
    columns = parse_columns(request.columns, flow.schema)
    try:
        async for update in flow.stream(_state(flow, request), (0, request.rows), columns):
            if update.phase == "rows":
                output.rows(update.step, columns)
            if _known(update.statistics, columns):
                output.complete(update.statistics)
                return
            if update.phase == "statistics":
                output.statistics(update.statistics)
    finally:
        # Here, not later: asyncio waits for the thread that fetches rows, which leaves the engine only when told.
        flow.close()


def _known(statistics: Statistics, columns: tuple[str, ...]) -> bool:
    """Whether nothing is pending of the columns asked for: those of others need not be waited for."""
    if not columns:
        return statistics.complete
    return all(
        scope.rows.basis != "pending"
        and all(cell.basis != "pending" for name in columns for cell in scope[name].values())
        for scope in statistics.values()
    )


def quiet_others(debug: bool) -> None:
    """Keep the log and packages' warnings off the page; with `debug` all of it goes to stderr."""
    if debug:
        logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7.0f ms %(name)s: %(message)s")
        logging.getLogger("lazyflow").setLevel(logging.DEBUG)
        return
    logging.getLogger("lazyflow").addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")
