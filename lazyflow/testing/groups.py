"""Filters beyond one column: groups any of which is met, and fields of structs by their path."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.errors import InvalidValue, NotForThisType, UnknownName
from lazyflow.state import Filter, State
from lazyflow.testing import judge
from lazyflow.testing.check import Disagreements, check_rows, kept_rows
from lazyflow.testing.check_statistics import check_view
from lazyflow.testing.harness import Harness

MIXED = pa.table(
    {
        "row": range(8),
        "x": pa.array([1, None, 3, 4, None, 6, 7, 8], pa.int64()),
        "f": [0.5, float("nan"), None, -0.0, float("inf"), 1.5, 2.5, 0.0],
        "s": ["a", "b", None, "a", None, "", "c", "b"],
        "b": [True, None, False, True, False, None, True, False],
    }
)

GROUPS: dict[str, tuple[Any, ...]] = {
    "one of two columns": ([Filter("x", ">", 6), Filter("s", "==", "a")],),
    "missing or small": ([Filter("f", "is missing"), Filter("f", "<", 1)],),
    "of one": ([Filter("x", "!=", 3)],),
    "of none": ([],),
    "none met": ([Filter("x", "==", 99), Filter("s", "==", "zz")],),
    "a missing operand": ([Filter("x", "==", None), Filter("b", "==", False)],),
    "two groups": ([Filter("x", "<", 5), Filter("x", "is missing")], [Filter("b", "==", True), Filter("s", "==", "b")]),
    "a group and a filter": (Filter("b", "is not missing"), [Filter("x", "in", [1, 8]), Filter("f", "==", 0)]),
    "an operand out of range": ([Filter("x", ">", 2**70), Filter("x", "<=", 1)],),
    "twice the same": ([Filter("x", "==", 3), Filter("x", "==", 3)],),
}


@pytest.mark.family("groups")
@pytest.mark.parametrize("group", GROUPS)
def test_any_of(harness: Harness, group: str) -> None:
    state = State(filters=GROUPS[group])
    with harness.flow(MIXED) as flow:
        check_rows(flow, state, judge.view(MIXED, state))


@pytest.mark.family("groups")
def test_any_of_beside_a_search_and_its_statistics(harness: Harness) -> None:
    state = State(search="A", filters=([Filter("x", "<", 3), Filter("f", "<", 0.25)],))
    with harness.flow(MIXED) as flow:
        check_rows(flow, state, judge.view(MIXED, state))
        check_view(flow, MIXED, state)


@pytest.mark.family("groups")
def test_a_group_of_three_hundred(harness: Harness) -> None:
    """Each is an operation on the one before: written as a chain, engines would go as deep as there are members."""
    table = pa.table({"row": range(1000)})
    state = State(filters=([Filter("row", "==", 3 * number) for number in range(300)],))
    with harness.flow(table) as flow:
        assert kept_rows(flow, state) == list(range(0, 900, 3))


_INNER = pa.struct([("deep", pa.float64()), ("when", pa.timestamp("us", "UTC")), ("list", pa.list_(pa.string()))])
_STRUCT = pa.struct(
    [
        ("city", pa.string()),
        ("number", pa.int64()),
        ("price", pa.decimal128(10, 2)),
        ("day", pa.date32()),
        ("inner", _INNER),
    ]
)


def nested() -> pa.Table:
    """Structs within structs, some of them missing, beside a column that is called like a field."""
    noon = dt.datetime(2020, 5, 1, 12, tzinfo=dt.UTC)
    whole = {"city": "Rome", "number": 2**53 + 1, "price": Decimal("1.50"), "day": dt.date(2020, 5, 1)}
    values = [
        whole | {"inner": {"deep": 1.5, "when": noon, "list": ["a", "b"]}},
        None,
        {"city": "", "number": None, "price": None, "day": None, "inner": None},
        whole | {"city": "rome", "number": 2**53, "inner": {"deep": float("nan"), "when": None, "list": None}},
        whole | {"city": None, "price": Decimal("-2.25"), "inner": {"deep": -0.0, "when": noon, "list": [None]}},
    ]
    return pa.table({"row": range(5), "at": pa.array(values, _STRUCT), "at.city": ["x", "Rome", None, "y", "z"]})


PATHS = [
    *(Filter("at.number", operator, 2**53) for operator in ("==", "!=", ">", "<=")),
    Filter("at.number", "in", [2**53 + 1, None, 7]),
    Filter("at.number", "not in", [2**53 + 1]),
    Filter("at.number", "is missing"),
    Filter("at.number", "is not missing"),
    Filter("at.price", "==", 1.5),
    Filter("at.price", "<", Decimal("1.505")),
    Filter("at.day", ">=", "2020-05-01"),
    *(Filter("at.inner.deep", operator, 0.0) for operator in ("==", "!=", "<", ">=")),
    Filter("at.inner.deep", "is missing"),
    Filter("at.inner", "is missing"),
    Filter("at.inner.when", "==", "2020-05-01T14:00:00+02:00"),
    Filter("at.inner.list", "contains", "a"),
    Filter("at.inner.list", "is missing"),
    Filter("at.city", "==", "Rome"),
]


@pytest.mark.family("nested fields")
def test_fields_of_structs(harness: Harness) -> None:
    table = nested()
    with harness.flow(table) as flow, Disagreements() as wrong:
        for item in PATHS:
            state = State(filters=(item,))
            due = list(judge.view(table, state)["row"].values)
            what = f"{item.column} {item.operator} {item.value!r}"

            def ask(state: State = state, what: str = what, due: list[int] = due) -> None:
                wrong.expect(what, kept_rows(flow, state), due)

            wrong.attempt(what, ask)


@pytest.mark.family("nested fields")
def test_text_in_a_struct(harness: Harness) -> None:
    table = nested().drop_columns(["at.city"])
    texts = [
        ("==", "Rome"),
        ("contains", "om"),
        ("starts with", "R"),
        ("matches", "^(?i:r)"),
        ("==", ""),
        ("!=", "Rome"),
    ]
    with harness.flow(table) as flow:
        for operator, value in texts:
            state = State(filters=(Filter("at.city", operator, value),))
            assert kept_rows(flow, state) == list(judge.view(table, state)["row"].values), (operator, value)


@pytest.mark.family("nested fields")
@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (Filter("at.town", "==", 1), UnknownName, "unknown field of 'at' 'town'"),
        (Filter("at.inner.deap", "==", 1), UnknownName, "unknown field of 'at.inner' 'deap', did you mean 'deep'"),
        (Filter("at", "==", 1), NotForThisType, "'==' is not for columns of type struct"),
        (Filter("at.inner.list", ">", 1), NotForThisType, "list<item: string>, 'contains' is"),
        (Filter("at.number", "==", "x"), InvalidValue, "'at.number': expected a number, got 'x'"),
        (Filter("row.x", "==", 1), UnknownName, "unknown column 'row.x'"),
    ],
    ids=str,
)
def test_a_path_that_leads_nowhere(harness: Harness, item: Filter, error: type[Exception], message: str) -> None:
    with harness.flow(nested()) as flow, pytest.raises(error, match=message):
        flow.compile(State(filters=(item,)))
