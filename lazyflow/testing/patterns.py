"""Filters by patterns: what `matches` keeps, against the judge and by hand, and what it refuses."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest

from lazyflow.errors import InvalidPattern, NotForThisType
from lazyflow.state import Filter, State
from lazyflow.testing.check import Disagreements
from lazyflow.testing.filters import check_filters
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import TEXTS, Sample, each

pytestmark = pytest.mark.family("patterns")

PATTERNS = (
    "", "^", "$", "^$", "a", "A|b", "^a", "a$", ".", "a.", "a+b?", "[ab]{2}", "[^a-z]", "[]a]", "[a-]", "a*?b",
    "(?i)ab", "(?:a|é)+", "(a)(b)", "(?P<first>[A-Z])", "σ|ς", "\U0001f600", r"\.", r"\bab?\b", r"\d|\s", r"\W",
    r"\x61", r"\A.{1,3}\z",
)  # fmt: skip

TEXT = ("a1", "\u0663", "é", "é a", "a\n", "\na", "a b", "\x0b", "A", "K", "\u212a", "ſ", "s", "a\\b", "", None)

KEPT = {
    r"\d": ["a1"],
    r"^\w$": ["A", "K", "s"],
    r"^[^\W\d]$": ["A", "K", "s"],
    r"^\s": ["\na"],
    r"a$": ["é a", "\na"],
    r"(?m)a$": ["é a", "a\n", "\na"],
    r"(?m:a$)|^$": ["é a", "a\n", "\na", ""],
    r"\Aa.?\z": ["a1"],
    r"^\b": ["a1", "a\n", "a b", "A", "K", "s", "a\\b"],
    r"\bb": ["a b", "a\\b"],
    r"\\b": ["a\\b"],
    r"^.$": ["\u0663", "é", "\x0b", "A", "K", "\u212a", "ſ", "s"],
    r"(?s)^a.$": ["a1", "a\n"],
    r"(?i)^k$": ["K", "\u212a"],
    r"(?i)^s$": ["ſ", "s"],
    r"^\x{e9}$": ["é"],
    r"^$": [""],
}
"""What engines by nature take for different things: digits and words beyond ASCII, ends of texts, letters in two cases.

Pattern -> those of `TEXT` that RE2 finds it in.
"""


def patterns_for(sample: Sample) -> Iterator[Filter]:
    """Patterns of all kinds, and each operand as one that is matched literally."""
    for pattern in (*PATTERNS, *(re.escape(operand) for operand in sample.operands if operand is not None)):
        yield Filter("x", "matches", pattern)


@each(TEXTS[:3])
def test_patterns(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample, patterns_for)


def test_a_pattern_is_read_alike_everywhere(harness: Harness) -> None:
    with harness.flow(pa.table({"x": TEXT})) as flow, Disagreements() as wrong:
        for pattern, due in KEPT.items():

            def ask(pattern: str = pattern, due: list[str] = due) -> None:
                state = State(filters=(Filter("x", "matches", pattern),))
                wrong.expect(pattern, flow.rows(state, (0, len(TEXT)))["x"].to_pylist(), due)

            wrong.attempt(pattern, ask)


def test_a_bad_pattern_is_refused(harness: Harness) -> None:
    with harness.flow(pa.table({"x": ["a"], "n": [1]})) as flow:
        with pytest.raises(InvalidPattern) as refused:
            flow.compile(State(filters=(Filter("x", "matches", "a(b"),)))
        assert str(refused.value) == "filter on 'x': pattern 'a(b', at '(b': this group is not closed"
        assert refused.value.position == 1
        with pytest.raises(NotForThisType):
            flow.compile(State(filters=(Filter("n", "matches", "1"),)))
        assert flow.row_count(State(filters=(Filter("x", "matches", None),))) == 0
