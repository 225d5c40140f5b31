"""Forms of statistics that DataFusion needs."""

from __future__ import annotations

from collections.abc import Mapping

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.queries import Native
from lazyflow.statistics.registry import Edges


def _approximate_distinct(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    """A sketch of the number of distinct values; of what DataFusion cannot sketch, over its text."""
    direct = column.type().is_integer() or column.type().is_string() or column.type().is_temporal()
    return {"": (column if direct else column.cast("string")).approx_nunique()}


NATIVE = {
    "cardinality": Native(_approximate_distinct),
    "distinct": Native(_approximate_distinct, "approximate"),
}
