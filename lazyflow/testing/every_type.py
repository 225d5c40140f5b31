"""Every type that Arrow has: the same rows, filters, order and statistics, from memory and from files."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.durations import duration_text
from lazyflow.errors import NotForThisType
from lazyflow.moments import date_text, moment_text
from lazyflow.state import Filter, Scalar, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import Disagreements, check_rows, rows_differ
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness
from lazyflow.testing.judge import Column
from lazyflow.testing.layouts import LAYOUTS, Layout
from lazyflow.testing.made_sources import parquet
from lazyflow.testing.statistics import aggregating
from lazyflow.types import COMPARABLE, is_list, kind

EACH = pytest.mark.parametrize("layout", [pytest.param(layout, id=layout.name) for layout in LAYOUTS])
WRITTEN = pytest.mark.parametrize(
    "layout", [pytest.param(layout, id=layout.name) for layout in LAYOUTS if layout.written]
)


def check_everything(flow: DataFlow, seen: pa.Table) -> None:
    """What can be asked of a table whose column `x` is of some type, and what cannot be, is answered rightly."""
    frame = judge.frame(seen)
    column = frame["x"]
    assert list(flow.schema.items()) == [(other.name, other.type) for other in frame.columns]
    with Disagreements() as wrong:
        wrong.attempt("rows", lambda: check_rows(flow, State(), frame))
        wrong.attempt("a window", lambda: check_rows(flow, State(), frame, (1, 3)))
        for state in _states(column):
            wrong.attempt(str(state), partial(_check_view, flow, seen, state))
        for state in () if column.kind in COMPARABLE else _states_of_no_meaning(column):
            wrong.attempt(f"no {state}", partial(_check_refused, flow, state))
        wrong.attempt("statistics", lambda: _check_statistics(flow, seen))


def _check_view(flow: DataFlow, seen: pa.Table, state: State) -> None:
    difference = rows_differ(flow.rows(state, (0, 100)), judge.view(seen, state))
    assert difference is None, difference


def _check_refused(flow: DataFlow, state: State) -> None:
    with pytest.raises(NotForThisType, match="'x'"):
        flow.rows(state, (0, 1))


def _check_statistics(flow: DataFlow, seen: pa.Table) -> None:
    check_view(flow, seen, State(search="GOOD", filters=(Filter("row", ">=", 1),)))


def _states(column: Column) -> Iterator[State]:
    """Views for which the column has a meaning, and those of the columns beside it."""
    yield State(search="GOOD 2")
    yield State(sort=(Sort("good", descending=True),))
    for name, part in _parts(column):
        yield State(filters=(Filter(name, "is missing"),))
        yield State(filters=(Filter(name, "is not missing"),))
        if part.kind in COMPARABLE:
            values = [written(value, part.type) for value in list(dict.fromkeys(part.present))[:4]]
            for value in values:
                yield from (State(filters=(Filter(name, operator, value),)) for operator in ("==", "!=", "<", ">="))
            if values:
                yield State(filters=(Filter(name, "in", tuple(values[:2])),))
                yield State(filters=(Filter(name, "not in", tuple(values[:2])),))
                yield State(filters=(Filter(name, "between", (values[0], values[-1])),))
    if column.kind in COMPARABLE:
        yield from (State(sort=(Sort("x", descending),)) for descending in (False, True))


def _states_of_no_meaning(column: Column) -> Iterator[State]:
    yield State(sort=(Sort("x"),))
    yield State(filters=(Filter("x", "==", 1),))
    if not is_list(column.type):
        yield State(filters=(Filter("x", "contains", "a"),))


def _parts(column: Column) -> Iterator[tuple[str, Column]]:
    """The column and, of structs, their fields, by the names that filters give."""
    yield column.name, column
    if pa.types.is_struct(column.type):
        whole = judge.Frame((column,), len(column.values))
        yield from ((path, whole.named(path)) for path in (f"{column.name}.{field.name}" for field in column.type))


def written(value: Any, type: pa.DataType) -> Scalar:
    """A value in the judge's form as filters write it."""
    match kind(type):
        case "date":
            return date_text(value)
        case "timestamp":
            return moment_text(value, type.unit, zoned=type.tz is not None)
        case "duration":
            return duration_text(value, type.unit)
        case "binary":
            return f"0x{value.hex()}"
    plain: Scalar = Filter("x", "==", value).value
    return plain


@pytest.mark.family("every type")
@EACH
def test_every_type_in_memory(harness: Harness, layout: Layout) -> None:
    given, seen = layout.tables()
    with harness.flow(given) as flow:
        check_everything(flow, seen)


@pytest.mark.family("every type")
@EACH
def test_every_type_by_aggregates(harness: Harness, layout: Layout) -> None:
    given, seen = layout.tables()
    with aggregating(harness).flow(given) as flow:
        _check_statistics(flow, seen)


@pytest.mark.family("every type in files")
@WRITTEN
def test_every_type_in_a_file(harness: Harness, layout: Layout, tmp_path: Path) -> None:
    given, seen = layout.tables()
    with DataFlow(parquet(given, tmp_path), backend=harness.backend()) as flow:
        check_everything(flow, seen)


@pytest.mark.family("every type in files")
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York"], ids=["naive", "zoned"])
def test_units_of_time_are_those_of_the_file(harness: Harness, unit: str, zone: str | None, tmp_path: Path) -> None:
    """Parquet has no seconds, they become milliseconds; nothing else changes, whatever units an engine has."""
    kept: Any = "ms" if unit == "s" else unit
    counts = pa.array([0, None, 1, -1, 1_700_000_000], pa.int64())
    clock = pa.array([0, None, 1, 2, 3], pa.int64() if unit in ("us", "ns") else pa.int32())
    time = pa.time64 if unit in ("us", "ns") else pa.time32
    given = pa.table({"x": counts.cast(pa.timestamp(unit, zone)), "clock": clock.cast(time(unit))})
    kept_time = pa.time32("ms") if kept == "ms" else time(kept)
    stamps = given["x"].cast(pa.timestamp(kept, "UTC" if zone else None))
    seen = pa.table({"x": stamps, "clock": given["clock"].cast(kept_time)})
    with DataFlow(parquet(given, tmp_path), backend=harness.backend()) as flow:
        for state in (State(), State(sort=(Sort("clock", descending=True),)), State(sort=(Sort("x"),))):
            check_rows(flow, state, judge.view(seen, state))
        check_view(flow, seen, State(filters=(Filter("x", "is not missing"),)))
