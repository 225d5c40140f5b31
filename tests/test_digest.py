"""What names a computation: the same in every process, and another wherever the answer might be."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.source import Fingerprint
from tests.processes import start

BACKENDS = ("duckdb", "pandas", "xorq")
TABLE = pa.table(
    {
        "city": ["Bonn", "Rome", None],
        "size": pa.array([1, 2, 3], pa.int64()),
        "share": [0.5, None, -0.0],
        "flag": [True, False, None],
        "day": pa.array([0, 1, 2], pa.date32()),
        "at": pa.array([0, 1, 2], pa.timestamp("us", "UTC")),
    }
)


def cheap(table: Any, ns: Any) -> Any:
    return table.filter(table.size < 3)


def dear(table: Any, ns: Any) -> Any:
    return table.filter(table.size < 4)


def doubled(table: Any, ns: Any) -> Any:
    return table.mutate(size=table.size * 2)


def grouped(table: Any, ns: Any) -> Any:
    return table.group_by("city").aggregate(rows=table.count(), size=table["size"].sum())


STATES = [
    lf.State(),
    *(lf.State(search=term) for term in ("b", "bo", "ς", "1", "bonn rome")),
    *(
        lf.State(filters=[lf.Filter(column, operator, value)])
        for column, operator, value in [
            ("size", "==", 1), ("size", "==", 2), ("size", "!=", 1), ("size", "<", 1), ("size", "<=", 1),
            ("size", ">", 1),
            ("size", ">=", 1), ("share", "==", 1), ("share", "==", 1.5), ("share", "==", "Infinity"),
            ("share", "==", "-Infinity"), ("size", "in", [1, 2]), ("size", "in", [1, 3]), ("size", "not in", [1, 2]),
            ("size", "between", [1, 2]), ("share", "between", [1, 2]), ("city", "==", "1"), ("city", "contains", "b"),
            ("city", "starts with", "b"), ("city", "ends with", "b"), ("city", "matches", "b"),
            ("city", "matches", "b."),
            ("city", "is missing", None), ("city", "is not missing", None), ("size", "is missing", None),
            ("flag", "==", True), ("flag", "==", False), ("day", "==", "1970-01-02"), ("day", "==", "1970-01-03"),
            ("at", "==", "1970-01-01T00:00:00.000001Z"), ("at", "==", "1970-01-01T00:00:00.000002Z"),
        ]
    ),
    lf.State(search="b", filters=[lf.Filter("size", "<", 1)]),
    *(lf.State(cleaning=name) for name in ("cheap", "dear", "doubled")),
    lf.State(cleaning="cheap", search="b"),
]  # fmt: skip
"""States whose filtered rows, or what is in them, can differ from one another."""


def file_of(folder: Path, name: str = "table.parquet", table: pa.Table = TABLE) -> Path:
    path = folder / name
    pq.write_table(table, path)
    return path


def open_flow(path: Path | str, backend: str) -> lf.DataFlow:
    flow = lf.DataFlow(path, backend=backend)
    for fn in (cheap, dear, doubled):
        flow.register_cleaning(fn.__name__, fn)
    flow.register_post_processing("grouped", grouped)
    return flow


def names(path: str, backend: str, others: int) -> list[Any]:
    """Fingerprint and digests of all states, after other tables were opened: these take names from a counter."""
    for _ in range(others):
        lf.DataFlow(path, backend=backend).close()
    with open_flow(path, backend) as flow:
        plans = [flow.compile(state) for state in [*STATES, lf.State(cleaning="cheap", post_processing="grouped")]]
        fingerprint = plans[0].source.fingerprint
        stages = [plan.stages[scope] for plan in plans for scope in ("raw", "clean", "filtered", "shown")]
        return [fingerprint.value, fingerprint.durable, *([stage.digest, stage.durable] for stage in stages)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_process_finds_the_same_names(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(file_of(tmp_path))
    workers = []
    for seed in (1, 2):
        monkeypatch.setenv("PYTHONHASHSEED", str(seed))
        workers.append(start(names, path, backend, seed))
    here, there = (worker() for worker in workers)
    assert here == there
    assert here[1] is True
    assert all(durable for _, durable in here[2:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_computes_something_else_has_another_name(backend: str, tmp_path: Path) -> None:
    with open_flow(file_of(tmp_path), backend) as flow:
        found = [flow.compile(state).stages["filtered"].digest for state in STATES]
    for (one, a), (other, b) in itertools.combinations(zip(STATES, found, strict=True), 2):
        assert a != b, (one, other)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "table",
    [
        TABLE.rename_columns(["town", *TABLE.column_names[1:]]),
        TABLE.set_column(1, "size", TABLE["size"].cast(pa.int32())),
        TABLE.set_column(5, "at", TABLE["at"].cast(pa.timestamp("us"))),
        TABLE.select(["size", "city", "share", "flag", "day", "at"]),
    ],
)
def test_other_columns_are_another_table(backend: str, tmp_path: Path, table: pa.Table) -> None:
    digests = []
    for name, source in (("a.parquet", TABLE), ("b.parquet", table)):
        with open_flow(file_of(tmp_path, name, source), backend) as flow:
            digests.append(flow.compile(lf.State()).stages["raw"].digest)
    assert digests[0] != digests[1]


def by_chance(table: Any, ns: Any) -> Any:
    return table.mutate(x=ns.random())


def by_time(table: Any, ns: Any) -> Any:
    return table.mutate(x=ns.now())


def any_rows(table: Any, ns: Any) -> Any:
    return table.limit(2)


def with_others(table: Any, ns: Any) -> Any:
    return table.inner_join(ns.memtable({"city": ["Bonn"], "size_of": [1]}), "city")


def with_own_code(table: Any, ns: Any) -> Any:
    if hasattr(ns.udf.scalar, "python"):

        @ns.udf.scalar.python
        def plus(x: int) -> int:
            return x + 1

        return table.mutate(x=plus(table["size"]))
    pytest.skip("this family has no such functions")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fn", [by_chance, by_time, any_rows, with_others, with_own_code], ids=lambda fn: fn.__name__)
def test_what_another_time_may_be_otherwise_is_not_durable(
    backend: str, tmp_path: Path, fn: Callable[[Any, Any], Any]
) -> None:
    with open_flow(file_of(tmp_path), backend) as flow:
        flow.register_cleaning("it", fn)
        stages = flow.compile(lf.State(cleaning="it", search="b")).stages
        assert [stages[scope].durable for scope in ("raw", "clean", "filtered")] == [True, False, False]


def test_a_fingerprint_changes_with_everything_of_a_file(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    os.utime(path, (1_000, 1_000))
    seen = [Fingerprint.of_files([path])]

    def look() -> Fingerprint:
        seen.append(Fingerprint.of_files([path]))
        return seen[-1]

    assert look() == seen[0]
    seen.pop()
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    os.utime(path, (1_000, 1_000))
    look()  # its size
    path.write_bytes(kept)
    os.utime(path, (1_001, 1_001))
    look()  # its time
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # within a tick of the file system's clock, two changes are one to it
        path.write_bytes(kept[::-1])
        os.utime(path, (1_001, 1_001))
    look()  # nothing but its content, and the time of change that nobody sets
    shutil.copy2(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    look()  # its inode
    (tmp_path / "other").mkdir()
    path = Path(shutil.move(path, tmp_path / "other" / "table.parquet"))
    look()  # its path
    assert len({fingerprint.value for fingerprint in seen}) == len(seen) == 6


def test_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    (tmp_path / "link").symlink_to(path)
    assert Fingerprint.of_files([tmp_path / "link"]).value == Fingerprint.of_files([path]).value


def test_several_files_and_what_is_read_of_them_count(tmp_path: Path) -> None:
    one, two = file_of(tmp_path, "one"), file_of(tmp_path, "two")
    found = [
        Fingerprint.of_files([one]), Fingerprint.of_files([two]), Fingerprint.of_files([one, two]),
        Fingerprint.of_files([two, one]), Fingerprint.of_files([one], "a"), Fingerprint.of_files([one], "b"),
    ]  # fmt: skip
    assert len({fingerprint.value for fingerprint in found}) == len(found)


def test_a_stamp_that_may_hide_a_change_does_not_last(tmp_path: Path) -> None:
    """A file system that knows seconds alone: two writes within one leave the same time."""
    path = file_of(tmp_path)
    now = int(time.time())
    for stamp, durable in ((now, False), (now - 60, True), (now + 60, True)):
        os.utime(path, (stamp, stamp))
        assert Fingerprint.of_files([path]).durable is durable, stamp
    os.utime(path, ns=(now * 10**9 + 1, now * 10**9 + 1))
    assert Fingerprint.of_files([path]).durable


@pytest.mark.parametrize("backend", BACKENDS)
def test_data_that_lies_in_no_file_is_known_for_one_opening(backend: str) -> None:
    for data in (TABLE, TABLE.to_pandas()):
        with lf.DataFlow(data, backend=backend) as flow:
            assert not flow.compile(lf.State()).source.fingerprint.durable
