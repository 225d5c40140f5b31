"""Expressions planned once and run on many blocks, by the kernels of xorq's pandas executor.

The executor's own entry converts all text to objects at the end and plans anew at each call: 5 ms a block and pauses of
the interpreter lock, instead of 2 ms and none.
"""

from __future__ import annotations

import functools
import operator
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xorq.vendor.ibis.expr.operations as ops
from xorq.backends.pandas.executor import PandasExecutor
from xorq.backends.pandas.rewrites import plan as rewrite
from xorq.common.exceptions import OperationNotDefinedError
from xorq.vendor.ibis.common.graph import Graph, _recursive_lookup

from lazyflow.expressions import unit_of
from lazyflow_pandas.frames import TEXT, column_from_arrow

_ARROW_BOOLEAN = pd.ArrowDtype(pa.bool_())
_planning = threading.Lock()


class Evaluation:
    """A table expression over one leaf, ready to be computed for any frame in the leaf's place.

    Parameters
    ----------
    root
        The expression's operation.
    leaf
        The operation of the table that frames stand for.
    """

    def __init__(self, root: Any, leaf: Any) -> None:
        with _planning:
            self._root = rewrite(root, backend=None, params={})
            self._leaf = leaf
            graph, dependents = Graph.from_bfs(self._root).toposort()
            self._steps = []
            waiting = {node: set(users) for node, users in dependents.items()}
            for node, children in graph.items():
                freed = []
                for child in set(children):
                    waiting[child].discard(node)
                    if not waiting[child]:
                        freed.append(child)
                arguments = tuple(zip(node.__argnames__, node.__args__, strict=True))
                self._steps.append((node, _kernel(node), arguments, tuple(freed)))

    def __call__(self, frame: pd.DataFrame, check: Callable[[], None]) -> pd.DataFrame:
        """The expression's rows for `frame`; `check` is called between kernels and may raise."""
        results: dict[Any, Any] = {self._leaf: frame}
        for node, kernel, arguments, freed in self._steps:
            check()
            if node not in results:
                values = {name: _recursive_lookup(argument, results) for name, argument in arguments}
                results[node] = _settled(node, kernel(node, **values))
            for child in freed:
                results.pop(child, None)
        return results[self._root]


def _kernel(node: Any) -> Any:
    if type(node).__name__ in _OWN:
        return _OWN[type(node).__name__]
    kernel = getattr(PandasExecutor, f"visit_{type(node).__name__}", None)
    if kernel is not None:
        return kernel
    for base in ("Reference", "Reduction", "Value"):
        if isinstance(node, getattr(ops, base)):
            return getattr(PandasExecutor, f"visit_{base}")
    raise OperationNotDefinedError(f"{type(node).__name__} is not implemented on pandas")


def _cast(node: Any, arg: Any, to: Any) -> Any:
    """As the executor casts; but whole numbers beside NULL go to text as such, not by way of floats."""
    if isinstance(arg, pd.Series) and node.arg.dtype.is_time() and to.is_integer():
        nanoseconds = arg.array._pa_array.cast(pa.time64("ns")).cast(pa.int64())
        return pd.Series(column_from_arrow(nanoseconds), index=arg.index, name=arg.name)
    if isinstance(arg, pd.Series) and node.arg.dtype.is_interval():  # to the executor a missing one is a number
        numbers = column_from_arrow(arg.array._pa_array.cast(to.to_pyarrow()))
        return pd.Series(numbers, index=arg.index, name=arg.name)
    if isinstance(arg, pd.Series) and node.arg.dtype.is_integer() and to.is_string():
        whole = "UInt64" if node.arg.dtype.is_unsigned_integer() else "Int64"
        return arg.astype(whole).astype(TEXT)
    if isinstance(arg, int) and (to.is_date() or to.is_timestamp()):  # of years that Python does not have
        moments = np.array([arg], f"M8[{'D' if to.is_date() else unit_of(to)}]")
        return pd.Timestamp(moments[0], tz=to.timezone if to.is_timestamp() else None)
    return PandasExecutor.visit_Cast(node, arg=arg, to=to)


def _aggregate(node: Any, parent: pd.DataFrame, groups: Any, metrics: Any) -> Any:
    """As the executor aggregates; but rows whose keys are missing are a group too, as on every other engine."""
    if not groups:
        return PandasExecutor.visit_PandasAggregate(node, parent=parent, groups=groups, metrics=metrics)
    grouped = parent.groupby([key.name for key in groups.values()], dropna=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the metrics are given whole groups, keys and all
        columns = {name: grouped.apply(metric) for name, metric in metrics.items()}
    result = PandasExecutor.concat(columns, axis=1).reset_index()
    return result.rename(columns={key.name: name for name, key in node.groups.items()})


def _search(node: Any, arg: pd.Series, pattern: str) -> pd.Series:
    """By Arrow's RE2: the executor has Python's `re`, which reads other patterns and can take for ever."""
    found = pc.match_substring_regex(pa.array(arg.astype(TEXT).array), pattern)
    return found.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get).rename(arg.name)


def _in_values(node: Any, value: Any, options: Any) -> Any:
    """As the executor has it; but bytes are looked up by Arrow, since numpy's end at a NUL."""
    if isinstance(value, pd.Series) and node.value.dtype.is_binary():
        bytes_ = value.array._pa_array
        found = pc.is_in(bytes_, pa.array(options, bytes_.type))
        return pd.Series(column_from_arrow(found), index=value.index, name=value.name)
    far = [option for option in options if isinstance(option, pd.Timestamp) and not 1 <= option.year <= 9999]
    if isinstance(value, pd.Series) and far:  # which pandas looks up as nanoseconds
        places = {id(option) for option in far}
        near = value.isin([option for option in options if id(option) not in places])
        return functools.reduce(operator.or_, (value == option for option in far), near)
    return PandasExecutor.visit_InValues(node, value=value, options=options)


def _struct_field(node: Any, arg: pd.Series, field: str) -> pd.Series:
    """In Arrow: the executor reads the dictionaries of Python one by one, and mixes up what is missing in them."""
    inner = pc.struct_field(arg.array._pa_array, field)
    return pd.Series(column_from_arrow(inner), index=arg.index, name=field)


def _array_contains(node: Any, arg: pd.Series, other: Any) -> pd.Series:
    """In Arrow: the executor raises where a list is missing."""
    lists = arg.array._pa_array
    elements = pc.list_flatten(lists)
    wanted = pa.scalar(other, elements.type)
    rows = pc.unique(pc.list_parent_indices(lists).filter(pc.equal(elements, wanted)))
    found = np.zeros(len(arg), bool)
    found[rows.to_numpy()] = True
    return pd.Series(pd.arrays.BooleanArray(found, lists.is_null().to_numpy()), index=arg.index, name=arg.name)


_OWN = {
    "ArrayContains": _array_contains,
    "Cast": _cast,
    "InValues": _in_values,
    "PandasAggregate": _aggregate,
    "RegexSearch": _search,
    "StructField": _struct_field,
}


def _settled(node: Any, result: Any) -> Any:
    """A kernel's result in the form that the next one takes."""
    if isinstance(result, pd.Series) and result.dtype == object and node.dtype.is_floating():
        # A float beside NULL comes as objects, which the kernels for floats refuse.
        return pd.Series(pd.array(result, dtype="Float64").to_numpy("float64", na_value=float("nan")), name=result.name)
    if isinstance(result, pd.Series) and result.dtype == _ARROW_BOOLEAN:
        return result.astype("boolean")  # | and & of both kinds of booleans raise
    if isinstance(result, pd.DataFrame) and not _is_plain(result.index):
        return result.set_axis(pd.RangeIndex(len(result)), copy=False)
    return result


def _is_plain(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
