"""One shared view: changes are taken in their order, rows come first, statistics after; the newest state wins."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, Literal, TypeAlias

from lazyflow.dataflow import DataFlow
from lazyflow.errors import Cancelled, InvalidInput, LazyflowError, SourceChanged, Superseded
from lazyflow.formats import FileFormat
from lazyflow.protocol import CLOSE_CODES, VERSION, Options, Outcome, Refused, StatisticSchema, error_of
from lazyflow.session.blocking import Change, Fetch, Made, Views, fetch_rows, look, sql_of
from lazyflow.session.board import News
from lazyflow.session.client import Client, Sight
from lazyflow.session.current import Current
from lazyflow.session.download import Download
from lazyflow.session.rows import GivenRows, WantedRows
from lazyflow.settings import Settings
from lazyflow.state import OPERATORS, State
from lazyflow.threads import Threads
from lazyflow.work import CancelToken

log = logging.getLogger("lazyflow.session")

_CHANGES_KEPT = 64
_OUTCOMES_KEPT = 20
_THREADS = 16
CellName: TypeAlias = tuple[str, str, str]
"""Scope, column, statistic."""

_GONE = object()
_ENDED = object()


class Session:
    """One shared view.

    Everything here runs on one event loop; what may take long runs in threads beside it.

    Parameters
    ----------
    flow
        A fork of its own, that is closed with the session.
    name
        By which clients may join it.
    source
        Name of the table.
    settings
        Bounds and times.
    turns
        Held while a change is compiled: the sessions of a source have their turn one after the other.
    when_left
        Called with the session after a client left, and when the session broke.
    when_ended
        Called with the name of the table and what came of it once a change is over.
    """

    def __init__(
        self,
        flow: DataFlow,
        name: str,
        source: str,
        settings: Settings,
        turns: asyncio.Semaphore,
        when_left: Callable[[Session], None],
        when_ended: Callable[[str, Outcome], None],
    ) -> None:
        self.name = name
        self.source = source
        self.settings = settings
        self.clients: dict[Client, object] = {}
        self.current: Current | None = None
        self.superseded: deque[Outcome] = deque(maxlen=_OUTCOMES_KEPT)
        self._flow = flow
        self._views = Views(flow, name, source)
        self._turns = turns
        self._when_left = when_left
        self._when_ended = when_ended
        self._numbers = itertools.count(1)
        self._changes: list[Change] = []
        self._changes_wait = asyncio.Event()
        self._rows_wait = asyncio.Event()
        self._applying = False
        self._opened = False
        self._fetch: Fetch | None = None
        self._ahead: Fetch | None = None
        self._following: asyncio.Task[None] | None = None
        self._computing: dict[tuple[Current, CellName], list[tuple[Client, int | None]]] = {}
        self._downloads: set[Download] = set()
        self._threads = Threads(_THREADS)
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._forever(self._take_changes())
        self._forever(self._fetch_rows())

    def _forever(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a task of the session; if it breaks, the session is over, and its clients are told."""
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)  # it knows where it ended, and so the session: they would keep each other
            if not task.cancelled() and task.exception() is not None:
                log.error("session %s broke", self.name[:6], exc_info=task.exception())
                self.close(1011, CLOSE_CODES[1011])
                self._when_left(self)

        task.add_done_callback(ended)
        return task

    @property
    def introduction(self) -> dict[str, Any]:
        """What a client needs to know of the service, with its first frame."""
        options = Options(
            operators=OPERATORS,
            cleanings=self._flow.cleanings,
            post_processings=self._flow.post_processings,
            statistics=tuple(
                StatisticSchema(
                    item.name, item.group, tuple(sorted(item.kinds)), item.name in self._flow.own_statistics
                )
                for item in self._flow.statistics
            ),
            max_window_rows=self.settings.max_window_rows,
            max_columns=self.settings.max_columns,
        )
        return {"version": VERSION, "session": self.name, "source": self.source, "options": options}

    # -- what clients do

    def join(self, client: Client) -> None:
        """A client comes; it is sent the current state as soon as its rows are there."""
        self.clients[client] = None
        if self.current is None and self._opened and not self._changes and not self._applying:
            # The table could not be read when the session was opened; perhaps it can now.
            self._ask(State())

    def left(self, client: Client) -> None:
        """A client is gone; rows that only it wanted are not computed any more."""
        if self.clients.pop(client, _GONE) is not _GONE:
            self.rows_wanted()
            self._when_left(self)

    def open(self, state: State, client: Client) -> None:
        """The first state, asked for by the first client."""
        self._opened = True
        self.change(state, client, None, Sight(client.window, client.seen))

    def change(self, state: State, client: Client, request: int | None, sight: Sight) -> None:
        """A client wants another state. Of several the newest that is valid is accepted; the others are passed over."""
        self._ask(state, client, request, sight)

    def _ask(
        self,
        state: State,
        client: Client | None = None,
        request: int | None = None,
        sight: Sight | None = None,
        reopened: bool = False,
    ) -> None:
        self._changes.append(Change(next(self._numbers), state, client, request, sight, reopened))
        if len(self._changes) > _CHANGES_KEPT:
            _pass_over(self._changes.pop(0))
        self._changes_wait.set()

    def rows_wanted(self) -> None:
        """Some client sees other rows now: fetch them, and leave off what nobody sees any more."""
        if self.current is not None and not self.current.stale:
            self.current.see([client.seen for client in self.clients])
        if self._fetch is not None and not self._still_seen(self._fetch):
            self._fetch.abandon()
        if self._ahead is not None and not self._still_seen(self._ahead):
            self._ahead.abandon()
            self._ahead = None
        self._rows_wait.set()

    def _still_seen(self, fetch: Fetch) -> bool:
        if fetch.current is not self.current:
            return False
        seen = [client.sees(fetch.current) for client in self.clients]
        return any(fetch.wanted == wanted or fetch.wanted.overlaps(wanted) for wanted in seen)

    # -- changes

    async def _take_changes(self) -> None:
        while True:
            await self._changes_wait.wait()
            self._changes_wait.clear()
            while self._changes:
                async with self._turns:
                    await self._take(self._changes.pop())  # the newest: those before it count if it is not valid

    async def _take(self, change: Change) -> None:
        """Make the view of a change and accept it; its thread goes on at once with the rows that its client sees."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[Made] = loop.create_future()

        def tell(view: Made) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, made, view)

        others = [client.seen for client in self.clients if client is not change.client]
        before = self.current.generation if self.current is not None else 0
        body = change.client.body if change.client is not None and change.client.ready else None
        token = CancelToken()
        self._applying = True
        try:
            task = self._threads.start(self._views.make, change, others, before, body, tell, token)
            either: set[asyncio.Future[Any]] = {task, made}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            token.cancel()
            task.cancel()
            raise
        finally:
            self._applying = False
        if made.done():
            view = made.result()
            ahead = Fetch(view.current, view.wanted, token, task) if view.wanted is not None else None
            self._accept(change, view.current, view.news, ahead)
        else:
            error = task.exception()
            assert error is not None, "a view is told of before its rows are fetched"
            self._refuse(change, error)

    def _refuse(self, change: Change, error: BaseException) -> None:
        if not isinstance(error, InvalidInput):
            log.warning("a change failed: %s", error, exc_info=not isinstance(error, LazyflowError))
        current = self.current
        if change.client is not None:
            change.client.fail(error, change.request)
        if current is None and not isinstance(error, InvalidInput):
            for client in self.clients:  # who joined meanwhile waits for the same
                if client is not change.client:
                    client.fail(error)
        if current is not None and current.step.superseded:
            current.stale = True
        if current is not None and current.stale:
            if change.client is not None:
                self.reopen_if_stale()
            else:  # it was tried just now, and will be again as soon as somebody asks for something
                current.failure = error_of(error)
                self._end(current, "error")
                for client in self.clients:
                    client.failed()
        if self.current is None and isinstance(error, InvalidInput) and change.state != State() and not self._changes:
            self._ask(State())  # the table is shown nevertheless

    def _accept(self, change: Change, current: Current, news: News, ahead: Fetch | None) -> None:
        before = self.current
        if self._ahead is not None:
            self._ahead.abandon()
        self._ahead = ahead
        if before is None or before.generation != current.generation:
            self._end(before, "superseded")
            self.current = current
            current.add_statistics(news)
            for client in self.clients:
                client.forget_rows()
            self._start_following(current)
        elif before.stale:  # the source is again what it was
            before.stale, before.failure = False, None
            self._start_following(before)
        for passed in [other for other in self._changes if other.number < change.number]:
            self._changes.remove(passed)
            _pass_over(passed)
        if change.client is not None and change.sight is not None:
            change.client.accepted(change.request, change.sight)
            if change.client in self.clients:  # it is served first
                self.clients = {change.client: None} | self.clients
        self.rows_wanted()
        self._wake()

    def _reopen(self, current: Current) -> None:
        """The source is no longer what the current state was accepted for: accept the state anew."""
        if current is self.current:
            current.stale = True
            if not self._applying:  # else it is a newer change that took its place, and is about to be accepted
                self.reopen_if_stale()

    def reopen_if_stale(self) -> None:
        """Try again to open the source, if the current view cannot go on without."""
        if self.current is not None and self.current.stale and not self._changes:
            self.current.failure = None
            self._ask(self.current.step.plan.state, reopened=True)

    def _end(self, current: Current | None, how: Literal["final", "superseded", "error", "closed"]) -> None:
        outcome = current.end(how) if current is not None else None
        if outcome is None:
            return
        if outcome.ended == "superseded":
            self.superseded.append(outcome)
        self._when_ended(self.source, outcome)

    def _wake(self) -> None:
        for client in self.clients:
            client.wake()

    # -- rows

    async def _fetch_rows(self) -> None:
        while True:
            self._rows_wait.clear()
            wanted = self._next_rows()
            if wanted is None:
                await self._rows_wait.wait()
                continue
            assert self.current is not None
            await self._fetch_one(self.current, wanted)

    def _next_rows(self) -> WantedRows | None:
        """The rows that the client lacks who has waited longest."""
        current = self.current
        if current is None or current.stale:
            return None
        for client in list(self.clients):
            wanted = client.wanted_rows(current)
            if wanted is not None:
                self.clients[client] = self.clients.pop(client)  # the others have their turn before it has another
                return wanted
            client.wake()
        return None

    async def _fetch_one(self, current: Current, wanted: WantedRows) -> None:
        fetch, self._ahead = self._ahead, None
        if fetch is None or (fetch.current, fetch.wanted) != (current, wanted):
            if fetch is not None:
                fetch.abandon()
            token = CancelToken()
            fetch = Fetch(current, wanted, token, self._threads.start(fetch_rows, current.step, wanted, token))
        self._fetch, task = fetch, fetch.task
        try:
            await asyncio.wait({task}, timeout=self.settings.rows_timeout)
        finally:
            self._fetch = None
            late = not task.done()
            if late:
                fetch.abandon()
        if task.cancelled() and not late:
            return
        error = Refused("timeout") if late else task.exception()
        if current is not self.current:
            return
        if error is None:
            body, number = task.result()
            given = GivenRows(wanted, body)
            current.add_rows(given, number)
            if current.final:
                self._end(current, "final")
        elif isinstance(error, Cancelled):
            return
        elif isinstance(error, Superseded) or (isinstance(error, SourceChanged) and not current.reopened):
            self._reopen(current)
            return
        else:
            log.warning("rows failed: %s", error, exc_info=error)
            current.reopened = False  # the next time that rows are wanted, it is tried again
            given = GivenRows(wanted, error=error_of(error))
            if not current.has_rows:
                self._end(current, "error")
        for client in self.clients:
            client.give(given, current)

    # -- statistics

    def _start_following(self, current: Current) -> None:
        if self._following is not None:
            self._following.cancel()
        self._following = self._forever(self._follow(current))

    async def _follow(self, current: Current) -> None:
        """What is known already goes with the rows; what is not is computed once they are on their way."""
        try:
            await current.rows_handed_over.wait()
            if current.stopped:
                return
            current.step.start()
            changes = current.step.changes()
            try:
                while not current.board.complete and await self._next_change(current, changes):
                    current.add_statistics(await self._threads.run(look, current))
                    if current.final:
                        self._end(current, "final")
                    self._wake()
            finally:
                await changes.aclose()
        except (Superseded, SourceChanged):
            self._reopen(current)
        except LazyflowError as error:
            log.warning("statistics failed: %s", error, exc_info=error)
            current.failure = error_of(error)
            self._end(current, "error")
            self._wake()

    def want_statistics(self, wanted: bool) -> None:
        """A client stops the statistics of the current view, or lets them go on."""
        current = self.current
        assert current is not None
        if wanted and current.stopped:
            current.stopped = False
            self._start_following(current)
        elif not wanted and not current.board.complete and current.failure is None:
            current.stopped = True
            if self._following is not None:
                self._following.cancel()
            current.step.stop()
        self._wake()

    async def _next_change(self, current: Current, changes: AsyncGenerator[None, None]) -> bool:
        """Wait until more is known, False if all is; where it takes too long, the engine is given up."""
        waiting = asyncio.ensure_future(anext(changes, _ENDED))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=self.settings.statistics_timeout)
                if not waiting.done():
                    current.step.give_up(Refused("timeout"))
        except asyncio.CancelledError:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            raise
        try:
            return waiting.result() is not _ENDED
        finally:
            del waiting  # its error knows this frame

    # -- one statistic

    def compute(self, cell: CellName, client: Client, request: int | None) -> None:
        """A client wants one cell of the current view; who wants the same meanwhile is answered with it."""
        current = self.current
        assert current is not None
        waiting = self._computing.get((current, cell))
        if waiting is None:
            self._computing[current, cell] = waiting = []
            self._forever(self._compute(current, cell, waiting))
        if (client, request) not in waiting:
            waiting.append((client, request))

    async def _compute(self, current: Current, cell: CellName, waiting: list[tuple[Client, int | None]]) -> None:
        error: LazyflowError | None = None
        try:
            await current.step.compute_async(*cell, seconds=self.settings.statistics_timeout)
            news = await self._threads.run(look, current)
        except (Superseded, SourceChanged) as failure:
            self._reopen(current)
            if isinstance(failure, Superseded) and self._applying:
                return  # the newer state, which is about to be accepted, is the answer
            error = SourceChanged("the files of the source changed")
        except LazyflowError as failure:
            error = failure
        finally:
            del self._computing[current, cell]
        if current is not self.current:  # the newer state is the answer
            return
        if error is None:
            current.add_statistics(news)
        for client, request in waiting:
            client.computed(request, error)
        self._wake()

    # -- the whole view

    def write_sql(self, client: Client, request: int | None) -> None:
        """A client wants the current view as SQL."""
        assert self.current is not None
        self._forever(self._write_sql(self.current, client, request))

    async def _write_sql(self, current: Current, client: Client, request: int | None) -> None:
        try:
            async with self._turns:
                sql = await self._threads.run(sql_of, current.step.plan)
        except Exception as error:  # of sqlglot, say: the session goes on
            if not isinstance(error, LazyflowError):
                log.exception("a view could not be written as SQL")
            if current is self.current:
                client.fail(error, request)
            return
        if current is self.current:  # else the newer state is the answer
            client.written(request, sql)

    @property
    def downloads(self) -> int:
        """How many downloads are under way."""
        return len(self._downloads)

    async def download(self, format: FileFormat) -> AsyncGenerator[bytes, None]:
        """All rows and columns of the current view as a file, part by part; close it to stop.

        Changes from then on are none of its own. Rows that people look at go first, and are waited for by windows that
        have not begun.

        Raises
        ------
        Refused
            If there is no view yet, or the engine took too long for a window.
        Cancelled
            If the session ends.
        LazyflowError
            As `Download.parts`.
        """
        if self.current is None or self._closed:
            raise Refused("unknown_generation")
        state, flow = self.current.step.plan.state, self._flow.fork()
        download = Download(flow, state, format, self._threads, self.settings.rows_timeout)
        self._downloads.add(download)
        try:
            async with aclosing(download.parts(lambda: self._fetch.task if self._fetch else None)) as parts:
                async for part in parts:
                    yield part
        finally:
            self._downloads.discard(download)

    # -- the end

    def close(self, code: int = 1000, reason: str = "the session has ended") -> None:
        """End the session: its clients are told, what runs for it is stopped."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._following = None
        for fetch in (self._fetch, self._ahead):
            if fetch is not None:
                fetch.abandon()
        self._fetch = self._ahead = None
        for download in self._downloads:
            download.cancel()
        self._end(self.current, "closed")
        for client in list(self.clients):
            client.close(code, reason)
        self.clients.clear()
        self._flow.close()

    async def closed(self, timeout: float) -> bool:
        """Wait until its tasks and threads are gone, at most `timeout` seconds; whether they are."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return await Threads().run(self._threads.join, timeout)

    @property
    def over(self) -> bool:
        """Whether the session was closed."""
        return self._closed


def _settle(made: asyncio.Future[Made], view: Made) -> None:
    if not made.done():
        made.set_result(view)


def _pass_over(change: Change) -> None:
    """A newer change was accepted in place of this one."""
    if change.client is not None:
        change.client.passed_over(change.request)
