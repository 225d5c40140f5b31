"""The last few results of anything, by key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """The last few results by key, for several threads; the longest unused goes first.

    Parameters
    ----------
    size
        How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._kept: LRUCache[K, V] = LRUCache(size)

    def get(self, key: K) -> V | None:
        """What is kept under that key, or None."""
        with self._lock:
            return self._kept.get(key)

    def get_or(self, key: K, compute: Callable[[], V]) -> V:
        """What is kept under that key, else what `compute` gives, kept from now on.

        Nobody waits while it is computed: two threads that ask at once may both compute it.
        """
        value = self.get(key)
        if value is None:
            value = compute()
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep it under that key."""
        with self._lock:
            self._kept[key] = value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
