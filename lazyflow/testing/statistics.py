"""Statistics: all of them, of every type, in every scope, both by counting values and by aggregates."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.backend import Backend
from lazyflow.state import Filter, Sort, State
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import FAMILIES, INF, NAN, OTHERS, SAMPLES, Sample, each
from lazyflow.types import canonical, kind

SOME, NONE = State(filters=(Filter("row", "<", 5),)), State(filters=(Filter("row", "<", 0),))
"""What is filtered; all rows are there as the raw scope."""


def counting(harness: Harness) -> Harness:
    """The harness as it is: columns of few distinct values are counted value by value."""
    return harness


def aggregating(harness: Harness) -> Harness:
    """The harness with a backend that takes no number of distinct values for few; one that always counts, stays so."""
    if harness.backend().folding.max_distinct is None:
        return harness
    return folded(harness, max_distinct=0, ask_first=True)


def windowing(harness: Harness) -> Harness:
    """The harness with a backend that looks at three rows for what depends on their order; one that looks at all does.

    So the last rows, and passes over whole columns, have something to say.
    """
    if harness.backend().folding.window_rows is None:
        return harness
    return folded(harness, window_rows=3)


def sampling(harness: Harness) -> Harness:
    """The harness with a backend that looks at half of forty rows first, and follows what they tell of all columns."""
    engine = harness.backend().folding
    if engine.sampling is None:
        return harness
    few = replace(engine.sampling, above=0, runs=4, run_rows=5, least=1)
    return folded(harness, sampling=few, max_distinct=None if engine.max_distinct is None else 0, ask_first=True)


def folded(harness: Harness, **changes: Any) -> Harness:
    """The harness with a backend that folds in another way."""

    def backend() -> Backend:
        engine = harness.backend()
        # On the instance: the engine's own forms stay.
        vars(engine)["folding"] = replace(engine.folding, **changes)
        return engine

    return replace(harness, backend=backend)


ROUTES = pytest.mark.parametrize("route", [counting, aggregating], ids=["counting", "aggregating"])
ALL_ROUTES = pytest.mark.parametrize(
    "route",
    [counting, aggregating, windowing, sampling],
    ids=["counting", "aggregating", "windowing", "sampling"],
)
Route = Callable[[Harness], Harness]


@pytest.mark.parametrize("route", [counting, aggregating, windowing], ids=["counting", "aggregating", "windowing"])
@each(SAMPLES)
def test_statistics_of_scalars(harness: Harness, sample: Sample, route: Route) -> None:
    table = sample.table()
    with route(harness).flow(table) as flow:
        check_view(flow, table, SOME)
        if route is counting:  # by aggregates, an empty scope has a case of its own
            check_view(flow, table, NONE)


@ROUTES
@each(OTHERS)
def test_statistics_of_others(harness: Harness, sample: Sample, route: Route) -> None:
    table = sample.table()
    with route(harness).flow(table) as flow:
        for state in (SOME, NONE):
            check_view(flow, table, state)


COLUMNS: dict[str, pa.Array] = {
    "constant": pa.array([3] * 40),
    "constant float": pa.array([0.1] * 40),
    "constant and missing": pa.array([7.5, None] * 20),
    "all missing": pa.array([None] * 40, pa.int64()),
    "all NaN": pa.array([NAN] * 40),
    "one value": pa.array([None] * 39 + [5]),
    "infinities": pa.array([INF, -INF, 1.0, 2.0] * 10),
    "one infinity": pa.array([INF, 1.0, 2.0, None] * 10),
    "infinities alone": pa.array([INF, -INF, -INF, None] * 10),
    "zeros": pa.array([0.0, -0.0, NAN, None] * 10),
    "spread": pa.array([float(i * i) for i in range(40)]),
    "tiny": pa.array([5e-324 * i for i in range(40)]),
    "near one": pa.array([1 + i * 2.0**-52 for i in range(40)]),
    "large and small": pa.array([1e300, -1e300, 1e-300, 0.5] * 10),
    "offset": pa.array([10**15 + i % 7 for i in range(40)]),
    "float32": pa.array([i / 10 for i in range(40)], pa.float32()),
    "extremes": pa.array([2**63 - 1, -(2**63), None, 0] * 10),
    "unsigned": pa.array([2**64 - 1, 2**64 - 2, None, 0] * 10, pa.uint64()),
    "beyond 53 bits": pa.array([2**53, 2**53 + 1, 2**53 + 1, 2**53 + 2] * 10),
    "sum that wraps": pa.array([2**62] * 40),
    "bytes": pa.array([127, -128] * 20, pa.int8()),
    "money": pa.array([Decimal("1.40"), Decimal("1.45"), None, Decimal("1.50")] * 10, pa.decimal128(10, 2)),
    "whole decimals": pa.array([Decimal(i % 3) for i in range(40)], pa.decimal128(5, 0)),
    "wide decimals": pa.array(
        [Decimal("9" * 28), Decimal("-" + "9" * 28), Decimal("0.0000000001"), None] * 10, pa.decimal128(38, 10)
    ),
    "ties": pa.array([f"t{i % 20}" for i in range(40)]),
    "text": pa.array(["nul\0byte", "nul", None, "", "😀", "é", "e\u0301", "a" * 3000] * 5),
    "flags": pa.array([True, None, False, True] * 10),
    "flag": pa.array([True] * 40),
    "days": pa.array([i * i for i in range(40)], pa.int32()).cast(pa.date32()),
    "years": pa.array([-719_162, 2_932_896, None, 0] * 10, pa.int32()).cast(pa.date32()),
    "moments": pa.array([i - 20 for i in range(40)], pa.int64()).cast(pa.timestamp("ns")),
    "zoned": pa.array([i * 1_800_000_000 for i in range(40)], pa.int64()).cast(pa.timestamp("us", "Asia/Kolkata")),
    "clock": pa.array([i * 1_000_000 for i in range(40)], pa.int64()).cast(pa.time64("us")),
    "descending": pa.array([40 - i // 2 for i in range(40)]),
    "ascending texts": pa.array([f"{i // 3:03}" if i % 5 else None for i in range(40)]),
    "rising but once": pa.array([*range(20), 3, *range(30, 49)]),
    "missing at both ends": pa.array([None] * 8 + [1.5, 2.5, 2.5] * 8 + [NAN] * 8),
    "distinct": pa.array([(i * 7) % 40 for i in range(40)]),
    "skewed": pa.array([2.0**i for i in range(40)]),
    "categories": pa.array(["b", "a", None, "b"] * 10).dictionary_encode(),
}
"""Columns of forty rows, each with a trap."""

COMMON = {
    name: array
    for name, array in COLUMNS.items()
    if kind(canonical(array.type)) in ("integer", "float", "text", "boolean", "date")
    and array.type not in (pa.uint64(), pa.float32())
}
"""Those of types that every engine has."""


def _family(column: str) -> str:
    return FAMILIES[kind(canonical(COLUMNS[column].type))]


@ALL_ROUTES
@pytest.mark.parametrize("column", [pytest.param(name, marks=pytest.mark.family(_family(name))) for name in COLUMNS])
def test_statistics_of(harness: Harness, column: str, route: Route) -> None:
    table = pa.table({"row": range(40), "x": COLUMNS[column]})
    with route(harness).flow(table) as flow:
        check_view(flow, table, State(filters=(Filter("row", ">=", 31),)))


@pytest.mark.family("statistics of many columns")
@ROUTES
def test_statistics_of_many_columns_at_once(harness: Harness, route: Route) -> None:
    """Columns are folded into few queries: one does not spoil its neighbours."""
    table = pa.table({"row": range(40), **COMMON})
    with route(harness).flow(table) as flow:
        check_view(flow, table, State(filters=(Filter("row", "in", (1, 2, 3, 30)),)))


@pytest.mark.family("statistics of empty tables")
@ROUTES
def test_statistics_of_an_empty_table(harness: Harness, route: Route) -> None:
    table = pa.table({"row": pa.array([], pa.int64())} | {name: array.slice(0, 0) for name, array in COMMON.items()})
    with route(harness).flow(table) as flow:
        check_view(flow, table, State())


@pytest.mark.family("statistics of many rows")
@ROUTES
def test_statistics_of_many_rows(harness: Harness, route: Route) -> None:
    count = 3_000
    columns: dict[str, Any] = {
        "row": range(count),
        "f": [i / 7 if i % 11 else None for i in range(count)],
        "s": [f"value {i * 7919 % 1000}" for i in range(count)],
        "d": pa.array([i // 3 for i in range(count)], pa.int32()).cast(pa.date32()),
        "k": [i % 23 for i in range(count)],
    }
    table = pa.table(columns)
    with route(harness).flow(table) as flow:
        check_view(flow, table, State(search="VALUE 9", filters=(Filter("row", "<", 2_500),), sort=(Sort("k"),)))
