"""What was computed: cells by content key, bounded by bytes, and the last few results of anything else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from cachetools import LRUCache

from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell

DEFAULT_BYTES = 64 * 2**20

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache:
    """Cells by content key. Only values are kept: a failure is tried again.

    Parameters
    ----------
    max_bytes
        Bound on the estimated size of what is kept, in bytes.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES) -> None:
        self._lock = threading.Lock()
        self._cells: LRUCache[CellKey, Cell] = LRUCache(max_bytes, getsizeof=_size)

    def get(self, key: CellKey) -> Cell | None:
        """The cell of that key, or None."""
        with self._lock:
            return self._cells.get(key)

    def put(self, cells: Mapping[CellKey, Cell]) -> None:
        """Keep what is no failure and fits."""
        with self._lock:
            for key, cell in cells.items():
                if cell.error is None and _size(cell) <= self._cells.maxsize:
                    self._cells[key] = cell


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
            with self._lock:
                self._kept[key] = value
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()


def _size(value: Any) -> int:
    """An estimate of the bytes that a value takes, the key's share included."""
    if is_dataclass(value) and not isinstance(value, type):
        return 300 + sum(_size(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple | list):
        return 64 + sum(map(_size, value))
    if isinstance(value, dict):
        return 200 + sum(map(_size, value)) + sum(map(_size, value.values()))
    return sys.getsizeof(value)
