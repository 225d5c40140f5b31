"""Windows far down by row numbers: what each kind of source offers, and what comes first where several want work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.plan import ROW_NUMBER
from lazyflow.query import PrepareQuery, RowsQuery
from lazyflow.testing import judge
from lazyflow.testing.check import rows_differ
from lazyflow.testing.control import PATIENCE, Call
from lazyflow.testing.scalars import OTHERS, SAMPLES, Sample
from lazyflow.work import CancelToken
from tests.test_sources import BACKENDS, SOURCES, TABLE, deferred
from tests.test_work import Bench, Wants, values, wait

VIEWS = (
    lf.State(search="jfk"),
    lf.State(sort=[lf.Sort("word", descending=True), lf.Sort("half")]),
    lf.State(filters=[lf.Filter("half", ">", 100)], sort=[lf.Sort("word")]),
)
WINDOWS = ((0, 10), (700, 760), (4_990, 5_010))

UNNUMBERED = {"view"}
"""What has no row numbers: DuckDB's own would be those of the table behind it, which is read in another query."""


def check_windows(flow: lf.DataFlow, offered: bool = True) -> None:
    """Windows of each view are the same before and after row numbers are prepared, which are offered or not."""
    for state in VIEWS:
        before = [flow.rows(state, window) for window in WINDOWS]
        step = flow.apply(state)
        assert step.prepare(PATIENCE) is offered
        for window, rows in zip(WINDOWS, before, strict=True):
            assert step.fetch(window).equals(rows), (state, window)
        assert flow._shared.work.row_numbers.get(step._generation.prepare_query.key if offered else "") is not None or (
            not offered
        )


@pytest.mark.parametrize("name", SOURCES)
def test_sources_with_row_numbers(name: str, tmp_path: Path) -> None:
    backend, make = SOURCES[name]
    with lf.DataFlow(make(tmp_path), backend) as flow:
        check_windows(flow, name not in UNNUMBERED)


def test_row_numbers_of_a_filtered_expression_are_those_of_its_file(tmp_path: Path) -> None:
    expression = deferred(tmp_path).filter(lambda table: table.number % 3 != 1)
    with lf.DataFlow(expression) as flow:
        check_windows(flow)
        assert flow.rows(lf.State(), (3_000, 3_003))["number"].to_pylist() == [4_500, 4_502, 4_503]


@pytest.mark.parametrize("backend", BACKENDS)
def test_row_numbers_of_several_files(backend: str, tmp_path: Path) -> None:
    for number in range(5):
        part = TABLE.slice(number * 1_000, 1_000)
        pq.write_table(part, tmp_path / f"{number}.parquet", row_group_size=300)
    with lf.DataFlow(tmp_path / "*.parquet", backend) as flow:
        check_windows(flow)
        assert flow.rows(lf.State(), (1_998, 2_002))["number"].to_pylist() == [1_998, 1_999, 2_000, 2_001]


def test_files_in_an_order_that_cannot_be_told_have_no_row_numbers_on_xorq(tmp_path: Path) -> None:
    """DataFusion sorts them by their escaped paths; those of a glob it is given by others."""
    import xorq.api as xo

    paths = [tmp_path / "a b.parquet", tmp_path / "a.parquet"]
    for path, start in zip(paths, (0, 2_500), strict=True):
        pq.write_table(TABLE.slice(start, 2_500), path)
    with lf.DataFlow(xo.deferred_read_parquet(tuple(map(str, paths)))) as flow:
        check_windows(flow, offered=False)
    with lf.DataFlow(tmp_path / "*.parquet", "xorq") as flow:
        check_windows(flow)


def test_expressions_over_files_in_another_order_than_that_of_their_names(tmp_path: Path) -> None:
    import xorq.api as xo

    paths = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    for path, start in zip(paths, (0, 2_500), strict=True):
        pq.write_table(TABLE.slice(start, 2_500), path)
    with lf.DataFlow(xo.deferred_read_parquet(tuple(map(str, paths)))) as flow:
        check_windows(flow)


@pytest.mark.parametrize("backend", BACKENDS)
def test_columns_that_hide_those_of_the_engine(backend: str, tmp_path: Path) -> None:
    """A file's own `file_row_number` is what DuckDB then reads under that name."""
    table = TABLE.append_column("file_row_number", pa.array([7] * TABLE.num_rows))
    pq.write_table(table, tmp_path / "table.parquet")
    with lf.DataFlow(tmp_path / "table.parquet", backend) as flow:
        check_windows(flow, offered=backend != "duckdb")


def test_row_numbers_of_a_callers_tables() -> None:
    connection = ibis.duckdb.connect()
    connection.create_table("base", TABLE)
    connection.create_table("hidden", TABLE.append_column("rowid", pa.array([7] * TABLE.num_rows)))
    connection.con.execute("ATTACH ':memory:' AS second; CREATE TABLE second.base AS FROM base ORDER BY number DESC")
    connection.con.execute("CREATE VIEW twice AS SELECT * FROM base UNION ALL SELECT * FROM base")
    connection.con.execute("DELETE FROM base WHERE number % 5 = 0")
    for name, database, offered in (
        ("base", None, True),
        ("base", ("second", "main"), True),
        ("hidden", None, False),
        ("twice", None, True),  # in no order that repeats: materialised into a file of our own
    ):
        with lf.DataFlow(connection.table(name, database=database)) as flow:
            check_windows(flow, offered)


def test_row_numbers_of_a_table_that_lost_rows() -> None:
    """Nobody said that it changed; what the row numbers then do not find is fetched as before."""
    connection = ibis.duckdb.connect()
    connection.create_table("base", TABLE)
    with lf.DataFlow(connection.table("base")) as flow:
        step = flow.apply(VIEWS[1])
        assert step.prepare(PATIENCE)
        connection.con.execute("DELETE FROM base WHERE number % 2 = 0")
        found = step.fetch((1_000, 1_050))
        flow.refresh()
        assert found.equals(flow.rows(VIEWS[1], (1_000, 1_050)))


class RowNumbers(PrepareQuery):
    """A query for row numbers that needs no view: a few of them under a key."""

    def __init__(self, key: str, max_bytes: int, ahead: bool = True) -> None:
        self.key, self.max_bytes, self.ahead = key, max_bytes, ahead
        self.keys, self.cells = f"numbers of {key}", frozenset()


class Deep(Wants):
    """A view that wants letters, and has as many rows as it is told."""

    def __init__(self, letters: str, rows: int | None = None, ahead: bool = True) -> None:
        super().__init__(letters)
        self.rows, self.ahead = rows, ahead

    def rows_known(self, known: Any) -> int | None:
        return self.rows

    def prepare_query(self, max_bytes: int) -> PrepareQuery:
        return RowNumbers(self.letters, max_bytes, self.ahead)


MANY = PrepareQuery.MANY_ROWS + 1


class DeepBench(Bench):
    """Work whose fake engine gives row numbers too."""

    def run(self, query: Any, token: Any) -> Any:
        answer = super().run(query, token)
        return pa.table({ROW_NUMBER: pa.array([3, 1, 2], pa.uint32())}) if isinstance(query, RowNumbers) else answer

    def come(self, what: str) -> Any:
        self.control.wait_for(lambda: what in self.asked, f"{what} comes to the engine")
        return next(visit for visit in self.control.visits[::-1] if visit.query.keys == what)


@pytest.fixture
def bench() -> Iterator[DeepBench]:
    bench = DeepBench()
    yield bench
    bench.control.release()
    bench.work.close()


def prepare(generation: Any) -> bool:
    generation.prepare()
    return bool(Call(lambda: generation.wait_prepared(PATIENCE)).result())


def test_row_numbers_that_somebody_asks_for_come_before_statistics(bench: DeepBench) -> None:
    bench.control.hold()
    generation = bench.work.begin("me", Deep("abcd"))
    generation.start()
    bench.arrival(1)
    generation.prepare()
    bench.control.release()
    Call(lambda: generation.wait(PATIENCE)).result()
    assert bench.asked == ["a", "numbers of abcd", "b", "c", "d"]
    assert generation.row_numbers.to_pylist() == [3, 1, 2]


def test_row_numbers_of_one_come_before_statistics_of_another(bench: DeepBench) -> None:
    bench.control.hold()
    mine = bench.work.begin("me", Deep("ab"))
    mine.start()
    bench.arrival(1)
    theirs = bench.work.begin("other", Deep("xy"))
    theirs.prepare()
    bench.control.release()
    Call(lambda: mine.wait(PATIENCE)).result()
    assert Call(lambda: theirs.wait_prepared(PATIENCE)).result() is True
    assert bench.asked == ["a", "numbers of xy", "b"], "statistics that nobody resolves are not computed for it"


@pytest.mark.parametrize(
    ("rows", "ahead", "asked"), [(MANY, True, 1), (MANY - 1, True, 0), (MANY, False, 0), (None, True, 0)]
)
def test_row_numbers_that_pay_come_last_of_all(bench: DeepBench, rows: int | None, ahead: bool, asked: int) -> None:
    generation = bench.work.begin("me", Deep("ab", rows=rows, ahead=ahead))
    generation.start()
    Call(lambda: generation.wait(PATIENCE)).result()
    if asked:
        bench.come("numbers of ab")
    bench.work.close()
    assert bench.asked == ["a", "b", "numbers of ab"][: 2 + asked]


def test_row_numbers_that_others_displaced_are_prepared_again_only_where_missed(bench: DeepBench) -> None:
    generation = bench.work.begin("me", Deep("a", rows=MANY))
    assert prepare(generation) is True
    bench.work.row_numbers.clear()
    generation.start()
    Call(lambda: generation.wait(PATIENCE)).result()
    assert wait(bench.begin("other", "b")) == "b"
    assert bench.asked == ["numbers of a", "a", "b"]
    assert prepare(generation) is True
    assert bench.asked == ["numbers of a", "a", "b", "numbers of a"]


def test_row_numbers_that_would_not_fit_are_not_asked_for(bench: DeepBench) -> None:
    generation = bench.work.begin("me", Deep("a", rows=bench.work.row_numbers.size))
    assert prepare(generation) is False
    assert bench.asked == []


class Failing(DeepBench):
    """Work whose fake engine fails at row numbers."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    def run(self, query: Any, token: Any) -> Any:
        answer = super().run(query, token)
        if isinstance(query, RowNumbers):
            raise self.failure
        return answer


def test_row_numbers_that_fail_cost_nothing_else() -> None:
    for failure in (lf.EngineError("out of memory"), ZeroDivisionError("a bug")):
        bench = Failing(failure)
        generation = bench.work.begin("me", Deep("ab", rows=MANY))
        assert prepare(generation) is False
        assert prepare(generation) is False
        generation.start()
        Call(lambda generation=generation: generation.wait(PATIENCE)).result()
        assert values(generation) == "ab"
        bench.work.close()
        assert bench.asked == ["numbers of ab", "a", "b"]


def test_statistics_behind_row_numbers_that_hang_go_on(bench: DeepBench) -> None:
    bench.control.hold(lambda query: isinstance(query, RowNumbers))
    generation = bench.work.begin("me", Deep("ab"))
    generation.prepare()
    bench.come("numbers of ab")
    generation.start()
    generation.give_up(lf.EngineError("timeout"))
    Call(lambda: generation.wait(PATIENCE)).result()
    assert values(generation) == "ab"
    assert generation.row_numbers is None
    assert prepare(generation) is False


def test_row_numbers_are_no_statistics_queries(bench: DeepBench) -> None:
    seen: list[str] = []
    bench.work.watch(lambda what, query: seen.append(query.keys))
    generation = bench.work.begin("me", Deep("a"))
    assert prepare(generation) is True
    assert seen == []
    assert generation.queries_started == 0
    bench.control.hold()
    other = bench.work.begin("me", Deep("b"))
    other.prepare()
    bench.come("numbers of b")
    bench.work.end("me")
    assert other.queries_cancelled == 0


@pytest.mark.parametrize("sample", [*SAMPLES, *OTHERS], ids=lambda sample: sample.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_a_file_by_number_have_values_of_every_type(backend: str, sample: Sample, tmp_path: Path) -> None:
    """Whoever reads the file for them, they are those that the engine reads."""
    if sample.name == "list of two" or (backend, sample.name) == ("xorq", "fixed binary"):
        pytest.skip("Arrow writes no such file, or xorq opens none")
    table = sample.table()
    table = table.append_column("place", pa.array(range(table.num_rows)))
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=3)
    state = lf.State(filters=[lf.Filter("x", "is not missing")], sort=[lf.Sort("place", descending=True)])
    with lf.DataFlow(tmp_path / "table.parquet", backend) as flow:
        expected = judge.frame(flow.rows(state, (0, 10**4)))
        step = flow.apply(state, (0, 0))
        assert step.prepare(PATIENCE)
        query = RowsQuery(step.plan, 0, 10**4, (), step._generation.row_numbers)
        assert rows_differ(flow._shared.backend.run(query, CancelToken()), expected) is None
