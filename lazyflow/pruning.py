"""Column pruning: a plan over those columns of its source alone that its rows need.

An expression has an object for every column of every relation. For a table of 2,000 columns these take longer to make,
to compile and to bind than the rows in sight to fetch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from lazyflow.plan import Plan, Stage

WIDE = 64
"""Of fewer columns none is worth leaving out."""


def pruned(plan: Plan, inside: Collection[str]) -> Plan:
    """The plan over a source without the columns that nobody asks for, or the plan itself where that cannot be.

    Its leaf is the source's table under the same name with fewer columns, in the same order.

    Parameters
    ----------
    inside
        Inside names of columns of the shown table that are asked for; what rows are chosen and sorted by is added.

    Examples
    --------
    >>> import lazyflow as lf, pyarrow as pa
    >>> with lf.DataFlow(pa.table({f"c{number}": [1, 2] for number in range(100)})) as flow:
    ...     plan = flow.compile(lf.State(filters=[lf.Filter("c7", ">", 1)]))
    ...     pruned(plan, ["c3"]).shown.columns
    ('c3', 'c7')
    """
    raw, filtered = plan.stages["raw"], plan.stages["filtered"]
    if len(raw.columns) <= WIDE or plan.transformed or not plan.positional:
        return plan
    leaf: Any = raw.table.op()
    if type(leaf).__name__ not in ("DatabaseTable", "Read"):
        return plan
    needed = {key.column for key in plan.sort_keys}.union(inside)
    for condition in filtered.conditions:
        needed.update(node.name for node in condition.op().find(_is_field))
    if 2 * len(needed) > len(raw.columns):
        return plan
    return plan.pruned.get_or(frozenset(needed), lambda: _over_columns(plan, needed))


def _is_field(node: Any) -> bool:
    return type(node).__name__ == "Field"


def _over_columns(plan: Plan, needed: set[str]) -> Plan:
    raw, filtered = plan.stages["raw"], plan.stages["filtered"]
    columns = tuple(column for column in raw.columns if column.inside in needed) or raw.columns[:1]
    leaf: Any = raw.table.op()
    schema = type(leaf.schema)({column.inside: leaf.schema[column.inside] for column in columns})
    narrow = leaf.copy(schema=schema)
    table = narrow.to_expr()
    conditions = tuple(condition.op().replace({leaf: narrow}).to_expr() for condition in filtered.conditions)
    stages: dict[str, Stage] = {"raw": replace(raw, before=table, columns=columns)}
    stages["clean"] = stages["raw"]
    stages["filtered"] = stages["shown"] = replace(filtered, before=table, columns=columns, conditions=conditions)
    return replace(plan, source=replace(plan.source, table=table, columns=columns), stages=stages)
