"""Sessions under random interleavings: `lazyflow.testing.interleavings` says what is checked, of every frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

import lazyflow.windows
from lazyflow.query import PrepareQuery, Query, RowsQuery
from lazyflow.statistics.sampling import Sampling
from lazyflow.testing import Harness
from lazyflow.testing.interleavings import Reader, Violation, World, explore, modelled, over
from lazyflow.testing.modelled import ModelledBackend
from lazyflow.work import CancelToken

HAPPENS = (
    *("thread goes on", "rows query", "statistics query", "query fails", "hang", "change", "rows request"),
    *("broken message", "join", "leave", "reads or not", "time passes", "rows must come"),
    *("InitialState", "StateFrame", "RowsFrame", "RowCountFrame", "StatsUpdate", "ErrorFrame"),
)
"""What must occur in a run that says anything."""


def test_a_few_interleavings() -> None:
    counts = explore(1_500, seed=1_000)
    assert all(counts[what] for what in (*HAPPENS, "file replaced", "file taken or brought back")), counts


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row numbers are prepared of every view, ahead, and whenever somebody looks beyond its first rows."""
    monkeypatch.setattr(PrepareQuery, "MANY_ROWS", 1)
    monkeypatch.setattr(lazyflow.windows, "SLOW", -1)


@pytest.mark.usefixtures("deep")
def test_a_few_interleavings_with_row_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    by_number: Counter[str] = Counter()
    execute = ModelledBackend.execute

    def counted(self: ModelledBackend, query: Query, token: CancelToken) -> pa.Table:
        answer = execute(self, query, token)
        by_number["prepared"] += isinstance(query, PrepareQuery)
        by_number["rows"] += isinstance(query, RowsQuery) and query.numbers is not None
        return answer

    monkeypatch.setattr(ModelledBackend, "execute", counted)
    counts = explore(2_500, seed=2_000)
    assert all(counts[what] for what in (*HAPPENS, "file replaced", "file taken or brought back")), counts
    assert by_number["prepared"] > 20, by_number
    assert by_number["rows"] > 5, by_number


def test_a_few_interleavings_with_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: Counter[str] = Counter()
    of_reader = Reader._cells

    def counted(self: Reader, statistics: Any) -> None:
        of_reader(self, statistics)
        sampled["seen"] += len(self.sampled)

    few = Sampling(above=0, runs=2, run_rows=4, least=2)
    monkeypatch.setattr(ModelledBackend, "folding", replace(ModelledBackend.folding, sampling=few))
    monkeypatch.setattr(Reader, "_cells", counted)
    counts = explore(2_500, seed=3_000)
    assert all(counts[what] for what in (*HAPPENS, "file replaced", "file taken or brought back")), counts
    assert sampled["seen"] > 20, sampled


@pytest.mark.usefixtures("deep")
def test_a_share_of_them_with_row_numbers_on_each_engine(harness: Harness) -> None:
    counts = explore(300, over(harness.backend), seed=8, files_change=False)
    assert counts["RowsFrame"], counts


@pytest.mark.long
@pytest.mark.parametrize("block", range(8))
def test_twenty_thousand_steps(block: int) -> None:
    counts = explore(2_500, seed=block * 5)
    print(dict(counts))
    assert all(counts[what] for what in HAPPENS), counts


def test_a_share_of_them_on_each_engine(harness: Harness) -> None:
    counts = explore(300, over(harness.backend), seed=7, files_change=False)
    assert counts["StatsUpdate"], counts


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12])
def test_more_of_them_on_each_engine(harness: Harness, seed: int) -> None:
    explore(500, over(harness.backend), seed=seed, files_change=False)


def test_a_seed_is_a_run() -> None:
    def run() -> Counter[str]:
        return World(3, modelled).run(200)

    assert run() == run()


def test_the_judge_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that forgets nothing is sent the rows of an older state as those of a newer one."""
    monkeypatch.setattr("lazyflow.session.client.Client.forget_rows", lambda self: None)
    monkeypatch.setattr("lazyflow.session.client.Client._has", lambda self, wanted, current: self._rows is not None)
    with pytest.raises(Violation, match="seed"):
        explore(3_000)
