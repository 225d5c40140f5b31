"""How the values of a column go: of many rows as of few, in parts as at once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.statistics import order
from lazyflow.statistics.order import Course

COLUMNS: dict[str, list[Any]] = {
    "rises": [1, 1, 2, 5, 9, 9, 12, 30],
    "falls": [5, 4, 4, None, 2, 1, 1, 0],
    "constant": [3, None, 3, 3, 3, 3, 3, 3],
    "neither": [1, 2, 1, 2, 1, 2, 1, 2],
    "neither, but in the middle": [1, 2, 3, 9, 4, 5, 6, 7],
    "rises in each part, falls between": [5, 6, 7, 8, 1, 2, 3, 4],
    "missing first": [None, None, None, 1, 2, 1, 2, 1],
    "missing last": [1, 2, 1, 2, 1, None, None, None],
    "missing": [None] * 8,
}


def forms(values: list[Any]) -> list[pa.ChunkedArray]:
    """The values as columns of several types, each in two chunks."""
    arrays = [
        pa.array(values, pa.int64()),
        pa.array([float("nan") if value is None else value for value in values], pa.float64()),
        pa.array([None if value is None else f"{value:02}" for value in values]),
        pa.array([None if value is None else value > 2 for value in values]),
    ]
    return [pa.chunked_array([array[:3], array[3:]]) for array in arrays]


def slowly(values: list[Any]) -> tuple[Any, Any, str | None]:
    present = [value for value in values if value is not None and value == value]
    if not present:
        return None, None, None
    pairs = list(pairwise(present))
    rises, falls = any(a < b for a, b in pairs), any(a > b for a, b in pairs)
    kind = "no" if rises and falls else "increasing" if rises else "decreasing" if falls else "constant"
    return present[0], present[-1], kind


def read(course: Course) -> tuple[Any, Any, str | None]:
    first, last = (None if end is None else end.as_py() for end in (course.first, course.last))
    return first, last, course.monotonic


@pytest.mark.parametrize("part", [1, 2, 3, 10_000])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_course_is_that_of_its_values(name: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_PART", part)
    for column in forms(COLUMNS[name]):
        assert read(Course.of(column)) == slowly(column.to_pylist()), column.type


@pytest.mark.parametrize("name", COLUMNS)
def test_a_course_in_parts_is_that_of_the_whole(name: str) -> None:
    for column in forms(COLUMNS[name]):
        for cut in range(9):
            assert read(Course.of(column[:cut]).then(Course.of(column[cut:]))) == slowly(column.to_pylist())


@pytest.mark.parametrize("backend", ["duckdb", "xorq", "pandas"])
def test_of_a_file_longer_than_what_is_looked_at(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb" if backend == "duckdb" else "xorq")
    number = 25_000
    columns = {
        "rises": pa.array(range(number)),
        "falls but once": pa.array([*range(12_000), 5, *range(12_001, number)]),
        "missing at the end": pa.array([*range(12_000), *[None] * 13_000]),
        "missing": pa.nulls(number, pa.float64()),
        "words": pa.array([f"{row % 1000}" for row in range(number)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet", row_group_size=4_000)
    with lf.DataFlow(tmp_path / "table.parquet", backend) as flow:
        raw = flow.apply(lf.State()).resolve()["raw"]
        found = {
            name: tuple(cells[statistic].value for statistic in ("first", "last", "monotonic"))
            for name, cells in raw.items()
        }
    assert found == {
        "rises": (0, number - 1, "increasing"),
        "falls but once": (0, number - 1, "no"),
        "missing at the end": (0, 11_999, "increasing"),
        "missing": (None, None, None),
        "words": ("0", "999", "no"),
    }
