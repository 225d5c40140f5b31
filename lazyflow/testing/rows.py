"""Rows and pages: what a window holds, in which order, under which types."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lazyflow.errors import InvalidValue
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows, rows_differ
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import OTHERS, SAMPLES, Sample, each

MANY = 10_000


def many() -> pa.Table:
    """Ten thousand rows with a few hundred ties for each value of `k`."""
    return pa.table(
        {"row": range(MANY), "k": [(i * 7919) % 23 for i in range(MANY)], "s": [f"s{i % 5}" for i in range(MANY)]}
    )


@each(SAMPLES)
def test_rows_of_scalars(harness: Harness, sample: Sample) -> None:
    table = sample.table()
    with harness.flow(table) as flow:
        check_rows(flow, State(), judge.frame(table))
        assert list(flow.schema.items()) == [(column.name, column.type) for column in judge.frame(table).columns]


@each(OTHERS)
def test_rows_of_others(harness: Harness, sample: Sample) -> None:
    table = sample.table()
    with harness.flow(table) as flow:
        check_rows(flow, State(), judge.frame(table))


@each(OTHERS)
@pytest.mark.parametrize("operator", ["is missing", "is not missing"])
def test_rows_of_others_missing_or_not(harness: Harness, sample: Sample, operator: str) -> None:
    table = sample.table()
    state = State(filters=(Filter("x", operator),))
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("windows")
@pytest.mark.parametrize("window", [(0, 0), (0, 1), (2, 4), (3, 3), (4, 100), (5, 5), (7, 9), (0, 2**40)], ids=str)
@pytest.mark.parametrize("sort", [(), (Sort("x"),)], ids=["unsorted", "sorted"])
def test_window(harness: Harness, window: tuple[int, int], sort: tuple[Sort, ...]) -> None:
    table = pa.table({"x": [5, 3, None, 1, 4]})
    state = State(sort=sort)
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state), window)


@pytest.mark.family("windows")
@pytest.mark.parametrize("window", [(-1, 5), (5, 2), (0, 2**62), (0.0, 5), (True, 5), (0,), None, "ab"], ids=str)
def test_window_that_is_none(harness: Harness, window: Any) -> None:
    with harness.flow(pa.table({"x": [1, 2]})) as flow:
        with pytest.raises(InvalidValue, match="window"):
            flow.rows(State(), window)
        with pytest.raises(InvalidValue, match="window"):
            flow.apply(State(), window)
        assert flow.rows(State(), (0, 5))["x"].to_pylist() == [1, 2]


PAGED = {
    "unsorted": State(),
    "filtered": State(filters=(Filter("k", ">=", 3),)),
    "searched": State(search="S3"),
    "ties": State(sort=(Sort("k"),)),
    "ties descending": State(sort=(Sort("k", descending=True),)),
    "ties of two keys": State(sort=(Sort("s", descending=True), Sort("k"))),
    "searched ties": State(search="s1", sort=(Sort("k", descending=True),)),
}


@pytest.mark.family("paging")
@pytest.mark.parametrize("view", PAGED)
def test_pages_hold_each_row_once(harness: Harness, view: str) -> None:
    table, state = many(), PAGED[view]
    expected = judge.view(table, state)
    with harness.flow(table) as flow:
        pages = [flow.rows(state, (start, start + 1000)) for start in range(0, MANY, 1000)]
        assert rows_differ(pa.concat_tables(pages), expected) is None
        assert flow.row_count(state) == expected.length


@pytest.mark.family("paging")
@pytest.mark.parametrize("view", ["unsorted", "ties descending"])
def test_pages_come_in_any_order_and_again(harness: Harness, view: str) -> None:
    table, state = many(), PAGED[view]
    expected = judge.view(table, state)
    windows = [(9_990, 10_010), (4_000, 4_100), (0, 100), (4_000, 4_100), (9_990, 10_010)]
    with harness.flow(table) as flow:
        for start, stop in windows:
            part = expected.take(range(start, min(stop, MANY)))
            assert rows_differ(flow.rows(state, (start, stop)), part) is None


@pytest.mark.family("paging")
def test_step_rows_are_those_of_rows(harness: Harness) -> None:
    table, state = many(), PAGED["searched ties"]
    expected = judge.view(table, state)
    with harness.flow(table) as flow:
        step = flow.apply(state, (500, 520))
        assert rows_differ(step.rows, expected.take(range(500, 520))) is None
        assert list(step.schema) == ["row", "k", "s"]


SOME = pa.table(
    {
        "a": [3, 1, None, 2],
        "b": ["x", "y", "x", None],
        "c": [True, None, False, True],
        "d": [0.5, float("nan"), 1.0, -0.0],
    }
)
PROJECTED = {
    "unsorted": State(),
    "filtered by another": State(filters=(Filter("a", ">=", 2),)),
    "searched": State(search="x"),
    "sorted by another": State(sort=(Sort("a", descending=True),)),
    "filtered and sorted": State(filters=(Filter("b", "==", "x"),), sort=(Sort("d"),)),
}


@pytest.mark.family("windows")
@pytest.mark.parametrize("columns", [["d"], ["c", "b"], ["b", "b", "a"], ["d", "c", "b", "a"], []], ids=str)
@pytest.mark.parametrize("view", PROJECTED)
def test_rows_of_some_columns(harness: Harness, view: str, columns: list[str]) -> None:
    """Those asked for, each once, in the order asked for; they are the same as among all."""
    state = PROJECTED[view]
    expected = judge.view(SOME, state)
    chosen = tuple(map(expected.named, dict.fromkeys(columns))) or expected.columns
    part = judge.Frame(chosen, expected.length)
    with harness.flow(SOME) as flow:
        assert rows_differ(flow.rows(state, (0, 9), columns), part) is None
        step = flow.apply(state, (0, 9), columns)
        assert rows_differ(step.rows, part) is None
        assert rows_differ(flow.apply(state, (0, 9)).rows, expected) is None, "an equal state, but of all columns"
        assert rows_differ(step.fetch((1, 9), columns), part.take(range(1, part.length))) is None
        assert step.fetch((2, 2), columns).column_names == [column.name for column in chosen]
        assert step.fetch((0, 1)).column_names == SOME.column_names


@pytest.mark.family("windows")
def test_rows_of_an_empty_table(harness: Harness) -> None:
    table = pa.table({"x": pa.array([], pa.int64()), "s": pa.array([], pa.string()), "f": pa.array([], pa.float64())})
    with harness.flow(table) as flow:
        for state in (State(), State(search="a", sort=(Sort("s"),)), State(filters=(Filter("x", ">", 1),))):
            check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("windows")
def test_a_million_rows_in_one_call(harness: Harness) -> None:
    numbers = pa.array(range(1_000_001), pa.int64())
    with harness.flow(pa.table({"x": numbers})) as flow:
        rows = flow.rows(State(), (0, 1_000_000))
    assert rows["x"].combine_chunks().equals(numbers.slice(0, 1_000_000))
