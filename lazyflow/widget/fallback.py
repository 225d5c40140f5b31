"""What stands in a saved notebook where no kernel runs: the first rows and the statistics, as HTML and as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from lazyflow.dataflow import DataFlow
from lazyflow.errors import NotForThisType
from lazyflow.show.rows import rows_table
from lazyflow.show.summary import summary_table
from lazyflow.show.values import number, printable, share, shown
from lazyflow.state import State
from lazyflow.statistics.results import Cell, ScopeStatistics
from lazyflow.step import Step
from lazyflow.types import NUMBERS, kind
from lazyflow.values import python_values

ROWS = 10
COLUMNS = 30
LONGEST = 80
"""Characters of a value or name."""

PATIENCE = 0.5
"""Seconds for which statistics are waited for; the notebook loads the viewer meanwhile."""

_WIDTH = 120
_PENDING = "…"
_MARKS = {"approximate": "~", "sampled": "≈"}


def fallback(flow: DataFlow, state: State) -> dict[str, str]:
    """The first rows of a view, and its statistics as far as they are known soon, by media type."""
    with flow.fork() as fork:
        columns = tuple(fork.compile(state).schema)[:COLUMNS]
        step = fork.apply(state, (0, ROWS), columns)
        try:
            statistics = step.resolve(PATIENCE)
        except TimeoutError:
            statistics = step.statistics
        lines = [rows_table(step, columns, _WIDTH), summary_table(step, statistics, columns, _WIDTH)]
        scope = statistics[step.plan.scopes[-1]]
        return {"text/plain": "\n".join(line.plain for line in lines), "text/html": _html(step, columns, scope)}


def _html(step: Step, columns: Sequence[str], scope: ScopeStatistics) -> str:
    of_type = {name: (str(type), kind(type) in NUMBERS) for name, type in step.schema.items() if name in columns}
    values = [[_short(shown(value)) for value in python_values(step.rows[name])] for name in columns]
    heads = [f"<th>{_text(name)}<br><small>{_text(of_type[name][0])}</small></th>" for name in columns]
    aligned = ["right" if of_type[name][1] else "left" for name in columns]
    rows = [
        [_cell(value, align) for value, align in zip(row, aligned, strict=True)] for row in zip(*values, strict=True)
    ]
    named = ["<th>column</th>", *(f"<th>{head}</th>" for head in _HEADS)]
    told = [
        [f"<th>{_text(name)}</th>", *(_cell(_statistic(head, scope, name), "right") for head in _HEADS)]
        for name in columns
    ]
    more = len(step.schema) - len(columns)
    said = f"{_told(scope.rows, lambda value: f'{value:,}')} rows × {len(step.schema):,} columns"
    if more:
        said += f", the first {len(columns)} of which are shown"
    return f"<p>{escape(said)}</p>{_table(heads, rows)}<p>Statistics</p>{_table(named, told)}"


def _statistic(head: str, scope: ScopeStatistics, name: str) -> str:
    cells = scope.columns.get(name, {})
    statistic = "quantiles" if head == "median" else head
    cell = cells.get(statistic)
    return "" if cell is None else _told(cell, lambda value: _HEADS[head](value, scope))


def _told(cell: Cell, form: Callable[[Any], str]) -> str:
    """A statistic as text: what is not known yet is an ellipsis, what does not apply is nothing."""
    if isinstance(cell.error, NotForThisType):
        return ""
    if cell.error is not None:
        return "failed"
    if cell.basis == "pending":
        return _PENDING
    return _MARKS.get(cell.basis, "") + form(cell.value)


def _value(value: Any) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


_HEADS: dict[str, Callable[[Any, ScopeStatistics], str]] = {
    "missing": lambda value, scope: share(value, scope.rows.value or 0),
    "distinct": lambda value, _: f"{value:,}",
    "min": lambda value, _: _value(value),
    "median": lambda value, _: _value(value[0.5]),
    "max": lambda value, _: _value(value),
    "mean": lambda value, _: _value(value),
}


def _cell(text: str, align: str) -> str:
    return f'<td style="text-align: {align}">{_text(text)}</td>'


def _text(text: str) -> str:
    """Text of the data as HTML that is nothing but this text."""
    return escape(_short(printable(text)))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table>"
