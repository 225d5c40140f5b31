"""An engine that is a few lines of Python over a small table, and so knows the right answer to everything.

Its table can be replaced or taken away while it is open, as a file can.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import pyarrow as pa

from lazyflow.backend import Backend
from lazyflow.errors import SourceError
from lazyflow.expressions import Namespace
from lazyflow.fingerprint import Fingerprint
from lazyflow.query import CountQuery, PrepareQuery, Query, RowsQuery
from lazyflow.source import Source, columns_of
from lazyflow.state import Filter, Sort, State
from lazyflow.statistics.order import WindowQuery
from lazyflow.statistics.queries import AggregateQuery, StatisticsQuery, ValueCountsQuery
from lazyflow.statistics.sampling import SampleQuery
from lazyflow.statistics.view import Folding
from lazyflow.work import CancelToken

if TYPE_CHECKING:
    from lazyflow.dataflow import DataFlow

Row = Mapping[str, Any]

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("version", pa.int64()),
        ("number", pa.int64()),
        ("origin", pa.string()),
        ("delay", pa.int64()),
    ]
)

STATES = (
    State(),
    State(search="jfk"),
    State(search="jf"),
    State(search="LGA"),
    State(search="nowhere"),
    State(filters=(Filter("number", ">", 5),)),
    State(filters=(Filter("delay", "is missing"),)),
    State(search="jfk", sort=(Sort("number", descending=True),)),
    State(sort=(Sort("origin"), Sort("number", descending=True))),
    State(cleaning="present"),
    State(search="ewr", cleaning="present", post_processing="late"),
)
"""The states that occur, and that `view` can say the answer to."""


@dataclass(eq=False)
class Disk:
    """Where a table lies: which version of it, and whether it is there at all."""

    name: str
    version: int = 1
    missing: bool = False
    serial: int = field(default_factory=itertools.count(1).__next__)

    def rows(self, version: int) -> list[Row]:
        """The table as it is in a version."""
        return [
            {
                "source": self.name,
                "version": version,
                "number": number,
                "origin": ("JFK", "LGA", "EWR")[number % 3],
                "delay": None if number % 4 == 0 else (number * 7) % 31,
            }
            for number in range(1, 20 + version % 5)
        ]


def present(row: Row) -> bool:
    """The cleaning of that name."""
    return row["delay"] is not None


def late(row: Row) -> bool:
    """The post-processing of that name."""
    return row["delay"] is not None and row["delay"] > 10


def register(flow: DataFlow) -> None:
    """Make the cleaning and post-processing of `STATES` known to a flow."""
    flow.register_cleaning("present", lambda table, ns: table.filter(table.delay.notnull()))
    flow.register_post_processing("late", lambda table, ns: table.filter(table.delay > 10))


def scopes(rows: list[Row], state: State) -> dict[str, list[Row]]:
    """The rows of each scope, by slow and obvious Python."""
    clean = [row for row in rows if present(row)] if state.cleaning else rows
    term = state.search.lower()
    filtered = [row for row in clean if term in row["origin"].lower() or term in row["source"].lower()]
    for item in state.filters:
        assert isinstance(item, Filter)
        kept: Callable[[Row], bool]
        if item.operator == "is missing":
            kept = lambda row, name=item.column: row[name] is None  # type: ignore[misc]  # noqa: E731
        else:
            kept = lambda row, item=item: row[item.column] > item.value  # type: ignore[misc]  # noqa: E731
        filtered = [row for row in filtered if kept(row)]
    result = {"raw": rows, "clean": clean, "filtered": filtered}
    if state.post_processing:
        result["shown"] = [row for row in filtered if late(row)]
    return result


def view(rows: list[Row], state: State) -> list[Row]:
    """The rows of a view, in its order."""
    shown = list(scopes(rows, state).values())[-1]
    for key in reversed(state.sort):
        shown = sorted(shown, key=lambda row, name=key.column: row[name], reverse=key.descending)  # type: ignore[misc]
    return shown


@dataclass(frozen=True)
class _DiskFingerprint(Fingerprint):
    """Identity of one version of a table on a `Disk`."""

    disk: Disk | None = None
    version: int = 0

    @property
    def change(self) -> str | None:
        """That the disk has another version by now, or none."""
        assert self.disk is not None
        changed = self.disk.missing or self.disk.version != self.version
        return f"{self.disk.name!r} is another" if changed else None


class ModelledBackend(Backend):
    """Answers from the version that the disk has when it is asked, whichever was opened.

    Parameters
    ----------
    disk
        Where the table lies.
    arrive
        Called with each query and its token before it is answered.
    """

    name: ClassVar[str] = "modelled"
    folding: ClassVar[Folding] = Folding(max_distinct=None, ask_first=False, max_columns=2, window_rows=None)

    def __init__(self, disk: Disk, arrive: Callable[[Query, CancelToken], None]) -> None:
        self._disk = disk
        self._arrive = arrive
        self._scopes: dict[str, tuple[State, str]] = {}

    @property
    def ns(self) -> Namespace:
        """Ibis, to build expressions with; none is ever executed."""
        return ibis

    def learn(self, flow: DataFlow) -> None:
        """Know the scopes of all states, whichever are asked about first."""
        for state in STATES:
            stages = flow.compile(state).stages
            self._scopes |= {stage.digest: (state, scope) for scope, stage in stages.items()}

    def open(self, data: Any) -> Source:
        """Open the version that is there now."""
        if self._disk.missing:
            raise SourceError(f"{self._disk.name}: no such file")
        version = self._disk.version
        table = ibis.table(ibis.schema(SCHEMA), name=self._disk.name)
        value = f"{self._disk.name} {self._disk.serial} {version}"
        fingerprint = _DiskFingerprint(value, True, disk=self._disk, version=version)
        columns = columns_of(SCHEMA.names, SCHEMA.types)
        return Source(table, columns, fingerprint, positional=True, numbered=True)

    def execute(self, query: Query, token: CancelToken) -> pa.Table:
        """The right answer."""
        self._arrive(query, token)
        if self._disk.missing:
            raise OSError(f"/secret/{self._disk.name}: no such file")
        rows = self._disk.rows(self._disk.version)
        if isinstance(query, PrepareQuery):
            return query.collect([pa.array([row["number"] for row in view(rows, query.plan.state)], pa.int64())])
        if isinstance(query, RowsQuery):
            shown = view(rows, query.plan.state)[query.start : query.stop]
            if query.numbers is not None:
                wanted = set(query.numbers.to_pylist())
                shown = [row for row in rows if row in view(rows, query.plan.state) and row["number"] in wanted]
            return pa.Table.from_pylist([dict(row) for row in shown], SCHEMA)
        if isinstance(query, CountQuery):
            return pa.table({"rows": [len(view(rows, query.plan.state))]})
        assert isinstance(query, StatisticsQuery), type(query)
        state, scope = self._scopes[query.stage.digest]
        if isinstance(query, SampleQuery):
            rows = [rows[number] for number in query.numbers.to_pylist() if number < len(rows)]
        by_scope = scopes(rows, state)
        if isinstance(query, AggregateQuery):
            assert not query.columns
            return pa.table({"rows": [len(by_scope.get(scope, by_scope["filtered"]))]})
        table = pa.Table.from_pylist([dict(row) for row in by_scope.get(scope, by_scope["filtered"])], SCHEMA)
        if isinstance(query, WindowQuery):
            return table.slice(query.start, query.length)
        if isinstance(query, SampleQuery):
            return table
        assert isinstance(query, ValueCountsQuery), type(query)
        counted = [table[column.inside].value_counts() for column in query.columns]
        return query.answer(
            [(pa.chunked_array([c.field("values")]), pa.chunked_array([c.field("counts")])) for c in counted]
        )
