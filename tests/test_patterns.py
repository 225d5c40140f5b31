r"""Patterns as every engine reads them: how they are written, what is refused, and that engines take the rest."""

from __future__ import annotations

from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lazyflow_xorq.backend import XorqBackend

from lazyflow.errors import InvalidPattern
from lazyflow.patterns import plain_pattern

WRITTEN = {
    "": "",
    "abc": "abc",
    r"\d\D": "[0-9][^0-9]",
    r"\w+\s*": r"[0-9A-Za-z_]+[\x09\x0a\x0c\x0d ]*",
    r"[\d.]": "[0-9.]",
    "[]a]": r"[\]a]",
    "[^]a]": r"[^\]a]",
    "[a-]": r"[a\-]",
    "[-a]": r"[\-a]",
    "[&&~~]": r"[\&\&\~\~]",
    "[[a]": r"[\[a]",
    "(?P<a>b)(?<c>d)": "(?:b)(?:d)",
    "(a|b|)": "(?:a|b|)",
    "a{2}b{2,}c{2,3}?": "a{2}b{2,}c{2,3}",
    "}a]": r"\}a\]",
    r"\<\>\-\ \#": "<>- #",
    r"\n\t\x41\x{1F600}": r"\x0a\x09A" + "\U0001f600",
    "(?i)a(?m-s:b)(?s)": "(?i)a(?m-s:b)(?s)",
    r"\A\b\z^$": r"\A\b\z^$",
    r"\\b": r"\\b",
    "é\0": r"é\x00",
}
"""Pattern -> how engines get it."""

REFUSED = {
    "a(b": (1, "this group is not closed"),
    "a)b": (1, "closes no group"),
    "[ab": (0, "brackets are not closed"),
    "[]": (0, "brackets are not closed"),
    "*a": (0, "nothing here to repeat"),
    "a|+": (2, "nothing here to repeat"),
    "a**": (2, "needs a group"),
    "a{2}{3}": (4, "needs a group"),
    "^*": (1, "cannot be repeated"),
    r"\b+": (2, "cannot be repeated"),
    "a{3,2}": (1, "below the first"),
    "a{1001}": (1, "more than 1,000 times"),
    "(?:a{100}){11}": (10, "more than 1,000 times"),
    "(?:abcdef{1000}){9}": (16, "more than 1,000 times"),
    "a{,2}": (1, "expected a repetition"),
    "a{x": (1, "expected a repetition"),
    "(?=a)": (0, "ahead or behind"),
    "a(?<!b)": (1, "ahead or behind"),
    r"(a)\1": (3, "references to groups"),
    "(?P=a)": (0, "references to groups"),
    "(?P<1>a)": (0, "a group's name"),
    "(?x)a": (0, "flags of i, m and s"),
    "(?ii)a": (0, "said twice"),
    "(?)a": (0, "expected flags"),
    r"a\Z": (1, r"\z"),
    r"\B": (0, r"only \b"),
    r"\pL": (0, "classes of Unicode"),
    r"\u0041": (0, "by its number"),
    r"\x4": (0, "two hexadecimal digits"),
    r"\x{110000}": (0, "no character of this number"),
    r"\x{d800}": (0, "no character of this number"),
    r"\q": (0, "no such escape"),
    "a\\": (2, "expected more"),
    "[[:alpha:]]": (1, "classes by name"),
    "[z-a]": (1, "comes before"),
    "[a-\\d]": (3, "no such escape"),
    "[a&&b~~c--d]": (7, "comes before"),
    "(" * 101 + ")" * 101: (100, "100 deep"),
    "(?:" + "a" * 50 + "){101}": (0, "more than 5,000 characters"),
}
"""Pattern -> the position and the reason with which it is refused."""


@pytest.mark.parametrize("pattern", WRITTEN)
def test_a_pattern_is_written_plainly(pattern: str) -> None:
    assert plain_pattern(pattern, "here") == WRITTEN[pattern]


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda pattern: pattern[:20])
def test_what_not_every_engine_reads_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match="here: pattern") as refused:
        plain_pattern(pattern, "here")
    position, reason = REFUSED[pattern]
    assert (refused.value.position, reason in str(refused.value)) == (position, True), str(refused.value)


@pytest.fixture(scope="module")
def engines() -> dict[str, Any]:
    import xorq.api as xo

    duckdb = ibis.duckdb.connect()
    return {"duckdb": duckdb.con, "xorq": xo.connect(), "backend": XorqBackend()}


PIECES = st.sampled_from(
    [
        *"abİςé -^$.|()[]{}*+?\\,0129:<=>!&~#/_\n\0",
        *(
            "(?i)",
            "(?s:",
            "(?P<a>",
            "(?:",
            "[^",
            "[\\W\\d",
            "\\d",
            "\\W",
            "\\b",
            "\\z",
            "\\x41",
            "{2}",
            "{1,3}",
            "{2,}?",
        ),
    ]
)


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=12).map("".join), st.text(st.sampled_from("abABİςé -]0\n\0\\&~"), max_size=6))
def test_every_engine_takes_what_is_not_refused_and_finds_the_same(
    engines: dict[str, Any], pattern: str, text: str
) -> None:
    try:
        plain = plain_pattern(pattern, "here")
    except InvalidPattern:
        return
    by_arrow = pc.match_substring_regex(pa.array([text]), plain)[0].as_py()
    (by_duckdb,) = engines["duckdb"].execute("SELECT regexp_matches(?, ?)", [text, plain]).fetchone()
    table = engines["backend"].ns.memtable(pa.table({"x": [text]}))
    found = engines["xorq"].to_pyarrow(table.select(found=engines["backend"].matches(table.x, plain)))
    assert (by_duckdb, found["found"][0].as_py()) == (by_arrow, by_arrow), plain
