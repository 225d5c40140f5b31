"""`--json`: what happens, one event a line, each with the seconds since the start."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from lazyflow.dataflow import DataFlow
from lazyflow.errors import NotForThisType
from lazyflow.statistics.results import Cell, Statistics
from lazyflow.step import Step
from lazyflow.values import cell_json, plain, python_values

if TYPE_CHECKING:
    from lazyflow.statistics.queries import StatisticsQuery


_MOVING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON leaves as they are, and that end a line or steer a terminal."""


class Events:
    """Writes events; queries start and end in the thread that runs them, and are written there."""

    def __init__(self, file: TextIO, start: float) -> None:
        self._file = file
        self._start = start
        self._lock = threading.Lock()
        self._written: dict[tuple[str, str, str], Cell] = {}
        self._columns: tuple[str, ...] = ()
        self._step: Step | None = None
        self._number = 0
        self._end_watch: Callable[[], None] = lambda: None

    def _write(self, event: str, **fields: Any) -> None:
        with self._lock:
            elapsed = round(time.perf_counter() - self._start, 6)
            text = json.dumps({"event": event, "elapsed": elapsed, **fields}, ensure_ascii=False)
            self._file.write(_MOVING.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
            self._file.flush()

    def opened(self, flow: DataFlow, name: str) -> None:
        """Say what was opened, with the types of its columns."""
        columns = [{"name": name, "type": str(type)} for name, type in flow.schema.items()]
        self._write("opened", source=name, backend=flow.backend, columns=columns, materialised=flow.materialised)
        self._end_watch = flow.watch_statistics_queries(self._query)

    def rows(self, step: Step, columns: tuple[str, ...]) -> None:
        """Write the rows, each as an object."""
        self._step = step
        self._columns = columns
        names = columns or tuple(step.schema)
        values = [[plain(value) for value in python_values(step.rows[name])] for name in names]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        self._write("rows", generation=step.generation, window=list(step.window), rows=rows)

    def _query(self, what: str, query: StatisticsQuery) -> None:
        self._number += what == "started"  # one runs at a time
        self._write(
            f"query_{what}",
            number=self._number,
            kind=type(query).__name__,
            scope=self._scope(query),
            cells=len(query.cells),
            columns=[column.name for column in query.columns],
        )

    def _scope(self, query: StatisticsQuery) -> str | None:
        """The first scope that the query answers for; the others have the same rows."""
        stages = self._step.plan.stages.items() if self._step else ()
        return next((name for name, stage in stages if stage.digest == query.stage.digest), None)

    def statistics(self, statistics: Statistics) -> None:
        """Write what is known now and was not before."""
        changed: dict[str, Any] = {}
        for scope, of_scope in statistics.items():
            if self._is_news(scope, "", "rows", of_scope.rows):
                changed.setdefault(scope, {})["rows"] = cell_json(of_scope.rows)
            for column in self._columns or of_scope:
                news = {
                    name: cell_json(cell)
                    for name, cell in of_scope[column].items()
                    if self._is_news(scope, column, name, cell)
                }
                if news:
                    changed.setdefault(scope, {}).setdefault("columns", {})[column] = news
        if changed:
            self._write("statistics", scopes=changed)

    def _is_news(self, scope: str, column: str, statistic: str, cell: Cell) -> bool:
        if cell.basis == "pending" or isinstance(cell.error, NotForThisType):
            return False
        place = (scope, column, statistic)
        news = self._written.get(place) != cell
        self._written[place] = cell
        return news

    def complete(self, statistics: Statistics) -> None:
        """Write the last statistics, and that they are the last; what still runs is for columns not asked for."""
        self.close()
        self.statistics(statistics)
        self._write("complete", rows={name: plain(scope.rows.value) for name, scope in statistics.items()})

    def close(self) -> None:
        """Write no more queries."""
        self._end_watch()
