"""Filters: every operator on every scalar type, against the judge."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lazyflow.state import OPERATORS, Filter, State
from lazyflow.testing import judge
from lazyflow.testing.check import Disagreements, kept_rows
from lazyflow.testing.harness import Harness
from lazyflow.testing.scalars import SAMPLES, TEXTS, Sample, each

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")

THIN = frozenset({"==", "<", ">=", "not in", "contains", "is missing"})
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
        elif operator != "contains":
            yield Filter("x", operator)
        elif sample in TEXTS[:3]:
            for operand in sample.operands:
                yield Filter("x", operator, operand)


def _lists(operands: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Lists for `in`: none, one with a missing element, all missing, all there are."""
    return [(), (*operands[:1], None), (None,), operands]


def check_filters(harness: Harness, sample: Sample) -> None:
    """Every filter on the sample keeps the rows that the judge keeps."""
    table = sample.table()
    clean = judge.frame(table)
    with harness.flow(table) as flow, Disagreements() as wrong:
        for item in filters_for(sample):
            what = f"x {item.operator} {'' if item.value is None else repr(item.value)}"
            due = list(judge.filtered(clean, State(filters=(item,)))["row"].values)

            def ask(item: Filter = item, what: str = what, due: list[int] = due) -> None:
                wrong.expect(what, kept_rows(flow, State(filters=(item,))), due)

            wrong.attempt(what, ask)


@each(SAMPLES)
def test_filters(harness: Harness, sample: Sample) -> None:
    check_filters(harness, sample)
