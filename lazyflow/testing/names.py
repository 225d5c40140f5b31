"""Names of columns that engines rename, drop or confuse: neutral inside, their own outside."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import UnknownName
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness
from lazyflow.testing.made_sources import parquet

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


HOSTILE = {
    "marks of languages": ['"', '""', "'", ";", "--", "/*", "\\", "`", "]", "$$", "%s", "{}", "\n", "\t", "x;\ny"],
    "a thousand characters": ["x" * 1000, "x" * 999 + "y", "é" * 1000, "😀" * 1000],
    "spaces and joiners": ["a\u00a0b", "\u3000", "👩\u200d🔬", "می\u200cخواهم", "\ufeff", "\u202eabc", "\u2028"],
    "paths": ["a", "a.b", "a.b.c", ".", "..", "a."],
}
"""Names that stay as they are."""

hostile = pytest.mark.family("hostile names")


def check_names(flow: DataFlow, seen: pa.Table) -> None:
    """Rows, filters, sorts and statistics of a table whose columns are named so."""
    names = seen.column_names
    assert list(flow.schema) == names
    for state in (
        State(),
        State(search="SAME"),
        State(filters=tuple(Filter(name, "is not missing") for name in names)),
        State(filters=(Filter(names[0], ">=", 1), Filter(names[-1], "==", "same"))),
        State(sort=tuple(Sort(name, descending=True) for name in reversed(names))),
    ):
        check_rows(flow, state, judge.view(seen, state))
    for name in names:
        assert flow.rows(State(), (0, 9), columns=[name]).column_names == [name]
    check_view(flow, seen, State(search="other"))


@hostile
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_are_unharmed(harness: Harness, kind: str, tmp_path: Path) -> None:
    table = named(HOSTILE[kind])
    for source in (harness.source(table), parquet(table, tmp_path)):
        with DataFlow(source, backend=harness.backend()) as flow:
            check_names(flow, table)


@hostile
def test_what_is_no_text_in_a_name_is_replaced(harness: Harness) -> None:
    given = ["nul\0", "nul\ufffd", "\x1b[31mred", "bell\x07", "\x85", "\x7f"]
    seen = ["nul\ufffd", "nul\ufffd (2)", "\ufffd[31mred", "bell\ufffd", "\ufffd", "\ufffd (2)"]
    with harness.flow(named(given)) as flow:
        check_names(flow, named(seen))


@hostile
def test_numbers_of_names_that_come_again_are_free(harness: Harness) -> None:
    given = ["x", "x (2)", "x", "x", "X"]
    with harness.flow(named(given)) as flow:
        check_names(flow, named(["x", "x (2)", "x (3)", "x (4)", "X"]))


@hostile
@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ([1, "1", 2.5, None, -1], ["1", "1 (2)", "2.5", "None", "-1"]),
        ([datetime.date(2024, 1, 1), b"x", ("a", 1), frozenset(), "\ud800"],
         ["2024-01-01", "b'x'", "('a', 1)", "frozenset()", r"\ud800"]),
        ([("a", "x"), ("a", "y"), ("b", ""), ("b", "x"), ("b", "x")],
         ["('a', 'x')", "('a', 'y')", "('b', '')", "('b', 'x')", "('b', 'x') (2)"]),
    ],
    ids=["numbers", "objects", "levels"],
)  # fmt: skip
def test_names_that_are_no_text(harness: Harness, given: list[Any], seen: list[str]) -> None:
    """They are what Python writes for them."""
    pandas = pytest.importorskip("pandas")
    frame = named([str(place) for place in range(len(given))]).to_pandas()
    levels = all(isinstance(name, tuple) for name in given)
    frame.columns = pandas.MultiIndex.from_tuples(given) if levels else pandas.Index(given, dtype=object)
    with DataFlow(frame, backend=harness.backend()) as flow:
        assert list(flow.schema) == seen
        table = pa.table(dict(zip(seen, flow.rows(State(), (0, 9)).columns, strict=True)))
        check_names(flow, table)


@hostile
def test_names_of_fields_in_structs(harness: Harness) -> None:
    fields = ["a", "A", "", "a.b", 'q"q', "x;\ny", "select", "x" * 300]
    rows = [{name: place + row for place, name in enumerate(fields)} for row in range(3)]
    table = pa.table({"s": [*rows, None]})
    with harness.flow(table) as flow:
        check_rows(flow, State(), judge.frame(table))
        for place, name in enumerate(fields):
            kept = flow.rows(State(filters=(Filter(f"s.{name}", ">=", place + 2),)), (0, 9))
            assert kept["s"].to_pylist() == rows[2:], name


def test_a_name_is_not_another_in_other_letters(harness: Harness) -> None:
    with harness.flow(named(["A", "b", "c"])) as flow:
        for state in (State(filters=(Filter("a", ">", 1),)), State(sort=(Sort("B"),))):
            with pytest.raises(UnknownName):
                flow.rows(state, (0, 1))
