"""`lazyflow show` on whatever a person may have: the same rows and statistics, and a line that says what is wrong."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import lazyflow as lf
from lazyflow.cli import main
from lazyflow.testing import made_sources

BACKENDS = ("duckdb", "pandas", "xorq")
FLIGHTS = pa.table(
    {"carrier": ["UA", "AA", "B6", "UA"], "delay": [2.5, None, -3.0, 61.0], "number": [1545, 1714, 7, 0]}
)
ROWS = [
    {"carrier": "UA", "delay": 2.5, "number": 1545},
    {"carrier": "AA", "delay": None, "number": 1714},
    {"carrier": "B6", "delay": -3.0, "number": 7},
    {"carrier": "UA", "delay": 61.0, "number": 0},
]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "120"})


def partitioned(table: pa.Table, folder: Path) -> str:
    for number, year in enumerate((2013, 2014)):
        path = folder / "data" / f"year={year}" / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table.slice(number * 2, 2), path)
    return str(folder / "data" / "*" / "*.parquet")


def build(table: pa.Table, folder: Path) -> Path:
    import xorq.api as xo
    from xorq.ibis_yaml.compiler import build_expr

    expression = xo.deferred_read_parquet(str(made_sources.parquet(table, folder)))
    return Path(build_expr(expression.filter(expression.number >= 0), builds_dir=folder / "builds"))


SOURCES: dict[str, made_sources.Make] = {
    "csv": made_sources.csv("flights.csv"),
    "json lines": made_sources.json("flights.jsonl"),
    "database": made_sources.database,
    "partitioned glob": partitioned,
    "build": build,
}


@pytest.mark.parametrize("backend", [None, *BACKENDS])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_shown(name: str, backend: str | None, tmp_path: Path) -> None:
    if name == "build" and backend in ("duckdb", "pandas"):
        pytest.skip("test_a_stranger_is_told has it")
    path = SOURCES[name](FLIGHTS, tmp_path)
    words = ("show", path, *(("--backend", backend) if backend else ()))
    events = [json.loads(line) for line in run(*words, "--json").stdout.splitlines()]
    opened, rows, *_, complete = events
    assert opened["backend"] == (backend or ("xorq" if name == "build" else "duckdb"))
    years = [{"year": year} for year in (2013, 2013, 2014, 2014)] if name == "partitioned glob" else [{}] * 4
    assert rows["rows"] == [row | year for row, year in zip(ROWS, years, strict=True)]
    assert complete["rows"]["raw"] == 4
    found: dict[str, Any] = {}
    for event in events:
        for column, cells in event.get("scopes", {}).get("raw", {}).get("columns", {}).items():
            found.setdefault(column, {}).update(cells)
    assert found["delay"]["mean"]["value"] == pytest.approx(20.1666666667)
    assert found["carrier"]["distinct"]["value"] == 3
    page = run(*words)
    assert page.exit_code == 0
    assert page.stdout.splitlines()[0].endswith(f" on {opened['backend']}")
    assert "4 rows" in page.stdout
    assert "UA 50.0%" in page.stdout


def test_a_table_of_a_database_is_named(tmp_path: Path) -> None:
    path = shop(tmp_path)
    page = run("show", path, "--table", "orders")
    assert page.stdout.splitlines()[0] == f"{path} orders on duckdb"
    assert "1 row" in page.stdout


def shop(folder: Path) -> Path:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS x; CREATE TABLE customers AS SELECT 2 AS y")
    return folder / "shop.duckdb"


def empty_database(folder: Path) -> Path:
    duckdb.connect(str(folder / "none.duckdb")).close()
    return folder / "none.duckdb"


def two_databases(folder: Path) -> str:
    shop(folder)
    empty_database(folder)
    return f"{folder}/*.duckdb"


def sqlite(folder: Path) -> Path:
    with sqlite3.connect(folder / "lite.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    return folder / "lite.db"


def holding(*names: str) -> Callable[[Path], Path]:
    """A folder with files of these names; Parquet where a name says so, else a line of text."""

    def make(folder: Path) -> Path:
        for name in names:
            path = folder / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith(".parquet"):
                pq.write_table(FLIGHTS, path)
            else:
                path.write_text("a\n1\n")
        (folder / "data").mkdir(exist_ok=True)
        return folder / "data"

    return make


def text(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut(folder: Path) -> Path:
    path = made_sources.csv("cut.csv.gz")(pa.table({"x": [str(n * 7919) for n in range(5_000)]}), folder)
    path.write_bytes(path.read_bytes()[:2_000])
    return path


TOLD: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "mistyped file": (lambda folder: holding("flights.csv")(folder) / "flight.csv", (), "did you mean .*flights.csv"),
    "mistyped folder": (lambda folder: folder / "nowhere" / "deep" / "x.csv", (), "there is no 'nowhere' in"),
    "nothing": (lambda folder: "", (), "'': no such file"),
    "glob": (lambda folder: folder / "*.parquet", (), r"'.*/\*.parquet': no such file$"),
    "address": (lambda folder: "https://example.org/x.csv", (), "an address; expected a path on this machine"),
    "empty folder": (holding(), (), r"no data files in this folder; expected Parquet \(.parquet"),
    "no data": (holding("README.md", "_x.csv"), (), "no data files in this folder"),
    "mixed": (holding("a.parquet", "b.csv"), (), r"several kinds, .*a.parquet' \(parquet\) and .*b.csv' \(csv\)"),
    "unknown": (lambda folder: f"{holding('a.csv', 'b.md')(folder)}/*", (), "b.md': unknown kind of file; expected"),
    "empty part": (lambda folder: text("b.csv", b"")(holding("a.csv")(folder)).parent, (), "b.csv': the file is empty"),
    "delta": (holding("a.parquet", "_delta_log/0.json"), (), "a Delta table"),
    "keys": (holding("y=1/a.csv", "m=1/a.csv"), (), r"y=1/a.csv': it lies in folders y=..., and .* in m=...; expected"),
    "several tables": (shop, (), "2 tables: say which .* --table on the command line; one of: customers, orders"),
    "wrong table": (shop, ("--table", "order"), "no table 'order' in this database, did you mean 'orders'"),
    "no tables": (empty_database, (), "the database has no tables"),
    "no database": (holding("a.parquet"), ("--table", "x"), "is one table; tables are named in a DuckDB database"),
    "two databases": (two_databases, (), "2 database files; expected one"),
    "sqlite": (sqlite, (), "lite.db': not a DuckDB database"),
    "fake": (text("x.duckdb", b"hello"), (), "x.duckdb': not a DuckDB database"),
    "cut": (cut, (), r"cut.csv.gz': cannot be read as CSV: .*Unexpected end"),
    "no gzip": (text("x.csv.gz", b"a,b\n1,2\n"), (), r"x.csv.gz': cannot be read as CSV: .*not a GZIP"),
    "no zstd": (text("x.csv.zst", b"a,b\n1,2\n"), (), r"x.csv.zst': cannot be read as CSV: "),
    "latin": (text("x.csv", "a,b\n1,é\n".encode("latin1")), (), "x.csv': cannot be read as CSV: .*Line: 2.*utf-8"),
    "json": (text("x.jsonl", b'{"a": 1}\n{"a": \n'), (), "x.jsonl': cannot be read as JSON: .*line 3"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", TOLD)
def test_a_stranger_is_told(case: str, backend: str, tmp_path: Path) -> None:
    make, words, expected = TOLD[case]
    result = run("show", make(tmp_path), *words, "--backend", backend)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("lazyflow: ")
    assert re.search(expected, line), line


@pytest.mark.parametrize("backend", ["duckdb", "pandas"])
def test_a_build_is_for_xorq(backend: str, tmp_path: Path) -> None:
    path = build(FLIGHTS, tmp_path)
    result = run("show", path, "--backend", backend)
    assert (result.exit_code, result.stderr) == (
        2, f"lazyflow: '{path}': a build is opened by the xorq backend, not by {backend}\n",
    )  # fmt: skip
    assert "is a build of xorq" in run("show", path.parent).stderr


def test_a_database_that_somebody_writes_to(tmp_path: Path) -> None:
    path = shop(tmp_path)
    shown = [sys.executable, "-m", "lazyflow.cli", "show", str(path), "--table", "orders"]
    with duckdb.connect(str(path)):
        for backend in BACKENDS:
            with pytest.raises(lf.SourceError, match="this process has the database open for writing"):
                lf.DataFlow(path, backend, table="orders")
        other = subprocess.run(shown, capture_output=True, text=True, check=False)
        assert other.returncode == 2, "the lock of this process stands"
        assert "another process (PID " in other.stderr
    with lf.DataFlow(path, table="orders"):
        assert subprocess.run(shown, capture_output=True, check=False).returncode == 0, "many may read"


def test_one_table_for_one_path(tmp_path: Path) -> None:
    path = shop(tmp_path)
    result = run("show", "a.csv", "b.csv")
    assert (result.exit_code, "give one PATH, not 2: a folder, or a glob in quotes" in result.stderr) == (2, True)
    for words in (("serve", path, path, "--table", "orders"), ("show", "--demo", "--table", "x")):
        result = run(*words)
        assert (result.exit_code, "--table goes with one PATH" in result.stderr) == (2, True)
