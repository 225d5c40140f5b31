"""The conformance suite that authors of backends run; see `docs/backends.md`."""

from __future__ import annotations

from lazyflow.testing.harness import Harness

MODULES = (
    "rows",
    "filters",
    "patterns",
    "groups",
    "search",
    "sorting",
    "statistics",
    "sampled",
    "own_statistics",
    "budgets",
    "names",
    "every_type",
    "hostile",
    "wide",
    "transforms",
    "checked",
    "random_views",
    "deep",
    "phases",
    "generations",
    "forks",
    "isolation",
    "streams",
    "sources",
    "folders",
    "sql",
)
"""The modules with cases, one subject each."""

__all__ = ["MODULES", "Harness"]
