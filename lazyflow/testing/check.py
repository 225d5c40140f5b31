"""Comparing what a backend answers with what is expected: the one helper for rows, and one for many questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lazyflow.dataflow import DataFlow
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.types import canonical

SHOWN = 8
"""How many disagreements a failing case lists."""


def state(
    *filters: Filter, search: str = "", sort: Iterable[Sort] = (), cleaning: str | None = None, post: str | None = None
) -> State:
    """A state, written short."""
    return State(search=search, filters=filters, sort=tuple(sort), cleaning=cleaning, post_processing=post)


@dataclass
class Disagreements:
    """What went wrong over many small questions of one case, so that a failure shows all of it at once.

    Examples
    --------
    >>> with Disagreements() as wrong:
    ...     wrong.expect("a sum", 1 + 1, 2)
    """

    found: list[str] = field(default_factory=list)
    asked: int = 0

    def expect(self, what: str, actual: object, expected: object) -> None:
        """Note a disagreement between two values, if there is one."""
        if actual != expected:
            self.found.append(f"{what}: got {actual!r}, expected {expected!r}")

    def attempt(self, what: str, question: Callable[[], None]) -> None:
        """Ask; an error is a disagreement too, and the next question is asked all the same."""
        self.asked += 1
        try:
            question()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this question's answer
            self.found.append(f"{what}: {type(error).__name__}: {error}")

    def __enter__(self) -> Disagreements:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self.found:
            more = len(self.found) - SHOWN
            listed = self.found[:SHOWN] + ([f"... and {more} more"] if more > 0 else [])
            raise AssertionError(f"{len(self.found)} of {self.asked} wrong:\n  " + "\n  ".join(listed))


def rows_differ(actual: pa.Table, expected: judge.Frame) -> str | None:
    """How rows differ from what is expected, or None. Names, types, order and values are compared, all exactly.

    NULL and NaN are one and the same (missing); -0.0 equals 0.0.
    """
    names = [column.name for column in expected.columns]
    if actual.column_names != names:
        return f"columns {actual.column_names}, expected {names}"
    types = [str(column.type) for column in expected.columns]  # as text: equal lists may name their elements otherwise
    found_types = [str(type) for type in actual.schema.types]
    if found_types != types:
        wrong = [f"{n}: {a}, expected {e}" for n, a, e in zip(names, found_types, types, strict=True) if a != e]
        return "types " + "; ".join(wrong)
    if actual.num_rows != expected.length:
        return f"{actual.num_rows} rows, expected {expected.length}: {_few(actual, expected)}"
    for column in expected.columns:
        found = judge.values(actual[column.name])
        for row, (got, due) in enumerate(zip(found, column.values, strict=True)):
            if got != due:
                return f"column {column.name!r}, row {row}: {got!r}, expected {due!r}"
    return None


def _few(actual: pa.Table, expected: judge.Frame) -> str:
    first = expected.columns[0]
    return f"{first.name} = {list(judge.values(actual[first.name]))[:12]}, expected {list(first.values)[:12]}"


def check_rows(flow: DataFlow, state: State, expected: judge.Frame, window: tuple[int, int] | None = None) -> None:
    """The rows of a state, or those of a window of it, and the number of all rows, are what is expected."""
    start, stop = window or (0, expected.length + 5)
    part = expected.take(range(min(start, expected.length), min(stop, expected.length)))
    difference = rows_differ(flow.rows(state, (start, stop)), part)
    assert difference is None, difference
    count = flow.row_count(state)
    assert count == expected.length, f"row_count {count}, expected {expected.length}"


def kept_rows(flow: DataFlow, state: State, row: str = "row") -> list[int]:
    """The values of a column that numbers the rows of the source: which rows a state keeps, in its order."""
    kept: list[int] = flow.rows(state, (0, 100_000))[row].to_pylist()
    return kept


def expected_frame(columns: Mapping[str, Any], types: Mapping[str, pa.DataType]) -> judge.Frame:
    """A frame written out: name -> values, with the Arrow types that callers see."""
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    assert all(canonical(type) == type for type in table.schema.types)
    return judge.frame(table)
