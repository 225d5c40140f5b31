"""The state that a session accepted last, what is known of its view, and how long that took."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Literal

from cachetools import LRUCache

from lazyflow.plan import Plan
from lazyflow.protocol import ColumnSchema, ErrorOf, Outcome
from lazyflow.session.board import GROUPS, Board, News
from lazyflow.session.rows import GivenRows, Seen, WantedRows
from lazyflow.step import Step

log = logging.getLogger("lazyflow.changes")

_BODIES_KEPT = 8
"""So many bodies are kept for clients that come later, or come back to a window."""


def columns_in_sight(plan: Plan, seen: Collection[Seen]) -> tuple[str, ...]:
    """The columns that some client sees, in the order of the table."""
    names = {name for columns in seen for name in columns.of(plan)}
    return tuple(name for name in plan.schema if name in names)


class Current:
    """One accepted state of a session.

    Attributes
    ----------
    step
        Its view.
    board
        The statistics as clients see them.
    row_count
        Numbers of rows by scope, as far as they are known.
    bodies
        The last few bodies of rows.
    failure
        Why its statistics do not come, or None.
    rows_handed_over
        Set once some client's rows are on their way: statistics, which would take their core, wait for it.
    reopened
        Whether it was accepted because the source's files had changed under the one before.
    stopped
        Whether somebody stopped its statistics.
    stale
        Whether the source is no longer what the state was accepted for: of this view nothing more is fetched.
    """

    def __init__(
        self, step: Step, board: Board, session: str, in_sight: tuple[str, ...] = (), reopened: bool = False
    ) -> None:
        self.step = step
        self.board = board
        self.reopened = reopened
        self.stale = False
        self.stopped = False
        self.rows_handed_over = asyncio.Event()
        columns = step.plan.stages["shown"].columns
        self.schema = tuple(ColumnSchema(column.name, str(column.type), column.kind) for column in columns)
        self.row_count: dict[str, int] = {}
        self.bodies: LRUCache[WantedRows, bytes] = LRUCache(_BODIES_KEPT)
        self.failure: ErrorOf | None = None
        self.outcome: Outcome | None = None
        self._session = session
        self._in_sight = in_sight
        self._accepted = time.perf_counter()
        self._rows_at: float | None = None
        self._groups_at: dict[str, float] = {}

    @property
    def generation(self) -> int:
        """The number of the state change."""
        return self.step.generation

    @property
    def has_rows(self) -> bool:
        """Whether some client's rows are there."""
        return self._rows_at is not None

    def add_rows(self, given: GivenRows, number: int) -> None:
        """Rows came: `number` of them. Where there are fewer than asked for, the number of all is known."""
        self.bodies[given.wanted] = given.body
        if self._rows_at is None:
            self._rows_at = self._elapsed()
        start, stop = given.wanted.window
        if number < stop - start and (number or not start):
            plan = self.step.plan
            shown = plan.stages["shown"].digest
            self.row_count |= {scope: start + number for scope in plan.scopes if plan.stages[scope].digest == shown}

    def see(self, seen: Collection[Seen]) -> None:
        """Clients see these columns, each its own. Until all statistics are there, theirs come first."""
        columns = columns_in_sight(self.step.plan, seen)
        if columns != self._in_sight and not self.board.complete:
            self._in_sight = columns
            self.step.see(columns)

    def add_statistics(self, news: News) -> None:
        """More is known; what nobody sees (the edges of histograms) is no news."""
        if not news.cells and news.complete == self.board.complete and self.board.version:
            return
        self.board.add(news)
        self.row_count |= news.row_count
        for group in GROUPS:
            if group not in self._groups_at and news.progress[group].known == news.progress[group].wanted:
                self._groups_at[group] = self._elapsed()

    @property
    def final(self) -> bool:
        """Whether rows and all statistics are there."""
        return self.has_rows and self.board.complete

    def end(self, how: Literal["final", "superseded", "error", "closed"]) -> Outcome | None:
        """The change is over, unless it was before: write one line about it to the log."""
        if self.outcome is not None:
            return None
        step = self.step
        self.outcome = Outcome(
            generation=self.generation,
            ended=how,
            milliseconds=self._elapsed(),
            rows_milliseconds=self._rows_at,
            summary_milliseconds=self._groups_at.get("summary"),
            distribution_milliseconds=self._groups_at.get("distribution"),
            rows=self.row_count.get(step.plan.scopes[-1]),
            queries_started=step.queries_started,
            queries_cancelled=step.queries_cancelled,
        )
        fields = {name: getattr(self.outcome, name) for name in self.outcome.__struct_fields__}
        line = " ".join(f"{name}={'-' if value is None else value}" for name, value in fields.items())
        log.info("change session=%s %s", self._session[:6], line)
        return self.outcome

    def _elapsed(self) -> float:
        return round((time.perf_counter() - self._accepted) * 1000, 1)
