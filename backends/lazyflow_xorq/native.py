"""Forms of statistics that DataFusion needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import xorq.api as xo
import xorq.expr.datatypes as dt
from xorq_datafusion import Accumulator, udaf

from lazyflow.expressions import Column, Namespace
from lazyflow.statistics.builtin import QUANTILES, build_histogram
from lazyflow.statistics.registry import Edges, Native

_QUANTILES = "lazyflow_quantiles"


def _approximate_distinct(column: Column, ns: Namespace) -> Mapping[str, Column]:
    """A sketch of the number of distinct values; of what DataFusion cannot sketch, over its text."""
    direct = column.type().is_integer() or column.type().is_string() or column.type().is_temporal()
    return {"": ns.least((column if direct else column.cast("string")).approx_nunique(), column.count())}


def comparable(column: Column) -> Column:
    """DataFusion compares times of day only after a trip through text."""
    return column.cast("string").cast("time") if column.type().is_time() else column


def _histogram(column: Column, ns: Namespace, edges: Edges) -> Mapping[str, Column]:
    return build_histogram(comparable(column), ns, edges)


class _Quantiles(Accumulator):  # type: ignore[misc]
    """Keeps the values, and sorts them once: DataFusion's own interpolates in steps of a millionth of the gap."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray[Any, Any]] = []

    def update(self, values: pa.Array) -> None:
        self._kept.append(values.drop_null().to_numpy(zero_copy_only=False))

    def merge(self, states: pa.Array) -> None:
        self._kept.append(states.values.drop_null().to_numpy(zero_copy_only=False))

    def state(self) -> pa.Array:
        values = self._all()
        return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), pa.array(values, pa.float64()))

    def evaluate(self) -> pa.Scalar:
        values = np.sort(self._all())
        return pa.scalar([_quantile(values, q) for q in QUANTILES], pa.list_(pa.float64()))

    def _all(self) -> np.ndarray[Any, Any]:
        return np.concatenate(self._kept) if self._kept else np.empty(0)


def _quantile(values: np.ndarray[Any, Any], q: float) -> float | None:
    """By linear interpolation between order statistics (Hyndman and Fan 1996, type 7)."""
    if not len(values):
        return None
    position = (len(values) - 1) * q
    below = int(position)
    low, high = float(values[below]), float(values[min(below + 1, len(values) - 1)])
    return low if low == high or position == below else low + (high - low) * (position - below)


QUANTILES_FUNCTION = udaf(
    _Quantiles, [pa.float64()], pa.list_(pa.float64()), [pa.list_(pa.float64())], "immutable", _QUANTILES
)
"""To be registered in a session whose statistics use `NATIVE`."""


def _declared(values: dt.float64) -> dt.Array[dt.float64]:
    raise NotImplementedError("registered in the session")


_of: Any = xo.udf.agg.builtin(_declared, name=_QUANTILES)


def _list_of_quantiles(column: Column, ns: Namespace) -> Mapping[str, Column]:
    quantiles = _of(column.cast("float64"))
    return {str(q): quantiles[position] for position, q in enumerate(QUANTILES)}


NATIVE = {
    "cardinality": Native(_approximate_distinct),
    "distinct": Native(_approximate_distinct, "approximate"),
    "histogram": Native(_histogram),
    "quantiles": Native(_list_of_quantiles),
}
