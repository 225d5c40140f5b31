"""The rows of a view as a table that fits the page."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rich.text import Text

from lazyflow.fields import find_field
from lazyflow.show.fitting import Lines, beside, cut, fitting
from lazyflow.show.values import MISSING, printable, shown
from lazyflow.state import Filter
from lazyflow.step import Step
from lazyflow.types import NUMBERS, kind
from lazyflow.values import python_values

if TYPE_CHECKING:
    import pyarrow as pa

WIDEST = 32
"""Cells of the terminal that one value may take."""


def rows_table(step: Step, columns: tuple[str, ...], width: int) -> Text:
    """The rows of a step, those columns that fit; columns that are filtered or sorted by come before others."""
    names = list(columns or step.schema)
    widest = max(8, min(WIDEST, width // 2))
    state = step.plan.state
    filters = [item for group in state.filters for item in ([group] if isinstance(group, Filter) else group)]
    clean, of_shown = step.plan.stages["clean"].schema, step.plan.schema
    asked = [find_field(item.column, clean).column for item in filters]
    asked += [find_field(key.column, of_shown).column for key in state.sort]
    urgent = [] if columns else [names.index(name) for name in asked if name in names]
    part = cache(lambda index: _column(names[index], step.rows[names[index]], widest))
    chosen = fitting(lambda index: part(index).width, len(names), width, urgent)
    table = beside([part(index) for index in chosen], heads=2)
    notes = []
    if not step.rows.num_rows:
        notes.append("no rows" if step.window[1] else "no rows asked for")
    if len(chosen) < len(names):
        left = [name for index, name in enumerate(names) if index not in chosen]
        listed = ", ".join(map(shown, left))
        notes.append(cut(f"{len(left)} of {len(names)} columns do not fit (--columns, --json): {listed}", width))
    for note in notes:
        table.append(f"\n{note}", "dim")
    return table


def _column(name: str, values: pa.ChunkedArray, widest: int) -> Lines:
    cells = [cut(shown(value), widest) for value in python_values(values)]
    head = [cut(shown(name), widest), cut(printable(str(values.type)), widest)]
    styles = ["bold", "dim", *("dim" if cell == MISSING else "" for cell in cells)]
    return Lines(head + cells, styles, "right" if kind(values.type) in NUMBERS else "left")
