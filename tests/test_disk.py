"""Statistics on disk: a second process is complete at once, and no process is ever told what is not so."""

from __future__ import annotations

import decimal
import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow import dataflow
from lazyflow.disk import Disk
from lazyflow.errors import EngineError
from lazyflow.statistics.builtin import CARDINALITY, RANGE, REGISTRY, ROWS
from lazyflow.statistics.registry import CellKey, Statistic
from lazyflow.statistics.results import Cell
from lazyflow.store import Store
from tests.drivers import HARNESSES
from tests.processes import start
from tests.test_digest import TABLE, cheap, file_of

BACKENDS = ("duckdb", "pandas", "xorq")
STATES = [lf.State(), lf.State(search="o"), lf.State(filters=[lf.Filter("size", "<", 3)], cleaning="cheap")]
MIB = 2**20


def look(path: str | Path, backend: str, directory: str | Path | None, states: list[str] | None = None) -> Any:
    """For each state its statistics, as text, and what the engine's driver was asked for them."""
    harness, found = HARNESSES[backend](), []
    with lf.DataFlow(path, backend=harness.backend(), cache_directory=directory) as flow:
        flow.register_cleaning("cheap", cheap)
        for state in STATES if states is None else map(lf.State.from_json, states):
            step = flow.apply(state)
            with harness.queries() as asked:
                statistics = step.resolve()
            assert statistics.complete
            found.append([repr(statistics), len(asked)])
    return found


def answers(found: Any) -> list[str]:
    return [text for text, _ in found]


def asked(found: Any) -> list[int]:
    return [number for _, number in found]


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.cells"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_process_is_complete_without_a_statistics_query(backend: str, tmp_path: Path) -> None:
    path, directory = str(file_of(tmp_path)), str(tmp_path / "cache")
    right = look(path, backend, None)
    first = start(look, path, backend, directory)()
    second = start(look, path, backend, directory)()
    assert answers(first) == answers(second) == answers(right)
    assert all(number > 0 for number in asked(first))
    assert asked(second) == [0, 0, 0]


def many_types() -> pa.Table:
    """Values of many types that Parquet has, extremes among them."""
    whole = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
    instants = [*(pa.timestamp(unit, zone) for unit in ("ms", "us") for zone in (None, "UTC")), pa.timestamp("ns")]
    steps = pa.array([-1, None, 10**12 + 1], pa.int64())
    columns = {
        **{str(type): pa.array([0, None, 2 ** (type.bit_width - 1) - 1], type) for type in whole},
        **{str(type): steps.cast(type) for type in (*instants, pa.duration("us"))},
        "float": pa.array([float("-inf"), 0.1, float("nan")], pa.float32()),
        "double": pa.array([5e-324, -0.0, 1.7e308]),
        "decimal": pa.array([None, decimal.Decimal("-0.001"), decimal.Decimal(10**34)], pa.decimal128(38, 3)),
        "text": ["", "\x00\n\u2028\U0001f600", "x" * 5_000],
        "boolean": [True, None, False],
        "date": pa.array([-719_162, 0, 2_932_896], pa.int32()).cast(pa.date32()),
        "time": pa.array([0, None, 86_399_999_999], pa.int64()).cast(pa.time64("us")),
        "binary": [b"\x00", None, b"\xff"],
        "list": [[1, 2], None, []],
        "struct": [{"a": 1}, None, {"a": 2}],
        "category": pa.array(["a", None, "b"]).dictionary_encode(),
    }
    return pa.table(columns)


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_of_many_types_are_known_again(backend: str, tmp_path: Path) -> None:
    path, plain = file_of(tmp_path, table=many_types()), [lf.State().to_json(), lf.State(search="x").to_json()]
    first, second = (look(path, backend, tmp_path / "cache", plain) for _ in range(2))
    assert answers(first) == answers(second)
    assert "EngineError" not in answers(first)[0]
    assert asked(second) == [0, 0]


@pytest.mark.parametrize("format", ["csv", "jsonl", "arrow", "glob"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_files_of_every_format_are_known_again(backend: str, tmp_path: Path, format: str) -> None:
    if format == "arrow":
        path: Path | str = tmp_path / "t.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, TABLE.schema) as writer:
            writer.write_table(TABLE)
    elif format == "glob":
        for name in ("a", "b"):
            file_of(tmp_path, f"{name}.parquet")
        path = str(tmp_path / "*.parquet")
    else:
        path = tmp_path / f"t.{format}"
        text = "city,size\nBonn,1\nRome,2\n" if format == "csv" else '{"city": "Bonn", "size": 1}\n'
        Path(path).write_text(text)
    first, second = (look(path, backend, tmp_path / "cache") for _ in range(2))
    assert answers(first) == answers(second)
    assert sum(asked(first)) > 0
    assert sum(asked(second)) == 0


def pipelines(path: Path) -> dict[str, Any]:
    import xorq.api as xo

    table = xo.deferred_read_parquet(path)
    return {
        "rows": table.filter(table.size > 1),
        "aggregate": table.group_by("city").agg(rows=table.count()),
        "cached": table.filter(table.size > 1).cache(xo.ParquetCache.from_kwargs(base_path=path.parent / "xorq")),
    }


def look_at_pipeline(name: str, path: str, directory: str) -> Any:
    return look(pipelines(Path(path))[name], "xorq", directory, [lf.State().to_json()])


@pytest.mark.parametrize("name", ["rows", "aggregate", "cached"])
def test_a_xorq_expression_is_known_by_its_token(name: str, tmp_path: Path) -> None:
    path, directory = str(file_of(tmp_path)), str(tmp_path / "cache")
    first, second = (start(look_at_pipeline, name, path, directory)() for _ in range(2))
    assert answers(first) == answers(second)
    assert asked(first)[0] > 0
    assert asked(second) == [0]
    file_of(tmp_path, table=TABLE.slice(2))
    third = start(look_at_pipeline, name, path, directory)()
    assert asked(third)[0] > 0
    assert answers(third) != answers(first)


def test_what_a_xorq_snapshot_keeps_is_known_for_one_opening(tmp_path: Path) -> None:
    """It gives what its file once was, whatever that is by now."""
    import xorq.api as xo

    table = xo.deferred_read_parquet(file_of(tmp_path))
    snapshot = table.cache(xo.ParquetSnapshotCache.from_kwargs(base_path=tmp_path / "xorq"))
    look(snapshot, "xorq", tmp_path / "cache", [lf.State().to_json()])
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_that_was_replaced_is_another(backend: str, tmp_path: Path) -> None:
    """Of the same size, at the same time, under the same path: as a copy in place of the first one may be."""
    one, other = (TABLE.set_column(1, "size", pa.array(values)) for values in ([1, 2, 3], [3, 1, 7]))
    path = file_of(tmp_path, table=one)
    os.utime(path, (1_000, 1_000))
    before = look(path, backend, tmp_path / "cache")
    size = path.stat().st_size
    replacement = file_of(tmp_path, "replacement", other)
    os.utime(replacement, (1_000, 1_000))
    assert replacement.stat().st_size == size
    os.replace(replacement, path)
    after = look(path, backend, tmp_path / "cache")
    assert answers(after) == answers(look(path, backend, None))
    assert answers(after)[0] != answers(before)[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_computed_of_a_file_that_is_gone_by_now_is_not_kept(backend: str, tmp_path: Path) -> None:
    """Nobody can tell whether it was computed of the file that was opened."""
    path = file_of(tmp_path)
    with lf.DataFlow(path, backend=backend, cache_directory=tmp_path / "cache") as flow:
        step = flow.apply(lf.State())
        kept = tmp_path / "kept"
        os.link(path, kept)
        os.replace(file_of(tmp_path, "other", TABLE.slice(1)), path)
        with pytest.raises(lf.SourceChanged):
            step.resolve()
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_are_not_written_to_disk(backend: str, tmp_path: Path) -> None:
    for data in (TABLE, TABLE.to_pandas()):
        look(data, backend, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_another_time_may_be_otherwise_is_not_written_to_disk(backend: str, tmp_path: Path) -> None:
    path, directory = file_of(tmp_path), tmp_path / "cache"
    look(path, backend, directory, [lf.State().to_json()])
    before = files(directory)
    assert before
    with lf.DataFlow(path, backend=backend, cache_directory=directory) as flow:
        flow.register_cleaning("some", lambda table, ns: table.limit(2))
        assert flow.apply(lf.State(cleaning="some")).resolve()["clean"].rows.value == 2
    assert files(directory) == before


def test_a_flow_that_is_not_asked_to_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "write", lambda *_: pytest.fail("something was written"))
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("something was read"))
    for directory in (None, ""):
        look(file_of(tmp_path), "duckdb", directory)


def test_nothing_is_read_or_written_for_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, directory = file_of(tmp_path), tmp_path / "cache"
    look(path, "duckdb", directory)
    with lf.DataFlow(path, cache_directory=directory) as flow:
        with monkeypatch.context() as closed:
            closed.setattr(Store, "read", lambda *_: pytest.fail("something was read"))
            step = flow.apply(lf.State())
            assert step.rows.num_rows == 3
            assert flow.rows(lf.State(search="o"), (0, 2)).num_rows == 2
            assert step.statistics["raw"].pending
        assert step.resolve().complete


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "harm",
    [
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(b"garbage"),
        lambda path: path.write_bytes(path.read_bytes().replace(b'"exact",', b'"exact",1')),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
    ],
    ids=["truncated", "garbage", "another value", "gone", "empty"],
)
def test_a_harmed_file_is_a_miss(backend: str, tmp_path: Path, harm: Callable[[Path], Any]) -> None:
    path, directory = file_of(tmp_path), tmp_path / "cache"
    right = look(path, backend, directory)
    for file in files(directory):
        harm(file)
    again = look(path, backend, directory)
    assert answers(again) == answers(right)
    assert asked(again) == asked(right)
    assert asked(look(path, backend, directory)) == [0, 0, 0], "and is written anew"


def test_the_answers_of_another_release_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, directory = file_of(tmp_path), tmp_path / "cache"
    right = look(path, "duckdb", directory)
    with monkeypatch.context() as later:
        later.setattr(dataflow, "__version__", "99")
        assert asked(look(path, "duckdb", directory)) == asked(right)
    with monkeypatch.context() as later:
        later.setattr(dataflow, "version", lambda name: "99" if name == "duckdb" else "1")
        assert asked(look(path, "duckdb", directory)) == asked(right)
    assert asked(look(path, "duckdb", directory)) == [0, 0, 0]


def test_engines_do_not_read_each_others_answers(tmp_path: Path) -> None:
    """What is approximate differs from engine to engine."""
    path, directory = file_of(tmp_path), tmp_path / "cache"
    for backend in BACKENDS:
        assert all(number > 0 for number in asked(look(path, backend, directory)))


SCOPE = CellKey("source", "scope", "x", "mean", 1, durable=True)


def disk(directory: Path, release: str = "1", bytes: int = MIB) -> Disk:
    return Disk(directory, bytes, release)


def test_every_part_of_a_key_counts(tmp_path: Path) -> None:
    disk(tmp_path).write({SCOPE: Cell(1)})
    assert disk(tmp_path).read([SCOPE]) == {SCOPE: Cell(1)}
    for field in ("fingerprint", "scope"):
        assert disk(tmp_path).read([SCOPE._replace(**{field: "other"})]) == {}
    assert disk(tmp_path, "2").read([SCOPE]) == {}
    for changed in ({"column": "y"}, {"statistic": "std"}, {"version": 2}, {"edges": "e"}):
        other = SCOPE._replace(**changed)
        assert other not in disk(tmp_path).read([other])
        disk(tmp_path).write({other: Cell(2)})
        assert disk(tmp_path).read([SCOPE])[SCOPE] == Cell(1)


def test_only_what_lasts_is_written(tmp_path: Path) -> None:
    passing = SCOPE._replace(durable=False)
    disk(tmp_path / "cache").write({passing: Cell(1), SCOPE: Cell(error=EngineError("no"))})
    assert files(tmp_path / "cache") == []
    assert disk(tmp_path / "cache").read([passing]) == {}


def test_a_statistic_lasts_where_its_name_says_what_it_is() -> None:
    made = Statistic("mine", lambda column, ns: column.max())
    assert not made.durable
    assert all(statistic.durable for statistic in (*REGISTRY.statistics, CARDINALITY, RANGE, ROWS))


def test_own_statistics_are_kept_where_they_say_that_they_last(tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    pq.write_table(pa.table({"x": [1, 2, 6]}), table)
    greatest = Statistic("greatest", lambda column, ns: column.max(), durable=True)
    passing = Statistic("passing", lambda column, ns: column.min())
    for time, queries in enumerate(("all", "those of what does not last")):
        asked: list[set[str]] = []
        with lf.DataFlow(table, cache_directory=tmp_path / "cache", statistics=[greatest, passing]) as flow:
            flow.watch_statistics_queries(
                lambda what, query, asked=asked: asked.append({want.statistic.name for want in query.wants})
            )
            raw = flow.apply(lf.State()).resolve()["raw"]["x"]
        assert (raw["greatest"].value, raw["passing"].value, raw["last"].value) == (6, 1, 6)
        assert ("greatest" in set().union(*asked)) == (queries == "all"), time
        assert {"passing"} in asked if time else len(asked) > 2
    heir = Statistic("heir", lambda column, ns, passing: column.max(), needs=("passing",), durable=True)
    with pytest.raises(lf.InvalidStatistic, match="durable"):
        lf.DataFlow(table, statistics=[passing, heir])


def test_many_cells_are_split_and_one_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    cells = {SCOPE._replace(column=str(number)): Cell("x" * 1_000) for number in range(200)}
    huge = {SCOPE._replace(column="huge"): Cell("x" * 100_000)}
    disk(tmp_path).write(cells | huge)
    assert len(files(tmp_path)) > 5
    assert max(path.stat().st_size for path in files(tmp_path)) <= MIB // 32
    assert disk(tmp_path).read([SCOPE]) == cells


def test_a_text_that_is_whole_and_no_cells_is_a_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk(tmp_path).write({SCOPE: Cell(1)})
    subject = disk(tmp_path)._subject(SCOPE._replace(column="", statistic="", version=0))
    for part, text in enumerate(
        [b"[1]", b"[" * 10_000, b"\xff", b'["x","mean",1,"","exact",["scalar","int8","0000"]]']
    ):
        Store(tmp_path, MIB).write(subject, str(part), text)
    with caplog.at_level(logging.WARNING):
        assert disk(tmp_path).read([SCOPE]) == {SCOPE: Cell(1)}
    assert len(caplog.records) == 4


@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_is_positive(bound: int, tmp_path: Path) -> None:
    with pytest.raises(lf.InvalidInput, match="cache_directory_bytes is at least 1"):
        lf.DataFlow(TABLE, cache_directory=tmp_path, cache_directory_bytes=bound)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_disk_that_takes_nothing_is_no_error(backend: str, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    path = file_of(tmp_path)
    right = look(path, backend, None)
    with caplog.at_level(logging.WARNING, "lazyflow"):
        assert look(path, backend, path) == right, "the directory is a file"
    mine = [record for record in caplog.records if record.name.startswith("lazyflow")]
    assert [record.levelname for record in mine] == ["WARNING"]


@pytest.mark.parametrize("method", ["read", "write"])
def test_whatever_happens_on_disk_statistics_come(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any) -> Any:
        raise RuntimeError("a bug of ours")

    path = file_of(tmp_path)
    right = look(path, "duckdb", None)
    monkeypatch.setattr(Store, method, breaks)
    assert look(path, "duckdb", tmp_path / "cache") == right
    assert "the cache on disk could not be" in caplog.text


def hammer(path: str, backend: str, directory: str, rounds: int, seed: int, right: list[str]) -> dict[str, int]:
    """One of the processes that open, look and close; how many answers were wrong, and how they came about."""
    found = {"wrong": 0, "from disk": 0, "from the engine": 0}
    chance, progress = random.Random(seed), Path(directory) / f"{seed}.progress"
    for _ in range(rounds):
        index = chance.randrange(len(STATES))
        ((text, number),) = look(path, backend, directory, [STATES[index].to_json()])
        found["wrong"] += text != right[index]
        found["from the engine" if number else "from disk"] += 1
        with progress.open("a") as file:
            file.write(".")
    return found


def harm(directory: str, seed: int) -> int:
    """Cut, damage, exchange and remove files, some for each round of the others, until one says enough; how often."""
    chance, done, seen, root = random.Random(seed), 0, 0, Path(directory)
    while not (root / "enough").exists():
        rounds = sum(path.stat().st_size for path in root.glob("*.progress"))
        if rounds == seen:
            continue
        seen = rounds
        for _ in range(chance.randrange(3)):
            found = [path for path in root.rglob("*") if path.suffix in (".cells", ".part")]
            with suppress(OSError, IndexError):
                spoil(chance, chance.choice(found), chance.choice(found))
                done += 1
    return done


def spoil(chance: random.Random, path: Path, other: Path) -> None:
    size = path.stat().st_size
    match chance.randrange(6):
        case 0 | 1:
            os.replace(path, other)
        case 2:
            path.unlink()
        case 3 if size:
            with path.open("r+b") as file:
                file.seek(chance.randrange(size))
                file.write(chance.randbytes(1))
        case _:
            os.truncate(path, chance.randrange(size + 1))


@pytest.mark.parametrize(
    ("backend", "rounds"),
    [*((backend, 15) for backend in BACKENDS), *(pytest.param(b, 40, marks=pytest.mark.long) for b in BACKENDS)],
)
def test_two_processes_hammer_a_directory_that_a_third_one_harms(backend: str, rounds: int, tmp_path: Path) -> None:
    path, directory = str(file_of(tmp_path)), tmp_path / "cache"
    right = answers(look(path, backend, None))
    look(path, backend, directory)
    third = start(harm, str(directory), 3)
    workers = [start(hammer, path, backend, str(directory), rounds, seed, right) for seed in (1, 2)]
    found = [worker() for worker in workers]
    (directory / "enough").touch()
    assert third() > 0
    assert [one["wrong"] for one in found] == [0, 0]
    assert sum(one["from disk"] for one in found) > 0
    assert sum(one["from the engine"] for one in found) > 0
