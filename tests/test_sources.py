"""What callers bring, on each backend: opened as it is, read in one order, and left alone."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.testing.control import threads_left
from lazyflow.testing.judge_statistics import BY_ORDER

BACKENDS = ("duckdb", "pandas", "xorq")
ROWS = 5_000
TABLE = pa.table(
    {
        "number": pa.array(range(ROWS)),
        "half": pa.array([None if n % 7 == 0 else n / 2 for n in range(ROWS)]),
        "word": pa.array([None if n % 11 == 0 else ("JFK", "lga", "Ewr")[n % 3] for n in range(ROWS)]),
    }
)
STATE = lf.State(search="jfk", filters=[lf.Filter("half", ">", 100)], sort=[lf.Sort("word"), lf.Sort("half", True)])

SORTED = lf.State(search="jfk", sort=[lf.Sort("word"), lf.Sort("number", descending=True)])


def parquet(folder: Path) -> Path:
    path = folder / "table.parquet"
    pq.write_table(TABLE, path, row_group_size=500)
    return path


def duckdb_connection(folder: Path) -> Any:
    import ibis

    connection = ibis.duckdb.connect()
    connection.create_table("base", TABLE)
    connection.con.execute("CREATE VIEW seen AS SELECT * FROM base WHERE number >= 0")
    connection.con.execute("CREATE TEMP TABLE passing AS SELECT * FROM base")
    connection.con.execute("CREATE TABLE other AS SELECT number FROM base")
    return connection


def joined(folder: Path) -> Any:
    connection = duckdb_connection(folder)
    return connection.table("base").join(connection.table("other"), "number").order_by("number")


def cached(folder: Path) -> Any:
    import xorq.api as xo
    from xorq.caching import ParquetCache

    source = xo.connect()
    cache = ParquetCache.from_kwargs(source=source, base_path=folder / "cache")
    return xo.deferred_read_parquet(str(parquet(folder)), source).filter(lambda table: table.number >= 0).cache(cache)


def deferred(folder: Path) -> Any:
    import xorq.api as xo

    return xo.deferred_read_parquet(str(parquet(folder)), xo.connect())


def memtable(folder: Path) -> Any:
    import xorq.api as xo

    return xo.memtable(TABLE)


def across_engines(folder: Path) -> Any:
    import xorq.api as xo

    table = xo.pandas.connect({"base": TABLE.to_pandas(types_mapper=pd.ArrowDtype)}).table("base")
    return table.into_backend(xo.connect(), "moved").filter(lambda table: table.number >= 0).order_by("number")


def build(folder: Path) -> Any:
    from xorq.ibis_yaml.compiler import build_expr

    return build_expr(deferred(folder).filter(lambda table: table.number >= 0), builds_dir=folder / "builds")


SOURCES: dict[str, tuple[str | None, Callable[[Path], Any]]] = {
    **{f"path on {name}": (name, parquet) for name in BACKENDS},
    **{f"text of a path on {name}": (name, lambda folder: str(parquet(folder))) for name in BACKENDS},
    **{f"arrow on {name}": (name, lambda folder: TABLE) for name in BACKENDS},
    **{f"frame on {name}": (name, lambda folder: TABLE.to_pandas()) for name in BACKENDS},
    "table": (None, lambda folder: duckdb_connection(folder).table("base")),
    "view": (None, lambda folder: duckdb_connection(folder).table("seen")),
    "temporary table": (None, lambda folder: duckdb_connection(folder).table("passing")),
    "read_parquet of ibis": (None, lambda folder: duckdb_connection(folder).read_parquet(parquet(folder))),
    "join": (None, joined),
    "deferred read": (None, deferred),
    "filtered deferred read": (None, lambda folder: deferred(folder).filter(lambda table: table.number >= 0)),
    "cached expression": (None, cached),
    "memtable": (None, memtable),
    "expression across engines": (None, across_engines),
    "build": (None, build),
    "path of a build as text": ("xorq", lambda folder: str(build(folder))),
}


def values(statistics: lf.Statistics) -> dict[tuple[str, str, str], object]:
    return {
        (scope, column, name): (cell.value, cell.basis, type(cell.error))
        for scope, columns in statistics.items()
        for column, cells in columns.items()
        for name, cell in cells.items()
    }


@pytest.mark.parametrize("name", SOURCES)
def test_sources_give_the_same(name: str, tmp_path: Path) -> None:
    backend, make = SOURCES[name]
    with lf.DataFlow(make(tmp_path), backend) as flow, lf.DataFlow(TABLE) as judge:
        assert dict(flow.schema) == dict(judge.schema)
        rows = flow.rows(lf.State(), (0, ROWS))
        if name == "cached expression":  # filled by the caller's engine, in the order in which its partitions end
            assert rows.equals(flow.rows(lf.State(), (0, ROWS)))
            rows = rows.sort_by("number")
        assert rows.equals(TABLE)
        assert flow.rows(STATE, (3, 400)).num_rows == judge.rows(STATE, (3, 400)).num_rows
        assert flow.rows(SORTED, (3, 400)).equals(judge.rows(SORTED, (3, 400)))
        found, due = (values(one.apply(STATE).resolve()) for one in (flow, judge))
        if name == "cached expression":
            found, due = ({at: cell for at, cell in of.items() if at[2] not in BY_ORDER} for of in (found, due))
        assert found == due


@pytest.mark.parametrize("name", SOURCES)
def test_plans_are_ordinary_expressions(name: str, tmp_path: Path) -> None:
    backend, make = SOURCES[name]
    with lf.DataFlow(make(tmp_path), backend) as flow:
        plan = flow.compile(STATE)
        for table in (plan.raw, plan.clean, plan.filtered, plan.shown, plan.ordered):
            assert list(table.execute().columns) == ["number", "half", "word"]
        executed = plan.window(0, 50).execute()
        assert executed["number"].tolist() == flow.rows(STATE, (0, 50))["number"].to_pylist()
        assert executed.shape[0] == 50


@pytest.mark.parametrize("backend", BACKENDS)
def test_csv_is_the_same_table_everywhere(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("day,flight,delay,late\n2013-01-01,UA 1,3.5,true\n2013-01-02,,,false\n,B6 2,-1,\n")
    with lf.DataFlow(path, backend) as flow:
        assert [str(type) for type in flow.schema.values()] == ["date32[day]", "string", "double", "bool"]
        rows = flow.rows(lf.State(sort=[lf.Sort("delay")]), (0, 9))
        assert rows["flight"].to_pylist() == ["B6 2", "UA 1", None]
        assert rows["late"].to_pylist() == [None, True, False]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["table.json", "table.jsonl", "table.ndjson"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_json_is_the_same_table_everywhere(backend: str, name: str, packed: bool, tmp_path: Path) -> None:
    records = [
        {"day": "2013-01-01", "flight": "UA 1", "delay": 3.5, "tags": ["a"], "mixed": {"x": 1}},
        {"day": None, "flight": None, "late": True, "tags": [], "mixed": "text"},
        {"flight": "B6 2", "delay": -1, "tags": None, "mixed": [2]},
    ]
    text = json.dumps(records) if name.endswith(".json") else "".join(json.dumps(record) + "\n" for record in records)
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with lf.DataFlow(path, backend) as flow:
        types = {column: str(type) for column, type in flow.schema.items()}
        assert types == {
            "day": "date32[day]",
            "flight": "string",
            "delay": "double",
            "tags": types["tags"],
            "mixed": "string",
            "late": "bool",
        }
        assert types["tags"].startswith("list<")
        rows = flow.rows(lf.State(sort=[lf.Sort("delay")]), (0, 9))
        assert rows["flight"].to_pylist() == ["B6 2", "UA 1", None]
        assert rows["tags"].to_pylist() == [None, ["a"], []]
        assert rows["mixed"].to_pylist() == ["[2]", '{"x":1}', '"text"']
        assert flow.row_count(lf.State(search="b6")) == 1
        assert flow.apply(lf.State()).resolve()["raw"]["delay"]["min"].value == -1


@pytest.mark.parametrize("name", ["table.arrow", "table.feather", "table.ipc"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_arrow_files_are_tables(backend: str, stream: bool, name: str, tmp_path: Path) -> None:
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    for part in (1, 0):
        with new(str(tmp_path / f"{part}_{name}"), TABLE.schema) as writer:
            writer.write_table(TABLE.slice(part * 2_000, 2_000), max_chunksize=300)
    with lf.DataFlow(str(tmp_path / f"*_{name}"), backend) as flow:
        assert not flow.outdated
        assert flow.rows(lf.State(), (0, ROWS)).equals(TABLE.slice(0, 4_000))
        assert flow.apply(lf.State()).resolve()["raw"]["number"]["max"].value == 3_999
        (tmp_path / f"0_{name}").write_bytes(b"other")
        assert flow.outdated


@pytest.mark.parametrize("content", [b"ARROW1\0\0 and no more", b"<html>", b"\xff\xff\xff\xff\x10\0\0\0"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_arrow_file_that_is_none_is_a_source_error(backend: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.arrow").write_bytes(content)
    with pytest.raises(lf.SourceError, match=r"x\.arrow.*not an Arrow file, or a damaged one"):
        lf.DataFlow(tmp_path / "x.arrow", backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_json_that_is_none_is_a_source_error(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(lf.SourceError, match=r"(?i)json") as caught:
        lf.DataFlow(path, backend)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_glob_is_read_in_the_order_of_names(backend: str, tmp_path: Path) -> None:
    for part in (2, 0, 1):
        pq.write_table(TABLE.slice(part * 1_000, 1_000), tmp_path / f"part{part}.parquet")
    with lf.DataFlow(tmp_path / "part*.parquet", backend) as flow:
        assert flow.rows(lf.State(), (0, ROWS)).equals(TABLE.slice(0, 3_000))


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_of_files_are_unharmed(backend: str, tmp_path: Path) -> None:
    names = ["A", "a", "", "self", 'with "quotes"', "two words", "Größe"]
    table = pa.table([pa.array([position, None]) for position in range(len(names))], names=names)
    pq.write_table(table, tmp_path / "names.parquet")
    with lf.DataFlow(tmp_path / "names.parquet", backend) as flow:
        assert list(flow.schema) == names
        for position, name in enumerate(names):
            kept = flow.rows(lf.State(filters=[lf.Filter(name, "==", position)]), (0, 9))
            assert kept.num_rows == 1
            assert kept.column_names == names
        assert flow.apply(lf.State()).resolve()["raw"]["a"]["max"].value == 1


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(3), ["x"]),
        (pd.Index([0, 1, 2]), ["x"]),
        (pd.Index([5, 1, 2]), ["index", "x"]),
        (pd.Index(["a", "b", "c"], name="key"), ["key", "x"]),
        (pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", None]), ["letter", "level_1", "x"]),
        (pd.RangeIndex(3, name="x"), ["x", "x (2)"]),
    ],
    ids=["range", "counted", "numbers", "named", "levels", "same name"],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_index_that_says_something_is_columns_in_front(backend: str, index: pd.Index, expected: list[str]) -> None:
    with lf.DataFlow(pd.DataFrame({"x": [7, 8, 9]}, index=index), backend) as flow:
        assert list(flow.schema) == expected
        assert flow.rows(lf.State(), (0, 9)).column(expected[-1]).to_pylist() == [7, 8, 9]


def test_backends_are_chosen_by_the_source(tmp_path: Path) -> None:
    chosen = {
        "pandas": TABLE.to_pandas(),
        "duckdb": TABLE,
        "xorq": deferred(tmp_path),
    }
    for backend, source in chosen.items():
        with lf.DataFlow(source) as flow:
            assert flow.backend == backend
    with lf.DataFlow(build(tmp_path)) as flow:
        assert flow.backend == "xorq"
    with lf.DataFlow(parquet(tmp_path)) as flow:
        assert flow.backend == "duckdb"


def test_a_callers_connection_is_left_as_it_was(tmp_path: Path) -> None:
    connection = duckdb_connection(tmp_path)

    def seen() -> tuple[Any, Any]:
        settings = connection.con.execute("SELECT name, value FROM duckdb_settings()").fetchall()
        views = connection.con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        return settings, (views, connection.con.execute("SELECT table_name FROM duckdb_tables()").fetchall())

    before = seen()
    with lf.DataFlow(connection.table("base")) as flow:
        flow.apply(STATE).resolve()
        assert seen() == before
    assert seen() == before
    assert connection.table("base").count().execute() == ROWS


def test_what_was_materialised_is_removed_on_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with lf.DataFlow(joined(tmp_path)) as flow:
        assert flow.row_count(lf.State()) == ROWS
        assert list(tmp_path.glob("lazyflow-*"))
    assert not list(tmp_path.glob("lazyflow-*"))
    assert threads_left() == []


def test_a_connection_without_order_warns_and_is_materialised(tmp_path: Path) -> None:
    connection = duckdb_connection(tmp_path)
    connection.con.execute("SET preserve_insertion_order = false")
    with pytest.warns(UserWarning, match="preserve_insertion_order"):
        flow = lf.DataFlow(connection.table("base"))
    with flow:
        first = flow.rows(lf.State(), (0, ROWS))
        assert first.equals(flow.rows(lf.State(), (0, ROWS)))
        assert sorted(first["number"].to_pylist()) == list(range(ROWS))


MATERIALISED: dict[str, str | None] = {
    "path on duckdb": None,
    "table": None,
    "join": "no order that repeats",
    "temporary table": "one connection alone",
    "path on xorq": None,
    "filtered deferred read": None,
    "build": None,
    "expression across engines": "another engine",
    "path on pandas": "frames in memory",
}


@pytest.mark.parametrize("name", MATERIALISED)
def test_it_is_said_what_was_copied(name: str, tmp_path: Path) -> None:
    backend, make = SOURCES[name]
    with lf.DataFlow(make(tmp_path), backend) as flow:
        why = MATERIALISED[name]
        assert (why in (flow.materialised or "")) if why else flow.materialised is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_of_polars_that_are_no_tables(backend: str) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"x": [1, 2]})
    with pytest.raises(lf.InvalidInput, match=r"collect\(\)"):
        lf.DataFlow(frame.lazy(), backend)
    with pytest.raises(lf.SourceError, match="polars Series cannot be read as a table"):
        lf.DataFlow(frame["x"], backend)
    with pytest.raises(lf.SourceError, match=r"column 'o' .*Python objects"):
        lf.DataFlow(frame.with_columns(polars.Series("o", [object(), object()], polars.Object)), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_types_of_polars(backend: str) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "category": polars.Series(["b", "a", None], dtype=polars.Categorical),
            "label": polars.Series(["b", "a", "b"], dtype=polars.Enum(["b", "a"])),
            "price": polars.Series(["1.50", None, "2.25"]).cast(polars.Decimal(10, 2)),
            "spans": [[1], None, []],
        }
    )
    with lf.DataFlow(frame, backend) as flow:
        assert [str(type) for type in flow.schema.values()][:3] == ["string", "string", "decimal128(10, 2)"]
        rows = flow.rows(lf.State(sort=[lf.Sort("label"), lf.Sort("price")]), (0, 9))
        assert rows["label"].to_pylist() == ["a", "b", "b"]
        assert rows["spans"].to_pylist() == [None, [1], []]


def test_what_one_backend_cannot_open_another_can() -> None:
    import ibis
    import xorq.api as xo

    with pytest.raises(lf.InvalidInput, match=r"the duckdb backend cannot .* of xorq; the xorq backend can"):
        lf.DataFlow(xo.memtable(TABLE), "duckdb")
    with pytest.raises(lf.InvalidInput, match=r"the xorq backend cannot .* of ibis; the duckdb backend can"):
        lf.DataFlow(ibis.memtable(TABLE), "xorq")
    with pytest.raises(lf.InvalidInput, match="given by its path"):
        lf.DataFlow(TABLE, table="x")


def test_a_filter_on_a_partition_reads_its_files_alone(tmp_path: Path) -> None:
    for year in range(20):
        path = tmp_path / f"year={year}" / "part.parquet"
        path.parent.mkdir()
        pq.write_table(TABLE.slice(year * 100, 100), path)
    with lf.DataFlow(tmp_path, "duckdb") as flow:
        raw = flow.compile(lf.State()).raw
        backend = raw.get_backend()
        sql = str(backend.compile(raw.filter(raw.year == 7)))
        profile = backend.con.execute(f"EXPLAIN ANALYZE {sql}").fetchall()[0][1]
        assert "Scanning Files: 1/20" in profile
    with lf.DataFlow(tmp_path, "xorq") as flow:
        raw = flow.compile(lf.State()).raw
        connection = raw._find_backend().con
        sql = str(raw._find_backend().compile(raw.filter(raw.year == 7)))
        plan = "".join(
            str(batch.to_pyarrow().to_pydict()) for batch in connection.sql(f"EXPLAIN {sql}").execute_stream()
        )
        assert plan.count("file.parquet") == 1


def test_files_of_a_deferred_read_are_watched(tmp_path: Path) -> None:
    with lf.DataFlow(deferred(tmp_path)) as flow:
        pq.write_table(TABLE.slice(0, 10), tmp_path / "table.parquet")
        with pytest.raises(lf.SourceChanged, match=r"table\.parquet"):
            flow.rows(lf.State(), (0, 1))
        flow.refresh()
        assert flow.row_count(lf.State()) == 10


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_replaced_within_its_time_is_seen_after_refresh(backend: str, tmp_path: Path) -> None:
    """An engine that keeps what it read of a file must not take size and modification time for the file."""
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"x": [1, 2, 3]}), path)
    time = path.stat().st_mtime_ns - 3_600_000_000_000
    os.utime(path, ns=(time, time))
    with lf.DataFlow(str(path), backend=backend) as flow:
        assert flow.rows(lf.State(), (0, 5))["x"].to_pylist() == [1, 2, 3]
        for values in ([1, 2, 4], [5, 6, 7, 8], [9]):
            beside = tmp_path / "beside"
            pq.write_table(pa.table({"x": values}), beside)
            os.utime(beside, ns=(time, time))
            beside.replace(path)
            flow.refresh()
            assert flow.rows(lf.State(), (0, 5))["x"].to_pylist() == values
            assert flow.apply(lf.State()).resolve()["raw"]["x"]["max"].value == max(values)


def test_a_changed_file_is_seen_after_refresh(tmp_path: Path) -> None:
    path = parquet(tmp_path)
    for backend in BACKENDS:
        with lf.DataFlow(path, backend) as flow:
            step = flow.apply(lf.State())
            assert step.resolve()["raw"].rows.value == ROWS
            pq.write_table(TABLE.slice(0, 10), path)
            flow.refresh()
            with pytest.raises(lf.Superseded):
                step.resolve()
            assert flow.apply(lf.State()).resolve()["raw"].rows.value == 10
        parquet(tmp_path)


def test_missing_values_come_last_whatever_the_connection_was_told() -> None:
    import ibis

    connection = ibis.duckdb.connect()
    connection.create_table("given", pa.table({"x": [3, None, 1]}))
    connection.con.execute("SET GLOBAL default_null_order = 'nulls_first'")
    with lf.DataFlow(connection.table("given")) as flow:
        for descending, due in ((False, [1, 3, None]), (True, [3, 1, None])):
            state = lf.State(sort=[lf.Sort("x", descending)])
            assert flow.rows(state, (0, 3))["x"].to_pylist() == due
            assert connection.con.sql(flow.compile(state).sql()).fetchall() == [(value,) for value in due]
