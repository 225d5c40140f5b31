"""The statistics of a view as a table that fits the page: a line for each column, filtered above raw."""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from lazyflow.errors import LazyflowError, NotForThisType, OutOfTime
from lazyflow.show.fitting import GAP, Lines, beside, cut, fitting
from lazyflow.show.values import bars, number, printable, share, shown
from lazyflow.statistics.results import Cell, Histogram, ScopeStatistics, Statistics
from lazyflow.step import Step
from lazyflow.values import plain

MOST_COLUMNS = 40
"""Columns of the table whose statistics are listed, unless they are asked for by name."""

_DROPPED = ("std", "quantiles", "mean", "distinct", "max", "min", "missing")
"""What is left out where the page is narrow, in this order."""

_NARROWEST = len("distribution")
_NAME_WIDTH = 20
_FAILED = "failed"
_SLOW = "slow"
_PENDING = "…"
_BLOCKS = 20


class Heading(NamedTuple):
    """One column of the statistics' table."""

    name: str
    statistic: str
    form: Callable[[Any, ScopeStatistics], str]
    right: bool = True


def summary_table(
    step: Step, statistics: Statistics, columns: tuple[str, ...], width: int, own: Sequence[str] = ()
) -> Text:
    """The statistics of a step, `own` of the app's: what is not known yet is an ellipsis, not exact has a tilde."""
    names = list(columns) or list(step.schema)[:MOST_COLUMNS]
    scopes = _scopes(step, statistics)
    widest = max(6, min(12, width // 10))
    value = partial(_value, widest)
    headings = [
        Heading("missing", "missing", lambda missing, scope: share(missing, scope.rows.value or 0)),
        Heading("distinct", "distinct", lambda distinct, _: f"{distinct:,}"),
        Heading("min", "min", value),
        Heading("median", "quantiles", lambda quantiles, scope: value(quantiles[0.5], scope)),
        Heading("max", "max", value),
        Heading("mean", "mean", value),
        Heading("std", "std", value),
        *(Heading(cut(printable(name), _NAME_WIDTH), name, partial(_own_value, widest)) for name in own),
    ]
    first = _names(names, scopes)
    parts = {heading.statistic: _lines(heading, names, scopes) for heading in headings}
    dropped = iter((*_DROPPED, *own))
    while (left := width - first.width - sum(part.width + GAP for part in parts.values()) - GAP) < _NARROWEST and parts:
        parts.pop(next(dropped))
    distribution = _lines(_distribution(max(left, _NARROWEST), widest), names, scopes)
    table = beside([first, *parts.values(), distribution], heads=1)
    text = Text("\n", no_wrap=True, overflow="crop").join([Text(), *_rows_lines(scopes, width), table])
    if len(names) < len(step.schema) and not columns:
        text.append(f"\nand {len(step.schema) - len(names)} more columns (--columns, --json)", "dim")
    failures = _failures(names, scopes)
    if failures:
        more = f" (and {len(failures) - 1} more: --json)" if len(failures) > 1 else ""
        text.append(f"\n{cut(failures[0], max(8, width - len(more)))}{more}", "red")
    return text


def _failures(names: Sequence[str], scopes: Sequence[ScopeStatistics]) -> list[str]:
    """What failed, or ran out of time, and why."""
    return [
        f"{_word(cell.error)}: {statistic} of {shown(name)} ({scope.scope}): {_one_line(cell.error)}"
        for name in names
        for scope in scopes
        for statistic, cell in scope.columns.get(name, {}).items()
        if cell.error is not None and not isinstance(cell.error, NotForThisType)
    ]


def _one_line(error: LazyflowError) -> str:
    return printable(" ".join(str(error).split()))


def _word(error: LazyflowError) -> str:
    return _SLOW if isinstance(error, OutOfTime) else _FAILED


def _scopes(step: Step, statistics: Statistics) -> list[ScopeStatistics]:
    """The scopes that differ, the narrowest first: where nothing is searched or filtered, raw says it all."""
    digests = {name: step.plan.stages[name].digest for name in statistics}
    kept = {digest: name for name, digest in reversed(digests.items())}
    return [statistics[name] for name in reversed(digests) if kept[digests[name]] == name]


def _rows_lines(scopes: Sequence[ScopeStatistics], width: int) -> list[Text]:
    """How many rows, and how to read the table."""
    narrowest, *wider = scopes
    counts = [_count(scope.rows) for scope in [narrowest, *wider[-1:]]]
    lines = [Text(f"{' of '.join(counts)} {'row' if counts[-1] == '1' else 'rows'}", "bold")]
    if wider:
        below = " and ".join(scope.scope for scope in wider)
        lines.append(Text(cut(f"for each column: {narrowest.scope}, below it {below}", width), "dim"))
    return lines


def _count(cell: Cell) -> str:
    return _PENDING if cell.basis == "pending" or cell.value is None else f"{cell.value:,}"


def _names(names: Sequence[str], scopes: Sequence[ScopeStatistics]) -> Lines:
    texts, styles = ["column"], ["bold"]
    for name in names:
        texts += [cut(shown(name), _NAME_WIDTH), *(f"  {scope.scope}" for scope in scopes[1:])]
        styles += ["bold", *("dim" for _ in scopes[1:])]
    return Lines(texts, styles)


def _lines(heading: Heading, names: Sequence[str], scopes: Sequence[ScopeStatistics]) -> Lines:
    texts, styles = [heading.name], ["bold"]
    for name in names:
        for position, scope in enumerate(scopes):
            text = _cell(heading, scope.columns.get(name, {}), scope)
            texts.append(text)
            styles.append(
                "red"
                if text == _FAILED
                else "yellow"
                if text == _SLOW
                else "dim"
                if position or text == _PENDING
                else ""
            )
    return Lines(texts, styles, "right" if heading.right else "left")


def _cell(heading: Heading, cells: Mapping[str, Cell], scope: ScopeStatistics) -> str:
    cell = cells.get(heading.statistic)
    if heading.statistic == "histogram" and cell is not None and isinstance(cell.error, NotForThisType):
        cell = cells.get("top_values")
    if cell is None or isinstance(cell.error, NotForThisType):
        return ""
    if cell.error is not None:
        return _word(cell.error)
    if cell.basis == "pending":
        return _PENDING
    if cell.value is None:
        return ""
    return ("" if cell.basis == "exact" else "~") + heading.form(cell.value, scope)


def _value(widest: int, value: Any, _: ScopeStatistics) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool):
        return number(value)
    return cut(shown(value), widest)


def _own_value(widest: int, value: Any, scope: ScopeStatistics) -> str:
    """A value of an app's own statistic: what is no single value as JSON has it."""
    if isinstance(value, Mapping | list | tuple):
        return cut(printable(json.dumps(plain(value), ensure_ascii=False)), 2 * widest)
    return shown(value) if isinstance(value, bool) else _value(widest, value, scope)


def _distribution(width: int, widest: int) -> Heading:
    """Histograms for what has one, else the most frequent values with their shares."""

    def form(value: Any, scope: ScopeStatistics) -> str:
        if isinstance(value, Histogram):
            return bars(value, min(width, _BLOCKS))
        rows = scope.rows.value or 0
        parts = [f"{cut(shown(item), widest)} {share(count, rows)}" for item, count in value]
        fit = fitting(lambda index: cell_len(parts[index]), len(parts), width)
        return cut((" " * GAP).join(parts[index] for index in fit), width)

    return Heading("distribution", "histogram", form, right=False)
