"""Comparing a view's statistics with the judge's: exact where they say so, floats to nine digits of their column."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

import pyarrow as pa

from lazyflow.dataflow import DataFlow
from lazyflow.errors import NotForThisType
from lazyflow.state import State
from lazyflow.statistics.results import Cell, Histogram, Statistics
from lazyflow.testing import judge, judge_statistics
from lazyflow.testing.judge import Column, Frame
from lazyflow.testing.judge_statistics import NOT_ASKED, NOT_FOR_TYPE
from lazyflow.testing.operands import position

RELATIVE = 1e-9
"""Floats may be off by so much of the greatest magnitude in their column: sums are not made in the same order."""

FREE_OF_SCALE = ("skewness", "zero_share", "negative_share", "mean_length")
"""Floats that do not grow with the values of their column."""

SMALLEST = 1e-300
"""Below this, floats have too few digits to be right to nine."""

APPROXIMATE = 0.05
"""What calls itself approximate may be off by so much of the true value, or by one where that is more."""


def check_statistics(
    flow: DataFlow, state: State, scopes: Mapping[str, Frame], without_order: Collection[str] = ()
) -> Statistics:
    """All statistics of all scopes of a state are what the judge says of the scopes' rows.

    `without_order` are the scopes whose rows are not in the order of the source.
    """
    found = flow.apply(state, (0, 0)).resolve(timeout=60)
    wrong = differences(found, scopes, without_order)
    assert not wrong, f"{len(wrong)} cells wrong:\n  " + "\n  ".join(wrong[:8])
    return found


def check_view(flow: DataFlow, table: pa.Table, state: State) -> Statistics:
    """As `check_statistics`, for a state without transforms over a table."""
    clean = judge.frame(table)
    return check_statistics(flow, state, {"raw": clean, "clean": clean, "filtered": judge.filtered(clean, state)})


def differences(found: Statistics, scopes: Mapping[str, Frame], without_order: Collection[str] = ()) -> list[str]:
    """One line for each cell that is not what it should be."""
    if list(found) != list(scopes):
        return [f"scopes {list(found)}, expected {list(scopes)}"]
    if not found.complete:
        return ["the statistics are not complete"]
    expected = judge_statistics.of_scopes(scopes)
    for scope in without_order:
        for column in expected[scope].values():
            column.update(dict.fromkeys(judge_statistics.BY_ORDER, NOT_FOR_TYPE))
    return [
        line for scope, frame in scopes.items() for line in _scope_differences(found, scope, frame, expected[scope])
    ]


def _scope_differences(found: Statistics, scope: str, frame: Frame, expected: dict[str, Any]) -> Iterator[str]:
    if found[scope].rows != Cell(frame.length):
        yield f"{scope}: rows {found[scope].rows}, expected {frame.length}"
    if list(found[scope]) != list(expected):
        yield f"{scope}: columns {list(found[scope])}, expected {list(expected)}"
        return
    for column in frame.columns:
        cells = found[scope][column.name]
        if list(cells) != list(expected[column.name]):
            yield f"{scope}.{column.name}: {list(cells)}, expected {list(expected[column.name])}"
            continue
        for name, due in expected[column.name].items():
            difference = cell_differs(name, cells[name], due, column)
            if difference is not None:
                yield f"{scope}.{column.name}.{name}: {difference}"


def cell_differs(name: str, cell: Cell, due: Any, column: Column) -> str | None:
    """How a cell differs from what is due, or None."""
    if due == NOT_FOR_TYPE:
        return None if isinstance(cell.error, NotForThisType) else f"{cell}, expected NotForThisType"
    if cell.error is not None:
        return f"{type(cell.error).__name__}: {cell.error}"
    if cell.basis not in ("exact", "approximate"):
        return f"basis {cell.basis!r}"
    got = in_judges_form(name, cell.value, column.type)
    if cell.basis == "approximate" and name in _APPROXIMATIONS:
        is_near = _APPROXIMATIONS[name](got, due, column)
        return None if is_near else f"{got!r} (approximate), expected about {due!r}"
    magnitude = (
        1.0
        if name in FREE_OF_SCALE
        else max((abs(float(value)) for value in column.present if _is_finite(value)), default=0.0)
    )
    if _same(got, due, cell.basis == "approximate", magnitude):
        return None
    return f"{got!r} ({cell.basis}), expected {due!r}"


def _are_frequent(got: Any, due: Any, column: Column) -> bool:
    """Values that come more than once, with their true numbers of rows; others may be missing."""
    rows = Counter(column.present)
    true = all(rows[value] == number > 1 for value, number in got)
    return true and list(got) == sorted(got, key=lambda pair: (-pair[1], pair[0]))


def _is_an_answer(got: Any, due: Any, column: Column) -> bool:
    """A column without values has none; else only what is not unique can be told for certain."""
    return (got is None) == (due is None) and not (got is False and due is True)


def _are_near(got: Any, due: Any, column: Column) -> bool:
    """Values about which there are as many of the column as there should be, within two in a hundred."""
    values = sorted(map(float, column.present))
    share = 0.02 * len(values) + 1
    return list(got) == list(due) and all(
        bisect_left(values, value) - share <= q * len(values) <= bisect_right(values, value) + share
        for q, value in got.items()
    )


_APPROXIMATIONS: Mapping[str, Callable[[Any, Any, Column], bool]] = {
    "top_values": _are_frequent,
    "unique": _is_an_answer,
    "quantiles": _are_near,
}


def _is_finite(value: Any) -> bool:
    return not isinstance(value, str | bytes | list | dict) and not judge_statistics.is_infinite(value)


def _same(got: Any, due: Any, approximate: bool, magnitude: float) -> bool:
    if isinstance(due, str) and due == NOT_ASKED:
        return True
    if isinstance(due, dict):
        return isinstance(got, Mapping) and list(got) == list(due) and all(
            _same(got[key], value, approximate, magnitude) for key, value in due.items()
        )  # fmt: skip
    if type(got) is not type(due):
        return False
    if isinstance(due, float):
        scale = APPROXIMATE * abs(due) if approximate else max(RELATIVE * magnitude, SMALLEST)
        return bool(got == due) or (math.isfinite(due) and abs(got - due) <= scale)
    if isinstance(due, int) and approximate:
        return bool(abs(got - due) <= max(1, APPROXIMATE * due) and (got > 0) == (due > 0))
    return bool(got == due)


def in_judges_form(name: str, value: Any, type: pa.DataType) -> Any:
    """A cell's value with temporal values as numbers of their unit, as the judge has them."""

    def plain(item: Any) -> Any:
        if item is None or not pa.types.is_temporal(type):
            return item
        if isinstance(item, str) and not pa.types.is_time(type):  # a year that Python does not have
            place = position(item, type)
            assert place == int(place), item
            return int(place)
        if isinstance(item, str):  # a time of day finer than Python's: HH:MM:SS.nnnnnnnnn
            hours, minutes, seconds = item.split(":")
            return int((int(hours) * 60 + int(minutes)) * 60 * 10**9 + Fraction(seconds) * 10**9)
        return pa.scalar(item, type).value

    if name in ("min", "max", "first", "last"):
        return plain(value)
    if name == "top_values":
        return tuple((plain(item), rows) for item, rows in value)
    if isinstance(value, Histogram):
        return Histogram(tuple(plain(edge) for edge in value.edges), value.counts, value.below, value.above)
    return value
