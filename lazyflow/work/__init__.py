"""What is wanted and what is running: with threads.py the one place with threads and locks."""

from __future__ import annotations

from lazyflow.work.generation import Generation, Wanted
from lazyflow.work.token import CancelToken, run_cancellable
from lazyflow.work.worker import ROW_NUMBERS_BYTES, Watcher, Work

__all__ = ["ROW_NUMBERS_BYTES", "CancelToken", "Generation", "Wanted", "Watcher", "Work", "run_cancellable"]
