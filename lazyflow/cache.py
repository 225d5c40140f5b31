"""What was computed: cells by content key, bounded by bytes; those that last on disk too, where that is asked for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from cachetools import LRUCache

from lazyflow.disk import Disk
from lazyflow.errors import OutOfTime
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell

DEFAULT_BYTES = 32 * 2**20


_ENTRY_BYTES = 650
"""What a cell takes besides its value: itself, its key, its place in the cache (measured: 190 cells take 0.19 MiB)."""


class Cache:
    """Cells by content key. Values are kept, and what ran out of time: a failure is tried again.

    Parameters
    ----------
    max_bytes
        Bound on the estimated size of what is kept in memory, in bytes.
    disk
        Where it is kept for other processes. Only `recall` and `store` go there; they block.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES, disk: Disk | None = None) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._cells: LRUCache[CellKey, Cell] = LRUCache(max_bytes, getsizeof=_size)

    def get(self, key: CellKey) -> Cell | None:
        """The cell of that key, or None."""
        with self._lock:
            return self._cells.get(key)

    def put(self, cells: Mapping[CellKey, Cell]) -> None:
        """Keep in memory what fits and is no failure, but of time, which the next view would only spend again."""
        with self._lock:
            for key, cell in cells.items():
                kept = cell.error is None or isinstance(cell.error, OutOfTime)
                if kept and _size(cell) <= self._cells.maxsize:
                    self._cells[key] = cell

    def recall(self, keys: Iterable[CellKey]) -> dict[CellKey, Cell]:
        """What the disk has of the scopes of those keys that are not in memory, which has it from now on."""
        if self._disk is None:
            return {}
        found = self._disk.read([key for key in keys if key.durable and self.get(key) is None])
        self.put(found)
        return found

    def store(self, cells: Mapping[CellKey, Cell]) -> None:
        """Keep on disk what lasts."""
        if self._disk is not None:
            self._disk.write(cells)


def _size(value: Any) -> int:
    """An estimate of the bytes that a value takes, the key's share included."""
    if is_dataclass(value) and not isinstance(value, type):
        return _ENTRY_BYTES + sum(_size(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple | list):
        return 64 + sum(map(_size, value))
    if isinstance(value, dict):
        return 200 + sum(map(_size, value)) + sum(map(_size, value.values()))
    return sys.getsizeof(value)
