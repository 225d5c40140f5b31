"""Names of columns that engines rename, drop or confuse: neutral inside, their own outside."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import pyarrow as pa
import pytest

from lazyflow.errors import UnknownName
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness

pytestmark = pytest.mark.family("names")

NAMES = {
    "case alone apart": ["A", "a", "AB", "aB"],
    "empty": ["", "x", " "],
    "self": ["self", "cls", "table"],
    "quotes": ['say "x"', "it's", "`tick`", "back\\slash"],
    "unicode": ["größe", "名前", "😀", "İ", "i\u0307", "ſ", "s"],
    "words of SQL": ["select", "from", "order", "group", "rows", "null", "value", "count"],
    "words of ours": ["rows", "column", "value_0", "column_0", "column_1", "__row_number", "__index_level_0__", "n"],
    "long": ["x" * 300, "x" * 301],
    "punctuation": ["a.b", "a,b", "a;b", "a b", "%", "*", "?", "$1", "{x}", "a:b", "-- x"],
    "numbers": ["0", "1", "1.5", "-1"],
}


def named(names: list[str]) -> pa.Table:
    """A table with these columns, each with values of its own."""
    arrays = [pa.array([position, None, -position, position * 10]) for position in range(1, len(names) + 1)]
    text = pa.array(["same", "same", "other", None])
    return pa.Table.from_arrays([*arrays[:-1], text], names=names)


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_rows_filters_and_sorts(harness: Harness, kind: str) -> None:
    names = NAMES[kind]
    table = named(names)
    first, last = names[0], names[-1]
    with harness.flow(table) as flow:
        assert list(flow.schema) == names
        for state in (
            State(),
            State(search="SAME"),
            State(filters=(Filter(first, ">=", 1), Filter(last, "==", "same"))),
            State(filters=tuple(Filter(name, "is not missing") for name in names)),
            State(sort=(Sort(last), Sort(first, descending=True))),
            State(sort=tuple(Sort(name) for name in names)),
        ):
            check_rows(flow, state, judge.view(table, state))


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_statistics(harness: Harness, kind: str) -> None:
    table = named(NAMES[kind])
    with harness.flow(table) as flow:
        check_view(flow, table, State(search="other"))


def test_a_name_that_comes_again_gets_a_number(harness: Harness) -> None:
    arrays = [pa.array([3, 1, 2]), pa.array([6, 5, 4]), pa.array(["c", "a", "b"])]
    table = pa.Table.from_arrays(arrays, names=["x", "x", "x"])
    seen = table.rename_columns(["x", "x (2)", "x (3)"])
    with harness.flow(table) as flow:
        assert list(flow.schema) == seen.column_names
        for state in (State(sort=(Sort("x (2)"),)), State(search="A"), State(filters=(Filter("x (3)", ">", "a"),))):
            check_rows(flow, state, judge.view(seen, state))
        check_view(flow, seen, State())


def test_a_name_is_not_another_in_other_letters(harness: Harness) -> None:
    with harness.flow(named(["A", "b", "c"])) as flow:
        for state in (State(filters=(Filter("a", ">", 1),)), State(sort=(Sort("B"),))):
            with pytest.raises(UnknownName):
                flow.rows(state, (0, 1))
