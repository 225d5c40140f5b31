"""The view as SQL: run again on an engine of its own, the statement gives the rows of the view in their order."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyflow.dataflow import DataFlow
from lazyflow.state import LIST_OPERATORS, NO_VALUE_OPERATORS, OPERATORS, TEXT_OPERATORS, Filter, Sort, State
from lazyflow.testing import judge, transforms
from lazyflow.testing.check import Disagreements, rows_differ
from lazyflow.testing.groups import GROUPS, MIXED, PATHS, nested
from lazyflow.testing.harness import Harness
from lazyflow.testing.made_sources import SOURCES
from lazyflow.testing.names import NAMES, named
from lazyflow.testing.patterns import KEPT, PATTERNS, TEXT
from lazyflow.testing.random_views import states, tables
from lazyflow.testing.rows import PAGED, many
from lazyflow.testing.scalars import LISTS, OTHERS, SAMPLES, Sample
from lazyflow.testing.search import TERMS, WORDS
from lazyflow.testing.sorting import SORTS, TIES
from lazyflow.testing.sources import STATES, TABLE

pytestmark = pytest.mark.family("views as SQL")

EVERY = 2**40
"""More rows than there are."""


def check_sql(harness: Harness, flow: DataFlow, state: State) -> None:
    """What the statement of a view gives is what the flow gives: names, values, order."""
    plan, due = flow.compile(state), flow.rows(state, (0, EVERY))
    assert harness.run_sql is not None, plan.sql()
    found = harness.run_sql(plan)
    inside = [column.inside for column in plan.shown_columns()]
    names = [name or other for name, other in zip(due.column_names, inside, strict=True)]
    assert found.column_names == names
    difference = rows_differ(found.rename_columns(due.column_names).cast(due.schema), judge.frame(due))
    assert difference is None, f"{difference}\n{plan.sql()}"


def check_all(harness: Harness, table: pa.Table, views: Iterator[State]) -> None:
    """The same for many states of a table."""
    with harness.flow(table) as flow, Disagreements() as wrong:
        for state in views:
            wrong.attempt(state.to_json(), partial(check_sql, harness, flow, state))


def of_each(samples: list[Sample]) -> pytest.MarkDecorator:
    """Parametrise a case with samples."""
    return pytest.mark.parametrize("sample", samples, ids=lambda sample: sample.name)


def views_of(sample: Sample) -> Iterator[State]:
    """Every row, both orders, and each operator once, which is little of what `filters` asks."""
    for sort in ((), (Sort("x"),), (Sort("x", descending=True),)):
        yield State(sort=sort)
    if sample.between or sample.name == "time ns":  # of which not every engine has literals
        return
    text = sample.family == "text" and isinstance(sample.operands[0], str)
    for number, operator in enumerate(OPERATORS):
        if operator in TEXT_OPERATORS and (not text or operator == "matches"):
            continue
        operand = sample.operands[number % len(sample.operands)]
        value = (operand, *sample.operands[:1]) if operator in LIST_OPERATORS else operand
        yield State(filters=(Filter("x", operator, None if operator in NO_VALUE_OPERATORS else value),))


@of_each(SAMPLES)
def test_sql_of_every_type(harness: Harness, sample: Sample) -> None:
    check_all(harness, sample.table(), views_of(sample))


@of_each(OTHERS)
def test_sql_of_other_types(harness: Harness, sample: Sample) -> None:
    check_all(harness, sample.table(), iter([State(), State(filters=(Filter("x", "is not missing"),))]))


@of_each([sample for sample in LISTS if sample.name != "list of times"])
def test_sql_of_elements_of_lists(harness: Harness, sample: Sample) -> None:
    filters = [Filter("x", "contains", operand) for operand in sample.operands[:2]]
    check_all(harness, sample.table(), (State(filters=(item,)) for item in filters))


def test_sql_of_searches(harness: Harness) -> None:
    table = pa.table({"row": range(len(WORDS)), "word": WORDS, "again": WORDS[::-1]})
    check_all(harness, table, (State(search=term) for term in [*TERMS, "a\n  b", "'; --", '"; --', "/* */", "?", "$1"]))


def test_sql_of_patterns(harness: Harness) -> None:
    table = pa.table({"row": range(len(TEXT)), "x": TEXT})
    patterns = [*PATTERNS, *KEPT, "a\nb|'", '"']
    check_all(harness, table, (State(filters=(Filter("x", "matches", pattern),)) for pattern in patterns))


def test_sql_of_groups(harness: Harness) -> None:
    check_all(harness, MIXED, (State(search="A", filters=group, sort=(Sort("b"),)) for group in GROUPS.values()))


def test_sql_of_fields_of_structs(harness: Harness) -> None:
    check_all(harness, nested(), (State(filters=(item,)) for item in PATHS))
    check_all(harness, nested(), (State(sort=(Sort("at.inner.deep", descending=down),)) for down in (False, True)))


def test_sql_of_sorts_with_ties(harness: Harness) -> None:
    check_all(harness, pa.table(TIES), (State(sort=sort) for sort in SORTS.values()))


def test_sql_of_many_rows(harness: Harness) -> None:
    check_all(harness, many(), iter(PAGED.values()))


LINES = ["line\nbreak", "line\n  break", "tab\there", "return\r\nline", "'; DROP TABLE source; --", '";', "x"]


@pytest.mark.parametrize("kind", [*NAMES, "lines"])
def test_sql_of_names(harness: Harness, kind: str) -> None:
    names = NAMES.get(kind, LINES)
    first, last = names[0], names[-1]
    views = (
        State(),
        State(search="SAME", sort=(Sort(last, descending=True), Sort(first))),
        State(filters=(Filter(first, ">=", 1), Filter(last, "==", "same"))),
    )
    check_all(harness, named(names), iter(views))


@pytest.mark.parametrize("cleaning", [None, *transforms.CLEANINGS])
def test_sql_of_transforms(harness: Harness, cleaning: str | None) -> None:
    fit = {"narrow": (None, "distinct", "grouped"), "to text": (None, "distinct", "head")}
    with transforms.flow_of(harness) as flow:
        for post in fit.get(cleaning or "", (None, *transforms.POST_PROCESSINGS)):
            for sort in ((), (Sort("s", descending=True),)):
                check_sql(harness, flow, State(search="C", sort=sort, cleaning=cleaning, post_processing=post))


@pytest.mark.parametrize("form", [form for form in SOURCES if form != "database"])
def test_sql_of_every_form_of_a_table(harness: Harness, form: str, tmp_path: Path) -> None:
    if form == "polars frame":
        pytest.importorskip("polars")
    with DataFlow(SOURCES[form](TABLE, tmp_path), backend=harness.backend()) as flow:
        for state in STATES:
            check_sql(harness, flow, state)


def test_sql_of_random_views(harness: Harness) -> None:
    with harness.flow(TABLE) as flow:
        check_sql(harness, flow, State())  # where that is wrong already, no smaller view is looked for

    @given(st.data())
    @settings(max_examples=15)
    def views(data: st.DataObject) -> None:
        table = data.draw(tables(), label="table")
        with harness.flow(table) as random:
            check_sql(harness, random, data.draw(states(table), label="state"))

    views()
