"""Statistics of some of the rows first: marked as such, never taken for those of all, never kept as such."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import NotForThisType
from lazyflow.state import Filter, State
from lazyflow.statistics.builtin import REGISTRY
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.statistics.results import Statistics
from lazyflow.statistics.sampling import SampleQuery, Sampling
from lazyflow.step import Step
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.control import PATIENCE, Call, Control, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.statistics import folded

pytestmark = pytest.mark.family("sampled first")

ROWS = 4_000
FEW = Sampling(above=ROWS - 1, runs=8, run_rows=50, least=100)
"""A tenth of the rows."""

TABLE = pa.table(
    {
        "row": range(ROWS),
        "size": [(n * 7919 % ROWS) / 16 for n in range(ROWS)],
        "city": [("Bonn", "Rome", "Oslo")[n * n % 3] if n % 10 else None for n in range(ROWS)],
        "late": [n % 4 == 0 for n in range(ROWS)],
    }
)
ALL, HALF, RARE = State(), State(filters=(Filter("row", "<", ROWS // 2),)), State(filters=(Filter("row", "<", 60),))
SAMPLED = {statistic.name for statistic in REGISTRY.statistics if statistic.scaled is not None}


def sampling(harness: Harness, **changes: Any) -> Harness:
    """The harness with a backend that samples as `FEW` says; skips where it cannot."""
    engine = harness.backend()
    try:
        mine = engine.folding.sampling
    finally:
        engine.close()
    if mine is None:
        pytest.skip("the backend does not sample")
    return folded(harness, sampling=replace(FEW, bins=mine.bins, **changes))


def after_the_sample(flow: DataFlow, control: Control, state: State) -> tuple[Step, Statistics, Call[Statistics]]:
    """A view, its statistics while no other query than samples was answered, and the wait for all of them."""
    step = flow.apply(state, (0, 5))
    before = len(control.deferred)
    control.hold(lambda query: query.deferred and not samples(query) and bool(columns_of(query)))
    waiting = Call(lambda: step.resolve(PATIENCE))

    def held() -> bool:
        return any(not samples(visit.query) and columns_of(visit.query) for visit in control.deferred[before:])

    control.wait_for(held, "a query for all rows comes to the engine")
    return step, step.statistics, waiting


def samples(query: object) -> bool:
    return isinstance(query, SampleQuery)


def columns_of(query: object) -> tuple[Any, ...]:
    """The columns that a query asks about; it may be one for the number of rows alone."""
    return query.columns if isinstance(query, StatisticsQuery) else ()


def bases(statistics: Statistics, scope: str) -> dict[str, set[str]]:
    """Statistic -> how its cells in a scope came about."""
    found: dict[str, set[str]] = {}
    for cells in statistics[scope].values():
        for name, cell in cells.items():
            if not isinstance(cell.error, NotForThisType):
                found.setdefault(name, set()).add(cell.basis)
    return found


def test_what_is_sampled_says_so_and_is_not_complete(harness: Harness) -> None:
    with controlled(sampling(harness), TABLE) as (flow, control):
        step, first, waiting = after_the_sample(flow, control, ALL)
        for name, found in bases(first, "raw").items():
            assert found == ({"sampled"} if name in SAMPLED else {"pending"}), name
        assert {"min", "max", "distinct", "unique", "first", "last"}.isdisjoint(SAMPLED)
        assert first["raw"].pending
        assert not first.complete
        assert not step.complete
        assert first["raw"]["size"]["mean"].value == pytest.approx(125, rel=0.1)
        assert first["raw"]["size"]["quantiles"].value[0.5] == pytest.approx(125, rel=0.2)
        control.release()
        second = waiting.result()
        assert second.complete
        assert "sampled" not in set().union(*bases(second, "raw").values())
        assert second["raw"]["size"]["mean"].value == pytest.approx(sum(TABLE["size"].to_pylist()) / ROWS)
        assert bases(first, "raw")["mean"] == {"sampled"}, "what was read before does not change under its reader"


def test_counts_are_scaled_to_all_rows(harness: Harness) -> None:
    with controlled(sampling(harness), TABLE) as (flow, control):
        step, first, waiting = after_the_sample(flow, control, ALL)
        raw = first["raw"]
        assert raw["row"]["count"].value == ROWS
        assert raw["city"]["count"].value + raw["city"]["missing"].value == pytest.approx(ROWS, abs=1)
        assert raw["city"]["missing"].value == pytest.approx(ROWS / 10, rel=0.2)
        assert raw["late"]["true_count"].value == pytest.approx(ROWS / 4, rel=0.1)
        assert raw["row"]["histogram"].value.counts, "with edges of its own, before those of all are known"
        histogram = raw["size"]["histogram"].value
        assert sum(histogram.counts) + histogram.below + histogram.above == pytest.approx(
            ROWS, abs=len(histogram.counts)
        )
        assert sum(rows for _, rows in raw["city"]["top_values"].value) == pytest.approx(0.9 * ROWS, rel=0.1)
        control.release()
        waiting.result()
        assert step.complete


def test_scopes_of_a_view_are_sampled_too(harness: Harness) -> None:
    with controlled(sampling(harness), TABLE) as (flow, control):
        raw = flow.apply(ALL).resolve(PATIENCE)
        _, first, waiting = after_the_sample(flow, control, HALF)
        assert bases(first, "raw") == bases(raw, "raw"), "what is known of all rows is not sampled again"
        assert bases(first, "filtered")["mean"] == {"sampled"}
        assert first["filtered"]["row"]["mean"].value == pytest.approx(ROWS / 4, rel=0.1)
        assert first["filtered"]["row"]["count"].value == pytest.approx(ROWS / 2, rel=0.15)
        whole, part = raw["raw"]["size"]["histogram"].value, first["filtered"]["size"]["histogram"].value
        assert part.edges == whole.edges, "bin by bin beside those of all rows"
        control.release()
        assert waiting.result()["filtered"]["row"]["count"].value == ROWS // 2


def test_too_few_sampled_rows_say_nothing(harness: Harness) -> None:
    with controlled(sampling(harness), TABLE) as (flow, control):
        flow.apply(ALL).resolve(PATIENCE)
        _, first, waiting = after_the_sample(flow, control, RARE)
        assert any(samples(visit.query) for visit in control.deferred)
        assert bases(first, "filtered")["mean"] == {"pending"}
        control.release()
        assert waiting.result()["filtered"]["row"]["mean"].value == pytest.approx(29.5)


def test_a_source_of_fewer_rows_is_not_sampled(harness: Harness) -> None:
    with controlled(sampling(harness, above=ROWS), TABLE) as (flow, control):
        flow.apply(ALL).resolve(PATIENCE)
        flow.apply(HALF).resolve(PATIENCE)
        assert not [visit for visit in control.deferred if samples(visit.query)]


def test_known_statistics_are_not_sampled(harness: Harness) -> None:
    with controlled(sampling(harness), TABLE) as (flow, control):
        flow.apply(HALF).resolve(PATIENCE)
        flow.apply(ALL).resolve(PATIENCE)
        before = len(control.deferred)
        step = flow.apply(HALF)
        assert step.complete
        assert step.resolve(PATIENCE).complete
        assert len(control.deferred) == before


def test_a_sample_that_fails_costs_nothing(harness: Harness) -> None:
    def execute(engine: Any, query: Any, token: Any) -> Any:
        if samples(query):
            raise RuntimeError("no sample today")
        own: Any = type(engine).__mro__[1]
        return own.execute(engine, query, token)

    with controlled(sampling(harness), TABLE, execute=execute) as (flow, _):
        statistics = flow.apply(HALF).resolve(PATIENCE)
        assert statistics.complete
        errors = [cell.error for cells in statistics["raw"].values() for cell in cells.values() if cell.error]
        assert not [error for error in errors if not isinstance(error, NotForThisType)]


@pytest.mark.parametrize("state", [ALL, HALF, RARE], ids=["all", "half", "few"])
def test_in_the_end_all_rows_were_asked(harness: Harness, state: State) -> None:
    with sampling(harness).flow(TABLE) as flow:
        check_view(flow, TABLE, state)


def test_columns_of_many_values_follow_the_sample(harness: Harness) -> None:
    """What the sample told is counted among all rows: near, and marked; alone, it is exact."""
    folding = sampling(harness)
    engine = folding.backend()
    counts_all = engine.folding.max_distinct is None
    engine.close()
    if counts_all:
        pytest.skip("the backend counts the values of all columns")
    many = folded(folding, max_distinct=200, ask_first=True)
    grown = pa.array([1.01**n for n in range(ROWS)])  # sorted and steep: a sample tells little of where quantiles lie
    frequent = (
        TABLE.drop_columns("size")
        .append_column("grown", grown)
        .append_column("code", pa.array([n if n % 20 else n % 3 for n in range(ROWS)], pa.int64()))
    )
    with controlled(many, frequent) as (flow, control):
        step = flow.apply(HALF)
        statistics = step.resolve(PATIENCE)
        assert not [v for v in control.deferred if type(v.query).__name__ == "TopValuesQuery"], "not all are grouped"
        check_view(flow, frequent, HALF)
        cells = statistics["raw"]["code"]
        assert cells["top_values"].basis == cells["unique"].basis == "approximate"
        assert {value for value, _ in cells["top_values"].value} == {0, 1, 2}
        assert cells["unique"].value is False
        assert statistics["raw"]["row"]["unique"].value is True
        assert cells["mean"].basis == cells["std"].basis == cells["histogram"].basis == "exact"
        for name in ("unique", "top_values", "quantiles"):
            exact = step.compute("raw", "row", name)
            assert exact.basis == "exact"
            assert step.statistics["raw"]["row"][name] == exact
        assert step.compute("raw", "row", "top_values").value == tuple((n, 1) for n in range(10))
