"""Sources: each form of a table gives the same rows and statistics."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import InvalidInput, SourceError
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge, made_sources
from lazyflow.testing.check import check_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness
from lazyflow.testing.made_sources import SOURCES

sources = pytest.mark.family("sources")

DAY = datetime.date(2024, 2, 28)
TABLE = pa.table(
    {
        "number": [3, 1, 2, -5, 0, 9, 12],
        "half": [0.5, None, -1.25, 3.5, 2.5, None, 1e10],
        "word": ["JFK", "lga", None, "Köln", "jfk", "a, b", "x"],
        "day": [DAY, None, *(DAY + datetime.timedelta(days) for days in range(5))],
        "late": [True, False, None, True, True, False, False],
    }
)
STATES = (
    State(),
    State(search="jfk", sort=(Sort("number", descending=True),)),
    State(filters=(Filter("half", ">", 0), Filter("day", "<=", "2024-03-02")), sort=(Sort("word"),)),
)


@sources
@pytest.mark.parametrize("form", SOURCES)
def test_every_form_of_a_table_is_the_same(harness: Harness, form: str, tmp_path: Path) -> None:
    if form == "polars frame":
        pytest.importorskip("polars")
    with DataFlow(SOURCES[form](TABLE, tmp_path), backend=harness.backend()) as flow:
        assert dict(flow.schema) == dict(zip(TABLE.column_names, TABLE.schema.types, strict=True))
        for state in STATES:
            check_rows(flow, state, judge.view(TABLE, state))
            check_view(flow, TABLE, state)


@sources
def test_a_reader_is_read_once_and_that_is_said(harness: Harness) -> None:
    with DataFlow(TABLE.to_reader(), backend=harness.backend()) as flow:
        assert "once" in (flow.materialised or "")
        flow.refresh()
        check_rows(flow, State(), judge.frame(TABLE))


@sources
def test_a_stream_that_was_read_is_a_source_error(harness: Harness) -> None:
    reader = pa.RecordBatchReader.from_stream(TABLE.to_reader())
    reader.read_all()
    reader.close()
    with pytest.raises(SourceError, match="RecordBatchReader cannot be read as a table"):
        DataFlow(reader, backend=harness.backend())


@sources
def test_tables_of_a_database_are_named(harness: Harness, tmp_path: Path) -> None:
    path = made_sources.database_of(
        tmp_path / "shop.duckdb",
        "CREATE TABLE orders AS SELECT 1 AS x; CREATE SCHEMA old; CREATE TABLE old.orders AS SELECT 2 AS x; "
        "CREATE TABLE \"two words\" AS SELECT 'a' AS x; "
        "CREATE VIEW counts AS SELECT x, count(*) AS n FROM orders GROUP BY x ORDER BY x",
    )
    expected = {"orders": [1], "old.orders": [2], "two words": ["a"], "counts": [1]}
    for name, values in expected.items():
        with DataFlow(path, backend=harness.backend(), table=name) as flow:
            assert flow.rows(State(), (0, 9))["x"].to_pylist() == values
    with pytest.raises(SourceError, match=r"4 tables: say which .* counts, orders, two words, old\.orders"):
        DataFlow(path, backend=harness.backend())
    with pytest.raises(SourceError, match=r"no table 'order' in this database, did you mean 'orders'\?"):
        DataFlow(path, backend=harness.backend(), table="order")
    with pytest.raises(InvalidInput, match="one table"):
        DataFlow(made_sources.parquet(TABLE, tmp_path), backend=harness.backend(), table="orders")


@sources
def test_types_of_a_database_that_arrow_lacks(harness: Harness, tmp_path: Path) -> None:
    path = made_sources.database_of(
        tmp_path / "types.duckdb",
        "CREATE TABLE types AS SELECT * FROM (VALUES (INTERVAL 3 DAY, uuid '00000000-0000-0000-0000-0000000000ab', "
        "'b'::ENUM('b', 'a'), '{\"k\": 1}'::JSON, '101'::BIT, '12:00:00+02'::TIMETZ), "
        "(NULL, NULL, 'a', NULL, NULL, NULL)) AS t(span, id, label, json, bits, clock)",
    )
    texts = {
        "span": ["3 days", None],
        "id": ["00000000-0000-0000-0000-0000000000ab", None],
        "label": ["b", "a"],
        "json": ['{"k": 1}', None],
        "bits": ["101", None],
        "clock": ["12:00:00+02", None],
    }
    with DataFlow(path, backend=harness.backend()) as flow:
        check_rows(flow, State(), judge.frame(pa.table(texts)))
        assert flow.rows(State(sort=(Sort("label"),)), (0, 1))["label"].to_pylist() == ["a"]
        assert flow.row_count(State(filters=(Filter("id", "ends with", "ab"),))) == 1


@sources
@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_files_of_other_columns_are_named(harness: Harness, form: str, tmp_path: Path) -> None:
    for name, table in (("a", TABLE), ("b", TABLE.drop_columns(["word"]))):
        (tmp_path / name).mkdir()
        SOURCES[form](table, tmp_path / name)
    with pytest.raises(SourceError, match=r"b.table\..*differ from those of .*a.table\..*'day' in place of 'word'"):
        DataFlow(tmp_path, backend=harness.backend())


@sources
def test_types_of_text_are_those_of_all_files(harness: Harness, tmp_path: Path) -> None:
    for name, text in (("a", "x,y\n1,2\n"), ("b", "x,y\n"), ("c", "x,y\n1.5,z\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    for number in range(40):
        (tmp_path / f"{number:02}.jsonl").write_text('{"x": 1}\n' if number < 39 else '{"x": 1.5, "last": "y"}\n')
    with DataFlow(str(tmp_path / "*.csv"), backend=harness.backend()) as flow:
        check_rows(flow, State(), judge.frame(pa.table({"x": [1, 1.5], "y": ["2", "z"]})))
    with DataFlow(str(tmp_path / "*.jsonl"), backend=harness.backend()) as flow:
        table = pa.table({"x": [1.0] * 39 + [1.5], "last": [None] * 39 + ["y"]})
        check_rows(flow, State(), judge.frame(table))


@sources
@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (["x,y\n1,a\n2,b\n", "x,y\n3,\"c, \"\"d\"\"\"\n"], [(1, "a"), (2, "b"), (3, 'c, "d"')]),
        (["x,y\n1,a\n", "x,y\r\n2,b\r\n"], [(1, "a"), (2, "b")]),
        (["x;y\n1;a\n2;b\n", "x,y\n3,c\n"], [(1, "a"), (2, "b"), (3, "c")]),
        (['"x","y"\n1,a\n', "x,y\n2,b\n"], [(1, "a"), (2, "b")]),
        (["x,y\n", "x,y\n31.01.2024,a\n"], [(datetime.date(2024, 1, 31), "a")]),
        (["x,y\n1,a\n", "x,y\nz,\n"], [("1", "a"), ("z", None)]),
        (["\ufeffx,y\n1,a\n", "x,y\n2,b\n"], [(1, "a"), (2, "b")]),
    ],
    ids=["quotes", "ends of lines", "delimiters", "quoted names", "dates", "text", "mark"],
)  # fmt: skip
def test_files_of_text_written_differently(
    harness: Harness, texts: list[str], rows: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.csv").write_bytes(text.encode())
    with DataFlow(tmp_path, backend=harness.backend()) as flow:
        check_rows(
            flow, State(), judge.frame(pa.Table.from_pylist([dict(zip("xy", row, strict=True)) for row in rows]))
        )


@sources
def test_files_without_names_of_columns(harness: Harness, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(f"{number},{number}.5\n{number},7.5\n")
    with DataFlow(tmp_path, backend=harness.backend()) as flow:
        table = pa.table({"column0": [0, 0, 1, 1, 2, 2], "column1": [0.5, 7.5, 1.5, 7.5, 2.5, 7.5]})
        check_rows(flow, State(), judge.frame(table))


@sources
def test_whole_numbers_of_json(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "signs.json"
    path.write_text('{"x": 1, "y": -1}\n{"x": -9223372036854775808, "y": 18446744073709551615}\n')
    with DataFlow(path, backend=harness.backend()) as flow:
        assert dict(flow.schema) == {"x": pa.int64(), "y": pa.decimal128(38, 0)}
        assert flow.rows(State(), (0, 9))["x"].to_pylist() == [1, -(2**63)]
