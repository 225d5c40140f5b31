"""The suite itself: its plugin tells declared from failed, and its judge and its comparisons can say no."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pyarrow as pa
import pytest

from lazyflow import Cell, Filter, Sort, State
from lazyflow.testing import MODULES, judge, judge_statistics, suite
from lazyflow.testing.check import Disagreements, rows_differ
from lazyflow.testing.check_statistics import cell_differs
from lazyflow.testing.plugin import BEGIN, END

CONFTEST = """
import pytest
from lazyflow.backend import Backend, Capabilities
from lazyflow.testing import Harness

pytest_plugins = ["lazyflow.testing.plugin"]

class Toy(Backend):
    name = "toy"
    capabilities = Capabilities(missing={"lost": "reason A", "half [b]": "reason B", "one: of many [x]": "reason C"})
    ns = open = execute = None

@pytest.fixture
def harness():
    return Harness(Toy, None, None)
"""

CASES = """
import pytest

@pytest.mark.family("lost")
def test_lost(harness):
    assert {lost}

@pytest.mark.family("half")
@pytest.mark.parametrize("letter", ["a", "b"])
def test_half(harness, letter):
    assert letter == "a" or {half}

@pytest.mark.family("one")
@pytest.mark.parametrize("letter", ["x", "y"])
def test_of_many(harness, letter):
    assert letter == "y" or {one}
"""


def run(pytester: pytest.Pytester, *arguments: str, **holds: bool) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CASES.format(**{"lost": False, "half": False, "one": False} | holds))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_what_is_declared_and_fails_is_no_failure(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--matrix", "matrix.md")
    result.assert_outcomes(passed=2, xfailed=3)
    assert result.ret == 0
    matrix = (pytester.path / "matrix.md").read_text().splitlines()
    assert [" ".join(line.replace("|", " ").split()) for line in matrix if "---" not in line] == [
        "family toy",
        "half 1, 1 declared",
        "lost 1 declared",
        "one 1, 1 declared",
        "all 2, 3 declared",
    ]


@pytest.mark.parametrize(("family", "reason"), [("lost", "reason A"), ("half", "reason B"), ("one", "reason C")])
def test_what_is_declared_and_passes_fails_the_run(pytester: pytest.Pytester, family: str, reason: str) -> None:
    result = run(pytester, **{family: True})
    result.assert_outcomes(passed=2, xfailed=2, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"unexpected success of {family}: *", f"toy declares it missing: {reason}"])


def test_the_matrix_replaces_what_is_between_its_markers(pytester: pytest.Pytester) -> None:
    (pytester.path / "page.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    run(pytester, "--matrix", "page.md")
    text = (pytester.path / "page.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| lost" in text
    assert "old" not in text


def test_the_suite_holds_tests_and_fixtures_alone() -> None:
    assert suite.__all__
    assert "pytestmark" not in suite.__all__
    for name in suite.__all__:
        value = getattr(suite, name)
        assert value.__module__.removeprefix("lazyflow.testing.") in MODULES
        marks = [mark.name for mark in getattr(value, "pytestmark", [])]
        assert not name.startswith("test_") or marks, name


def test_judge_of_rows() -> None:
    table = pa.table({"x": [2.0, float("nan"), None, -0.0, 0.0], "s": ["İ", None, "i\u0307b", "ς", ""]})
    all_rows = judge.frame(table)
    assert all_rows["x"].values == (2.0, None, None, 0.0, 0.0)
    assert judge.view(table, State(search="İB"))["s"].values == ("i\u0307b",)
    assert judge.view(table, State(search="Σ"))["x"].values == (0.0,)
    assert judge.view(table, State(filters=(Filter("x", "!=", 2),)))["s"].values == ("ς", "")
    assert judge.view(table, State(filters=(Filter("x", "not in", [None, 0]),)))["s"].values == ("İ",)
    assert judge.view(table, State(sort=(Sort("x", True),)))["s"].values == ("İ", "ς", "", None, "i\u0307b")


def test_judge_of_statistics_agrees_with_others() -> None:
    values = [0.1, 2.5, 2.5, -3.0, 1e9, 7.25, 0.0]
    column = judge.frame(pa.table({"x": values}))["x"]
    told = judge_statistics.statistics(column, column)
    assert told["mean"] == pytest.approx(statistics.fmean(values))
    assert told["std"] == pytest.approx(statistics.stdev(values))
    assert told["quantiles"] == pytest.approx({q: np.quantile(values, q) for q in told["quantiles"]})
    assert sum(told["histogram"].counts) == told["count"] == 7
    assert told["histogram"].counts[-1] == 1
    assert told["top_values"][0] == (2.5, 2)
    assert told["distinct"] == 6


def test_judge_of_wide_integers_is_exact() -> None:
    column = judge.frame(pa.table({"x": [2**63 - 1, -(2**63), 2**53, 2**53 + 1]}))["x"]
    told = judge_statistics.statistics(column, column)
    assert told["distinct"] == 4
    assert (told["min"], told["max"]) == (-(2**63), 2**63 - 1)
    assert told["histogram"].edges[-1] == 2**63 - 1


@pytest.mark.parametrize(
    "other",
    [
        pa.table({"x": [1, 2]}),
        pa.table({"y": [1, None]}),
        pa.table({"x": pa.array([1, None], pa.int32())}),
        pa.table({"x": [None, 1]}),
        pa.table({"x": [1, None, None]}),
        pa.table({"x": [1, None], "y": [1, 2]}),
    ],
    ids=["value", "name", "type", "order", "length", "columns"],
)
def test_rows_that_differ(other: pa.Table) -> None:
    expected = judge.frame(pa.table({"x": [1, None]}))
    assert rows_differ(pa.table({"x": [1, None]}), expected) is None
    assert rows_differ(other, expected) is not None


def test_cells_that_differ() -> None:
    column = judge.frame(pa.table({"x": [1.0, 1e6]}))["x"]
    assert cell_differs("mean", Cell(500_000.5), 500_000.5, column) is None
    assert cell_differs("mean", Cell(500_000.5 + 1e-4), 500_000.5, column) is None
    assert cell_differs("mean", Cell(500_000.6), 500_000.5, column)
    assert cell_differs("mean", Cell(None), 500_000.5, column)
    assert cell_differs("mean", Cell(math.inf), 500_000.5, column)
    assert cell_differs("mean", Cell(500_000.5, "pending"), 500_000.5, column)
    assert cell_differs("count", Cell(3), 2, column)
    assert cell_differs("count", Cell(2.0), 2, column)
    assert cell_differs("distinct", Cell(104, "approximate"), 100, column) is None
    assert cell_differs("distinct", Cell(106, "approximate"), 100, column)
    assert cell_differs("distinct", Cell(1, "approximate"), 0, column)


def test_disagreements_show_all_of_them() -> None:
    wrong = Disagreements()
    wrong.attempt("one", lambda: wrong.expect("one", 1, 2))
    wrong.attempt("two", lambda: wrong.expect("two", [][0], 1))
    assert [line.split(":")[0] for line in wrong.found] == ["one", "two"]
    with pytest.raises(AssertionError, match="2 of 2 wrong"):
        wrong.__exit__(None)
