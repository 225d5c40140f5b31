"""Sorting: missing last both ways, ties in the order of the source both ways, text by code point."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import pyarrow as pa
import pytest

from lazyflow.errors import NotForThisType, UnknownName
from lazyflow.state import Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.groups import nested
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import INF, NAN, SAMPLES, Sample, each

DIRECTIONS = pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])


@each(SAMPLES)
def test_sort_of_every_type(harness: Harness, sample: Sample) -> None:
    table = sample.table()
    with harness.flow(table) as flow:
        for descending in (False, True):
            state = State(sort=(Sort("x", descending),))
            check_rows(flow, state, judge.view(table, state))


TIES = {
    "row": range(12),
    "k": [2, 1, None, 2, 1, None, 2, 1, 2, None, 1, 1],
    "f": [0.0, -0.0, NAN, None, INF, -INF, 0.0, NAN, -0.0, INF, 1.0, -1.0],
    "s": ["b", "a", "B", None, "é", "e\u0301", "b", "", "a", None, "\uffff", "😀"],
}

SORTS = {
    "ties": (Sort("k"),),
    "ties descending": (Sort("k", True),),
    "zeros": (Sort("f"),),
    "zeros descending": (Sort("f", True),),
    "two keys": (Sort("k"), Sort("s")),
    "two keys, one descending": (Sort("k", True), Sort("s")),
    "three keys": (Sort("k"), Sort("f", True), Sort("s", True)),
    "a key again": (Sort("k", True), Sort("s"), Sort("k")),
    "a key again the other way": (Sort("s"), Sort("s", True)),
}


@pytest.mark.family("sort")
@pytest.mark.parametrize("sort", SORTS)
def test_sort_with_ties(harness: Harness, sort: str) -> None:
    table, state = pa.table(TIES), State(sort=SORTS[sort])
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("sort")
@DIRECTIONS
def test_sort_of_text_is_by_code_point(harness: Harness, descending: bool) -> None:
    texts = ["Z", "a", "Ä", "z", "A", "_", "ä", "10", "9", "\U00010000", "\uffff", "", "a\0", "a", "á", "a\u0301"]
    table, state = pa.table({"s": texts, "row": range(len(texts))}), State(sort=(Sort("s", descending),))
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("sort")
@DIRECTIONS
def test_sort_of_what_is_all_missing_keeps_the_order(harness: Harness, descending: bool) -> None:
    table = pa.table({"row": range(300), "x": pa.array([None] * 300, pa.int64()), "f": [NAN, None, NAN] * 100})
    with harness.flow(table) as flow:
        for name in ("x", "f"):
            check_rows(flow, State(sort=(Sort(name, descending),)), judge.frame(table))


FIELDS = ("at.number", "at.price", "at.day", "at.inner.deep", "at.inner.when", "at.city", "words.first")


@pytest.mark.family("nested fields")
@pytest.mark.parametrize("field", FIELDS)
def test_sort_by_fields_of_structs(harness: Harness, field: str) -> None:
    """A missing struct has no field; a column that is called like one comes first."""
    words = [{"first": word} for word in ("b", "a", "B", None, "é")]
    table = nested().append_column("words", pa.array(words, pa.struct([("first", pa.string())])))
    many = pa.concat_tables([table] * 3)
    with harness.flow(many) as flow:
        twice = (Sort("at.city", True), Sort(field), Sort(field, True))
        for sort in ((Sort(field),), (Sort(field, True),), (Sort("at.day"), Sort(field)), twice):
            state = State(sort=sort)
            check_rows(flow, state, judge.view(many, state))
            step = flow.apply(state, (0, 2))
            if step.prepare():
                check_rows(flow, state, judge.view(many, state), (4, 11))


@pytest.mark.family("nested fields")
def test_sort_by_a_field_of_a_searched_view(harness: Harness) -> None:
    table = nested()
    state = State(search="z", sort=(Sort("at.inner.deep", True),))
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("nested fields")
@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("at.town", UnknownName, "unknown field of 'at' 'town'"),
        ("at", NotForThisType, "sort by 'at': columns of type struct"),
        ("at.inner.list", NotForThisType, "sort by 'at.inner.list': columns of type list"),
        ("row.x", UnknownName, "unknown column 'row.x'"),
    ],
)
def test_sort_by_a_path_that_leads_nowhere(harness: Harness, column: str, error: type[Exception], message: str) -> None:
    with harness.flow(nested()) as flow, pytest.raises(error, match=message):
        flow.compile(State(sort=(Sort(column),)))


@pytest.mark.family("other types")
def test_sort_by_what_has_no_order(harness: Harness) -> None:
    table = pa.table({"l": pa.array([[1], None], pa.list_(pa.int64())), "x": [1, 2]})
    with harness.flow(table) as flow:
        with pytest.raises(NotForThisType, match="'l'"):
            flow.rows(State(sort=(Sort("l"),)), (0, 1))
        with pytest.raises(UnknownName, match="nowhere"):
            flow.rows(State(sort=(Sort("nowhere"),)), (0, 1))
