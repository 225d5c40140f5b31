"""Search: literal, in every text column, the same rows whatever the alphabet."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import pyarrow as pa
import pytest

from lazyflow.errors import InvalidInput
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge
from lazyflow.testing.check import check_rows
from lazyflow.testing.harness import Harness

WORDS: list[str | None] = [
    "İstanbul",
    "istanbul",
    "ISTANBUL",
    "ıstanbul",
    "i\u0307stanbul",
    "IJ",
    "ΟΔΟΣ",
    "οδος",
    "οδοσ",
    "ΟΔΟΣΗ",
    "Σ",
    "ς",
    "é",
    "E\u0301",
    "e\u0301cole",
    "É",
    "Straße",
    "STRASSE",
    "ẞ",
    "ﬁne",
    "FINE",
    "ſ",
    "µ",
    "μ",
    "Μ",
    "K",
    "k",
    "50%",
    "5_0",
    "a.b",
    "axb",
    "(x",
    "[x]",
    "back\\slash",
    "nul\0byte",
    "'quoted'",
    '"double"',
    "😀👍🏽",
    "日本語",
    "",
    " ",
    None,
    "tab\there",
    "line\nbreak",
    "ǅ",
    "ǆ",
    "Ⅷ",
    "ⅷ",
    "ÿ",
    "Ÿ",
    "\u0345",
    "ᾳ",
    "Ԛ",
    "𐐀",
    "𐐨",
]

TERMS = [
    "istanbul",
    "İ",
    "i\u0307",
    "I",
    "ı",
    "i",
    "\u0307",
    "ΟΔΟΣ",
    "οδος",
    "οδοσ",
    "ς",
    "σ",
    "é",
    "E\u0301",
    "\u0301",
    "e",
    "ß",
    "ss",
    "ẞ",
    "ﬁ",
    "fi",
    "ſ",
    "s",
    "µ",
    "μ",
    "K",
    "k",
    "%",
    "_",
    ".",
    "(",
    "[x]",
    "\\",
    "\0",
    "'",
    '"',
    "😀",
    "👍",
    "本",
    " ",
    "\t",
    "\n",
    "ǆ",
    "ⅷ",
    "ÿ",
    "𐐨",
    "none of them",
]


def words() -> pa.Table:
    """The words in three layouts of text, spread so that each column finds rows that the others do not."""
    third = len(WORDS)
    return pa.table(
        {
            "row": pa.array(range(3 * third), pa.int64()),
            "plain": pa.array(WORDS + [None] * (2 * third), pa.string()),
            "large": pa.array([None] * third + WORDS + [None] * third, pa.large_string()),
            "dictionary": pa.array([None] * (2 * third) + WORDS, pa.string()).dictionary_encode(),
            "number": pa.array([1] * (3 * third), pa.int64()),
        }
    )


@pytest.mark.family("search")
@pytest.mark.parametrize("term", TERMS, ids=ascii)
def test_search(harness: Harness, term: str) -> None:
    table, state = words(), State(search=term)
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("search")
def test_empty_term_keeps_every_row(harness: Harness) -> None:
    table = pa.table({"s": ["a", None], "x": [1, 2]})
    with harness.flow(table) as flow:
        check_rows(flow, State(search=""), judge.frame(table))


@pytest.mark.family("search")
@pytest.mark.parametrize("term", ["1", "true", "2000", "a"])
def test_search_is_over_text_alone(harness: Harness, term: str) -> None:
    """Numbers, booleans and dates are not searched: without a text column nothing is found."""
    table = pa.table(
        {
            "x": [1, 2],
            "b": [True, False],
            "d": pa.array([0, 10_957], pa.int32()).cast(pa.date32()),
        }
    )
    with harness.flow(table) as flow:
        check_rows(flow, State(search=term), judge.frame(table).take([]))


@pytest.mark.family("other types")
def test_search_is_not_in_nested_text(harness: Harness) -> None:
    table = pa.table({"l": pa.array([["a"], None], pa.list_(pa.string())), "s": ["b", "a"]})
    with harness.flow(table) as flow:
        check_rows(flow, State(search="a"), judge.frame(table).take([1]))


@pytest.mark.family("search")
def test_search_over_missing_text_alone(harness: Harness) -> None:
    table = pa.table({"s": pa.array([None, None], pa.string()), "x": [1, 2]})
    with harness.flow(table) as flow:
        check_rows(flow, State(search="a"), judge.frame(table).take([]))


@pytest.mark.family("search")
def test_search_with_filters_and_sort(harness: Harness) -> None:
    table = words()
    state = State(search="s", filters=(Filter("row", ">", 5), Filter("number", "==", 1)), sort=(Sort("plain", True),))
    with harness.flow(table) as flow:
        check_rows(flow, state, judge.view(table, state))


@pytest.mark.family("search")
def test_search_for_what_is_no_text(harness: Harness) -> None:
    with harness.flow(pa.table({"s": ["a"]})) as flow, pytest.raises(InvalidInput):
        flow.rows(State(search="\ud800"), (0, 1))
