"""The view as SQL, where the source has a name or a place of its own, and what the statement looks like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow.parquet as pq
import pytest
import sqlglot as sg
from click.testing import CliRunner

import lazyflow as lf
from lazyflow.cli import main
from lazyflow.testing import made_sources
from lazyflow.testing.sources import STATES, TABLE

SORTED = lf.State(search="jfk", sort=[lf.Sort("half", descending=True)])


def as_run(connection: Any, statement: str) -> list[dict[str, Any]]:
    return connection.sql(statement).to_arrow_table().to_pylist()


def rows(flow: lf.DataFlow, state: lf.State) -> list[dict[str, Any]]:
    return flow.rows(state, (0, 100)).to_pylist()


@pytest.mark.parametrize("schema", ["main", "the schema"])
def test_a_table_of_a_database_goes_by_its_name(schema: str, tmp_path: Path) -> None:
    path = tmp_path / "all.duckdb"
    made_sources.database_of(path, f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    made_sources.database_of(path, f'CREATE TABLE "{schema}"."to""day" AS FROM given', given=TABLE)
    with lf.DataFlow(path) as flow:
        due = [(rows(flow, state), flow.compile(state).sql()) for state in STATES]
    with duckdb.connect(str(path), read_only=True) as connection:
        for found, statement in due:
            assert f'FROM "{schema}"."to""day"' in statement
            assert as_run(connection, statement) == found


@pytest.mark.parametrize("name", ["flights", "source", "lazyflow"])
def test_a_table_of_a_connection_goes_by_its_name(name: str) -> None:
    connection = ibis.duckdb.connect()
    connection.create_table(name, TABLE)
    expression = connection.table(name)
    for opened in (expression, expression.filter(expression.number > 0)):
        with lf.DataFlow(opened) as flow:
            for state in STATES:
                assert as_run(connection.con, flow.compile(state).sql()) == rows(flow, state)


def test_what_was_copied_is_brought(tmp_path: Path) -> None:
    connection = ibis.duckdb.connect()
    connection.create_table("flights", TABLE)
    joined = connection.table("flights").join(connection.table("flights").select("number"), "number")
    with lf.DataFlow(joined) as flow, duckdb.connect() as fresh:
        assert flow.materialised
        plan = flow.compile(SORTED)
        assert str(tmp_path) not in plan.sql()
        fresh.register("source", plan.raw.to_pyarrow())
        assert as_run(fresh, plan.sql()) == rows(flow, SORTED)


def test_columns_of_paths_and_files_named_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, place in enumerate(["year=2013/city=it's", "year=2014/city=Rome"]):
        (tmp_path / place).mkdir(parents=True)
        pq.write_table(TABLE.slice(number * 3, 3), tmp_path / place / "part.parquet")
    monkeypatch.chdir(tmp_path)
    states = (*STATES, lf.State(filters=[lf.Filter("year", ">", 2013), lf.Filter("city", "!=", "x")]))
    with lf.DataFlow("year=*/*") as flow:
        due = [(rows(flow, state), flow.compile(state).sql()) for state in states]
    monkeypatch.chdir("/")
    with duckdb.connect() as connection:
        for found, statement in due:
            assert as_run(connection, statement) == found


def test_types_of_text_are_those_that_lazyflow_reads(tmp_path: Path) -> None:
    (tmp_path / "signs.json").write_text('{"x": 1, "y": -1}\n{"x": -9223372036854775808, "y": 18446744073709551615}\n')
    for number, text in enumerate(("x,y\n1,2\n", "x,y\n", "x,y\n1.5,z\n")):
        (tmp_path / f"{number}.csv").write_text(text)
    with duckdb.connect() as connection:
        for path in (tmp_path / "signs.json", str(tmp_path / "*.csv")):
            with lf.DataFlow(path) as flow:
                found = connection.sql(flow.compile(lf.State()).sql()).to_arrow_table()
                assert found.schema == flow.rows(lf.State(), (0, 9)).schema
                assert found.to_pylist() == rows(flow, lf.State())


def test_a_cleaning_that_reads_the_table_twice(tmp_path: Path) -> None:
    with lf.DataFlow(made_sources.parquet(TABLE, tmp_path)) as flow, duckdb.connect() as connection:
        flow.register_cleaning("twice", lambda table, ns: table.union(table.filter(table.number > 2)))
        flow.register_cleaning("again", lambda table, ns: table.join(table.select("number"), "number"))
        for cleaning in ("twice", "again"):
            state = lf.State(cleaning=cleaning, sort=[lf.Sort("number")])
            assert as_run(connection, flow.compile(state).sql()) == rows(flow, state)


@pytest.mark.parametrize("backend", ["duckdb", "xorq"])
def test_one_statement_sorted_at_its_end_with_no_column_more(backend: str, tmp_path: Path) -> None:
    with lf.DataFlow(made_sources.parquet(TABLE, tmp_path), backend=backend) as flow:
        (tree,) = sg.parse(flow.compile(SORTED).sql(), read="duckdb")
        assert tree.named_selects == TABLE.column_names
        assert len(tree.args["order"].expressions) == 2


def test_a_statement_outlives_its_flow(tmp_path: Path) -> None:
    with lf.DataFlow(made_sources.parquet(TABLE, tmp_path)) as flow:
        plan, due = flow.compile(SORTED), rows(flow, SORTED)
    with duckdb.connect() as connection:
        assert as_run(connection, plan.sql()) == due


def test_an_engine_without_sql() -> None:
    with lf.DataFlow(TABLE, backend="pandas") as flow:
        plan = flow.compile(SORTED)
        with pytest.raises(lf.NotForThisEngine, match="the pandas backend speaks no SQL"):
            plan.sql()


def test_a_view_is_written_by_the_command(tmp_path: Path) -> None:
    path = made_sources.parquet(TABLE, tmp_path)
    words = ["show", os.fspath(path), "--search", "jfk", "--sort", "-half", "--sql"]
    written = CliRunner().invoke(main, words)
    assert written.exit_code == 0, written.stderr
    with lf.DataFlow(path) as flow, duckdb.connect() as connection:
        assert written.stdout == flow.compile(SORTED).sql() + "\n"
        assert as_run(connection, written.stdout) == rows(flow, SORTED)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backend", "pandas"], "the pandas backend speaks no SQL"),
        (["--json"], "--sql goes without --json and --columns"),
        (["--columns", "half"], "--sql goes without --json and --columns"),
        (["--sort", "nowhere"], "unknown column 'nowhere'"),
    ],
    ids=str,
)
def test_what_the_command_cannot_write(words: list[str], message: str, tmp_path: Path) -> None:
    path = made_sources.parquet(TABLE, tmp_path)
    result = CliRunner().invoke(main, ["show", os.fspath(path), "--sql", *words])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout
