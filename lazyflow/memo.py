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
        How many are kept, or how much of what `size_of` says: bytes, for one.
    size_of
        The size of a result; one that is larger than `size` is not kept.
    """

    def __init__(self, size: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        self.size = size
        self._size_of = size_of
        self._lock = threading.Lock()
        self._kept: LRUCache[K, V] = LRUCache(size, size_of)

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
            if self._size_of(value) <= self.size:
                self._kept[key] = value

    @property
    def total(self) -> int:
        """The size of all that is kept."""
        return int(self._kept.currsize)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
