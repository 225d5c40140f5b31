"""lazyflow: rows first, statistics after, on any engine that ibis can drive.

Importing this package loads no engine, no ibis and no pyarrow; they are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lazyflow.errors import (
    BackendNotInstalled,
    Cancelled,
    ContractError,
    EngineError,
    InvalidInput,
    InvalidPattern,
    InvalidState,
    InvalidStatistic,
    InvalidValue,
    LazyflowError,
    NotForThisEngine,
    NotForThisType,
    OutOfTime,
    PhaseError,
    SourceChanged,
    SourceError,
    StatisticError,
    Superseded,
    TransformError,
    UnknownName,
)
from lazyflow.state import OPERATORS, Filter, Sort, State

if TYPE_CHECKING:
    from lazyflow.backend import Backend
    from lazyflow.dataflow import DataFlow, Update
    from lazyflow.plan import Plan
    from lazyflow.statistics.registry import Native, Statistic
    from lazyflow.statistics.results import Cell, Histogram, ScopeStatistics, Statistics
    from lazyflow.step import Step
    from lazyflow.widget import explore

__version__ = "0.1.0"

_LAZY = {
    "Backend": "lazyflow.backend",
    "Cell": "lazyflow.statistics.results",
    "DataFlow": "lazyflow.dataflow",
    "Histogram": "lazyflow.statistics.results",
    "Native": "lazyflow.statistics.registry",
    "Plan": "lazyflow.plan",
    "ScopeStatistics": "lazyflow.statistics.results",
    "Statistic": "lazyflow.statistics.registry",
    "Statistics": "lazyflow.statistics.results",
    "Step": "lazyflow.step",
    "Update": "lazyflow.dataflow",
    "explore": "lazyflow.widget",
}

__all__ = [
    "OPERATORS",
    "Backend",
    "BackendNotInstalled",
    "Cancelled",
    "Cell",
    "ContractError",
    "DataFlow",
    "EngineError",
    "Filter",
    "Histogram",
    "InvalidInput",
    "InvalidPattern",
    "InvalidState",
    "InvalidStatistic",
    "InvalidValue",
    "LazyflowError",
    "Native",
    "NotForThisEngine",
    "NotForThisType",
    "OutOfTime",
    "PhaseError",
    "Plan",
    "ScopeStatistics",
    "Sort",
    "SourceChanged",
    "SourceError",
    "State",
    "Statistic",
    "StatisticError",
    "Statistics",
    "Step",
    "Superseded",
    "TransformError",
    "UnknownName",
    "Update",
    "__version__",
    "explore",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'lazyflow' has no attribute {name!r}")
