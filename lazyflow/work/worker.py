"""The worker: a thread that runs the most urgent query that somebody wants, and cancels what nobody wants any more.

Nothing is ever queued. There are generations, each the set of content keys that one view wants, and there is what runs.
A worker thread takes the most urgent query that somebody wants, runs it, keeps the result, and looks again; it lives
only while there is something to do. A newer generation of the same owner replaces the older one: a running query that
nobody wants any more is cancelled, one that is still wanted goes on.

Beside statistics a generation may want the row numbers of its view, which make windows far down quick. They come before
statistics where somebody looks that far, after them where nobody does yet, and are kept by content key too, within a
bound of bytes of their own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Literal

from lazyflow.cache import Cache
from lazyflow.errors import Cancelled, EngineError, LazyflowError, OutOfTime, SourceChanged
from lazyflow.memo import Memo
from lazyflow.query import PrepareQuery
from lazyflow.statistics.results import Cell
from lazyflow.threads import Alarm, Call, dismiss_idle, spawn
from lazyflow.work.generation import Generation, Wanted
from lazyflow.work.token import CancelToken

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.statistics.queries import StatisticsQuery
    from lazyflow.statistics.registry import CellKey

log = logging.getLogger("lazyflow.work")

ROW_NUMBERS_BYTES = 128 * 2**20

_PATIENCE = 5.0
"""Seconds for which `close` waits for a query that was given up: it may never come back."""

Watcher = Callable[[Literal["started", "ended"], "StatisticsQuery"], None]


class Work:
    """All statistics work of a flow and its forks.

    Parameters
    ----------
    run
        Executes a query, as `Backend.run` does.
    cache
        Where results are kept.
    row_numbers_bytes
        Bound on the row numbers that are kept, in bytes.

    Attributes
    ----------
    alarm
        What says that the time of a query is up.
    """

    alarm: Callable[[float, Callable[[], None]], Alarm] = Alarm

    def __init__(
        self,
        run: Callable[[StatisticsQuery | PrepareQuery, CancelToken], pa.Table],
        cache: Cache,
        row_numbers_bytes: int = ROW_NUMBERS_BYTES,
    ) -> None:
        self._run = run
        self.cache = cache
        self.row_numbers: Memo[Hashable, pa.Array] = Memo(row_numbers_bytes, lambda numbers: numbers.nbytes)
        self._changed = threading.Condition()
        self._current: dict[object, Generation] = {}
        self._numbers: dict[object, int] = {}
        self._running: StatisticsQuery | PrepareQuery | None = None
        self._token = CancelToken()
        self._worker: Call | None = None
        self._last_worker: Call | None = None
        self._last_alarm: Alarm | None = None
        self._given_up: list[Call] = []
        self._claims = 0
        self._closed = False
        self._watchers: tuple[Watcher, ...] = ()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """See `DataFlow.watch_statistics_queries`."""
        with self._changed:
            self._watchers = (*self._watchers, watcher)

        def end() -> None:
            with self._changed:
                self._watchers = tuple(other for other in self._watchers if other is not watcher)

        return end

    def begin(self, owner: object, wanted: Wanted) -> Generation:
        """The generation of `owner` that wants this, in place of the one before; the same one if it wants the same."""
        with self._changed:
            if self._closed:
                raise LazyflowError("the flow is closed")
            before = self._current.get(owner)
            if before is not None and before.stands_for(wanted):
                before.wanted = wanted  # the order of priority may be another
                return before
            self._numbers[owner] = self._numbers.get(owner, 0) + 1
            generation = Generation(self, owner, self._numbers[owner], wanted)
            self._current[owner] = generation
            self._claims += 1
            self._supersede(before)
        self._notify([before] if before else [])
        return generation

    def end(self, owner: object) -> None:
        """Withdraw everything that `owner` wants."""
        with self._changed:
            before = self._current.pop(owner, None)
            self._claims += 1
            self._supersede(before)
        self._notify([before] if before else [])

    def supersede_all(self) -> None:
        """Take every generation out, since the source they were made for is no longer current."""
        for owner in list(self._current):
            self.end(owner)
        self.row_numbers.clear()

    def close(self) -> None:
        """Withdraw everything and wait for the worker to leave the engine."""
        self.supersede_all()
        with self._changed:
            self._closed = True
            worker = self._last_worker  # it may have nothing left to do, and yet not be gone
            given_up = self._given_up
        if worker is not None:
            worker.join()
        if self._last_alarm is not None and not given_up:
            self._last_alarm.join()
        if not all(other.join(_PATIENCE) for other in given_up):
            log.warning("the engine does not let go of a statistics query that was given up")
        dismiss_idle()

    def see(self, generation: Generation, wanted: Wanted) -> None:
        """See `Generation.see`."""
        with self._changed:
            generation.wanted = wanted
            self._claims += 1

    def start(self, generation: Generation) -> None:
        """See `Generation.start`."""
        with self._changed:
            generation._started, generation._stopped = True, False
            self._claims += 1
            if self._worker is None and (not generation.settled or self._pays(generation)):
                self._start_worker()

    def stop(self, generation: Generation) -> None:
        """See `Generation.stop`."""
        with self._changed:
            running = self._running
            wanted = running is not None and generation.wants(running)
            generation._stopped, generation._asked = True, None
            self._claims += 1
            if wanted:
                generation.queries_cancelled += self._leave_off()

    def prepare(self, generation: Generation) -> None:
        """See `Generation.prepare`."""
        with self._changed:
            query = generation.prepare_query
            if query is None or generation._numbers in ("asked", "failed") or generation.superseded:
                return
            if generation.row_numbers is not None:
                return
            rows = generation.wanted.rows_known(generation.known)
            if rows is not None and not query.fits(rows):
                generation._numbers = "failed"
                return
            generation._numbers = "asked"
            self._claims += 1
            if self._worker is None:
                self._start_worker()

    def ask_alone(self, generation: Generation, key: CellKey, seconds: float | None) -> None:
        """See `Generation.ask_alone`."""
        with self._changed:
            generation.check()
            generation._alone[key] = seconds
            generation._asked = None
            self._claims += 1
            if self._worker is None:
                self._start_worker()

    def wait_prepared(self, generation: Generation, timeout: float | None) -> bool:
        """See `Generation.wait_prepared`."""
        with self._changed:
            done = self._changed.wait_for(lambda: generation.superseded or generation._numbers != "asked", timeout)
            generation.check()
            if not done:
                raise TimeoutError(f"row numbers were not prepared after {timeout} seconds")
            return generation.row_numbers is not None

    def _pays(self, generation: Generation) -> bool:
        """Whether row numbers are worth preparing although nobody asked: everything else is known, and rows are many.

        Once for a view: those that others displaced are prepared again only where somebody misses them.
        """
        query = generation.prepare_query
        if query is None or not generation._started or generation._numbers != "unasked" or not generation.complete:
            return False
        rows = generation.wanted.rows_known(generation.known)
        return rows is not None and query.pays(rows) and generation.row_numbers is None

    def wait_alone(self, generation: Generation, key: CellKey) -> None:
        """See `Generation.wait_alone`."""
        with self._changed:
            self._changed.wait_for(lambda: generation.answered(key))
            generation.check()

    def _start_worker(self) -> None:
        self._worker = self._last_worker = spawn(self._loop, "lazyflow-statistics")

    def give_up(self, generation: Generation, fault: LazyflowError) -> None:
        """Wait no longer for the query that runs, if it is what keeps a generation from going on.

        Generations that want it end with `fault`. The thread that runs it is left to itself, for it may never come
        back, and another one takes its place. A query that others want, and this one does not, is given its time.
        """
        with self._changed:
            running = self._running
            if running is None or generation.settled:
                return
            if not (generation.wants(running) or isinstance(running, PrepareQuery) or self._token.cancelled):
                return
            self._token.cancel()
            self._running = None
            if self._worker is not None:
                self._given_up = [call for call in [*self._given_up, self._worker] if not call.join(0)]
            concerned = self._without(running, fault)  # else the new worker would ask the same
            self._start_worker()
        self._notify(concerned)

    def wait(self, generation: Generation, timeout: float | None) -> None:
        """See `Generation.wait`."""
        with self._changed:
            done = self._changed.wait_for(lambda: generation.settled, timeout)
            generation.check()
            if not done:
                raise TimeoutError(f"statistics were not complete after {timeout} seconds")

    def subscribe(self, generation: Generation, listener: Callable[[], None]) -> Callable[[], None]:
        """See `Generation.subscribe`."""
        with self._changed:
            generation._listeners.append(listener)

        def end() -> None:
            with self._changed:
                if listener in generation._listeners:
                    generation._listeners.remove(listener)

        return end

    def _supersede(self, generation: Generation | None) -> None:
        """Take a generation out, its rows query and the running query with it unless someone still wants that."""
        if generation is None:
            return
        generation._superseded = True
        generation.rows_token.cancel()
        running = self._running
        if running is not None and self._leave_off():
            generation.queries_cancelled += not isinstance(running, PrepareQuery) and generation.wants(running)

    def _leave_off(self) -> bool:
        """Cancel the running query, unless someone still wants it; whether that was done."""
        running = self._running
        if running is None or any(generation.wants(running) for generation in self._current.values()):
            return False
        self._token.cancel()
        return True

    def _notify(self, generations: list[Generation]) -> None:
        with self._changed:
            self._changed.notify_all()
            listeners = [listener for generation in generations for listener in generation._listeners]
        for listener in listeners:
            try:
                listener()
            except Exception:
                log.exception("a listener of statistics failed")

    def _loop(self) -> None:
        with self._changed:
            me = self._worker
        while True:
            claims, found = self._next()
            with self._changed:
                if self._worker is not me:  # given up
                    return
                if claims != self._claims:  # somebody wants something else by now
                    continue
                if found is None:
                    self._worker = self._running = None
                    return
                asking, query = found
                if not isinstance(query, PrepareQuery):
                    asking._asked = (type(query), query.cells)
                self._current[asking._owner] = self._current.pop(asking._owner)
                self._running, self._token = query, CancelToken()
                token = self._token
                for generation in self._current.values():
                    generation.queries_started += not isinstance(query, PrepareQuery) and generation.wants(query)
            try:
                if isinstance(query, PrepareQuery):
                    self._prepare(query, token)
                else:
                    self._execute(query, token)
            except Cancelled:
                log.debug("cancelled: %s", type(query).__name__)
            except SourceChanged as error:
                with self._changed:
                    concerned = self._without(query, error)
                self._notify(concerned)
            except BaseException as error:  # whatever it is: without a worker nobody would get statistics any more
                log.exception("%s broke", type(query).__name__)
                fault = EngineError(f"a statistics query broke: {type(error).__name__}: {error}")
                with self._changed:
                    concerned = self._without(query, fault)
                self._notify(concerned)
            finally:
                with self._changed:
                    if self._worker is me:
                        self._running = None

    def _without(self, query: StatisticsQuery | PrepareQuery, fault: LazyflowError) -> list[Generation]:
        """Settle those who want a query which can neither be answered nor split: they would ask it for ever.

        Statistics end with the fault; without row numbers, a view is as before.
        """
        concerned = [g for g in self._current.values() if g.wants(query)]
        for generation in concerned:
            if isinstance(query, PrepareQuery):
                generation._numbers = "failed"
            else:
                generation._fault = fault
        return concerned

    def _prepare(self, query: PrepareQuery, token: CancelToken) -> None:
        """Compute row numbers and keep them, if they are not too many."""
        try:
            numbers = self._run(query, token).column(0).combine_chunks()
        except Cancelled:
            raise
        except LazyflowError as error:  # of changed files too: whoever asks for rows is told
            log.warning("row numbers were not prepared: %s", error)
            with self._changed:
                concerned = self._without(query, error)
        else:
            self.row_numbers.put(query.key, numbers)
            with self._changed:
                concerned = [g for g in self._current.values() if g.wants(query)]
                for generation in concerned:
                    generation._numbers = "given"
        self._notify(concerned)

    def _next(self) -> tuple[int, tuple[Generation, StatisticsQuery | PrepareQuery] | None]:
        """The next query that somebody wants, and the state of claims that it was made for; owners take turns.

        What somebody waits for comes first: a statistic asked for alone, then row numbers. Row numbers that nobody
        asked for come last of all.

        Queries are made outside of the lock: that takes milliseconds, and event loops wait for the lock.
        """
        with self._changed:
            claims, current = self._claims, list(self._current.values())
        asked = next((g for g in current if g._numbers == "asked" and not g.superseded), None)
        for generation in current:
            if generation._fault is not None or generation.superseded:
                continue
            self._recall(generation)
            try:
                query = self._next_alone(generation)
                begun = generation._started and not generation._stopped
                if query is None and begun and asked is None:
                    query = generation.wanted.next_query(generation.known)
            except Exception as error:
                log.exception("no statistics query could be made")
                fault = EngineError(f"no statistics query could be made: {type(error).__name__}: {error}")
            else:
                if query is None:
                    continue
                if generation._asked != (type(query), query.cells):
                    return claims, (generation, query)
                log.error("%s of %d cells makes no progress", type(query).__name__, len(query.cells))
                fault = EngineError("statistics make no progress: the same query would be asked again")
            with self._changed:
                generation._fault = fault
            self._notify([generation])
        for generation in [asked] if asked is not None else [g for g in current if self._pays(g)]:
            assert generation.prepare_query is not None
            return claims, (generation, generation.prepare_query)
        return claims, None

    def _next_alone(self, generation: Generation) -> StatisticsQuery | None:
        """The query for a cell that was asked for alone: it is computed anew, also where it ran out of time before."""
        with self._changed:
            asked = next(iter(generation._alone.items()), None)
        if asked is None:
            return None
        key, seconds = asked
        query = generation.wanted.query_for(
            key, lambda other: None if other in generation._alone else generation.known(other), seconds
        )
        if query is None:
            with self._changed:
                generation._alone.pop(key, None)
            self._notify([generation])
        return query

    def _execute(self, query: StatisticsQuery, token: CancelToken) -> None:
        """Run a query and deliver its cells; one that fails is split until the guilty cells stand alone."""
        failure: LazyflowError
        try:
            cells = query.read(self._run_watched(query, token))
        except Cancelled:
            if token.cancelled:
                raise
            self._ran_out(query, token)
            return
        except SourceChanged:
            raise
        except LazyflowError as error:
            failure = error
        except Exception as error:
            log.exception("the answer to a statistics query could not be read")
            failure = EngineError(f"{type(error).__name__}: {error}")
        else:
            missing = query.unanswered(cells)
            self._deliver(query, cells | {key: Cell(error=EngineError("the engine gave no answer")) for key in missing})
            return
        token.check()
        parts = query.split()
        log.info("%s of %d cells failed, split in %d: %s", type(query).__name__, len(query.cells), len(parts), failure)
        for part in parts:
            self._execute(part, token)
        if not parts:
            log.warning("%s failed: %s", type(query).__name__, failure, exc_info=failure)
            self._deliver(query, query.failed(failure))

    def _ran_out(self, query: StatisticsQuery, token: CancelToken) -> None:
        """A query took longer than it may: its statistics are asked for one by one, one that is alone is given up."""
        parts = query.singly()
        log.info("%s of %d cells ran out of time", type(query).__name__, len(query.cells))
        for part in parts:
            self._execute(part, token)
        if not parts:
            fault = OutOfTime(f"ran out of time: it took the engine more than {query.seconds:g} seconds")
            self._deliver(query, query.failed(fault))

    def _run_watched(self, query: StatisticsQuery, token: CancelToken) -> pa.Table:
        """Run a query for no longer than it may take; one that is stopped for that is Cancelled, `token` is not."""
        self._tell("started", query)
        limited = CancelToken()
        alarm = self.alarm(query.seconds, limited.cancel) if query.seconds is not None else None
        self._last_alarm = alarm or self._last_alarm
        try:
            with token.on_cancel(limited.cancel):
                return self._run(query, limited)
        finally:
            if alarm is not None:
                alarm.end()
            self._tell("ended", query)

    def _tell(self, what: Literal["started", "ended"], query: StatisticsQuery) -> None:
        for watcher in self._watchers:
            try:
                watcher(what, query)
            except Exception:
                log.exception("a watcher of statistics queries failed")

    def _recall(self, generation: Generation) -> None:
        """Once, before the engine is asked for anything: take what is on disk."""
        if generation._recalled:
            return
        generation._recalled = True
        try:
            found = self.cache.recall(generation.wanted.keys)
        except Exception:
            log.exception("the cache on disk could not be read")
            return
        if found:
            self._spread(frozenset(found), found)

    def _deliver(self, query: StatisticsQuery, cells: dict[CellKey, Cell]) -> None:
        self.cache.put(cells)
        self._spread(query.concerns, cells)
        try:
            self.cache.store(cells)
        except Exception:
            log.exception("the cache on disk could not be written")

    def _spread(self, keys: frozenset[CellKey], cells: Mapping[CellKey, Cell]) -> None:
        """Tell those generations of cells that want any of the keys."""
        with self._changed:
            concerned = [g for g in self._current.values() if keys & g.wanted.keys]
            for generation in concerned:
                generation._cells.update(cells)
                for key in cells:
                    generation._alone.pop(key, None)
        self._notify(concerned)
