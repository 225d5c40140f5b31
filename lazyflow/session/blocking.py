"""What a session does in threads: make the view of a change, fetch rows, look at statistics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from lazyflow.dataflow import DataFlow
from lazyflow.plan import Plan, check_columns
from lazyflow.protocol import BodyFormat
from lazyflow.session.board import Board, News
from lazyflow.session.client import Client, Sight
from lazyflow.session.current import Current, columns_in_sight
from lazyflow.session.rows import Seen, WantedRows, encode_rows
from lazyflow.state import State
from lazyflow.step import Step
from lazyflow.work import CancelToken

log = logging.getLogger("lazyflow.session")


@dataclass(frozen=True)
class Change:
    """A change that nobody has looked at yet, or that is being looked at.

    Attributes
    ----------
    number
        How many changes the session was asked for, this one included.
    client, request, sight
        Who asked for it, under which number, seeing what; None where the session itself did.
    reopened
        Whether it is the current state, asked for again because the source's files changed.
    """

    number: int
    state: State
    client: Client | None
    request: int | None = None
    sight: Sight | None = None
    reopened: bool = False


class Made(NamedTuple):
    """The view of a change, what of its statistics is known, and which rows its maker goes on to fetch, if any."""

    current: Current
    news: News
    wanted: WantedRows | None


@dataclass(eq=False)
class Fetch:
    """Rows that are being fetched: `task` gives them as a body, and their number."""

    current: Current
    wanted: WantedRows
    token: CancelToken
    task: asyncio.Future[tuple[bytes, int]]

    def abandon(self) -> None:
        """Stop the query, and do not wait until the engine lets go of it; how it ended is of no interest."""
        self.token.cancel()
        if not self.task.cancel() and not self.task.cancelled():
            self.task.exception()


@dataclass(frozen=True)
class Views:
    """Makes the views of one session.

    Parameters
    ----------
    flow
        The session's own.
    session, source
        Names, for the log.
    """

    flow: DataFlow
    session: str
    source: str

    def make(
        self,
        change: Change,
        others: Collection[Seen],
        before: int,
        body: BodyFormat | None,
        tell: Callable[[Made], None],
        token: CancelToken,
    ) -> tuple[bytes, int]:
        """Make the view of a change, tell of it at once, and go on with the rows that its client sees.

        To hand the rows to another thread would take longer than what is left to do before their query.

        Parameters
        ----------
        others
            The columns that other clients see.
        before
            The generation until now. If the change is none, its rows may be there.
        body
            The format in which the client takes its rows; None where it cannot take any now.
        """
        made = self._make(change, others)
        sight, current = change.sight, made.current
        if sight is not None and body is not None and current.generation != before:
            wanted = WantedRows.of(current.step.plan, sight.window, sight.seen, body)
            made = made._replace(wanted=wanted)
        tell(made)
        return fetch_rows(current.step, made.wanted, token) if made.wanted is not None else (b"", 0)

    def _make(self, change: Change, others: Collection[Seen]) -> Made:
        if self.flow.outdated:
            log.info("the files of %r changed: they are opened anew", self.source)
            self.flow.refresh()
        plan = self.flow.compile(change.state)
        mine = [change.sight.seen] if change.sight is not None else []
        for seen in mine:
            check_columns(seen.columns, plan.schema)
        in_sight = columns_in_sight(plan, [*mine, *others])
        step = self.flow.apply(change.state, (0, 0), in_sight)
        current = Current(step, Board(), self.session, in_sight, change.reopened)
        return Made(current, current.board.look(step), None)


def fetch_rows(step: Step, wanted: WantedRows, token: CancelToken) -> tuple[bytes, int]:
    """Rows as a body, and their number.

    Raises
    ------
    SourceChanged
        If the files are no longer those that the view was made for.
    """
    table = step.fetch(wanted.window, wanted.columns, token)
    return encode_rows(table, wanted), table.num_rows


def look(current: Current) -> News:
    """What is new in the statistics; raises as `fetch_rows` does, and what was found then is new still."""
    news = current.board.look(current.step)
    current.step.plan.source.fingerprint.check()
    return news


def sql_of(plan: Plan) -> str:
    """A view as SQL; files are not read by it itself, since where they lie is not for clients."""
    return replace(plan, source=replace(plan.source, statement=None)).sql()
