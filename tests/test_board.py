"""The statistics as clients see them: nothing that was found is lost, nothing is told twice."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from lazyflow_duckdb import DuckDBBackend

import lazyflow as lf
from lazyflow.protocol import Cell
from lazyflow.session.board import Board, News
from lazyflow.statistics.sampling import Sampling

FLIGHTS = pa.table({"origin": ["JFK", "LGA", "JFK"], "delay": [5, None, 90]})


def test_what_was_found_and_not_added_is_found_again() -> None:
    # The session leaves off what it found where the files changed meanwhile, or where it no longer follows the view.
    board, left_off, told = Board(), list[News](), list[News]()

    def look(what: str = "ended", _: object = None) -> None:
        if what == "ended":  # what a query gave is delivered afterwards: what those before it gave is known
            left_off.append(board.look(step))
            told.append(board.look(step))
            board.add(told[-1])

    with lf.DataFlow(FLIGHTS) as flow:
        step = flow.apply(lf.State(search="jfk"))
        flow.watch_statistics_queries(look)
        step.resolve()
        look()
        assert board.complete
        assert board.look(step).cells == {}
    assert [news.encoded for news in left_off] == [news.encoded for news in told]
    assert any(0 < news.progress["summary"].known < news.progress["summary"].wanted for news in told)
    cells = [
        (scope, column, statistic)
        for news in told
        for scope, found in news.cells.items()
        for column, statistics in found.columns.items()
        for statistic in statistics
    ]
    assert len(cells) == len(set(cells)) > 0


def test_what_a_sample_says_is_told_and_replaced_and_nothing_final() -> None:
    engine, board, told = DuckDBBackend(), Board(), list[News]()
    vars(engine)["folding"] = replace(engine.folding, sampling=Sampling(above=0, runs=4, run_rows=50, least=100))
    table = pa.table({"n": range(1_000)})

    def look(what: str, _: object = None) -> None:
        if what == "started":  # what the query before gave was delivered
            told.append(board.look(step))
            board.add(told[-1])

    with lf.DataFlow(table, backend=engine) as flow:
        step = flow.apply(lf.State())
        flow.watch_statistics_queries(look)
        step.resolve()
        look("started")
    means = [news.cells["raw"].columns["n"]["mean"] for news in told if "mean" in _columns(news).get("n", {})]
    assert [cell.basis for cell in means] == ["sampled", "exact"]
    sampled = next(news for news in told if _columns(news))
    assert not sampled.complete
    assert sampled.progress["summary"].known == 3, "the numbers of rows of three scopes, which all rows gave"
    assert sampled.progress["distribution"].known == 0
    assert board.complete
    bases = {
        cell.basis
        for cells in board.since(0)[0].values()
        for found in cells.columns.values()
        for cell in found.values()
    }
    assert "sampled" not in bases, "who comes late sees what all rows said"


def _columns(news: News) -> dict[str, dict[str, Cell]]:
    return news.cells["raw"].columns if "raw" in news.cells else {}
