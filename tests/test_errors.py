"""Bad input: one typed error that says what, where and what was expected, and a flow that is as before."""

from __future__ import annotations

import datetime
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import lazyflow as lf
from lazyflow.testing import Harness
from tests.drivers import HARNESSES

TABLE = pa.table(
    {
        "number": pa.array([1, 2, None], pa.int64()),
        "small": pa.array([1, 2, 3], pa.int8()),
        "ratio": [0.5, None, 1.5],
        "name": ["a", "b", None],
        "flag": [True, False, None],
        "day": [datetime.date(2013, 1, 1), None, datetime.date(2013, 1, 3)],
        "moment": pa.array([0, 1, None], pa.timestamp("us")),
        "instant": pa.array([0, 1, None], pa.timestamp("us", "UTC")),
        "list": [[1], None, []],
    }
)


def where(column: str, operator: str, value: Any = None) -> lf.State:
    return lf.State(filters=[lf.Filter(column, operator, value)])


UNKNOWN = {
    "filter": (where("nummer", "==", 1), "unknown column 'nummer', did you mean 'number'"),
    "filter far off": (where("zzz", "==", 1), "unknown column 'zzz'; expected one of: number, small, ratio"),
    "filter by case": (where("NUMBER", "==", 1), "unknown column 'NUMBER'"),
    "sort": (lf.State(sort=[lf.Sort("nmae")]), "unknown column 'nmae', did you mean 'name'"),
    "cleaning": (lf.State(cleaning="drop_emty"), "unknown cleaning 'drop_emty', did you mean 'drop_empty'"),
    "post-processing": (lf.State(post_processing="top"), "unknown post-processing 'top'; no post-processing is known"),
}
WRONG_VALUE = {
    "text for a number": (where("number", "==", "1"), "'number': expected a number, got '1'"),
    "truth for a number": (where("number", "==", value=True), "'number': expected a number, got True"),
    "text for a ratio": (where("ratio", "<", "many"), "'ratio': expected a number, got 'many'"),
    "number for a text": (where("name", "==", 3), "'name': expected a text, got 3"),
    "number for a truth": (where("flag", "==", 1), "'flag': expected true or false, got 1"),
    "text for a truth": (where("flag", "==", "true"), "'flag': expected true or false, got 'true'"),
    "number for a day": (where("day", ">=", 20130101), r"'day': expected a date \(YYYY-MM-DD\), got 20130101"),
    "no such day": (where("day", "==", "2013-02-30"), r"'day': expected a date \(YYYY-MM-DD\), got '2013-02-30'"),
    "words for a moment": (where("moment", "<", "yesterday"), "'moment': expected a timestamp .*got 'yesterday'"),
    "zoned for a plain moment": (where("moment", "<", "2013-01-01T00:00:00+01:00"), "'moment': .*without an offset"),
    "number for an instant": (where("instant", "<", 5), "'instant': expected a timestamp"),
    "one of a list": (where("number", "in", [1, "two"]), "'number': expected a number, got 'two'"),
    "number in a text": (where("name", "contains", 3), "'name': expected a text, got 3"),
}
NO_MEANING = {
    "contains in numbers": (where("number", "contains", "1"), "'number': 'contains' is for text columns"),
    "lists compared": (where("list", "==", "x"), "'list': '==' is not for columns of type list"),
    "lists sorted": (lf.State(sort=[lf.Sort("list")]), "sort by 'list': columns of type list"),
}
BAD_STATES = {
    **{name: (state, lf.UnknownName, words) for name, (state, words) in UNKNOWN.items()},
    **{name: (state, lf.InvalidValue, words) for name, (state, words) in WRONG_VALUE.items()},
    **{name: (state, lf.NotForThisType, words) for name, (state, words) in NO_MEANING.items()},
}


@pytest.fixture(params=["duckdb", "xorq", "pandas"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """The engines that open every type; the toy of the tests does not."""
    return HARNESSES[request.param]()


@pytest.fixture
def flow(harness: Harness) -> Any:
    with harness.flow(TABLE) as flow:
        flow.register_cleaning("drop_empty", lambda table, ns: table.drop_null("number"))
        yield flow


@pytest.mark.parametrize("case", BAD_STATES)
def test_a_bad_state_leaves_the_flow_as_it_was(flow: lf.DataFlow, case: str) -> None:
    bad, kind, words = BAD_STATES[case]
    step = flow.apply(where("number", ">=", 1))
    for use in (flow.compile, flow.row_count, flow.apply, lambda state: flow.rows(state, (0, 1))):
        with pytest.raises(kind, match=words):
            use(bad)
    assert not step.superseded
    assert step.resolve()["filtered"].rows.value == 2
    assert flow.apply(lf.State()).generation == 2


@pytest.mark.parametrize(("first", "second", "column"), [(1, True, "number"), (True, 1, "flag")])
def test_a_known_state_does_not_let_its_likeness_in(flow: lf.DataFlow, first: Any, second: Any, column: str) -> None:
    """1 == True in Python, which must not make the one pass for the other."""
    assert flow.row_count(where(column, "==", first)) == 1
    with pytest.raises(lf.InvalidValue, match=f"got {second}"):
        flow.row_count(where(column, "==", second))


WINDOWS = [
    (-1, 5),
    (5, 2),
    (0, -1),
    (0, 2**62),
    (0.0, 5),
    ("0", "5"),
    (True, 5),
    (0,),
    (0, 1, 2),
    5,
    None,
    "05",
    {0, 1},
]


@pytest.mark.parametrize("window", WINDOWS, ids=repr)
def test_a_window_is_one(flow: lf.DataFlow, window: Any) -> None:
    step = flow.apply(lf.State())
    for use in (flow.rows, flow.apply):
        with pytest.raises(lf.InvalidValue, match=r"a window is \(start, stop\) with 0 <= start <= stop"):
            use(lf.State(search="a"), window)
    assert not step.superseded


def test_a_window_may_be_empty_beyond_or_a_list(flow: lf.DataFlow) -> None:
    assert [flow.rows(lf.State(), window).num_rows for window in ((0, 0), (3, 3), (2, 100), (100, 200))] == [0, 0, 1, 0]
    assert flow.rows(lf.State(), (5, 5)).column_names == TABLE.column_names


def test_columns_in_sight_exist(flow: lf.DataFlow) -> None:
    with pytest.raises(lf.UnknownName, match="unknown column 'nam', did you mean 'name'"):
        flow.apply(lf.State(), columns=["nam"])
    with pytest.raises(lf.InvalidInput, match="not the text 'name'"):
        flow.apply(lf.State(), columns="name")


def test_statistics_name_what_they_have(flow: lf.DataFlow) -> None:
    statistics = flow.apply(lf.State()).resolve()
    with pytest.raises(lf.UnknownName, match="unknown scope 'filterd', did you mean 'filtered'"):
        statistics["filterd"]
    with pytest.raises(lf.UnknownName, match="unknown column 'nam', did you mean 'name'"):
        statistics["raw"]["nam"]
    assert isinstance(statistics["raw"]["list"]["mean"].error, lf.NotForThisType)


@pytest.mark.parametrize("state", [None, {}, "{}", 3, ["x"]], ids=repr)
def test_a_state_is_one(flow: lf.DataFlow, state: Any) -> None:
    with pytest.raises(lf.InvalidInput, match=f"expected a State, got {type(state).__name__}"):
        flow.apply(state)


def test_registered_functions_have_names(flow: lf.DataFlow) -> None:
    for name in ("", None, 3):
        with pytest.raises(lf.InvalidInput, match="needs a name"):
            flow.register_cleaning(name, lambda table, ns: table)
    with pytest.raises(lf.InvalidInput, match="expected a function"):
        flow.register_post_processing("x", "not a function")


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(lf.UnknownName, match="unknown backend 'duckdbb', did you mean 'duckdb'"):
        lf.DataFlow(TABLE, backend="duckdbb")
    with pytest.raises(lf.UnknownName, match="expected one of: duckdb, pandas, xorq"):
        lf.DataFlow(TABLE, backend="oracle")


@pytest.mark.parametrize("data", [None, 3, {"a": [1]}, [1, 2], pytest.param(object(), id="object")], ids=repr)
def test_a_source_is_one(harness: Harness, data: Any) -> None:
    with pytest.raises(lf.InvalidInput, match=r"cannot open a .*expected a path, folder or glob"):
        lf.DataFlow(data, backend=harness.backend())


def parquet(path: Path) -> Path:
    pq.write_table(TABLE, path)
    return path


def truncated(path: Path) -> Path:
    content = parquet(path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def damaged(path: Path) -> Path:
    """Whole at both ends, so that only the engine finds out."""
    content = bytearray(parquet(path).read_bytes())
    content[-200:-8] = b"\0" * 192
    path.write_bytes(content)
    return path


def filled(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


FILES: dict[str, tuple[Any, str]] = {
    "missing": (lambda folder: folder / "none.parquet", "no such file"),
    "no match": (lambda folder: folder / "*.parquet", "no such file"),
    "empty": (lambda folder: filled(folder / "x.parquet", b""), "the file is empty"),
    "empty csv": (lambda folder: filled(folder / "x.csv", b""), "the file is empty"),
    "truncated": (lambda folder: truncated(folder / "x.parquet"), "truncated"),
    "foreign": (lambda folder: filled(folder / "x.parquet", b"<html>no table</html>"), "not a Parquet file"),
    "text": (lambda folder: filled(folder / "x.txt", b"hello"), r"unknown kind of file; expected Parquet \(\.parquet"),
    "no suffix": (lambda folder: filled(folder / "x", b"hello"), "unknown kind of file"),
    "damaged": (lambda folder: damaged(folder / "x.parquet"), r"x\.parquet"),
    "a folder": (lambda folder: folder, "no data files in this folder; expected Parquet"),
    "nothing but the marks": (lambda folder: filled(folder / "x.parquet", b"PAR1PAR1"), "truncated"),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_bad_file_is_a_source_error(case: str, kind: type, tmp_path: Path) -> None:
    make, words = FILES[case]
    with pytest.raises(lf.SourceError, match=words) as caught:
        lf.DataFlow(kind(make(tmp_path)), backend="duckdb")
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("case", ["missing", "empty", "truncated", "foreign", "damaged"])
@pytest.mark.parametrize("backend", ["pandas", "xorq"])
def test_a_bad_file_is_a_source_error_on_every_engine(case: str, backend: str, tmp_path: Path) -> None:
    pytest.importorskip("xorq")
    make, words = FILES[case]
    with pytest.raises(lf.SourceError, match=words):
        lf.DataFlow(make(tmp_path), backend=backend)


def test_files_of_several_formats_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet")
    pyarrow.csv.write_csv(TABLE.select(["number"]), tmp_path / "b.csv")
    with pytest.raises(lf.SourceError, match=r"several kinds, .*a\.parquet. \(parquet\) and .*b\.csv. \(csv\)"):
        lf.DataFlow(tmp_path / "*")


def test_one_bad_file_among_good_ones_is_named(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet")
    truncated(tmp_path / "b.parquet")
    with pytest.raises(lf.SourceError, match=r"b\.parquet.*truncated"):
        lf.DataFlow(tmp_path / "*.parquet")


@pytest.mark.parametrize("backend", ["duckdb", "xorq", "pandas"])
def test_files_whose_columns_differ_are_a_source_error(tmp_path: Path, backend: str) -> None:
    parquet(tmp_path / "a.parquet")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "b.parquet")
    with pytest.raises(lf.SourceError, match=r"b\.parquet"):
        lf.DataFlow(tmp_path / "*.parquet", backend=backend)


def test_a_table_without_columns_is_a_source_error(harness: Harness) -> None:
    with pytest.raises(lf.SourceError, match="no columns"):
        lf.DataFlow(pa.table({}), backend=harness.backend())


def test_a_file_that_is_gone_leaves_the_flow_as_it_was(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet")
    with lf.DataFlow(path) as flow:
        step = flow.apply(lf.State())
        kept = path.rename(tmp_path / "y.parquet")
        with pytest.raises(lf.SourceError, match="no such file"):
            flow.refresh()
        kept.rename(path)
        assert not step.superseded
        assert step.resolve()["raw"].rows.value == 3
        flow.refresh()
        assert flow.rows(lf.State(), (0, 9)).num_rows == 3


BLOCKED = {"xorq": ["xorq"], "pandas": ["xorq", "pandas"]}


@pytest.mark.parametrize("backend", ["xorq", "pandas"])
def test_an_engine_that_is_not_installed_says_what_to_install(backend: str) -> None:
    code = f"""
        import sys
        from importlib.abc import MetaPathFinder

        class Absent(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {BLOCKED[backend]!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Absent())
        import pyarrow as pa, lazyflow as lf
        table = pa.table({{"x": [1]}})
        try:
            lf.DataFlow(table, backend={backend!r})
        except lf.BackendNotInstalled as error:
            assert isinstance(error, ImportError)
            print(error)
        with lf.DataFlow(table) as flow:
            print(flow.backend, flow.apply(lf.State()).resolve()["raw"].rows.value)
    """
    code = inspect.cleandoc(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    message, rest = done.stdout.splitlines()
    assert f'pip install "lazyflow[{backend}]"' in message
    assert f"the {backend} backend needs packages that are not installed" in message
    assert rest == "duckdb 1"
