"""Threads for calls that may take long: as many as there are calls, kept for a moment for the next ones."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, current_thread
from typing import Any, ParamSpec, TypeAlias, TypeVar

from lazyflow.errors import Cancelled, EngineError

P = ParamSpec("P")
R = TypeVar("R")

IDLE_SECONDS = 0.5
"""How long a thread without a call is kept: to start one is to wait for it, which an event loop must not."""

_IDLE_NAME = "lazyflow-idle"


class Call:
    """A call under way in a thread of its own; made by `spawn`."""

    def __init__(self, function: Callable[[], None], name: str, after: Callable[[], None]) -> None:
        self.name = name
        self._function = function
        self._after = after
        self._ended = Event()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most `timeout` seconds; whether it has."""
        return self._ended.wait(timeout)

    def __call__(self) -> None:
        """Do it; the function says itself what becomes of its errors."""
        current_thread().name = self.name
        try:
            self._function()
        finally:
            current_thread().name = _IDLE_NAME

    def end(self) -> None:
        """Tell those who wait."""
        self._ended.set()
        self._after()
        del self._function, self._after  # what they hold lives no longer than the call


_Calls: TypeAlias = "SimpleQueue[Call | None]"
_lock = Lock()
_idle: dict[_Calls, Thread] = {}


def spawn(function: Callable[[], None], name: str, after: Callable[[], None] = lambda: None) -> Call:
    """Call the function in a thread that nobody else uses meanwhile; never waits.

    Parameters
    ----------
    function
        Must not raise.
    name
        Name of the thread as long as the call lasts.
    after
        Called in the thread when the call has ended and the thread is free for the next; must not raise or take long.
    """
    call = Call(function, name, after)
    with _lock:
        calls = _idle.popitem()[0] if _idle else None
    if calls is not None:
        calls.put(call)
        return call
    calls = SimpleQueue()
    calls.put(call)
    Thread(target=_work, args=(calls,), name=name, daemon=True).start()
    return call


def _work(calls: _Calls) -> None:
    """Take one call after the other, until none comes for a while."""
    while True:
        try:
            call = calls.get(timeout=IDLE_SECONDS)
        except Empty:
            with _lock:
                if _idle.pop(calls, None) is not None:
                    return
            continue  # a call was handed over just now
        if call is None:
            return
        call()
        if not IDLE_SECONDS:
            call.end()
            return
        with _lock:
            _idle[calls] = current_thread()  # before anybody hears of it, and dismisses what is idle
        call.end()


class Alarm:
    """Calls a function in a thread after so many seconds, unless it is ended before.

    Parameters
    ----------
    seconds
        How long.
    ring
        What is called then.

    Examples
    --------
    >>> alarm = Alarm(60.0, print)
    >>> alarm.end()
    >>> alarm.join()
    """

    def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
        self._seconds = seconds
        self._ring = ring
        self._over = Event()
        self._call = spawn(self._wait, "lazyflow-alarm")

    def _wait(self) -> None:
        if not self._over.wait(self._seconds):
            self._ring()

    def end(self) -> None:
        """It is not to ring any more; returns at once."""
        self._over.set()

    def join(self) -> None:
        """Wait until its thread is free, once it was ended or has rung."""
        self._call.join()


def dismiss_idle() -> None:
    """End the threads that have no call, and wait until they are gone."""
    with _lock:
        dismissed = dict(_idle)
        _idle.clear()
    for calls in dismissed:
        calls.put(None)
    for thread in dismissed.values():
        thread.join()


class Threads:
    """Runs blocking functions beside an event loop.

    A pool of fixed size would let a few calls that never come back stop all others. Here no call waits for another,
    and a bound says how many may be under way at once.

    Parameters
    ----------
    most
        How many calls may be under way, those that nobody waits for any more among them.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._alive: set[Call] = set()

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in a thread and await what it gives; see `start`.

        A cancelled task no longer waits; the call goes on until it ends by itself.

        Examples
        --------
        >>> asyncio.run(Threads().run(sum, [1, 2]))
        3
        """
        return await self.start(function, *args, **kwargs)

    def start(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        """Call the function in a thread; what it gives or raises will be that of the future.

        If too many calls are under way, since the engine does not come back, that is an `EngineError`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        context = contextvars.copy_context()

        result: Any = None
        failure: BaseException | None = None

        def call() -> None:
            nonlocal result, failure
            try:
                result = context.run(function, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                failure = error if not isinstance(error, StopIteration) else RuntimeError(repr(error))
            except BaseException as error:  # noqa: BLE001 - whoever waits must not be ended by an engine's SystemExit
                failure = EngineError(f"{type(error).__name__}: {error}")
                failure.__cause__ = error

        def settle() -> None:
            nonlocal failure
            if not future.done():
                if failure is None:
                    future.set_result(result)
                else:
                    future.set_exception(failure)
            failure = None  # it knows the frame of the call, which knows it

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        self._alive = {under_way for under_way in self._alive if not under_way.join(0)}
        if len(self._alive) >= self._most:
            error = EngineError(f"the engine does not come back: {len(self._alive)} calls are under way")
            future.set_exception(error)
            return future
        self._alive.add(spawn(call, f"lazyflow-{getattr(function, '__name__', 'call').strip('_')}", tell))
        return future

    def join(self, timeout: float) -> bool:
        """Wait until no call is under way, at most `timeout` seconds; whether none is."""
        until = time.monotonic() + timeout
        return all(call.join(max(0.0, until - time.monotonic())) for call in list(self._alive))


class Loop:
    """An event loop in a thread of its own, for callers that have none, or whose own is not to wait for what it does.

    Parameters
    ----------
    name
        Name of the thread.

    Examples
    --------
    >>> loop = Loop("lazyflow-example")
    >>> loop.run(asyncio.sleep(0, "done"))
    'done'
    >>> loop.end()
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._call = spawn(self._turn, name)

    def _turn(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # it cancels what is left
            runner.run(self._until_over())

    async def _until_over(self) -> None:
        await self._over.wait()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run the coroutine on the loop, and wait for what it gives or raises; not to be called on the loop itself.

        Raises
        ------
        Cancelled
            If the loop ends before.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:
            coroutine.close()
            raise Cancelled("its event loop has ended") from error
        try:
            return future.result()
        except futures.CancelledError as error:
            raise Cancelled("its event loop has ended") from error
        except KeyboardInterrupt:
            future.cancel()
            raise

    @property
    def ended(self) -> bool:
        """Whether it has ended, and its thread is free."""
        return self._call.join(0)

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Call the function on the loop, soon, and do not wait; nothing happens once the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def end(self) -> None:
        """Cancel what the loop still does, end it, and wait until its thread is free. May be called twice."""
        self.post(self._over.set)
        self._call.join()
