"""What is kept, under which keys: the same name of a table is not the same data once the source has changed."""

from __future__ import annotations

import sys
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.cache import Cache
from lazyflow.errors import EngineError
from lazyflow.memo import Memo
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell


def maximum(step: lf.Step, scope: str = "raw") -> object:
    return step.resolve()[scope]["x"]["max"].value


def test_a_table_that_changed_under_its_name_is_read_anew() -> None:
    """The expression is the same before and after: only the fingerprint tells them apart."""
    connection = ibis.duckdb.connect()
    table = connection.create_table("t", pa.table({"x": [1, 2, 3]}))
    state = lf.State(filters=[lf.Filter("x", ">", 1)])
    with lf.DataFlow(table) as flow:
        before = flow.apply(state)
        assert maximum(before) == 3
        connection.raw_sql("INSERT INTO t VALUES (9)")
        assert flow.apply(state).complete, "until it is said, the source is as it was"
        flow.refresh()
        after = flow.apply(state)
        assert after.plan.stages["filtered"].digest == before.plan.stages["filtered"].digest
        assert after.rows["x"].to_pylist() == [2, 3, 9]
        assert after.statistics["raw"].rows.basis == "pending"
        assert after.statistics["raw"]["x"]["max"].basis == "pending"
        assert maximum(after) == maximum(after, "filtered") == 9
        statistics = after.resolve()
        assert (statistics["raw"].rows.value, statistics["filtered"].rows.value) == (4, 3)
        assert before.superseded
    assert connection.table("t").count().execute() == 4, "the caller's connection stays open"


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), path)
    with lf.DataFlow(path) as flow:
        assert maximum(flow.apply(lf.State())) == 3
        pq.write_table(pa.table({"x": [4, 5]}), path)
        flow.refresh()
        step = flow.apply(lf.State())
        assert step.rows["x"].to_pylist() == [4, 5]
        assert maximum(step) == 5


@pytest.mark.parametrize("backend", ["duckdb", "pandas", "xorq"])
def test_a_refresh_of_what_did_not_change_keeps_what_is_known(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), path)
    with lf.DataFlow(path, backend) as flow:
        before = flow.apply(lf.State(search="1"))
        for _ in range(3):
            flow.refresh()
            assert before.superseded
            step = flow.apply(lf.State(search="1"))  # once, this never came back
            assert step.plan.source is not before.plan.source
            assert maximum(step) == 3
            assert step.rows.num_rows == 0


def key(number: int) -> CellKey:
    return CellKey("source", "scope", "column", "mean", number)


def test_the_cache_is_bounded_by_bytes() -> None:
    cache = Cache(100_000)
    for number in range(1_000):
        cache.put({key(number): Cell("x" * 1_000)})
    kept = [number for number in range(1_000) if cache.get(key(number)) is not None]
    assert kept == list(range(1_000 - len(kept), 1_000)), "the newest"
    assert 10 < len(kept) <= 100_000 // sys.getsizeof("x" * 1_000)


def test_what_is_used_stays() -> None:
    cache = Cache(20_000)
    cache.put({key(0): Cell("x" * 1_000)})
    for number in range(1, 100):
        cache.put({key(number): Cell("x" * 1_000)})
        assert cache.get(key(0)) is not None


def test_what_does_not_fit_is_not_kept() -> None:
    cache = Cache(10_000)
    cache.put({key(0): Cell("small"), key(1): Cell("x" * 20_000)})
    assert cache.get(key(0)) == Cell("small")
    assert cache.get(key(1)) is None


def test_failures_are_not_kept() -> None:
    cache = Cache()
    cache.put({key(0): Cell(error=EngineError("no")), key(1): Cell(None)})
    assert cache.get(key(0)) is None
    assert cache.get(key(1)) == Cell(None), "no value is a value"


def test_every_part_of_a_key_counts() -> None:
    cache = Cache()
    one = CellKey("source", "scope", "column", "mean", 1, "edges")
    cache.put({one: Cell(1)})
    for field in CellKey._fields:
        assert cache.get(one._replace(**{field: 2 if field == "version" else "other"})) is None
    assert cache.get(CellKey(*one)) == Cell(1)


def test_a_memo_computes_once_and_forgets_the_longest_unused() -> None:
    memo: Memo[str, str] = Memo(2)
    computed: list[str] = []

    def letter(key: str) -> str:
        return memo.get_or(key, lambda: computed.append(key) or key.upper())

    assert [letter(key) for key in "abab"] == list("ABAB")
    assert computed == ["a", "b"]
    letter("c")
    assert (memo.get("a"), memo.get("b"), memo.get("c")) == (None, "B", "C")
    memo.clear()
    assert memo.get("c") is None
