"""Filters: every operator on every scalar type, against the judge."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.state import COMPARISONS, OPERATORS, TEXT_OPERATORS, Filter, State
from lazyflow.testing import judge
from lazyflow.testing.check import Disagreements, kept_rows
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import LISTS, SAMPLES, TEXTS, Sample, each

THIN = frozenset({"==", "<", ">=", "between", "not in", "is missing"})
"""Operators enough for a type between others of its kind, all of which are asked everything."""


def filters_for(sample: Sample) -> Iterator[Filter]:
    """Every question that filters can ask about a sample's column."""
    for operator in OPERATORS:
        if sample.between and operator not in THIN:
            continue
        if operator in COMPARISONS:
            for operand in sample.operands:
                yield Filter("x", operator, operand)
        elif operator in ("in", "not in"):
            yield from (Filter("x", operator, items) for items in _lists(sample.operands))
        elif operator == "between":
            yield from (Filter("x", operator, bounds) for bounds in _bounds(sample.operands))
        elif operator not in TEXT_OPERATORS:
            yield Filter("x", operator)


def text_filters_for(sample: Sample) -> Iterator[Filter]:
    """Every question about literal parts of a text."""
    for operator, operand in itertools.product(TEXT_OPERATORS, sample.operands):
        if operator != "matches":
            yield Filter("x", operator, operand)


def _lists(operands: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Lists for `in`: none, one with a missing element, all missing, all there are."""
    return [(), (*operands[:1], None), (None,), operands]


def _bounds(operands: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Pairs for `between`: neighbours in the order given and the other way round, so that low may be above high."""
    pairs = list(itertools.pairwise(operands))
    return [*pairs, *((high, low) for low, high in pairs), *((value, value) for value in operands[:1])]


def check_filters(
    harness: Harness, sample: Sample, questions: Callable[[Sample], Iterator[Filter]] = filters_for
) -> None:
    """Every filter on the sample keeps the rows that the judge keeps."""
    table = sample.table()
    clean = judge.frame(table)
    with harness.flow(table) as flow, Disagreements() as wrong:
        for item in questions(sample):
            what = f"x {item.operator} {'' if item.value is None else repr(item.value)}"
            due = list(judge.filtered(clean, State(filters=(item,)))["row"].values)

            def ask(item: Filter = item, what: str = what, due: list[int] = due) -> None:
                wrong.expect(what, kept_rows(flow, State(filters=(item,))), due)

            wrong.attempt(what, ask)


@each(SAMPLES)
def test_filters(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample)


@each(TEXTS[:3])
def test_parts_of_text(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample, text_filters_for)


@each(LISTS)
def test_elements_of_lists(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample, lambda sample: (Filter("x", "contains", operand) for operand in sample.operands))


@pytest.mark.family("floats")
def test_a_negative_zero_spoils_no_other_zero(harness: Harness) -> None:
    """Equal literals are one to some expression libraries, and the rules themselves are written with a zero."""
    gc.collect()  # of the zeros of other cases
    with harness.flow(pa.table({"x": [1.5, -0.0, None, -1.5, 0.0, float("inf"), float("nan")]})) as flow:
        state = State(filters=(Filter("x", ">=", -0.0),))
        assert flow.rows(state, (0, 10))["x"].to_pylist() == [1.5, 0.0, 0.0, float("inf")]
        assert flow.row_count(State(filters=(Filter("x", "is not missing"),))) == 5
