"""Values and names are checked before an engine sees them: typed errors that say where, and the flow is as before."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.errors import InvalidInput, InvalidValue, NotForThisType, UnknownName
from lazyflow.state import TEXT_OPERATORS, Filter, Sort, State
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import FAMILIES
from lazyflow.types import Kind, kind

COLUMNS = {
    "integer": pa.array([1], pa.int64()),
    "small": pa.array([1], pa.int8()),
    "float": pa.array([1.5]),
    "text": pa.array(["a"]),
    "boolean": pa.array([True]),
    "date": pa.array([0], pa.int32()).cast(pa.date32()),
    "decimal": pa.array([Decimal(1)], pa.decimal128(20, 2)),
    "timestamp": pa.array([0], pa.int64()).cast(pa.timestamp("us")),
    "zoned": pa.array([0], pa.int64()).cast(pa.timestamp("us", "UTC")),
    "time": pa.array([0], pa.int64()).cast(pa.time64("us")),
}

WRONG: dict[str, list[Any]] = {
    "integer": ["1", "", True, "2013-01-01", "NaN"],
    "small": ["1", False],
    "float": ["1.5x", "", True, "inf"],
    "text": [1, 1.5, True],
    "boolean": [1, 0, "true", 1.5],
    "date": ["2013-02-30", "yesterday", 0, True, "", "2013-01-01T25:00"],
    "decimal": ["1,5", True, "2013-01-01"],
    "timestamp": ["2013-02-30", "now", 0, "2013-01-01T00:00:00+01:00", ""],
    "zoned": ["2013-02-30T00:00:00Z", 0, "noon"],
    "time": ["25:00", "noon", 12, "", "12:00:00+01:00"],
}


def _each() -> list[Any]:
    return [
        pytest.param(column, id=column, marks=pytest.mark.family(_family(kind(COLUMNS[column].type))))
        for column in WRONG
    ]


def _family(of: Kind) -> str:
    simple = of in ("integer", "float", "text", "boolean", "date")
    return "values checked" if simple else FAMILIES[of]


@pytest.mark.parametrize("column", _each())
def test_a_value_that_does_not_fit(harness: Harness, column: str) -> None:
    with harness.flow(pa.table({column: COLUMNS[column]})) as flow:
        step = flow.apply(State())
        for value in WRONG[column]:
            for item in (Filter(column, "==", value), Filter(column, "<", value), Filter(column, "in", (value,))):
                with pytest.raises(InvalidValue, match=column):
                    flow.apply(State(filters=(item,)))
        assert not step.superseded
        assert flow.rows(State(), (0, 10)).num_rows == 1


@pytest.mark.family("values checked")
@pytest.mark.parametrize("operator", TEXT_OPERATORS)
def test_parts_of_a_text_are_for_text(harness: Harness, operator: str) -> None:
    with harness.flow(pa.table({"x": [1], "s": ["a"]})) as flow:
        with pytest.raises(NotForThisType, match="'x'"):
            flow.rows(State(filters=(Filter("x", operator, "1"),)), (0, 1))
        with pytest.raises(InvalidValue, match="'s'"):
            flow.rows(State(filters=(Filter("s", operator, 1),)), (0, 1))


@pytest.mark.family("values checked")
@pytest.mark.parametrize(
    "state",
    [
        State(filters=(Filter("dep_dela", ">", 1),)),
        State(sort=(Sort("dep_dela"),)),
        State(filters=(Filter("", ">", 1),)),
    ],
    ids=["filter", "sort", "empty name"],
)
def test_an_unknown_column(harness: Harness, state: State) -> None:
    with harness.flow(pa.table({"dep_delay": [1]})) as flow, pytest.raises(UnknownName, match="dep_delay"):
        flow.rows(state, (0, 1))


@pytest.mark.family("values checked")
def test_unknown_columns_in_sight(harness: Harness) -> None:
    with harness.flow(pa.table({"x": [1]})) as flow:
        with pytest.raises(UnknownName, match="'y'"):
            flow.apply(State(), columns=("y",))
        with pytest.raises(InvalidInput):
            flow.apply(State(), columns="x")


@pytest.mark.family("values checked")
def test_what_is_no_state(harness: Harness) -> None:
    wrong: Any = {"search": "a"}
    with harness.flow(pa.table({"x": [1]})) as flow, pytest.raises(InvalidInput, match="State"):
        flow.rows(wrong, (0, 1))


@pytest.mark.family("values checked")
def test_a_table_without_columns_is_no_source(harness: Harness) -> None:
    from lazyflow.errors import LazyflowError

    with pytest.raises(LazyflowError), harness.flow(pa.table({})) as flow:
        flow.rows(State(), (0, 1))


@pytest.mark.family("other types")
@pytest.mark.parametrize("operator", ["==", "!=", "<", "between", "in", "not in", "contains"])
def test_comparisons_are_not_for_nested_values(harness: Harness, operator: str) -> None:
    table = pa.table({"l": pa.array([{"a": 1}, None]), "x": [1, 2]})
    value: Any = (1, 2) if operator in ("between", "in", "not in") else 1
    with harness.flow(table) as flow:
        with pytest.raises(NotForThisType, match="'l'"):
            flow.rows(State(filters=(Filter("l", operator, value),)), (0, 1))
        assert flow.rows(State(), (0, 5)).num_rows == 2
