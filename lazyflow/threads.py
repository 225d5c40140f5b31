"""A thread of its own for each call that may take long: none waits behind another, and none outlives its call."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread, current_thread
from typing import Any, ParamSpec, TypeVar

from lazyflow.errors import EngineError

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """Runs blocking functions beside an event loop.

    A pool would let a few calls that never come back stop all others. Here each call has its own thread, and a bound
    says how many may be under way at once.

    Parameters
    ----------
    most
        How many calls may be under way, those that nobody waits for any more among them.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._lock = Lock()
        self._alive: set[Thread] = set()

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in a thread and await what it gives.

        A cancelled task no longer waits; the call goes on until it ends by itself.

        Raises
        ------
        EngineError
            If too many calls are under way: the engine does not come back.

        Examples
        --------
        >>> asyncio.run(Threads().run(sum, [1, 2]))
        3
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: R | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type]
            else:
                future.set_exception(error)

        def call() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = context.run(function, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                failure = error if not isinstance(error, StopIteration) else RuntimeError(repr(error))
            except BaseException as error:  # noqa: BLE001 - whoever waits must not be ended by an engine's SystemExit
                failure = EngineError(f"{type(error).__name__}: {error}")
                failure.__cause__ = error
            with self._lock:
                self._alive.discard(current_thread())
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, failure)

        thread = Thread(target=call, name=f"lazyflow-{getattr(function, '__name__', 'call').strip('_')}", daemon=True)
        with self._lock:
            if len(self._alive) >= self._most:
                raise EngineError(f"the engine does not come back: {len(self._alive)} calls are under way")
            self._alive.add(thread)
        thread.start()
        return await future

    def join(self, timeout: float) -> bool:
        """Wait until no call is under way, at most `timeout` seconds; whether none is."""
        until = time.monotonic() + timeout
        with self._lock:
            threads = list(self._alive)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
