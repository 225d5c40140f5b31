"""What a search and filters ask of a row, as boolean expressions over a stage's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lazyflow import expressions as ex
from lazyflow.errors import InvalidValue, NotForThisType
from lazyflow.fields import find_field
from lazyflow.operands import Operand, operand
from lazyflow.patterns import plain_pattern
from lazyflow.source import SourceColumn
from lazyflow.state import TEXT_OPERATORS, Condition, Filter, State
from lazyflow.types import COMPARABLE, is_list, kind

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, SourceColumn]


def conditions(table: ex.Table, columns: Columns, state: State, dialect: ex.Dialect) -> list[ex.Column]:
    """Everything that a row must meet; nothing where the state keeps every row.

    Raises
    ------
    UnknownName, InvalidValue, NotForThisType
        Where a filter names what does not exist or compares what cannot be compared.
    """
    found = [_condition(table, columns, item, dialect) for item in state.filters]
    if state.search:
        found.append(_search(table, columns, state.search))
    return found


def _search(table: ex.Table, columns: Columns, term: str) -> ex.Column:
    try:
        term.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"search: {term!r} is not valid Unicode text") from error
    folded = ex.fold_text(term)
    texts = [table[column.inside] for column in columns.values() if column.kind == "text"]
    return ex.any_of([ex.contains_folded(column, folded) for column in texts]) if texts else _no_row(table)


def _condition(table: ex.Table, columns: Columns, item: Condition, dialect: ex.Dialect) -> ex.Column:
    if isinstance(item, Filter):
        return _filter(table, columns, item, dialect)
    group = [_filter(table, columns, member, dialect) for member in item]
    return ex.any_of(group) if group else _no_row(table)


def _no_row(table: ex.Table) -> ex.Column:
    return ex.never(table[table.columns[0]])


def _filter(table: ex.Table, columns: Columns, item: Filter, dialect: ex.Dialect) -> ex.Column:
    name, places, type = find_field(item.column, {name: column.type for name, column in columns.items()})
    column = ex.inner(dialect, table[columns[name].inside], places)
    where = f"filter on {item.column!r}"
    if item.operator == "is missing":
        return ex.absent(column)
    if item.operator == "is not missing":
        return ex.present(column)
    if is_list(type) and item.operator == "contains":
        return _list_contains(column, type, item, where, dialect)
    if kind(type) not in COMPARABLE:
        hint = ", 'contains' is" if is_list(type) else ""
        raise NotForThisType(f"{where}: {item.operator!r} is not for columns of type {type}{hint}")
    if item.operator in TEXT_OPERATORS and kind(type) != "text":
        raise NotForThisType(f"{where}: {item.operator!r} is for text columns, this one is {type}")
    return _comparison(dialect.comparable(column), type, item, where, dialect)


def _comparison(column: ex.Column, type: pa.DataType, item: Filter, where: str, dialect: ex.Dialect) -> ex.Column:
    if item.operator == "between":
        low, high = (operand(value, type, where) if value is not None else None for value in item.value)
        if low is None or high is None:
            return ex.never(column)
        return ex.compare(dialect, column, ">=", *low) & ex.compare(dialect, column, "<=", *high)
    if isinstance(item.value, tuple):
        operands = [operand(value, type, where) for value in item.value if value is not None]
        values = [value for position, value in operands if position == "exact"]
        return (ex.is_in if item.operator == "in" else ex.is_not_in)(dialect, column, values)
    if item.value is None:
        return ex.never(column)
    position, value = operand(item.value, type, where)
    if item.operator == "matches":
        return dialect.matches(column, plain_pattern(value, where))
    if item.operator in TEXT_OPERATORS:
        return ex.compare_text(column, item.operator, value)
    return ex.compare(dialect, column, item.operator, position, value)


def _list_contains(column: ex.Column, type: pa.DataType, item: Filter, where: str, dialect: ex.Dialect) -> ex.Column:
    if kind(type.value_type) not in COMPARABLE:
        raise NotForThisType(f"{where}: 'contains' is not for lists of {type.value_type}")
    asked = Operand("lowest", None) if item.value is None else operand(item.value, type.value_type, where)
    return ex.list_contains(dialect, column, asked.value) if asked.position == "exact" else ex.never(column)
