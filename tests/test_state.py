"""A state is a value: equal to its own JSON, strict about shape, and clear about what is wrong and where."""

from __future__ import annotations

import datetime
import decimal
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazyflow as lf
from lazyflow.errors import InvalidInput, InvalidState, UnknownName
from lazyflow.state import LIST_OPERATORS, MAX_JSON_BYTES, NO_VALUE_OPERATORS, OPERATORS

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.one_of(
    text,
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.none(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=9),
)


@st.composite
def filters(draw: st.DrawFn) -> lf.Filter:
    operator = draw(st.sampled_from(OPERATORS))
    if operator in NO_VALUE_OPERATORS:
        return lf.Filter(draw(text), operator)
    if operator == "between":
        return lf.Filter(draw(text), operator, draw(st.tuples(scalars, scalars)))
    values = st.lists(scalars, max_size=4) if operator in LIST_OPERATORS else scalars
    return lf.Filter(draw(text), operator, draw(values))


names = st.none() | text
states = st.builds(
    lf.State,
    search=text,
    filters=st.lists(st.one_of(filters(), st.lists(filters(), max_size=3)), max_size=4),
    sort=st.lists(st.builds(lf.Sort, text, st.booleans()), max_size=4),
    cleaning=names,
    post_processing=names,
)


@given(states)
def test_a_state_equals_its_own_json(state: lf.State) -> None:
    again = lf.State.from_json(state.to_json())
    assert again == state
    assert hash(again) == hash(state)
    assert again.to_json() == state.to_json()
    assert lf.State.from_json(state.to_json().encode()) == state
    json.loads(state.to_json())


@given(
    st.one_of(
        text, st.binary(max_size=50), st.recursive(scalars, st.lists).map(lambda value: json.dumps(value, default=str))
    )
)
def test_any_text_is_a_state_or_an_invalid_one(written: str | bytes) -> None:
    try:
        state = lf.State.from_json(written)
    except InvalidInput:
        return
    assert lf.State.from_json(state.to_json()) == state


def test_the_wire_has_plain_names() -> None:
    state = lf.State("jfk", [lf.Filter("x", "in", [1, "2"])], [lf.Sort("y", descending=True)], "drop_empty")
    assert json.loads(state.to_json()) == {
        "search": "jfk",
        "filters": [{"column": "x", "operator": "in", "value": [1, "2"]}],
        "sort": [{"column": "y", "descending": True}],
        "cleaning": "drop_empty",
        "post_processing": None,
    }
    assert lf.State.from_json("{}") == lf.State()


MALFORMED = {
    "no JSON": ("{", "truncated"),
    "nothing": ("", "truncated"),
    "words": ("hello", "malformed"),
    "something after it": ("{} {}", "trailing"),
    "a list": ("[]", r"Expected `object`, got `array`"),
    "null": ("null", r"Expected `object`, got `null`"),
    "an unknown field": ('{"serch": "x"}', "serch"),
    "a search that is a number": ('{"search": 3}', r"\$\.search"),
    "filters that are no list": ('{"filters": {}}', r"\$\.filters"),
    "a filter in a group without an operator": (
        '{"filters": [[{"column": "x"}]]}',
        r"operator.*\$\.filters\[0\]\[0\]",
    ),
    "a group in a group": ('{"filters": [[[]]]}', r"\$\.filters\[0\]\[0\]"),
    "a filter without an operator": ('{"filters": [{"column": "x"}]}', r"operator.*\$\.filters\[0\]"),
    "a filter with an unknown field": ('{"filters": [{"column": "x", "operator": "==", "valu": 1}]}', "valu"),
    "a filter on a number": ('{"filters": [{"column": 1, "operator": "=="}]}', r"\$\.filters\[0\]\.column"),
    "a value that is an object": (
        '{"filters": [{"column": "x", "operator": "==", "value": {}}]}',
        r"filter on 'x'.*\$\.filters\[0\]",
    ),
    "a value that is a list of lists": (
        '{"filters": [{"column": "x", "operator": "in", "value": [[1]]}]}',
        r"filter on 'x'.*\$\.filters\[0\]",
    ),
    "a sort without a column": ('{"sort": [{"descending": true}]}', r"column.*\$\.sort\[0\]"),
    "a sort with a word for a truth": (
        '{"sort": [{"column": "x", "descending": "yes"}]}',
        r"\$\.sort\[0\]\.descending",
    ),
    "a cleaning that is a number": ('{"cleaning": 1}', r"\$\.cleaning"),
    "NaN": ('{"filters": [{"column": "x", "operator": "==", "value": NaN}]}', "malformed"),
    "bytes that are no UTF-8": (b'{"search": "\xff"}', "utf-8|UTF-8"),
    "half a surrogate pair": ('{"search": "\\ud800"}', ""),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_json_says_what_and_where(case: str) -> None:
    written, expected = MALFORMED[case]
    with pytest.raises(InvalidState, match=rf"(?i)^not a state: .*{expected}"):
        lf.State.from_json(written)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime.timedelta(days=-1, microseconds=1), "-PT23H59M59.999999S"),
        (np.timedelta64(90, "m"), "PT1H30M"),
        (np.timedelta64(1, "ns"), "PT0.000000001S"),
        (np.timedelta64("NaT"), None),
        (pd.Timedelta(1, "ns"), "PT0.000000001S"),
        (pd.NaT, None),
        (b"\0\xff", "00ff"),
    ],
    ids=repr,
)
def test_durations_and_bytes_are_kept_as_text(value: object, kept: str | None) -> None:
    assert lf.Filter("x", "==", value).value == kept


def test_a_duration_beyond_nanoseconds_is_refused() -> None:
    with pytest.raises(InvalidState, match="does not fit 64 bits of nanoseconds"):
        lf.Filter("x", "==", np.timedelta64(2**62, "D"))


@pytest.mark.parametrize(
    "wrong", [3, [3], ["x"], [lf.Sort("x")], [["x"]], [[[lf.Filter("x", "is missing")]]]], ids=repr
)
def test_filters_are_filters_or_groups_of_them(wrong: object) -> None:
    with pytest.raises(InvalidState, match=r"filters.* is a list of Filter"):
        lf.State(filters=wrong)  # type: ignore[arg-type]


def test_an_unknown_operator_in_json_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"unknown operator '=>', did you mean '>'\? - at `\$\.filters\[0\]`"):
        lf.State.from_json('{"filters": [{"column": "x", "operator": "=>", "value": 1}]}')


def test_a_list_operator_in_json_needs_a_list() -> None:
    with pytest.raises(InvalidState, match="'in' needs a list of values, got 1"):
        lf.State.from_json('{"filters": [{"column": "x", "operator": "in", "value": 1}]}')


def test_oversized_json_is_refused_unread() -> None:
    with pytest.raises(InvalidState, match=f"at most {MAX_JSON_BYTES:,}"):
        lf.State.from_json("{" * (MAX_JSON_BYTES + 1))
    with pytest.raises(InvalidState, match=f"at most {MAX_JSON_BYTES:,}"):
        lf.State.from_json(json.dumps({"search": "ä" * MAX_JSON_BYTES}, ensure_ascii=False).encode())
    long = json.dumps({"search": "x" * (MAX_JSON_BYTES - 100)})
    assert len(lf.State.from_json(long).search) == MAX_JSON_BYTES - 100


@pytest.mark.parametrize("opening", ["[", '{"filters":[', '{"a":'])
def test_deep_json_is_refused(opening: str) -> None:
    with pytest.raises(InvalidState, match="not a state"):
        lf.State.from_json(opening * (MAX_JSON_BYTES // len(opening)))


@pytest.mark.parametrize("text", [None, 3, {}, lf.State(), ["{}"]])
def test_json_is_text(text: object) -> None:
    with pytest.raises(InvalidState, match=type(text).__name__):
        lf.State.from_json(text)  # type: ignore[arg-type]


def test_values_are_kept_as_json_keeps_them() -> None:
    kept = [
        (datetime.date(2013, 1, 31), "2013-01-31"),
        (datetime.datetime(2013, 1, 31, 5, 6, 7, 8), "2013-01-31T05:06:07.000008"),
        (datetime.datetime(2013, 1, 31, tzinfo=datetime.UTC), "2013-01-31T00:00:00+00:00"),
        (datetime.time(5, 6), "05:06:00"),
        (decimal.Decimal("1E+3"), 1000),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (1.5, 1.5),
        (2**63, 2**63),
        ("text", "text"),
        (None, None),
        (decimal.Decimal("1.50"), "1.50"),
    ]
    assert [(given, lf.Filter("x", "==", given).value) for given, _ in kept] == kept
    assert lf.Filter("x", "==", decimal.Decimal("NaN")).value is None
    assert lf.Filter("x", "==", math.nan).value is None
    assert lf.Filter("x", "==", value=True).value is True


def test_numpy_and_pandas_values_are_plain() -> None:
    import numpy as np

    kept = [
        (np.int8(3), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float64(0.5), 0.5),
        (np.float32("inf"), "Infinity"),
        (np.float64("nan"), None),
        (np.bool_(1), True),
        (np.str_("x"), "x"),
        (np.datetime64("2013-01-31T05:06:07.123456789", "ns"), "2013-01-31T05:06:07.123456789"),
        (np.datetime64("NaT"), None),
    ]
    for value, plain in kept:
        found = lf.Filter("x", "==", value).value
        assert found == plain
        assert type(found) in (int, float, str, bool, type(None)), type(found)
    state = lf.State(filters=[lf.Filter("x", "==", value) for value, _ in kept])
    assert lf.State.from_json(state.to_json()) == state


def test_pandas_values_are_plain() -> None:
    pd = pytest.importorskip("pandas")
    moment = pd.Timestamp("2013-01-31 05:06:07.123456789")
    assert lf.Filter("x", "==", moment).value == "2013-01-31T05:06:07.123456789"
    assert lf.Filter("x", "==", pd.NaT).value is None


@pytest.mark.parametrize("value", [object(), 1j, {"a": 1}, [1], (1,), {1}, range(3)])
def test_values_that_no_column_compares_with(value: object) -> None:
    with pytest.raises(InvalidState, match="filter on 'x'"):
        lf.Filter("x", "==", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["abc", 3, None, {"a": 1}, object()])
def test_lists_are_lists(value: object) -> None:
    with pytest.raises(InvalidState, match="needs a list of values"):
        lf.Filter("x", "in", value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3), {1, 2}])
def test_between_has_two_bounds(value: object) -> None:
    with pytest.raises(InvalidState, match=r"'between' needs two values, \[low, high\]"):
        lf.Filter("x", "between", value)  # type: ignore[arg-type]


def test_lists_may_be_any_collection() -> None:
    assert lf.Filter("x", "in", [1, 2]) == lf.Filter("x", "in", (1, 2))
    assert set(lf.Filter("x", "not in", {1, 2}).value) == {1, 2}
    assert lf.Filter("x", "in", []).value == ()
    assert lf.Filter("x", "in", [math.nan, datetime.date(2013, 1, 31)]).value == (None, "2013-01-31")


@pytest.mark.parametrize("operator", sorted(NO_VALUE_OPERATORS))
def test_missing_takes_no_value(operator: str) -> None:
    assert lf.Filter("x", operator).value is None
    with pytest.raises(InvalidState, match="takes no value"):
        lf.Filter("x", operator, 0)


@pytest.mark.parametrize("operator", ["=", "=<", "IN", "", "like", None, 3])
def test_unknown_operators_are_named(operator: object) -> None:
    with pytest.raises(UnknownName, match="unknown operator"):
        lf.Filter("x", operator)  # type: ignore[arg-type]


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidState, match="Unicode"):
        lf.Filter("x", "==", "\ud800")


WRONG = {
    "search": [3, None, b"x", ["x"]],
    "filters": ["x", 3, None, [3], ["x"], [lf.Sort("x")], lf.Filter("x", "is missing"), {}],
    "sort": ["x", 3, None, ["x"], [lf.Filter("x", "is missing")], lf.Sort("x")],
    "cleaning": [3, b"x", ["x"], lambda table, ns: table],
    "post_processing": [3, b"x", ["x"]],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_fields_of_a_wrong_type(field: str, value: object) -> None:
    with pytest.raises(InvalidState, match=field):
        lf.State(**{field: value})


@pytest.mark.parametrize("column", [None, 3, b"x", ["x"]])
def test_columns_are_names(column: object) -> None:
    with pytest.raises(InvalidState, match="is a text"):
        lf.Filter(column, "is missing")  # type: ignore[arg-type]
    with pytest.raises(InvalidState, match="is a text"):
        lf.Sort(column)  # type: ignore[arg-type]


def test_a_state_does_not_change() -> None:
    given = [lf.Sort("x")]
    state = lf.State(sort=given)
    given.append(lf.Sort("y"))
    assert state.sort == (lf.Sort("x"),)
    with pytest.raises(AttributeError):
        state.search = "x"  # type: ignore[misc]
    assert {state: 1}[lf.State(sort=[lf.Sort("x")])] == 1


def test_one_and_true_are_not_one_value() -> None:
    """Python calls them equal; as filter values they are not, and so may not share a plan or a result."""
    assert lf.State(filters=[lf.Filter("x", "==", 1)]) != lf.State(filters=[lf.Filter("x", "==", value=True)])
    assert lf.Filter("x", "in", [1]) != lf.Filter("x", "in", [True])
    assert lf.Filter("x", "==", 1) != lf.Filter("x", "==", 1.5)
