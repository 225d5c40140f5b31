"""The pytest plugin of the suite: families, capabilities, and the matrix of both.

Load it with `pytest_plugins = ["lazyflow.testing.plugin"]` in a conftest. A test belongs to a family by
`@pytest.mark.family("name")`, and to a backend by its fixture `harness`. What the backend declares missing, a family
or one case of it, must fail: then it counts as declared; if it passes, the run fails.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lazyflow.backend import Backend
from lazyflow.testing import MODULES, Harness

pytest.register_assert_rewrite("lazyflow.testing.check", *(f"lazyflow.testing.{name}" for name in MODULES))

BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
_KEY = "lazyflow"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--matrix`."""
    group = parser.getgroup("lazyflow")
    group.addoption("--matrix", metavar="FILE", help="write the matrix of families and backends to FILE, as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, the profiles of Hypothesis, and the collector of outcomes."""
    config.addinivalue_line(
        "markers", "family(name): the family of cases that a test of the conformance suite belongs to"
    )
    _register_profiles(config)
    config.pluginmanager.register(_Matrix(), "lazyflow-matrix")


def _register_profiles(config: pytest.Config) -> None:
    from hypothesis import HealthCheck, settings

    calm = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    common: dict[str, Any] = {"deadline": None, "suppress_health_check": calm, "print_blob": True}
    settings.register_profile("core", max_examples=25, derandomize=True, database=None, **common)
    settings.register_profile("long", max_examples=1_000, **common)
    chosen = config.getoption("--hypothesis-profile", default=None)
    settings.load_profile(str(chosen or "core"))


def family_of(item: pytest.Item) -> str | None:
    """The family of a test, or None where it is no case of the suite."""
    mark = item.get_closest_marker("family")
    return str(mark.args[0]) if mark else None


def parameters_of(item: pytest.Item) -> list[str]:
    """What a case is parametrised with beside the harness, each by its name."""
    callspec = getattr(item, "callspec", None)
    given = {key: value for key, value in callspec.params.items() if key != "harness"} if callspec else {}
    return [str(getattr(value, "name", getattr(value, "__name__", value))) for value in given.values()]


def names_of(item: pytest.Item) -> list[str]:
    """The names under which capabilities may list a case, the most precise first.

    `family: case [parameter]...`, `family [parameter]` for every case of the family with that parameter, `family`.
    """
    family, parameters = family_of(item), parameters_of(item)
    case = str(getattr(item, "originalname", item.name)).removeprefix("test_").replace("_", " ")
    listed = "".join(f" [{parameter}]" for parameter in parameters)
    return [f"{family}: {case}{listed}", *(f"{family} [{parameter}]" for parameter in parameters), f"{family}"]


def declared(harness: Harness, names: Sequence[str]) -> str | None:
    """Why the backend cannot do the case of these names, as its capabilities say, or None."""
    missing = _backend(harness).capabilities.missing
    return next((missing[name] for name in names if name in missing), None)


def _backend(harness: Harness) -> type[Backend] | Backend:
    if isinstance(harness.backend, type):
        return harness.backend
    engine = harness.backend()
    engine.close()
    return engine


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Turn failures that are declared into expected ones, and successes that were declared missing into failures."""
    report: pytest.TestReport = (yield).get_result()
    family, harness = family_of(item), getattr(item, "funcargs", {}).get("harness")
    if family is None or not isinstance(harness, Harness):
        return
    names = names_of(item)
    if report.when == "call":
        outcome: str = report.outcome
        reason = declared(harness, names)
        if reason is not None and report.failed:
            report.outcome, outcome = "skipped", "declared"
            report.wasxfail = reason
        elif reason is not None and report.passed:
            report.outcome = "failed"
            outcome = "failed"
            report.longrepr = (
                f"unexpected success of {names[0]}\n{_backend(harness).name} declares it missing: {reason}"
            )
        report.user_properties.append((_KEY, (family, _backend(harness).name, outcome)))
    elif report.failed:
        report.user_properties.append((_KEY, (family, _backend(harness).name, "failed")))
    if report.failed:
        report.sections.append(("case, as capabilities name it", names[0]))


class _Matrix:
    """Outcomes by family and backend, printed at the end of the run."""

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, value in report.user_properties:
            if key == _KEY and (report.when == "call" or report.failed):
                family, backend, outcome = map(str, value)  # type: ignore[call-overload]
                self.cells[family][backend][outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if not self.cells:
            return
        terminalreporter.section("parity: cases passed, by family and backend")
        for line in self.lines():
            terminalreporter.write_line(line)
        target = config.getoption("--matrix")
        if target:
            write_matrix(Path(target), "\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The matrix as a Markdown table."""
        backends = sorted({backend for row in self.cells.values() for backend in row}, key=_place)
        rows = [["family", *backends]]
        rows += [[family, *(_cell(row[backend]) for backend in backends)] for family, row in sorted(self.cells.items())]
        totals = {backend: sum((row[backend] for row in self.cells.values()), Counter[str]()) for backend in backends}
        rows.append(["all", *(_cell(totals[backend]) for backend in backends)])
        widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
        rows.insert(1, ["-" * width for width in widths])
        return [
            "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
        ]


def _place(backend: str) -> tuple[int, str]:
    known = ["duckdb", "xorq", "pandas"]
    return (known.index(backend) if backend in known else len(known), backend)


def _cell(outcomes: Counter[str]) -> str:
    parts = [str(outcomes["passed"])] if outcomes["passed"] else []
    parts += [f"{outcomes[kind]} {kind}" for kind in ("declared", "failed", "skipped") if outcomes[kind]]
    return ", ".join(parts) or "-"


def write_matrix(path: Path, table: str) -> None:
    """Write the matrix to a file: between its markers where it has them, else as all of it."""
    text = path.read_text() if path.exists() else ""
    if BEGIN in text and END in text:
        before, rest = text.split(BEGIN, 1)
        path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END, 1)[1]}")
    else:
        path.write_text(table + "\n")
