"""The page that people read: rows, statistics below them; on a terminal they are filled in as they arrive."""

from __future__ import annotations

import io
import os
import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lazyflow.dataflow import DataFlow
from lazyflow.show.fitting import cut_front
from lazyflow.show.rows import rows_table
from lazyflow.show.summary import summary_table
from lazyflow.show.values import printable
from lazyflow.statistics.results import Statistics
from lazyflow.step import Step

PIPE_WIDTH = 120
"""Columns of text where there is no terminal, unless COLUMNS says otherwise: the same text wherever it is run."""


class Page:
    """Writes the page to a terminal or, as plain text, to a pipe or file."""

    def __init__(self, file: TextIO, start: float) -> None:
        self._start = start
        self._terminal = file.isatty()
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors="replace")  # a terminal that has no block characters shows question marks
        width = None if self._terminal else _columns_of_environment() or PIPE_WIDTH
        self._console = Console(
            file=file, width=width, force_terminal=self._terminal, color_system="auto" if self._terminal else None,
            highlight=False, markup=False, emoji=False, soft_wrap=False,
        )  # fmt: skip
        self._live: Live | None = None
        self._status = self._console.status("opening") if self._terminal else None
        if self._status:
            self._status.start()

    def opened(self, flow: DataFlow, name: str) -> None:
        """Remember what is shown, for the headline."""
        self._own = [item.name for item in flow.statistics if item.name in flow.own_statistics]
        room = self._console.width - len(f" on {flow.backend}")
        self._headline = f"{cut_front(printable(name), room)} on {flow.backend}"
        if self._status:
            self._status.update("reading rows")

    def rows(self, step: Step, columns: tuple[str, ...]) -> None:
        """Print the rows, and begin the statistics below."""
        self._step = step
        self._columns = columns
        self._stop_status()
        self._rows_after = time.perf_counter() - self._start
        self._print(Text(self._headline, "bold"))
        self._print(rows_table(step, columns, self._console.width))
        if self._terminal:
            self._live = Live(console=self._console, refresh_per_second=10, transient=True)
            self._live.start()
            self.statistics(step.statistics)

    def statistics(self, statistics: Statistics) -> None:
        """Fill in what is known by now; a pipe waits for the whole."""
        if self._live:
            self._live.update(Group(self._summary(statistics), Text(f"statistics: {_known(statistics):.0%}", "dim")))

    def complete(self, statistics: Statistics) -> None:
        """Print the statistics."""
        self._stop_live()
        self._print(self._summary(statistics))
        if self._terminal:
            after = time.perf_counter() - self._start
            self._print(Text(f"rows after {self._rows_after:.2f} s, statistics after {after:.2f} s", "dim"))

    def close(self) -> None:
        """Take down what moves."""
        self._stop_status()
        self._stop_live()

    def _print(self, text: Text) -> None:
        """Print to a terminal with its styles, elsewhere the bare text: long tables take rich a while."""
        if self._terminal:
            self._console.print(text, no_wrap=True, overflow="crop", crop=True)
        else:
            self._console.file.write(text.plain + "\n")
            self._console.file.flush()

    def _summary(self, statistics: Statistics) -> Text:
        return summary_table(self._step, statistics, self._columns, self._console.width, self._own)

    def _stop_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _stop_live(self) -> None:
        if self._live:
            live, self._live = self._live, None
            live.stop()


def _known(statistics: Statistics) -> float:
    """The share of the cells that are known."""
    cells = [cell for scope in statistics.values() for of_column in scope.values() for cell in of_column.values()]
    return sum(cell.basis != "pending" for cell in cells) / max(1, len(cells))


def _columns_of_environment() -> int | None:
    text = os.environ.get("COLUMNS", "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
