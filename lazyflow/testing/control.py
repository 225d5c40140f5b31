"""A harness's own backend, watched and held: what decides the order of events is the test, never a clock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lazyflow import threads
from lazyflow.dataflow import DataFlow
from lazyflow.query import Query
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.testing.harness import Harness
from lazyflow.threads import dismiss_idle
from lazyflow.work import CancelToken

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.backend import Backend
    from lazyflow.statistics.registry import CellKey, Statistic

T = TypeVar("T")

PATIENCE = float(os.environ.get("LAZYFLOW_PATIENCE", "20"))
"""Seconds after which a wait counts as lost: a bound on failing tests, nothing that a passing one depends on."""


@dataclass(eq=False)
class Visit:
    """One query at the engine, by its `outcome`: waiting at the gate, inside, answered, or stopped."""

    query: Query
    token: CancelToken
    outcome: str = "waiting"


class Alarm(threads.Alarm):
    """The time that a query has: `ring` is what happens when it is up, unless it is `over` before."""

    def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
        self.seconds = seconds
        self.ring = ring
        self.over = False

    def end(self) -> None:
        """The query is over."""
        self.over = True

    def join(self) -> None:
        """There is no thread to wait for."""


class Control:
    """What the engine was asked, in order, a gate before it, and a clock that goes when the test says so.

    Attributes
    ----------
    visits
        The queries.
    alarms
        Those that were set for queries with a time budget.
    """

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self._changed = threading.Condition()
        self._holds: Callable[[Query], bool] = _nothing
        self.visits: list[Visit] = []

    @property
    def deferred(self) -> list[Visit]:
        """The visits of statistics queries."""
        return [visit for visit in self.visits if visit.query.deferred]

    @property
    def cells(self) -> list[CellKey]:
        """The cells that were asked for, once for each time."""
        queries = [visit.query for visit in self.visits]
        return [key for query in queries if isinstance(query, StatisticsQuery) for key in query.cells]

    def alarm(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """As `lazyflow.threads.Alarm`; it rings when `time_is_up` says so."""
        self.alarms.append(Alarm(seconds, ring))
        return self.alarms[-1]

    def time_is_up(self, visit: Visit) -> None:
        """The query at the gate has had its time; returns once it has left."""
        self.alarms[-1].ring()
        assert self.wait_until_left(visit) == "stopped"

    def hold(self, holds: Callable[[Query], bool] = lambda query: query.deferred) -> None:
        """From now on, stop such queries at the gate, and no others; without an argument, statistics queries."""
        with self._changed:
            self._holds = holds
            self._changed.notify_all()

    def release(self) -> None:
        """Open the gate, for those who stand before it too."""
        with self._changed:
            self._holds = _nothing
            self._changed.notify_all()

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        """Block until a visit's arrival or leaving makes it true; fails with `what` when it never does."""
        with self._changed:
            assert self._changed.wait_for(happened, PATIENCE), f"waited in vain: {what}"

    def wait_for_deferred(self, number: int = 1) -> Visit:
        """The `number`-th statistics query, counted from 1, once it has come."""
        self.wait_for(lambda: len(self.deferred) >= number, f"statistics query {number} comes to the engine")
        return self.deferred[number - 1]

    def wait_until_left(self, visit: Visit) -> str:
        """How a query left the engine, once it has."""
        self.wait_for(
            lambda: visit.outcome in ("answered", "stopped"), f"{type(visit.query).__name__} leaves the engine"
        )
        return visit.outcome

    def arrive(self, query: Query, token: CancelToken) -> Visit:
        """A query comes; it passes the gate when that is open, or leaves when it is cancelled."""
        visit = Visit(query, token)
        with self._changed:
            self.visits.append(visit)
            self._changed.notify_all()
        return visit

    def stand(self, visit: Visit) -> None:
        """Before the gate: until it is open, or nobody wants the query any more."""
        with visit.token.on_cancel(self._look), self._changed:
            free = self._changed.wait_for(lambda: visit.token.cancelled or not self._holds(visit.query), PATIENCE)
        assert free, "a query was held and never released"
        visit.token.check()
        self.move(visit, "inside")

    def move(self, visit: Visit, outcome: str) -> None:
        """A query goes in, or leaves."""
        with self._changed:
            visit.outcome = outcome
            self._changed.notify_all()

    def _look(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _nothing(query: Query) -> bool:
    return False


def watched(harness: Harness, **members: Any) -> tuple[Backend, Control]:
    """An instance of the harness's backend whose `execute` goes through a `Control`.

    `members` are further members of its class, as a subclass would define them.
    """
    engine, control = harness.backend(), Control()
    own: Any = type(engine)

    def execute(self: Any, query: Query, token: CancelToken) -> pa.Table:
        visit = control.arrive(query, token)
        try:
            control.stand(visit)
            answer = own.execute(self, query, token)
        except BaseException:
            control.move(visit, "stopped")
            raise
        control.move(visit, "answered")
        return answer

    engine.__class__ = type(f"Watched{own.__name__}", (own,), {"execute": execute, **members})
    return engine, control


@contextmanager
def controlled(
    harness: Harness, table: pa.Table, statistics: Iterable[Statistic] = (), **members: Any
) -> Iterator[tuple[DataFlow, Control]]:
    """A flow over the table on a watched engine; at the end the gate is opened and the flow closed.

    `statistics` are an app's own, `members` as in `watched`. No query runs out of time but by `Control.time_is_up`.
    """
    engine, control = watched(harness, **members)
    flow = DataFlow(harness.source(table), backend=engine, statistics=statistics)
    flow._shared.work.alarm = control.alarm
    try:
        yield flow, control
    finally:
        control.release()
        flow.close()


class Call(Generic[T]):
    """A function under way in a thread of its own."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"test-{function}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._error = error

    def result(self) -> T:
        """What the function returned or raised; fails if it does neither."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"{self._function} never came to an end"
        if self._error is not None:
            raise self._error
        return self._result[0]


def statistics_threads() -> list[str]:
    """The threads that compute statistics and are alive, by name."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lazyflow-statistics")]


def threads_left() -> list[str]:
    """The threads of lazyflow that do not come to an end by themselves."""
    dismiss_idle()
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("lazyflow")]
    for thread in ours:
        thread.join(PATIENCE)
    return [thread.name for thread in ours if thread.is_alive()]
