"""Many files as one table: what lies in their paths, in which order they come, what changes while they are open."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import SourceChanged, SourceError
from lazyflow.state import Filter, Sort, State
from lazyflow.testing import judge, made_sources
from lazyflow.testing.check import check_rows, rows_differ
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness
from lazyflow.testing.made_sources import SOURCES
from lazyflow.testing.sources import TABLE, sources

partitions = pytest.mark.family("partitions")
changed = pytest.mark.family("changed files")


def partitioned(folder: Path, *names: str) -> Path:
    """Files of one row each, in the folders named, in this order; `x` numbers them."""
    for number, name in enumerate(names):
        path = folder / "data" / name / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [number]}), path)
    return folder / "data"


@partitions
@pytest.mark.parametrize(
    ("values", "expected", "type"),
    [
        (["-1", "07", "2024"], [-1, 7, 2024], pa.int64()),
        (["1", "2", "9223372036854775808"], ["1", "2", "9223372036854775808"], pa.string()),
        (["2024-02-29", "2024-03-01", "2025-01-01"], [datetime.date(2024, 2, 29), datetime.date(2024, 3, 1),
                                                      datetime.date(2025, 1, 1)], pa.date32()),
        (["2023-02-29", "2024-03-01"], ["2023-02-29", "2024-03-01"], pa.string()),
        (["1", "1.5"], ["1", "1.5"], pa.string()),
        (["1", "__HIVE_DEFAULT_PARTITION__"], [1, None], pa.int64()),
        (["__HIVE_DEFAULT_PARTITION__"], [None], pa.string()),
        (["K%C3%B6ln%2FDeutz", "a b", "true"], ["Köln/Deutz", "a b", "true"], pa.string()),
        (["'; DROP", 'a"b', "null"], ["'; DROP", 'a"b', "null"], pa.string()),
        (["", "a=b", "x" * 200], ["", "a=b", "x" * 200], pa.string()),
    ],
    ids=["integers", "large", "dates", "no dates", "numbers", "missing", "all missing", "text", "quotes", "long"],
)  # fmt: skip
def test_values_in_paths(
    harness: Harness, values: list[str], expected: list[Any], type: pa.DataType, tmp_path: Path
) -> None:
    given = partitioned(tmp_path, *(f"key={value}" for value in values))
    order = sorted(range(len(values)), key=lambda at: f"key={values[at]}/")
    table = pa.table({"x": order, "key": pa.array([expected[at] for at in order], type)})
    for source in (given, f"{given}/*/*.parquet", f"{given}/*"):
        with DataFlow(source, backend=harness.backend()) as flow:
            check_rows(flow, State(), judge.frame(table))
            check_view(flow, table, State(filters=(Filter("x", ">", 0),)))
            if expected[0] is not None:
                value = str(expected[0]) if type == pa.date32() else expected[0]
                state = State(filters=(Filter("key", "==", value),))
                check_rows(flow, state, judge.view(table, state))


@partitions
def test_rows_come_by_path_and_then_by_position(harness: Harness, tmp_path: Path) -> None:
    rows, paths = [], ["y=10/b", "y=10/a", "y=9/0", "y=10/a b", "y=10/a!b", "y=10/[x]"]
    for number, name in enumerate(paths):
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"x": range(number * 100, number * 100 + 50)}), path, row_group_size=7)
    for at in sorted(range(len(paths)), key=lambda at: f"{paths[at]}.parquet"):
        rows += [{"x": x, "y": 9 if "y=9" in paths[at] else 10} for x in range(at * 100, at * 100 + 50)]
    table = pa.Table.from_pylist(rows)
    with DataFlow(tmp_path, backend=harness.backend()) as flow:
        check_rows(flow, State(), judge.frame(table))
        check_rows(flow, State(), judge.frame(table), (120, 260))
        sort = State(sort=(Sort("y", descending=True),))
        check_rows(flow, sort, judge.view(table, sort))


@partitions
@pytest.mark.parametrize("form", ["folder", "database"])
def test_windows_by_row_numbers(harness: Harness, form: str, tmp_path: Path) -> None:
    table = pa.table(
        {"x": range(60), "w": [f"w{n % 7}" for n in range(60)], "year": [2000 + n // 20 for n in range(60)]}
    )
    if form == "database":
        source = made_sources.database(table, tmp_path)
    else:
        source = tmp_path
        for year in (2000, 2001, 2002):
            (tmp_path / f"year={year}").mkdir()
            part = table.slice((year - 2000) * 20, 20).drop_columns(["year"])
            pq.write_table(part, tmp_path / f"year={year}" / "a b.parquet", row_group_size=6)
    state = State(search="w", filters=(Filter("year", ">", 2000),), sort=(Sort("w", descending=True),))
    expected = judge.view(table, state)
    with DataFlow(source, backend=harness.backend()) as flow:
        step = flow.apply(state)
        assert step.prepare(60) is flow._shared.source.numbered
        for window in ((0, 3), (7, 23), (30, 50)):
            part = expected.take(range(window[0], min(window[1], expected.length)))
            assert rows_differ(step.fetch(window), part) is None


@partitions
@pytest.mark.parametrize("form", ["parquet", "csv.gz", "jsonl", "arrow"])
def test_files_of_any_kind_have_partitions(harness: Harness, form: str, tmp_path: Path) -> None:
    parts = []
    for year, start in ((2023, 0), (2024, 4)):
        folder = tmp_path / f"year={year}" / "Number=x"
        folder.mkdir(parents=True)
        part = TABLE.slice(start, 3)
        SOURCES[form](part, folder)
        parts.append(part.append_column("year", pa.array([year] * 3)).append_column("Number", pa.array(["x"] * 3)))
    table = pa.concat_tables(parts)
    with DataFlow(tmp_path, backend=harness.backend()) as flow:
        check_rows(flow, State(), judge.frame(table))
        check_view(flow, table, State(filters=(Filter("year", "==", 2024), Filter("Number", "!=", "y"))))


@partitions
def test_a_files_own_column_stands(harness: Harness, tmp_path: Path) -> None:
    with DataFlow(partitioned(tmp_path, "x=7/y=1"), backend=harness.backend()) as flow:
        check_rows(flow, State(), judge.frame(pa.table({"x": [0], "y": [1]})))


@partitions
def test_folders_of_different_keys_are_a_source_error(harness: Harness, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"year=1.part\.parquet.*month=\.\.\."):
        DataFlow(partitioned(tmp_path, "year=1", "month=1"), backend=harness.backend())


def written(path: Path) -> None:
    pq.write_table(TABLE.slice(0, 2), path / "b.parquet")


def replaced(path: Path) -> None:
    written(path.parent)
    (path.parent / "b.parquet").replace(path / "b.parquet")


def removed(path: Path) -> None:
    (path / "b.parquet").unlink()


def truncated(path: Path) -> None:
    content = (path / "b.parquet").read_bytes()
    (path / "b.parquet").write_bytes(content[: len(content) // 2])


def added(path: Path) -> None:
    pq.write_table(TABLE.slice(0, 1), path / "c.parquet")


CHANGES: dict[Callable[[Path], None], int] = {written: 4, replaced: 4, removed: 2, truncated: 4, added: 8}
"""What happens to a folder, and how many rows it has then; what is truncated is written again."""


@changed
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("listed", ["folder", "glob"])
def test_a_change_is_told_until_a_refresh(
    harness: Harness, change: Callable[[Path], None], listed: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    pq.write_table(TABLE.slice(0, 2), folder / "a.parquet")
    pq.write_table(TABLE.slice(2), folder / "b.parquet")
    source = folder if listed == "folder" else str(folder / "*.parquet")
    with DataFlow(source, backend=harness.backend()) as flow:
        step = flow.apply(State())
        assert step.rows.num_rows == TABLE.num_rows
        before = flow.outdated
        change(folder)
        assert (before, flow.outdated) == (False, True)
        name = "c" if change is added else "b"
        for ask in (lambda: flow.rows(State(), (0, 1)), lambda: flow.row_count(State()), lambda: step.resolve(60)):
            with pytest.raises(SourceChanged, match=rf"{name}\.parquet.*refresh\(\)"):
                ask()
        if change is truncated:
            with pytest.raises(SourceError, match=r"b\.parquet.*truncated"):
                flow.refresh()
            written(folder)
        flow.refresh()
        rows = CHANGES[change]
        assert not flow.outdated
        assert flow.row_count(State()) == rows
        assert flow.apply(State()).resolve(60)["raw"].rows.value == rows


@changed
def test_a_flow_that_follows_its_files(harness: Harness, tmp_path: Path) -> None:
    path = made_sources.parquet(TABLE, tmp_path)
    with DataFlow(path, backend=harness.backend(), auto_refresh=True) as flow:
        step = flow.apply(State())
        for rows in (1, 2, 3):
            made_sources.parquet(TABLE.slice(0, rows), tmp_path)
            assert flow.rows(State(), (0, 9)).num_rows == rows
            assert step.superseded
        made_sources.parquet(TABLE, tmp_path)
        assert flow.row_count(State()) == TABLE.num_rows
        made_sources.parquet(TABLE.slice(2), tmp_path)
        assert flow.apply(State()).resolve(60)["raw"].rows.value == TABLE.num_rows - 2


@changed
def test_a_database_that_was_replaced(harness: Harness, tmp_path: Path) -> None:
    path = made_sources.database(TABLE, tmp_path)
    with DataFlow(path, backend=harness.backend()) as flow:
        assert flow.row_count(State()) == TABLE.num_rows
        (tmp_path / "new").mkdir()
        made_sources.database(TABLE.slice(0, 2), tmp_path / "new").replace(path)
        with pytest.raises(SourceChanged, match=r"table\.duckdb"):
            flow.rows(State(), (0, 1))
        flow.refresh()
        check_rows(flow, State(), judge.frame(TABLE.slice(0, 2)))


@changed
def test_what_is_opened_again_and_again(harness: Harness, tmp_path: Path) -> None:
    """What an earlier opening left may be let go of; what is there now must not."""
    for form in ("parquet", "arrow", "csv", "database", "arrow table"):
        folder = tmp_path / form
        folder.mkdir()
        with DataFlow(SOURCES[form](TABLE, folder), backend=harness.backend()) as flow:
            for _ in range(4):
                flow.refresh()
                check_rows(flow, State(), judge.frame(TABLE))
                assert flow.apply(State()).resolve(60)["raw"].rows.value == TABLE.num_rows


@sources
def test_links_in_a_folder_are_followed_once(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    made_sources.parquet(TABLE, tmp_path / "real" / "inner")
    (tmp_path / "real" / "inner" / "up").symlink_to(tmp_path / "real")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "part").symlink_to(tmp_path / "real")
    for folder in ("real", "linked"):
        with DataFlow(tmp_path / folder, backend=harness.backend()) as flow:
            check_rows(flow, State(), judge.frame(TABLE))
