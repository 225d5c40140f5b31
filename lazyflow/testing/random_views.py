"""Random frames and random states against the judge: every page, the count, and the statistics of a view."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyflow.state import OPERATORS, TEXT_OPERATORS, Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness

pytestmark = pytest.mark.family("random views")

PAGE = 7

WORDS = st.one_of(
    st.sampled_from(["a", "A", "b", "", "%", "_", "İ", "i", "ς", "Σ", "σ", "é", "e\u0301", "ab", "aB"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
)
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "integer": (pa.int64(), st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63), 2**53, 2**53 + 1]))),
    "small": (pa.int8(), st.integers(-128, 127)),
    "float": (
        pa.float64(),
        st.one_of(
            st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 0.1, 1.5, 2.5]),
            st.floats(-1e6, 1e6, allow_subnormal=False),
        ),
    ),
    "text": (pa.string(), WORDS),
    "boolean": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))),
}
"""Types that every engine has; the families of each type go through the others."""

PATTERNS = st.recursive(
    st.sampled_from(
        ["a", "A", "b", "%", "_", "ς", "σ", "é", "\\.", ".", "[ab]", "[^a]", "[A-Z]", "\\w", "\\W", "(?i:aσé)"]
    ),
    lambda inner: st.one_of(
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+?", "?", "{2}", "{1,3}", "{0,}"])),
        st.builds("^{}".format, inner),
        st.builds("{}$".format, inner),
        st.builds("\\b{}".format, inner),
    ),
    max_leaves=5,
)
"""Patterns of `matches`."""

FOR_ALL = tuple(operator for operator in OPERATORS if operator not in TEXT_OPERATORS)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Mixed columns of up to thirty rows, a fifth of the values missing."""
    rows = draw(st.integers(0, 30))
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4))
    columns = {}
    for position, kind in enumerate(kinds):
        type, values = VALUES[kind]
        cells = st.one_of(values, values, values, values, st.none())
        columns[f"{kind}_{position}"] = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), type)
    return pa.table(columns)


@st.composite
def states(draw: st.DrawFn, table: pa.Table) -> State:
    """A search, up to two filters whose values are in the column or beside it, up to two keys."""
    columns = st.sampled_from(table.column_names)
    sort = tuple(Sort(name, draw(st.booleans())) for name in draw(st.lists(columns, max_size=2)))
    filters = tuple(draw(_filters(table, name)) for name in draw(st.lists(columns, max_size=2)))
    return State(search=draw(st.one_of(st.just(""), WORDS)), filters=filters, sort=sort)


@st.composite
def _filters(draw: st.DrawFn, table: pa.Table, name: str) -> Filter:
    kind = name.split("_", maxsplit=1)[0]
    operator = draw(st.sampled_from(OPERATORS if kind == "text" else FOR_ALL))
    there = [value for value in table[name].to_pylist() if value is not None]
    values = st.one_of(st.sampled_from(there), VALUES[kind][1]) if there else VALUES[kind][1]
    if operator in ("is missing", "is not missing"):
        return Filter(name, operator)
    if operator == "between":
        return Filter(name, operator, (draw(values), draw(values)))
    if operator in ("in", "not in"):
        return Filter(name, operator, tuple(draw(st.lists(values, max_size=3))))
    return Filter(name, operator, draw(PATTERNS if operator == "matches" else values))


@given(st.data())
def test_random_views(harness: Harness, data: st.DataObject) -> None:
    table = data.draw(tables(), label="table")
    with harness.flow(table) as flow:
        for _ in range(2):
            state = data.draw(states(table), label="state")
            expected = judge.view(table, state)
            for start in range(0, expected.length + 1, PAGE):
                check_rows(flow, state, expected, (start, start + PAGE))
            check_view(flow, table, state)
