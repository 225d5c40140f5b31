"""One reader of a session: what it sees, and what it has been sent.

Nothing is queued for a client. What it is sent next is put together when it can take it, from what the session knows
then and what this client was sent before; so a slow client misses what was superseded meanwhile, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyflow.errors import LazyflowError
from lazyflow.plan import check_columns, check_window
from lazyflow.protocol import (
    ErrorFrame,
    Frame,
    InitialState,
    Join,
    Refused,
    RowCountFrame,
    RowsFrame,
    RowsRequest,
    SqlFrame,
    SqlRequest,
    StateChange,
    StateFrame,
    StatisticRequest,
    StatisticsWanted,
    StatsUpdate,
    Window,
    decode_message,
    error_of,
    request_of,
)
from lazyflow.session.current import Current
from lazyflow.session.rows import GivenRows, Seen, WantedRows
from lazyflow.state import State

if TYPE_CHECKING:
    from lazyflow.session.session import Session

log = logging.getLogger("lazyflow.session")

_ERRORS_KEPT = 100
"""A client that is owed more answers to broken requests than that does not read them."""


@dataclass(frozen=True)
class Sight:
    """What a client saw when it asked for a change; `moved` counts its requests for rows until then."""

    window: Window
    seen: Seen
    moved: int = 0


class Client:
    """One reader of a session; made by `Service.join`.

    Attributes
    ----------
    window, columns
        What of the rows it sees; without columns, all.
    close_code, close_reason
        Why its frames ended, once they have.
    """

    def __init__(self, session: Session, join: Join) -> None:
        self._session = session
        self.window, self.columns = _within(join.window, join.columns, session)
        most = session.settings.max_columns
        self._most = most if join.most_columns is None else min(most, join.most_columns)
        self.body = join.body
        self.close_code = 1000
        self.close_reason = ""
        self.ready = False
        self._closed = False
        self._wakeup = asyncio.Event()
        self._errors: deque[ErrorFrame] = deque()
        self._joined = False
        # What it has been sent of the session's current state, and what it is owed.
        self._sent: Current | None = None
        self._owed_state = True
        self._owed_rows = False
        self._rows: GivenRows | None = None
        self._passing: GivenRows | None = None
        self._change_answered: int | None = None
        self._rows_request: int | None = None
        self._moved = 0
        self._version = 0
        self._stopped = False
        self._row_count: dict[str, int] | None = {}
        self._failure_sent = False
        self._computed: list[int] = []
        self._sql: deque[tuple[int | None, str]] = deque(maxlen=_ERRORS_KEPT)

    @property
    def session(self) -> str:
        """Name of the session, by which others may join it."""
        return self._session.name

    @property
    def state(self) -> State | None:
        """The state that the session accepted last, whether the client was sent it or not; None before the first."""
        current = self._session.current
        return current.step.plan.state if current is not None else None

    @property
    def seen(self) -> Seen:
        """Which columns it sees."""
        return Seen(self.columns, self._most)

    # -- what the client says

    def receive(self, message: str | bytes) -> None:
        """Take a message of the client. It never raises: what is wrong is answered with an error."""
        if self._closed:
            return
        try:
            match decode_message(message):
                case StateChange() as change:
                    self._change(change)
                case RowsRequest() as request:
                    self._request_rows(request)
                case StatisticRequest() as request:
                    self._request_statistic(request)
                case StatisticsWanted() as request:
                    self._want_statistics(request)
                case SqlRequest() as request:
                    self._request_sql(request)
        except (LazyflowError, ValueError) as error:
            self.fail(error, request_of(message))
        except Exception as error:
            log.exception("a message could not be taken")
            self.fail(error, request_of(message))

    def _change(self, change: StateChange) -> None:
        if change.session is not None and change.session != self.session:
            raise Refused("wrong_session")
        window = self.window if change.window is None else change.window
        columns = self.columns if change.columns is None else change.columns
        window, columns = _within(window, columns, self._session)
        self._session.change(change.state, self, change.request, Sight(window, Seen(columns, self._most), self._moved))

    def _request_rows(self, request: RowsRequest) -> None:
        current = self._session.current
        if current is None or not 1 <= request.generation <= current.generation:
            raise Refused("unknown_generation")
        columns = self.columns if request.columns is None else request.columns
        window, columns = _within(request.window, columns, self._session)
        check_columns(columns, current.step.plan.schema)
        if request.generation < current.generation and not self.owes_state(current):
            return  # the newer state was sent already, with rows of its own
        self.window, self.columns = window, columns
        self._moved += 1
        self._rows_request = request.request
        self._owed_rows = True
        self._rows = None
        self._session.reopen_if_stale()
        self._session.rows_wanted()

    def _request_statistic(self, request: StatisticRequest) -> None:
        current = self._session.current
        if current is None or not 1 <= request.generation <= current.generation:
            raise Refused("unknown_generation")
        if request.generation == current.generation:  # else the newer state is the answer
            self._session.reopen_if_stale()
            self._session.compute((request.scope, request.column, request.statistic), self, request.request)

    def _want_statistics(self, request: StatisticsWanted) -> None:
        current = self._session.current
        if current is None or not 1 <= request.generation <= current.generation:
            raise Refused("unknown_generation")
        if request.generation == current.generation:  # else the newer state is the answer
            self._session.want_statistics(request.wanted)
            self.computed(request.request, None)
            self.wake()

    def _request_sql(self, request: SqlRequest) -> None:
        current = self._session.current
        if current is None or not 1 <= request.generation <= current.generation:
            raise Refused("unknown_generation")
        if request.generation == current.generation:  # else the newer state is the answer
            self._session.write_sql(self, request.request)

    def fail(self, error: BaseException, request: int | None = None) -> None:
        """Tell the client what went wrong."""
        if len(self._errors) >= _ERRORS_KEPT:
            self.close(4408, "too many answers were not read")
            return
        self._errors.append(_error_frame(error_of(error), request, None))
        self.wake()

    def leave(self) -> None:
        """The client is gone."""
        self.close(1000, "")
        self._session.left(self)

    def close(self, code: int, reason: str) -> None:
        """Let the client's frames end, and say why."""
        if not self._closed:
            self._closed, self.close_code, self.close_reason = True, code, reason
            self._errors.clear()
            self._rows = self._passing = None
            self.wake()

    # -- what the session does

    def accepted(self, request: int | None, sight: Sight) -> None:
        """A change of this client was accepted; what it asked to see since then is newer than what came with it."""
        self._change_answered = request
        self._owed_state = True  # also where the state is the one before
        if sight.moved == self._moved:
            self.window, self.columns = sight.window, sight.seen.columns
            self._owed_rows = False

    def passed_over(self, request: int | None) -> None:
        """A newer change was accepted in place of one of this client."""
        self._change_answered = request
        self._owed_state = True

    def owes_state(self, current: Current) -> bool:
        """Whether the client has not been sent this state."""
        return self._owed_state or self._sent is not current

    def wanted_rows(self, current: Current) -> WantedRows | None:
        """The rows that the client lacks and could take now, or None."""
        if not self.ready or not (self.owes_state(current) or self._owed_rows):
            return None
        wanted = self.sees(current)
        return None if self._has(wanted, current) else wanted

    def sees(self, current: Current) -> WantedRows:
        """The rows that the client sees; columns that the view does not have are left out."""
        return WantedRows.of(current.step.plan, self.window, self.seen, self.body)

    def give(self, given: GivenRows, current: Current) -> None:
        """Rows are there: for this client if it sees them, in part at least."""
        seen = self.sees(current)
        if given.wanted == seen:
            self._rows = given
            self.wake()
        elif given.error is None and self._owed_rows and given.wanted.overlaps(seen) and not self.owes_state(current):
            self._passing = given
            self.wake()

    def failed(self) -> None:
        """The view of the current state is broken: the client is told so, in place of what it waits for."""
        self._failure_sent = False
        self.wake()

    def computed(self, request: int | None, error: LazyflowError | None) -> None:
        """A statistic that this client asked for is there, or cannot be had."""
        if error is not None:
            self.fail(error, request)
        elif request is not None:
            self._computed.append(request)

    def written(self, request: int | None, sql: str) -> None:
        """The view as SQL, which this client asked for."""
        self._sql.append((request, sql))
        self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self._wakeup.set()

    def repeat(self) -> None:
        """Send again what is known of the numbers of rows, so that it turns out whether the client reads."""
        self._row_count = None
        self.wake()

    def forget_rows(self) -> None:
        """A newer state was accepted: rows of the older one are not sent any more."""
        self._rows = self._passing = None
        self._failure_sent = False
        self._computed.clear()
        self._sql.clear()

    # -- what the client is sent

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """What is to be sent, as long as the session lives; nothing is put together before it is asked for.

        When it ends, `close_code` and `close_reason` say why.
        """
        while not self._closed:
            frame = self._next()
            if frame is not None:
                self.ready = False
                yield frame
                if frame.body and self._sent is not None:
                    self._sent.rows_handed_over.set()
                continue
            self._wakeup.clear()
            if not self.ready:
                self.ready = True
                self._session.rows_wanted()
                continue
            await self._wakeup.wait()

    def _next(self) -> Frame | None:
        """The most urgent frame that this client is owed, or None. The order of these lines is the protocol's."""
        if self._errors:
            return Frame(self._errors.popleft())
        current = self._session.current
        if current is None:
            return None
        if self.owes_state(current):
            rows = self._rows_for(current)
            return None if rows is None else self._state(current, rows)
        if self._passing is not None:
            passing, self._passing = self._passing, None
            return self._rows_frame(current, passing, None)
        if self._owed_rows and (rows := self._rows_for(current)) is not None:
            self._owed_rows = False
            request = self._rows_request
            if rows.error is not None:
                return Frame(_error_frame(rows.error, request, current.generation))
            return self._rows_frame(current, rows, request)
        if self._sql:
            request, sql = self._sql.popleft()
            return Frame(SqlFrame(generation=current.generation, request=request, sql=sql))
        if self._row_count != current.row_count:
            self._row_count = dict(current.row_count)
            return Frame(RowCountFrame(generation=current.generation, row_count=dict(current.row_count)))
        if self._version < current.board.version or self._computed or self._stopped != current.stopped:
            return self._stats_update(current)
        if current.failure is not None and not self._failure_sent:
            self._failure_sent = True
            return Frame(_error_frame(current.failure, None, current.generation))
        return None

    def _has(self, wanted: WantedRows, current: Current) -> bool:
        """Whether the rows are there, perhaps because somebody wanted them before."""
        if self._rows is None and wanted in current.bodies:
            self._rows = GivenRows(wanted, current.bodies[wanted])
        return self._rows is not None and self._rows.wanted == wanted

    def _rows_for(self, current: Current) -> GivenRows | None:
        if current.stale and current.failure is not None:
            self._failure_sent = True
            return GivenRows(self.sees(current), error=current.failure)
        if not self._has(self.sees(current), current):
            return None
        rows, self._rows = self._rows, None
        return rows

    def _state(self, current: Current, rows: GivenRows) -> Frame:
        session, step = self._session, current.step
        before = self._sent.generation if self._sent is not None else current.generation
        if current is not self._sent:
            self._owed_rows = False
        self._sent, self._owed_state = current, False
        self._version, self._stopped = current.board.version, current.stopped
        self._row_count = dict(current.row_count)
        if rows.error is not None:
            self._errors.append(_error_frame(rows.error, self._change_answered, current.generation))
        cells, encoded = current.board.since(0)
        fields: dict[str, Any] = {
            "generation": current.generation,
            "request": self._change_answered,
            "state": step.plan.state,
            "schema": current.schema,
            "window": rows.wanted.window if rows.error is None else None,
            "columns": rows.wanted.columns,
            "row_count": dict(current.row_count),
            "statistics": cells,
            "progress": current.board.progress,
            "complete": current.board.complete,
            "stopped": current.stopped,
            "superseded": tuple(outcome for outcome in session.superseded if outcome.generation >= before),
        }
        if self._joined:
            return Frame(StateFrame(**fields), rows.body, encoded)
        self._joined = True
        return Frame(InitialState(**fields, **session.introduction), rows.body, encoded)

    def _rows_frame(self, current: Current, rows: GivenRows, request: int | None) -> Frame:
        window, columns = rows.wanted.window, rows.wanted.columns
        header = RowsFrame(generation=current.generation, request=request, window=window, columns=columns)
        return Frame(header, rows.body)

    def _stats_update(self, current: Current) -> Frame:
        cells, encoded = current.board.since(self._version)
        self._version, self._stopped = current.board.version, current.stopped
        header = StatsUpdate(
            generation=current.generation,
            statistics=cells,
            progress=current.board.progress,
            final=current.board.complete,
            answered=tuple(self._computed),
            stopped=current.stopped,
        )
        self._computed.clear()
        return Frame(header, statistics=encoded)


def _error_frame(error: Any, request: int | None, generation: int | None) -> ErrorFrame:
    return ErrorFrame(code=error.code, message=error.message, request=request, generation=generation)


def _within(window: Window, columns: tuple[str, ...], session: Session) -> tuple[Window, tuple[str, ...]]:
    """The window and columns, if they are within the service's bounds."""
    settings = session.settings
    start, stop = check_window(window)
    if stop - start > settings.max_window_rows:
        raise Refused("too_large", f"a window has at most {settings.max_window_rows:,} rows, not {stop - start:,}")
    if len(columns) > settings.max_columns:
        raise Refused("too_large", f"a window has at most {settings.max_columns:,} columns, not {len(columns):,}")
    return window, tuple(dict.fromkeys(columns))
