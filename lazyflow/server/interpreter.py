"""How the interpreter is set in a process that does nothing but serve."""

from __future__ import annotations

import gc
import sys

_SWITCH_INTERVAL = 0.001
_GC_THRESHOLDS = (5_000, 20, 50)


def tune_interpreter() -> None:
    """Keep pauses of the event loop short; to be called once the tables are open.

    Threads that compile expressions hold the interpreter for 5 ms at a time by default, and the event loop, which has
    many short things to do, waits for each of them. A full garbage collection stops everything for up to 0.3 s where
    it looks through the million objects of the expression libraries: those live as long as the process, so they are set
    aside, and what is left is looked through more rarely, little at a time (measured by `benchmarks.service`).
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
