"""All cases, for a test module of an outside backend: `from lazyflow.testing.suite import *`, and a fixture `harness`.

Only tests and fixtures are exported; the marks of each module are put on its tests, since they leave it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from lazyflow.testing import MODULES


def _tests(module: ModuleType) -> dict[str, Any]:
    marks = getattr(module, "pytestmark", [])
    result = {}
    for name, value in vars(module).items():
        if type(value).__name__ == "FixtureFunctionDefinition":
            result[name] = value
        elif name.startswith("test_") and getattr(value, "__module__", None) == module.__name__:
            for mark in marks if isinstance(marks, list | tuple) else [marks]:
                mark(value)
            result[name] = value
    return result


def _collect() -> dict[str, Any]:
    cases: dict[str, Any] = {}
    for name in MODULES:
        if find_spec(f"lazyflow.testing.{name}") is None:
            continue
        found = _tests(import_module(f"lazyflow.testing.{name}"))
        again = sorted(cases.keys() & found.keys())
        if again:
            raise AssertionError(f"lazyflow.testing.{name} has cases with names that are taken: {', '.join(again)}")
        cases.update(found)
    return cases


_cases = _collect()
globals().update(_cases)
__all__ = list(_cases)
