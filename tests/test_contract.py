"""What the package promises as a whole: its names, its errors, what importing it costs, what a backend may not do."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow import errors
from lazyflow.backend import Backend
from lazyflow.errors import ContractError, LazyflowError
from lazyflow.source import Source

ROOT = Path(__file__).parent.parent


class Complete(Backend):
    """A backend with everything that a backend must have."""

    name = "complete"

    @property
    def ns(self) -> Any:
        raise NotImplementedError

    def open(self, data: Any) -> Source:
        raise NotImplementedError

    def execute(self, query: Any, token: Any) -> pa.Table:
        raise NotImplementedError


FINAL = ("run", "defer")


def anything(self: Any, *args: Any, **kwargs: Any) -> None:
    """What someone might put in place of a final method."""


@pytest.mark.parametrize("method", FINAL)
def test_a_subclass_cannot_override_what_is_final(method: str) -> None:
    with pytest.raises(ContractError, match=rf"Backend\.{method} is final, Mine overrides it"):
        type("Mine", (Complete,), {method: anything})
    with pytest.raises(TypeError):
        type("Mine", (Backend,), {method: anything})


@pytest.mark.parametrize("method", FINAL)
@pytest.mark.parametrize("side", ["before", "behind"])
def test_a_mixin_cannot_override_what_is_final(method: str, side: str) -> None:
    mixin = type("Mixin", (), {method: anything})
    bases = (mixin, Complete) if side == "before" else (Complete, mixin)
    with pytest.raises(ContractError, match="Mixin overrides it"):
        type("Mine", bases, {})
    with pytest.raises(ContractError, match="Mixin overrides it"):
        type("Mine", (type("Further", (mixin,), {}), Complete), {})


@pytest.mark.parametrize("method", FINAL)
@pytest.mark.parametrize("value", [property(anything), staticmethod(anything), classmethod(anything), 3, None])
def test_whatever_it_is_replaced_by(method: str, value: object) -> None:
    with pytest.raises(ContractError):
        type("Mine", (Complete,), {method: value})


def test_backends_of_this_repository_keep_the_contract() -> None:
    from importlib.metadata import entry_points

    for point in entry_points(group="lazyflow.backends"):
        kind = point.load()
        assert issubclass(kind, Backend)
        assert kind.name == point.name
        for method in FINAL:
            assert getattr(kind, method) is getattr(Backend, method)


def test_a_backend_is_made_of_few_methods() -> None:
    assert Backend.__abstractmethods__ == {"ns", "open", "execute"}
    Complete()
    with pytest.raises(TypeError):
        type("Half", (Backend,), {"name": "half"})()


EXPORTED = [
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
    "InvalidState",
    "InvalidPattern",
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


def test_exported_names() -> None:
    assert sorted(lf.__all__) == sorted(EXPORTED)
    for name in lf.__all__:
        assert getattr(lf, name) is not None
        if inspect.isclass(getattr(lf, name)):
            assert inspect.getdoc(getattr(lf, name)), name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        lf.Nothing  # noqa: B018


def public(kind: type) -> list[str]:
    return sorted(name for name in vars(kind) if not name.startswith("_"))


def test_names_of_a_flow_and_of_a_step() -> None:
    flow = {
        *("apply", "rows", "row_count", "apply_async", "rows_async", "row_count_async", "stream"),
        *("backend", "schema", "compile", "register_cleaning", "register_post_processing"),
        *("fork", "refresh", "close", "watch_statistics_queries", "cleanings", "post_processings", "outdated"),
        *("statistics", "own_statistics", "materialised"),
    }
    assert set(public(lf.DataFlow)) == flow
    step = {
        *("complete", "generation", "resolve", "resolve_async", "schema", "statistics", "superseded", "updates"),
        *("fetch", "fetch_async", "known", "changes", "give_up", "queries_started", "queries_cancelled"),
        *("prepare", "prepare_async", "start", "stop", "see", "numbered"),
        *("compute", "compute_async"),
    }
    assert set(public(lf.Step)) == step
    assert list(inspect.signature(lf.DataFlow.apply).parameters) == ["self", "state", "window", "columns"]
    for name in ("rows", "row_count", "apply"):
        blocking, twin = getattr(lf.DataFlow, name), getattr(lf.DataFlow, f"{name}_async")
        assert inspect.signature(blocking).parameters == inspect.signature(twin).parameters
        assert inspect.iscoroutinefunction(twin)


def tree() -> dict[str, type]:
    return {
        name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, LazyflowError)
    }


def test_every_error_is_exported() -> None:
    assert set(tree()) <= set(lf.__all__)
    for name, kind in tree().items():
        assert getattr(lf, name) is kind


def test_the_tree_of_errors_is_the_documented_one() -> None:
    """The drawing at the head of the module: each error under its parent, and the built-in errors that it also is."""
    drawing = re.search(r"```\n(.*?)```", errors.__doc__ or "", re.DOTALL)
    assert drawing
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in drawing.group(1).splitlines():
        found = re.match(r"([│ ├└─]*)(\w+)\s*(.*)", line)
        assert found, line
        depth, name, words = len(found.group(1)) // 4, found.group(2), found.group(3)
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else None
        assert set(re.findall(r"also an? (\w+)", words)) == {
            base.__name__
            for base in tree()[name].__bases__
            if not issubclass(base, LazyflowError) and base is not Exception
        }
    parents = {
        name: next((base.__name__ for base in kind.__bases__ if issubclass(base, LazyflowError)), None)
        for name, kind in tree().items()
    }
    assert drawn == parents


def test_the_docs_list_every_error() -> None:
    text = (ROOT / "docs" / "states.md").read_text()
    section = text[text.index("## Errors") :]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(tree())


def python(code: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_no_engine() -> None:
    heavy = {"ibis", "pyarrow", "pandas", "duckdb", "xorq", "numpy", "sqlglot", "xorq_datafusion", "polars", "asyncio"}
    loaded = python("import sys, lazyflow; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert not heavy & set(loaded)
    assert not [name for name in loaded if name.startswith("lazyflow_")]


def test_states_need_no_engine() -> None:
    code = """
        import sys, lazyflow as lf
        state = lf.State(search="x", filters=[lf.Filter("a", ">", 1)])
        assert lf.State.from_json(state.to_json()) == state
        assert "ibis" not in sys.modules and "pyarrow" not in sys.modules
    """
    python(inspect.cleandoc(code))


def test_a_plain_flow_loads_no_other_engine() -> None:
    code = """
        import sys, pyarrow as pa, lazyflow as lf
        with lf.DataFlow(pa.table({"x": [1]})) as flow:
            flow.apply(lf.State(search="x")).resolve()
        assert "xorq" not in sys.modules, "xorq is not needed"
    """
    python(inspect.cleandoc(code))


def test_the_phases_hold_without_assertions() -> None:
    """`python -O` takes assertions away; what keeps statistics out of the rows phase is none."""
    code = """
        import lazyflow as lf
        from lazyflow.backend import rows_phase
        from lazyflow.source import Fingerprint
        from lazyflow.work import CancelToken

        class Mine(lf.Backend):
            name = "mine"
            ns = None
            def open(self, data): ...
            def execute(self, query, token): print("executed")

        class Asked:
            deferred = True
            fingerprint = Fingerprint.of_opening()
            def finish(self, answer): return answer

        Mine().run(Asked(), CancelToken())
        try:
            with rows_phase():
                Mine().run(Asked(), CancelToken())
        except lf.PhaseError:
            print("raised")
        try:
            type("Mine", (lf.Backend,), {"run": print})
        except lf.ContractError:
            print("raised")
    """
    assert python(inspect.cleandoc(code), "-O").split() == ["executed", "raised", "raised"]
