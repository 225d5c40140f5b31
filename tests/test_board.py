"""The statistics as clients see them: nothing that was found is lost, nothing is told twice."""

from __future__ import annotations

import pyarrow as pa

import lazyflow as lf
from lazyflow.session.board import Board, News

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
