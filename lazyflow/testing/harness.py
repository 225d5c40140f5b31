"""The one thing that a backend's author gives to the suite."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyflow.backend import Backend
from lazyflow.dataflow import DataFlow
from lazyflow.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Harness:
    """How the suite makes flows on one backend, and sees what the engine's driver is asked.

    Parameters
    ----------
    backend
        The backend's class (or any function without parameters that makes an instance).
    source
        From an Arrow table, what `DataFlow` is to open: the table itself, a file made of it, an engine's expression.
    queries
        A context manager that yields a list, to which the text of every query is added as the *driver* receives it
        while inside; from any thread, and not counted in code of lazyflow or of the backend.
    run_sql
        Runs `plan.sql()` on another engine of the same kind, on which there is nothing but, if the statement needs it,
        the rows of `plan.raw` as the table `source`. None where the engine speaks no SQL, which the backend declares.
    """

    backend: Callable[[], Backend]
    source: Callable[[pa.Table], Any]
    queries: Callable[[], AbstractContextManager[list[str]]]
    run_sql: Callable[[Plan], pa.Table] | None = None

    def flow(self, table: pa.Table, **options: Any) -> DataFlow:
        """A flow over the rows of an Arrow table; `options` are those of `DataFlow`."""
        return DataFlow(self.source(table), backend=self.backend(), **options)
