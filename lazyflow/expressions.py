"""The vocabulary in which every rule is written: small functions from columns to columns.

They hold over both expression families, upstream `ibis` and xorq's `xorq.vendor.ibis`, whose classes do not mix;
`ns` is the namespace module of the family at hand. This is the one place where their types meet, hence `Any`.
"""

from __future__ import annotations

import math
import operator as op
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from lazyflow.moments import day_of, moment_count

Table: TypeAlias = Any  # ibis.expr.types.Table of either family
Column: TypeAlias = Any  # ibis.expr.types.Column of either family
Namespace: TypeAlias = Any  # the module `ibis` or `xorq.vendor.ibis`

Position = Literal["exact", "above", "lowest", "highest"]
"""Where an operand lies among the values that a column's type can hold: on one of them, just above one, below the
lowest, above the highest."""

_COMPARE = {"==": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}
_MIRROR_ABOVE = {"<": op.le, "<=": op.le, ">": op.gt, ">=": op.gt}


class Dialect(Protocol):
    """What expressions need to know of an engine."""

    @property
    def ns(self) -> Namespace:
        """The namespace of the expression family."""

    def comparable(self, column: Column) -> Column:
        """The column in a form that the engine can compare with a literal of the column's type."""

    def literal(self, column: Column, value: Any) -> Column:
        """A value of the column's type, temporal and decimal ones given as text, as a literal that compares with it."""

    def field(self, column: Column, name: str) -> Column:
        """The field of that name in a struct; missing where the struct is."""

    def matches(self, column: Column, pattern: str) -> Column:
        """True where a part of a text is what a plain pattern says; NULL for a missing value."""


def present(column: Column) -> Column:
    """True where the value is neither NULL nor NaN (`isnan` is folded away by DuckDB over some Parquet files)."""
    if column.type().is_floating():
        return column.notnull() & (((column - column) == 0.0) | column.isinf())
    return column.notnull()


def absent(column: Column) -> Column:
    """True where the value is missing: the opposite of `present`."""
    return ~present(column)


def clean(ns: Namespace, column: Column) -> Column:
    """The value with NaN as NULL and -0.0 as 0.0, so that engines group, sort and aggregate it alike."""
    type = column.type()
    if type.is_floating():
        positive = column + 0.0
        # ibis takes the sum for float64, engines leave it float32: said again, both mean the same.
        return present(column).ifelse(positive if type.is_float64() else positive.cast(type), ns.null(type))
    return column


def never(column: Column) -> Column:
    """False for every row, in a form that every engine takes."""
    return column.isnull() & column.notnull()


def any_of(conditions: list[Column]) -> Column:
    """True where one of the conditions is; in halves, since a chain of many is deeper than compilers can go."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return any_of(conditions[:half]) | any_of(conditions[half:])


def fold_text(text: str) -> str:
    """A search term as it is compared: lower case per code point, final sigma as sigma.

    >>> fold_text("ΟΔΟΣ"), fold_text("JFK")
    ('οδοσ', 'jfk')
    """
    return "".join(character.lower() for character in text).replace("ς", "σ")


def contains_folded(column: Column, folded: str) -> Column:
    """True where the folded value contains the folded term.

    Engines lower all of Unicode alike but for İ (one or two code points) and the final sigma; these are rewritten,
    and only where the term has a letter that they could match.
    """
    if "i" in folded or "\u0307" in folded:
        column = column.replace("İ", "i\u0307")
    column = column.lower()
    if "σ" in folded:
        column = column.replace("ς", "σ")
    return column.contains(folded)


def literal(ns: Namespace, column: Column, value: Any) -> Column:
    """`value` as a literal of the column's own type; temporal and decimal values are given as text."""
    type = column.type()
    if type.is_floating():
        # DataFusion writes the literal -inf as +inf.
        if value == -math.inf:
            return -ns.literal(math.inf, type)
        # To ibis -0.0 equals 0.0, and of equal literals it keeps the first: the zero in `present` would be negative
        # too, which DataFusion tells apart.
        return ns.literal(float(value) + 0.0, type)
    if type.is_decimal():
        return ns.literal(format(Decimal(value), "f")).cast(type)
    if type.is_temporal():
        count = far_count(type, str(value))
        return ns.literal(str(value) if count is None else count).cast(type)
    return ns.literal(value, type)


def inner(dialect: Dialect, column: Column, places: Iterable[int]) -> Column:
    """The field to which these places lead, one within the other; the column itself for none.

    Not by names: an engine may have a field at the same place under another one.
    """
    for place in places:
        column = dialect.field(column, column.type().names[place])
    return column


def far_count(type: Any, text: str) -> int | None:
    """A date or moment of a year with a sign, which engines do not read, in the type's units since 1970; else None."""
    if text[:1] not in ("+", "-") or not (type.is_date() or type.is_timestamp()):
        return None
    if type.is_date():
        return day_of(text)
    return moment_count(text, unit_of(type))


def unit_of(timestamp: Any) -> str:
    """The unit of a timestamp type of either family."""
    return {0: "s", 3: "ms", 9: "ns"}.get(timestamp.scale, "us")


def compare(dialect: Dialect, column: Column, operator: str, position: Position, value: Any) -> Column:
    """`column operator operand`, never true for a missing value.

    The operand is `value` (of the column's type) or lies beside it, as `position` says.
    """
    here = present(column)
    if column.type().is_boolean() and operator not in ("==", "!="):
        column, value = column.cast("int8"), int(value)
    if position == "exact":
        if column.type().is_floating() and value == 0:
            column = column + 0.0
        return _COMPARE[operator](column, dialect.literal(column, value)) & here
    if operator in ("==", "!="):
        return here if operator == "!=" else never(column)
    if position == "above":
        return _MIRROR_ABOVE[operator](column, dialect.literal(column, value)) & here
    kept = operator in (">", ">=") if position == "lowest" else operator in ("<", "<=")
    return here if kept else never(column)


_COMPARE_TEXT = {"contains": "contains", "starts with": "startswith", "ends with": "endswith"}


def compare_text(column: Column, operator: str, text: str) -> Column:
    """True where a text contains, starts with or ends with `text`, which is literal; NULL for a missing value."""
    return getattr(column, _COMPARE_TEXT[operator])(text)


def list_contains(dialect: Dialect, column: Column, value: Any) -> Column:
    """True where one element of a list is `value` (of the elements' type); NULL for a missing list."""
    element = column[0]
    found = column.contains(dialect.literal(element, value))
    if element.type().is_floating() and value == 0:
        # DataFusion tells zeros apart. The other is said as an operation: of equal literals ibis keeps the first.
        found = found | column.contains(-dialect.literal(element, value))
    return found


def is_in(dialect: Dialect, column: Column, values: list[Any]) -> Column:
    """True where the value is present and one of `values` (of the column's type, none missing)."""
    if not values:
        return never(column)
    compared = column + 0.0 if column.type().is_floating() else column
    return compared.isin([dialect.literal(column, value) for value in values]) & present(column)


def is_not_in(dialect: Dialect, column: Column, values: list[Any]) -> Column:
    """True where the value is present and none of `values`."""
    if not values:
        return present(column)
    compared = column + 0.0 if column.type().is_floating() else column
    return ~compared.isin([dialect.literal(column, value) for value in values]) & present(column)
