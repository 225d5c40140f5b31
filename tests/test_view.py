"""Which query comes next, and which way a column goes."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow.statistics.queries import MANY, AggregateQuery, ValueCountsQuery
from lazyflow.statistics.results import Cell
from lazyflow.statistics.view import Folding, View
from lazyflow.work import CancelToken

TABLE = pa.table({"few": [1, 1, 2], "many": ["a", "b", "c"], "nested": [[1], None, []]})


@pytest.fixture
def flow() -> Iterator[lf.DataFlow]:
    with lf.DataFlow(TABLE) as flow:
        yield flow


def view(flow: lf.DataFlow, in_sight: frozenset[str] = frozenset(), folding: Folding | None = None) -> View:
    return View(flow.compile(lf.State(search="a")), in_sight, folding or Folding(max_distinct=2))


def asked(flow: lf.DataFlow, view: View) -> list[tuple[str, str, list[str]]]:
    """Every query until nothing is missing: its class, its scope, its columns; answered by the engine."""
    known: dict[object, Cell] = {}
    scopes = {view.plan.stages[scope].digest: scope for scope in reversed(view.plan.scopes)}
    queries = []
    while (query := view.next_query(known.get)) is not None:
        known.update(query.read(flow._shared.backend.run(query, CancelToken())))
        queries.append((type(query).__name__, scopes[query.stage.digest], [c.name for c in query.columns]))
        assert len(queries) < 50, "no progress"
    return queries


def test_few_values_are_counted_many_are_aggregated(flow: lf.DataFlow) -> None:
    queries = asked(flow, view(flow))
    raw = [(kind, columns) for kind, scope, columns in queries if scope in ("raw", "clean")]
    assert raw[0] == ("AggregateQuery", ["few", "many"]), "how many values there are is asked first, of all columns"
    assert ("ValueCountsQuery", ["few"]) in raw
    assert ("TopValuesQuery", ["many"]) in raw
    assert not any("many" in columns for kind, columns in raw if kind == "ValueCountsQuery")


def test_a_filtered_column_has_no_more_values_than_the_clean_one(flow: lf.DataFlow) -> None:
    filtered = [(kind, columns) for kind, scope, columns in asked(flow, view(flow)) if scope == "filtered"]
    assert filtered[0] == ("ValueCountsQuery", ["few"]), "nobody asks again how many there are"


def test_columns_in_sight_come_first(flow: lf.DataFlow) -> None:
    queries = asked(flow, view(flow, frozenset({"many"}), Folding(ask_first=False)))
    first = [columns for _, _, columns in queries[:2]]
    assert first == [["many"], ["many"]]


def test_a_query_for_numbers_of_values_concerns_the_views_of_its_scope(flow: lf.DataFlow) -> None:
    wanted = view(flow)
    known = {wanted.rows_key(stage): Cell(3) for stage in wanted.plan.stages.values()}
    query = wanted.next_query(known.get)
    assert isinstance(query, AggregateQuery)
    assert not query.cells & wanted.keys
    assert query.concerns & wanted.keys


def test_a_column_that_cannot_be_counted_is_aggregated(flow: lf.DataFlow) -> None:
    wanted = view(flow, folding=Folding(max_distinct=None, ask_first=False, max_columns=1))
    query = wanted.next_query(lambda key: None)
    assert isinstance(query, ValueCountsQuery)
    assert query.split() == []
    failed = query.failed(lf.EngineError("no"))
    assert [cell.value for cell in failed.values()] == [MANY]
    following = wanted.next_query(failed.get)
    assert following is not None
    assert not (isinstance(following, ValueCountsQuery) and query.columns[0] in following.columns)


def test_a_view_with_everything_known_asks_nothing(flow: lf.DataFlow) -> None:
    assert view(flow).next_query(lambda key: Cell(None)) is None
