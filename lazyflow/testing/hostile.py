"""Values that break what is careless with them; one of them in a column costs no other column anything."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import InvalidValue, SourceError
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.filters import check_filters
from lazyflow.testing.harness import Harness
from lazyflow.testing.layouts import LAYOUTS
from lazyflow.testing.made_sources import parquet
from lazyflow.testing.scalars import FAR, Sample
from lazyflow.testing.statistics import NONE, ROUTES, SOME, Route

pytestmark = pytest.mark.family("hostile values")

EACH_FAR = pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.name) for sample in FAR])


@EACH_FAR
def test_filters_and_order_of_far_years(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample)
    table = sample.table()
    with harness.flow(table) as flow:
        for descending in (False, True):
            state = State(sort=(Sort("x", descending),))
            check_rows(flow, state, judge.view(table, state))


@EACH_FAR
@ROUTES
def test_statistics_of_far_years(harness: Harness, sample: Sample, route: Route) -> None:
    table = sample.table()
    with route(harness).flow(table) as flow:
        for state in (SOME, NONE):
            check_view(flow, table, state)


@pytest.mark.parametrize(
    "year", ["+12024-02-30", "12024-01-01", "+024-01-01", "-00000000000000000001-01-01", "--0001-01-01"]
)
def test_what_is_no_year(harness: Harness, year: str) -> None:
    with harness.flow(pa.table({"x": pa.array([0], pa.int32()).cast(pa.date32())})) as flow:
        with pytest.raises(InvalidValue, match="'x'"):
            flow.rows(State(filters=(Filter("x", "==", year),)), (0, 1))
        assert flow.rows(State(), (0, 1)).num_rows == 1


DECIMALS = {
    "decimals of 38 digits": pa.array([Decimal("9" * 38), None, Decimal("-" + "9" * 38), Decimal(0), Decimal(1)])
}
NUMBERS = {
    "subnormals": pa.array([5e-324, -5e-324, 2.2250738585072014e-308, None, -0.0]),
    "zeros": pa.array([-0.0, 0.0, None, -0.0, float("nan")]),
    "extremes": pa.array([2**63 - 1, -(2**63), 2**63 - 2, None, 0]),
}


@ROUTES
@pytest.mark.parametrize("column", [*NUMBERS, *DECIMALS])
def test_numbers_at_the_ends(harness: Harness, column: str, route: Route) -> None:
    table = pa.table({"row": range(5), "x": (NUMBERS | DECIMALS)[column]})
    with route(harness).flow(table) as flow:
        for state in (State(sort=(Sort("x"),)), State(sort=(Sort("x", True),)), State(filters=(Filter("x", "<=", 0),))):
            check_rows(flow, state, judge.view(table, state))
        check_view(flow, table, State(filters=(Filter("x", ">=", 0),)))


MEGABYTE = "x" * 1_000_000
LONG = pa.table(
    {
        "row": range(6),
        "x": ["short", None, MEGABYTE + "Needle", MEGABYTE + "é", "é" * 500_000 + "\nΣ", MEGABYTE + "Needle"],
        "y": ["a", "needle", "b", None, "c", "d"],
    }
)
LONG_VIEWS = {
    "search": State(search="NEEDLE"),
    "search for nothing there": State(search="xxy"),
    "search for a megabyte": State(search=MEGABYTE),
    "another alphabet": State(search="éς"[:1]),
    "contains": State(filters=(Filter("x", "contains", "xé"),)),
    "ends with": State(filters=(Filter("x", "ends with", "Needle"),)),
    "matches": State(filters=(Filter("x", "matches", "^x+Needle$"),)),
    "equals": State(filters=(Filter("x", "==", MEGABYTE + "é"),)),
    "sorted": State(sort=(Sort("x", descending=True),)),
}


@pytest.mark.parametrize("view", LONG_VIEWS)
def test_texts_of_a_megabyte(harness: Harness, view: str) -> None:
    with harness.flow(LONG) as flow:
        check_rows(flow, LONG_VIEWS[view], judge.view(LONG, LONG_VIEWS[view]))


@ROUTES
def test_statistics_of_texts_of_a_megabyte(harness: Harness, route: Route) -> None:
    with route(harness).flow(LONG) as flow:
        check_view(flow, LONG, State(search="needle"))


def all_types() -> tuple[pa.Table, pa.Table]:
    """The first rows of every layout beside each other, as they are brought and as they are seen."""
    brought, seen = {"good": pa.array(["a", "b"])}, {"good": pa.array(["a", "b"])}
    for layout in LAYOUTS:
        brought[layout.name], seen[layout.name] = layout.given.slice(0, 2), layout.plain.slice(0, 2)
    return pa.table(brought), pa.table(seen)


def test_all_types_in_one_table(harness: Harness, tmp_path: Path) -> None:
    brought, seen = all_types()
    in_files = ["good", *(layout.name for layout in LAYOUTS if layout.written)]
    sources = (
        (harness.source(brought), seen),
        (harness.source(brought.slice(0, 0)), seen.slice(0, 0)),
        (parquet(brought.select(in_files), tmp_path), seen.select(in_files)),
    )
    for source, table in sources:
        with DataFlow(source, backend=harness.backend()) as flow:
            for state in (State(), State(search="B"), State(sort=(Sort("good", descending=True),))):
                check_rows(flow, state, judge.view(table, state))
            check_view(flow, table, State(search="b"))


def test_moments_at_the_ends_of_64_bits_spoil_no_rows(harness: Harness, tmp_path: Path) -> None:
    """A file may hold milliseconds of years that no engine counts in microseconds."""
    counts = pa.array([2**63 - 1, 0, None, -(2**63) + 1, 2**60], pa.int64())
    table = pa.table({"x": counts.cast(pa.timestamp("ms")), "y": list("ABCDE")})
    with DataFlow(parquet(table, tmp_path), backend=harness.backend()) as flow:
        for state in (
            State(),
            State(search="b"),
            State(sort=(Sort("x"),)),
            State(filters=(Filter("x", "is missing"),)),
        ):
            check_rows(flow, state, judge.view(table, state))
        letters = flow.apply(State(search="b")).resolve(timeout=60)["filtered"]["y"]
        assert letters["distinct"].value == 1


FRAMES: dict[str, tuple[list[Any], list[str | None]]] = {
    "texts and numbers": (["a", 1, None, 2.5, True], ["a", "1", None, "2.5", "True"]),
    "texts and dates": (["x", dt.date(2020, 1, 1), None, float("nan"), "y"], ["x", "2020-01-01", None, None, "y"]),
    "numbers beyond 64 bits": ([2**70, -(2**64), None, 1, 0], [str(2**70), str(-(2**64)), None, "1", "0"]),
    "identifiers": ([uuid.UUID(int=5)] * 4 + [None], ["00000000-0000-0000-0000-000000000005"] * 4 + [None]),
    "complex numbers": ([1 + 2j, None, 0j, 1j, 2j], ["(1+2j)", None, "0j", "1j", "2j"]),
    "halves of surrogate pairs": (["\ud800", "a", None, "b", "c"], ["\\ud800", "a", None, "b", "c"]),
    "lists of different things": ([[1, "a"], None, [2], [], ["b"]], ["[1, 'a']", None, "[2]", "[]", "['b']"]),
}


@pytest.mark.parametrize("objects", FRAMES)
def test_objects_of_no_common_type_are_text(harness: Harness, objects: str) -> None:
    pandas = pytest.importorskip("pandas")
    given, texts = FRAMES[objects]
    seen = pa.table({"x": pa.array(texts, pa.string()), "y": list("ABCDE")})
    frame = pandas.DataFrame({"x": pandas.Series(given, dtype=object), "y": list("ABCDE")})
    with DataFlow(frame, backend=harness.backend()) as flow:
        for state in (State(), State(search="b"), State(sort=(Sort("x"),))):
            check_rows(flow, state, judge.view(seen, state))


def test_types_of_pandas_alone(harness: Harness) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "period": pandas.period_range("2024-01", periods=3, freq="M"),
            "sparse": pandas.arrays.SparseArray([0, 0, 7]),
            "label": pandas.Categorical(["b", None, "a"], categories=["b", "unused", "a"], ordered=True),
        }
    )
    seen = pa.table({"period": ["2024-01", "2024-02", "2024-03"], "sparse": [0, 0, 7], "label": ["b", None, "a"]})
    with DataFlow(frame, backend=harness.backend()) as flow:
        check_rows(flow, State(sort=(Sort("label"),)), judge.view(seen, State(sort=(Sort("label"),))))
        check_view(flow, seen, State(search="2024-03"))


class Speechless:
    """An object that has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_objects_without_a_text_are_named(harness: Harness) -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(SourceError, match="column 'x' of the frame"):
        DataFlow(pandas.DataFrame({"x": [Speechless()], "y": [1]}), backend=harness.backend())
