"""Breaks lazyflow on purpose, one small change at a time, and expects the tests to notice: `python -m tests.mutants`.

Each mutant is a copy of the packages with one text replaced; the tests that should catch it run on that copy. It is
killed when one of them fails. An error of import or collection is no kill, and neither is a test that never ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("lazyflow", "backends", "tests", "docs", "pyproject.toml", "README.md")
TIMEOUT = 120
AT_ONCE = 2

WITNESS = '''
"""Sees that the tests run on the copy, and counts those that failed in their own body."""
import json, os, pathlib

failed = []

def pytest_configure(config):
    import lazyflow, lazyflow_duckdb
    for module in (lazyflow, lazyflow_duckdb):
        found = pathlib.Path(module.__file__).resolve()
        assert found.is_relative_to(pathlib.Path(os.environ["MUTANT"]).resolve()), f"{found} is not the copy"

def pytest_runtest_logreport(report):
    if report.failed and report.when == "call":
        failed.append(report.nodeid)

def pytest_sessionfinish(session, exitstatus):
    pathlib.Path(os.environ["MUTANT"], "failed.json").write_text(json.dumps(failed))
'''


CASES = "".join(
    f"from lazyflow.testing.{name} import *\n" for name in ("phases", "generations", "forks", "isolation", "streams")
)
"""The modules of the suite whose cases catch mutants: collecting all others would take longer than running these."""


@dataclass(frozen=True)
class Mutant:
    """One change: in `file`, `original` (which occurs once) becomes `replacement`; `tests` should fail."""

    name: str
    file: str
    original: str
    replacement: str
    tests: tuple[str, ...]


def parity(*names: str, backend: str = "duckdb") -> tuple[str, ...]:
    """Node ids of cases of the suite on one backend."""
    return tuple(f"tests/test_cases.py::test_{name}[{backend}]" for name in names)


RUNNING = "not any(running.concerns & g.wanted.keys for g in self._current.values())"
KEY = "self.plan.source.fingerprint.value, stage.digest, column.inside, statistic.name, statistic.version, origin"
SHARED_PHASE = """
class _Everywhere:
    value = False

    def get(self):
        return self.value

    def set(self, value):
        before, self.value = self.value, value
        return before

    def reset(self, before):
        self.value = before


_rows_phase = _Everywhere()
"""

MUTANTS = (
    Mutant(
        "second phase a no-op",
        "lazyflow/step.py",
        "        self._generation.start()\n        self._generation.wait(timeout)\n",
        "",
        parity("four_of_ten_differ_between_the_phases"),
    ),
    Mutant(
        "the filtered scope taken for the clean one",
        "lazyflow/plan.py",
        "    return Stage(table, clean.columns, digest(table))\n",
        "    return Stage(table, clean.columns, clean.digest)\n",
        parity("ten_of_ten_are_computed_nevertheless"),
    ),
    Mutant(
        "first phase computes",
        "lazyflow/backend.py",
        "        return Step(plan, view, window, rows, generation, fetch)\n",
        "        generation.start()\n        generation.wait()\n"
        "        return Step(plan, view, window, rows, generation, fetch)\n",
        parity("the_rows_phase_asks_for_rows_alone"),
    ),
    Mutant(
        "first phase starts the work",
        "lazyflow/backend.py",
        "        return Step(plan, view, window, rows, generation, fetch)\n",
        "        generation.start()\n        return Step(plan, view, window, rows, generation, fetch)\n",
        parity("what_nobody_resolves_is_not_computed"),
    ),
    Mutant(
        "pending shown as known",
        "lazyflow/statistics/view.py",
        '    return Cell(value, "pending")\n',
        '    return Cell(value, "exact")\n',
        parity("four_of_ten_differ_between_the_phases"),
    ),
    Mutant(
        "equal state restarts",
        "lazyflow/work.py",
        "            if before is not None and before.stands_for(wanted):\n",
        "            if before is not None and before.wanted is wanted:\n",
        parity("an_equal_state_joins_what_runs"),
    ),
    Mutant(
        "wanted raw work is cancelled",
        "lazyflow/work.py",
        f"if running is not None and {RUNNING}:",
        "if running is not None:",
        parity("wanted_raw_work_goes_on_however_fast_someone_types"),
    ),
    Mutant(
        "unwanted work is not cancelled",
        "lazyflow/work.py",
        f"if running is not None and {RUNNING}:",
        "if running is not None and not self._current:",
        parity("unwanted_work_leaves_the_engine"),
    ),
    Mutant(
        "cancel token ignored",
        "lazyflow/work.py",
        '        if self._cancelled:\n            raise Cancelled("the query is no longer wanted")\n',
        "        pass\n",
        parity("unwanted_work_leaves_the_engine"),
    ),
    Mutant(
        "cancel token ignored by the engine",
        "backends/lazyflow_duckdb/backend.py",
        "            with token.on_cancel(lambda: _interrupt(cursor, done)):\n",
        "            with suppress():\n",
        parity("unwanted_work_leaves_the_engine_in_the_middle"),
    ),
    Mutant(
        "stale step answers",
        "lazyflow/work.py",
        "        if self._superseded:\n            raise Superseded(",
        "        if False:\n            raise Superseded(",
        parity("a_superseded_step_never_answers"),
    ),
    Mutant(
        "key without the fingerprint",
        "lazyflow/statistics/view.py",
        KEY,
        KEY.replace("self.plan.source.fingerprint.value", '""'),
        ("tests/test_cache.py::test_a_table_that_changed_under_its_name_is_read_anew",),
    ),
    Mutant(
        "number of rows without the fingerprint",
        "lazyflow/statistics/view.py",
        'CellKey(self.plan.source.fingerprint.value, stage.digest, "", ROWS.name',
        'CellKey("", stage.digest, "", ROWS.name',
        ("tests/test_cache.py::test_a_table_that_changed_under_its_name_is_read_anew",),
    ),
    Mutant(
        "key without the scope",
        "lazyflow/statistics/view.py",
        KEY,
        KEY.replace("stage.digest", '""'),
        parity("four_of_ten_differ_between_the_phases"),
    ),
    Mutant(
        "key without the statistic's version",
        "lazyflow/statistics/view.py",
        KEY,
        KEY.replace("statistic.version", "1"),
        parity("another_version_of_a_statistic_is_another_cell"),
    ),
    Mutant(
        "plan without the fingerprint",
        "lazyflow/dataflow.py",
        "key = (self._shared.source.fingerprint, state, self._transforms)",
        "key = (state, self._transforms)",
        parity("after_a_refresh_nothing_known_is_used"),
    ),
    Mutant(
        "a mixin override accepted",
        "lazyflow/backend.py",
        "        for base in cls.__mro__:\n",
        "        for base in (cls,):\n",
        ("tests/test_contract.py::test_a_mixin_cannot_override_what_is_final",),
    ),
    Mutant(
        "missing counted as present",
        "lazyflow/statistics/value_counts.py",
        "        if pc.any(missing).as_py():\n",
        "        if False:\n",
        parity("four_of_ten_differ_between_the_phases"),
    ),
    Mutant(
        "deferred queries run in the rows phase",
        "lazyflow/backend.py",
        "        if query.deferred and _rows_phase.get():\n",
        "        if False:\n",
        parity("a_deferred_query_in_the_rows_phase_raises", "a_backend_that_computes_statistics_for_rows_fails"),
    ),
    Mutant(
        "the phase shared between threads",
        "lazyflow/backend.py",
        '_rows_phase: ContextVar[bool] = ContextVar("lazyflow_rows_phase", default=False)\n',
        SHARED_PHASE,
        parity("rows_of_one_view_leave_the_statistics_of_another_alone"),
    ),
    Mutant(
        "rows of the older step go on",
        "lazyflow/work.py",
        "        generation.rows_token.cancel()\n",
        "",
        parity("rows_of_a_superseded_step_leave_the_engine"),
    ),
    Mutant(
        "a failure is kept",
        "lazyflow/cache.py",
        "if cell.error is None and _size(cell)",
        "if _size(cell)",
        parity("a_failure_is_not_kept"),
    ),
    Mutant(
        "a refresh supersedes nothing",
        "lazyflow/dataflow.py",
        "        self._shared.work.supersede_all()\n",
        "",
        parity("a_refresh_withdraws_what_runs"),
    ),
    Mutant(
        "a failed fold is lost as a whole",
        "lazyflow/work.py",
        "        parts = query.split()\n",
        "        parts = []\n",
        ("tests/test_work.py::test_a_failed_fold_is_split_until_the_guilty_stands_alone",),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended: "passed", "failed" by a test's own body, or why it says nothing."""

    word: str
    seconds: float
    output: str


def copied(folder: Path) -> None:
    """A copy of the packages and their tests."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*", "node_modules"))
        elif source.exists():
            shutil.copy(source, folder / name)
    (folder / "witness.py").write_text(WITNESS)
    (folder / "tests" / "test_cases.py").write_text(CASES)


def mutate(folder: Path, mutant: Mutant) -> str | None:
    """Apply a mutant to a copy; what is wrong with it, or None."""
    path = folder / mutant.file
    text = path.read_text()
    found = text.count(mutant.original)
    if found != 1:
        return f"stale: the original text occurs {found} times in {mutant.file}"
    path.write_text(text.replace(mutant.original, mutant.replacement))
    return None


def run_tests(folder: Path, tests: tuple[str, ...], *options: str) -> Outcome:
    """Run tests on a copy, in a process of their own."""
    environment = {**os.environ, "MUTANT": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "LAZYFLOW_PATIENCE": "5"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(folder / "backends")])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "witness",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
        *options,
        *tests,
    ]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome("endless", time.monotonic() - began, "")
    seconds, output = time.monotonic() - began, done.stdout + done.stderr
    report = folder / "failed.json"
    failed = json.loads(report.read_text()) if report.exists() else []
    if done.returncode == 0:
        return Outcome("passed", seconds, output)
    if done.returncode == 1 and failed:
        return Outcome("failed", seconds, output)
    return Outcome("broken", seconds, output)


def try_mutant(mutant: Mutant) -> tuple[str, Outcome]:
    """What became of a mutant: killed, survived, or an error in words."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        copied(folder)
        stale = mutate(folder, mutant)
        if stale is not None:
            return stale, Outcome("stale", 0.0, "")
        outcome = run_tests(folder, mutant.tests, "-x")
    words = {"failed": "killed", "passed": "SURVIVED", "endless": "ENDLESS", "broken": "BROKEN"}
    return words[outcome.word], outcome


def all_pass_unchanged(mutants: list[Mutant]) -> Outcome:
    """Run all the tests on a copy without any change: who fails there would kill every mutant."""
    with tempfile.TemporaryDirectory(prefix="mutant-none-") as name:
        folder = Path(name)
        copied(folder)
        return run_tests(folder, tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests)))


def main(names: list[str]) -> int:
    """Try the mutants of these names, or all; 0 if every one is killed."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no such mutant: {', '.join(sorted(unknown))}; there are: {', '.join(m.name for m in MUTANTS)}")
        return 2
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    began = time.monotonic()
    unchanged = all_pass_unchanged(chosen)
    if unchanged.word != "passed":
        print(f"the tests do not pass without a change ({unchanged.word}):\n{unchanged.output[-3000:]}")
        return 2
    width = max(len(mutant.name) for mutant in chosen)
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, (words, outcome) in zip(chosen, pool.map(try_mutant, chosen), strict=True):
            print(f"{mutant.name:{width}}  {outcome.seconds:5.1f} s  {words}", flush=True)
            if words != "killed":
                survived += 1
                print(outcome.output[-2000:])
    print(f"{len(chosen) - survived} of {len(chosen)} killed, {time.monotonic() - began:.0f} s")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
