"""The rows of a view's windows: straight from the engine, or by their row numbers where these were prepared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lazyflow.errors import Cancelled, EngineError
from lazyflow.plan import Plan
from lazyflow.query import RowsQuery
from lazyflow.work import CancelToken, Generation

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("lazyflow.windows")

SLOW = 0.05
"""Seconds: of a view with a window that takes longer, row numbers are prepared once somebody looks further."""

MOST_ROWS = 10_000
"""Windows of more rows are not fetched by number: engines look each one up."""

Run = Callable[[RowsQuery, CancelToken], "pa.Table"]


def by_number(
    plan: Plan,
    window: tuple[int, int],
    columns: Sequence[str],
    numbers: pa.Array | None,
    run: Run,
    token: CancelToken,
) -> pa.Table | None:
    """The rows of a window by their numbers; None where these are of no use. No `columns` are all of them.

    Raises
    ------
    EngineError
        If the engine fails at them: it may yet give the rows without.
    """
    start, stop = window
    if numbers is None or stop - start > MOST_ROWS:
        return None
    if start >= len(numbers):
        return plan.no_rows(columns)
    return run(RowsQuery(plan, start, stop, columns, numbers.slice(start, stop - start)), token)


@dataclass
class Windows:
    """The windows of one view.

    Parameters
    ----------
    plan
        The view.
    generation
        Its claim to what is prepared.
    run
        Asks the engine, in the rows phase.
    """

    plan: Plan
    generation: Generation
    run: Run
    slow: bool = False

    def fetch(self, window: tuple[int, int], columns: Sequence[str], token: CancelToken) -> pa.Table:
        """The rows of a window, the same ones whichever way they come; no `columns` are all of them."""
        start, stop = window
        if start == stop:
            return self.plan.no_rows(columns)
        rows = self._by_number(window, columns, token)
        if rows is not None:
            return rows
        self._look_further(start)
        began = time.perf_counter()
        rows = self._straight(window, columns, token)
        slow = time.perf_counter() - began > SLOW
        self.slow = self.slow or (slow and (start > 0 or self._first_tells))
        self._look_further(start)
        return rows

    def _by_number(self, window: tuple[int, int], columns: Sequence[str], token: CancelToken) -> pa.Table | None:
        try:
            return by_number(self.plan, window, columns, self.generation.row_numbers, self.run, token)
        except EngineError as error:
            log.warning("rows could not be fetched by their numbers: %s", error)
            self.generation.distrust_row_numbers()
            return None

    @property
    def _first_tells(self) -> bool:
        """Whether first rows that take long foretell that others do: not where the engine keeps what it computed."""
        query = self.generation.prepare_query
        return query is not None and query.ahead

    def _look_further(self, start: int) -> None:
        """Somebody looks beyond the first rows: where that is slow, have the row numbers prepared."""
        if start and self.slow:
            self.generation.prepare()

    def _straight(self, window: tuple[int, int], columns: Sequence[str], token: CancelToken) -> pa.Table:
        """The rows from the engine; if meanwhile the row numbers come, which may be much sooner, by these."""
        query, straight = RowsQuery(self.plan, *window, columns), CancelToken()

        def look() -> None:
            if window[1] - window[0] <= MOST_ROWS and self.generation.row_numbers is not None:
                straight.cancel()

        end = self.generation.subscribe(look)
        look()
        try:
            with token.on_cancel(straight.cancel):
                return self.run(query, straight)
        except Cancelled:
            token.check()
            rows = self._by_number(window, columns, token)
            return self.run(query, token) if rows is None else rows
        finally:
            end()
