"""Cleaning and post-processing: what changes, in which scope, and in which order rows come afterwards."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import TransformError, UnknownName
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_statistics
from lazyflow.testing.harness import Harness

pytestmark = pytest.mark.family("transforms")

TABLE = pa.table(
    {"n": [3, 1, None, 2, 3, 1], "s": ["c", "a", "c", None, "c", "b"], "f": [0.5, None, 2.5, 3.5, 0.5, 5.5]}
)
ALL = judge.frame(TABLE)

CLEANINGS = {
    "drop": lambda table, ns: table.filter(table.n.notnull()),
    "same": lambda table, ns: table,
    "to text": lambda table, ns: table.mutate(n=table.n.cast("string")),
    "add": lambda table, ns: table.mutate(double=table.n * 2),
    "narrow": lambda table, ns: table.select("s", "n"),
    "turn": lambda table, ns: table.select("f", "s", "n"),
}
POST_PROCESSINGS = {
    "distinct": lambda table, ns: table.select("n", "s").distinct(),
    "grouped": lambda table, ns: table.group_by("s").aggregate(rows=table.count(), total=table.n.sum()),
    "add": lambda table, ns: table.mutate(double=table.n * 2),
    "head": lambda table, ns: table.filter(table.f < 3),
}


@contextmanager
def flow_of(harness: Harness) -> Iterator[DataFlow]:
    """A flow over the table with all functions registered."""
    with harness.flow(TABLE) as flow:
        for name, fn in CLEANINGS.items():
            flow.register_cleaning(name, fn)
        for name, fn in POST_PROCESSINGS.items():
            flow.register_post_processing(name, fn)
        yield flow


def made(**columns: Any) -> judge.Frame:
    """A frame of whole numbers and text, written out."""
    return judge.frame(pa.table({name: _array(values) for name, values in columns.items()}))


def _array(values: list[Any]) -> pa.Array:
    text = any(isinstance(value, str) for value in values)
    return pa.array(values, pa.string() if text else pa.float64() if 0.5 in values else pa.int64())


DROPPED = ALL.take([0, 1, 3, 4, 5])
WITH_TEXT = made(
    n=["3", "1", None, "2", "3", "1"], s=["c", "a", "c", None, "c", "b"], f=[0.5, None, 2.5, 3.5, 0.5, 5.5]
)
WITH_DOUBLE = judge.Frame((*ALL.columns, *made(double=[6, 2, None, 4, 6, 2]).columns), 6)

CLEANED = {
    "drop": DROPPED,
    "same": ALL,
    "to text": WITH_TEXT,
    "add": WITH_DOUBLE,
    "narrow": judge.Frame((ALL["s"], ALL["n"]), 6),
    "turn": judge.Frame((ALL["f"], ALL["s"], ALL["n"]), 6),
}


@pytest.mark.parametrize("cleaning", CLEANED)
def test_cleaning(harness: Harness, cleaning: str) -> None:
    clean = CLEANED[cleaning]
    with flow_of(harness) as flow:
        for search, sort in (("", ()), ("C", (Sort("n", descending=True),)), ("b", (Sort("s"),))):
            state = State(cleaning=cleaning, search=search, sort=sort)
            check_rows(flow, state, judge.ordered(judge.filtered(clean, state), sort))


@pytest.mark.parametrize("cleaning", CLEANED)
def test_statistics_after_cleaning(harness: Harness, cleaning: str) -> None:
    """A histogram takes its edges from the first scope in which the column has its type."""
    clean, state = CLEANED[cleaning], State(cleaning=cleaning, search="c")
    with flow_of(harness) as flow:
        check_statistics(flow, state, {"raw": ALL, "clean": clean, "filtered": judge.filtered(clean, state)})


def test_filters_are_checked_against_the_clean_table(harness: Harness) -> None:
    with flow_of(harness) as flow:
        text = State(cleaning="to text", filters=(Filter("n", "==", "3"),))
        check_rows(flow, text, WITH_TEXT.take([0, 4]))
        check_rows(flow, State(cleaning="to text", search="3"), WITH_TEXT.take([0, 4]))
        check_rows(flow, State(cleaning="add", filters=(Filter("double", ">", 4),)), WITH_DOUBLE.take([0, 4]))
        with pytest.raises(UnknownName):
            flow.rows(State(cleaning="narrow", filters=(Filter("f", ">", 1),)), (0, 1))


DISTINCT = made(n=[1, 1, 2, 3, None], s=["a", "b", None, "c", "c"])
GROUPED = made(s=["a", "b", "c", None], rows=[1, 1, 3, 1], total=[1, 1, 6, 2])


def test_rows_without_an_order_come_by_their_values(harness: Harness) -> None:
    """After distinct or group_by there is no order of the source: all columns sort, missing last."""
    with flow_of(harness) as flow:
        check_rows(flow, State(post_processing="distinct"), DISTINCT)
        check_rows(flow, State(post_processing="grouped"), GROUPED)
        check_rows(flow, State(post_processing="grouped", sort=(Sort("rows", True),)), GROUPED.take([2, 0, 1, 3]))
        for row in range(5):
            check_rows(flow, State(post_processing="distinct"), DISTINCT, (row, row + 1))


def test_shown_rows_in_the_order_of_the_source(harness: Harness) -> None:
    with flow_of(harness) as flow:
        check_rows(flow, State(post_processing="add"), WITH_DOUBLE)
        check_rows(flow, State(post_processing="add", sort=(Sort("double"),)), WITH_DOUBLE.take([1, 5, 3, 0, 4, 2]))
        check_rows(flow, State(post_processing="head", search="c"), ALL.take([0, 2, 4]))
        check_rows(flow, State(cleaning="drop", post_processing="head"), ALL.take([0, 4]))


def test_post_processing_comes_after_filters(harness: Harness) -> None:
    with flow_of(harness) as flow:
        state = State(search="c", post_processing="grouped")
        check_rows(flow, state, made(s=["c"], rows=[3], total=[6]))
        assert list(flow.compile(state).schema) == ["s", "rows", "total"]
        with pytest.raises(UnknownName):
            flow.rows(State(post_processing="grouped", sort=(Sort("f"),)), (0, 1))


@pytest.mark.parametrize("post", ["distinct", "grouped", "add"])
def test_statistics_of_the_shown_scope(harness: Harness, post: str) -> None:
    shown = {"distinct": DISTINCT, "grouped": GROUPED, "add": WITH_DOUBLE}[post]
    with flow_of(harness) as flow:
        scopes = {"raw": ALL, "clean": ALL, "filtered": ALL, "shown": shown}
        check_statistics(flow, State(post_processing=post), scopes, () if post == "add" else ("shown",))


BROKEN = {
    "raises": lambda table, ns: 1 / 0,
    "no table": lambda table, ns: 3,
    "a column": lambda table, ns: table.n,
    "executes": lambda table, ns: table.filter(table.n > table.n.mean().execute()),
    "unknown column": lambda table, ns: table.select("nowhere"),
    "nothing": lambda table, ns: None,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_transform_that_fails_is_named(harness: Harness, kind: str) -> None:
    with flow_of(harness) as flow:
        flow.register_cleaning("broken", BROKEN[kind])
        flow.register_post_processing("broken", BROKEN[kind])
        step = flow.apply(State(search="c"))
        for state in (State(cleaning="broken"), State(post_processing="broken")):
            with pytest.raises(TransformError, match="'broken'"):
                flow.apply(state)
        assert not step.superseded
        check_rows(flow, State(search="c"), ALL.take([0, 2, 4]))


def test_a_transform_that_is_unknown(harness: Harness) -> None:
    with flow_of(harness) as flow:
        for state in (State(cleaning="dorp"), State(post_processing="dorp")):
            with pytest.raises(UnknownName, match="dorp"):
                flow.apply(state)
