"""The rows of a view as numbers of rows of its source: a table expression that any engine can be asked.

Row numbers are unique and ascend in the order of the source; they need not be dense.
"""

from __future__ import annotations

from typing import Any

from lazyflow import expressions as ex
from lazyflow.plan import ROW_NUMBER, Plan

_ROW_FOR_ROW = frozenset({"Project", "FillNull", "FillNa", "DropColumns"})
"""Row-wise relations that leave no row out."""


def numberable(plan: Plan) -> bool:
    """Whether each row of the view comes from one row of the source, which has a number by which it can be fetched."""
    return plan.source.numbered and plan.positional


def in_source_order(plan: Plan) -> bool:
    """Whether the view has all rows of the source in their own order, perhaps in other columns."""
    stages = plan.stages
    if plan.sort_keys or stages["filtered"].conditions:
        return False
    node, leaf = plan.shown.op(), plan.raw.op()
    while node != leaf and type(node).__name__ in _ROW_FOR_ROW:
        node = node.parent
    return bool(node == leaf)


def with_row_numbers(plan: Plan, numbered: ex.Table) -> ex.Table:
    """The shown table, in the order of the source, with the row number of each row as one more column `ROW_NUMBER`.

    Parameters
    ----------
    plan
        One for which `numberable` holds.
    numbered
        The source's table with that column.
    """
    return carried_along(plan.shown, plan.raw, numbered)


def row_numbers(plan: Plan, numbered: ex.Table | None = None) -> ex.Table:
    """The row number of each row of the view, in the order of the view, as a table of the one column `ROW_NUMBER`.

    Parameters
    ----------
    plan
        One for which `numberable` holds.
    numbered
        The source's table with its row numbers as one more column `ROW_NUMBER`. Without it, rows are counted.
    """
    if numbered is None:
        numbered = plan.raw.mutate(**{ROW_NUMBER: plan.ns.row_number()})
    shown = with_row_numbers(plan, numbered)
    if plan.sort_keys:
        shown = plan.sorted_by_keys(shown)
    return shown.select(ROW_NUMBER)


def carried_along(table: ex.Table, leaf: ex.Table, numbered: ex.Table) -> ex.Table:
    """A row-wise table over `numbered` in the place of `leaf`, of which each row keeps its number.

    Of the relations that a row-wise one consists of, only projections leave columns out that they are not told to.
    """
    leaf_op: Any = leaf.op()

    def replaced(node: Any, changed: dict[str, Any] | None) -> Any:
        if node == leaf_op:
            return numbered.op()
        if changed is None:
            return node
        if type(node).__name__ == "Project":
            changed["values"] = {**changed["values"], ROW_NUMBER: _field(changed["parent"])}
        return node.__recreate__(changed)

    return table.op().replace(replaced).to_expr()


def _field(relation: Any) -> Any:
    return relation.to_expr()[ROW_NUMBER].op()
