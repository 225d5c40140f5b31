"""Hostile values and names on their way to people: on the page, in events, over the wire."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

import lazyflow as lf
from lazyflow.cli import main
from lazyflow.client import connect
from lazyflow.dataflow import DataFlow
from lazyflow.testing.hostile import LONG, all_types
from lazyflow.testing.names import HOSTILE, named
from lazyflow.testing.scalars import FAR
from lazyflow.values import plain, python_values
from tests.wire import run, serving

BACKENDS = ("duckdb", "pandas", "xorq")

MEGABYTE = "x" * 1_000_000
TABLE = pa.table(
    {
        "text": [
            "\x1b[31mred\x07\x1b]0;title\x07",
            "line\nbreak\ttab\r",
            "\u202eturned\u2066\x9b2J",
            MEGABYTE,
            "\u2028",
        ],
        "binary": [b"\x1b[31m", b"\0" * 1000, None, b"", b"x" * 1_000_000],
        "list": [["\x1b[2J", "a\nb"], [MEGABYTE], None, [], ["\u202e"]],
        "struct": [{"a\x1b": "\x1b[2J"}, {"a\x1b": "\n"}, None, {"a\x1b": None}, {"a\x1b": MEGABYTE}],
        "day": pa.array([4_000_000, -1_000_000, 0, None, 2**31 - 2], pa.int32()).cast(pa.date32()),
        "bell\x07\x1b[31mname": [1, 2, 3, 4, 5],
        "new\nline": [1, 2, 3, 4, 5],
        "x" * 1000: ["a"] * 5,
        "": [1] * 5,
        "\u202ename": [1.5] * 5,
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hostile\x1b[31m\u202e.parquet"
    pq.write_table(TABLE, path)
    return path


def show(*words: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, words)], env={"COLUMNS": "120"})


def unprintable(text: str) -> set[str]:
    return {character for character in text if not character.isprintable() and character != "\n"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("words", [(), ("--search", "turned"), ("--columns", "list,struct,day"), ("--sort", "text")])
def test_the_page_has_no_character_that_moves_the_cursor(backend: str, words: tuple[str, ...], path: Path) -> None:
    result = show(path, "--backend", backend, *words)
    assert result.exit_code == 0, result.output
    assert unprintable(result.output) == set()
    assert max(map(cell_len, result.output.splitlines())) <= 120
    assert "failed" not in result.output


def test_the_page_on_a_terminal_has_no_sequence_of_the_data(path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lazyflow.cli", "show", str(path)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
        process.wait()
    os.close(ours)
    text = seen.decode()
    assert "x1b[31mred" in text, "written as an escape"
    assert "\x1b[31mred" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "\x9b" not in text


@pytest.mark.parametrize("backend", BACKENDS)
def test_events_are_lines_of_json_whatever_is_in_them(backend: str, path: Path) -> None:
    result = show(path, "--backend", backend, "--json")
    events = [json.loads(line) for line in result.output.splitlines()]
    (rows,) = (event["rows"] for event in events if event["event"] == "rows")
    assert [row["text"] for row in rows] == TABLE["text"].to_pylist()
    assert [row["day"] for row in rows] == ["+12921-08-18", "-0768-02-04", "1970-01-01", None, "+5881580-07-10"]
    assert [row["list"] for row in rows] == TABLE["list"].to_pylist()
    assert unprintable(result.output) == set()


@pytest.mark.parametrize("words", [("--filter", "nowhere > 1"), ("--sort", "nowhere"), ("--columns", "\x1b[31m")])
def test_errors_are_one_short_line_whatever_the_names(words: tuple[str, ...], path: Path) -> None:
    result = show(path, *words)
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert unprintable(line) == set()
    assert len(line) < 600


def far_years() -> pa.Table:
    return pa.table({sample.name: sample.column().slice(0, 5) for sample in FAR})


TABLES = {
    "every type": lambda: all_types()[0],
    "hostile values": far_years,
    "long texts": lambda: LONG,
    "hostile names": lambda: named([name for names in HOSTILE.values() for name in names]),
}


def in_json(column: pa.ChunkedArray) -> list[Any]:
    """Values in a form in which what is missing equals itself."""
    return [plain(value) for value in python_values(column)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", TABLES)
def test_the_wire_brings_all_of_it(backend: str, family: str) -> None:
    """Rows and statistics at the other end are those of the flow, to the last digit."""
    table = TABLES[family]()

    async def main() -> None:
        with DataFlow(table, backend=backend) as flow:
            step = flow.apply(lf.State(), (0, 10))
            due = step.resolve(timeout=60)
            async with serving(flow) as server, connect(server.url, window=(0, 10)) as client:
                view = await client.settled()
                assert view.rows is not None
                assert view.rows.schema == step.rows.schema
                for name in step.rows.column_names:
                    assert in_json(view.rows[name]) == in_json(step.rows[name])
                for name, cells in due["raw"].items():
                    for statistic, cell in cells.items():
                        found = view.statistics["raw"][name].get(statistic)
                        if cell.error is None:
                            assert found is not None, (name, statistic)
                            assert plain(found.value) == plain(cell.value), (name, statistic)

    run(main())
