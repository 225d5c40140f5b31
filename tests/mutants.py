"""Breaks lazyflow on purpose, one small change at a time, and expects the tests to notice: `python -m tests.mutants`.

Each mutant is a copy of the packages with one text replaced; the tests that should catch it run on that copy. It is
killed when one of them fails. An error of import or collection is no kill, and neither is a test that never ends.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parent.parent
COPIED = ("lazyflow", "backends", "tests", "docs", "examples", "pyproject.toml", "README.md")
TIMEOUT = 120
AT_ONCE = 3
"""One more than CI has cores: some mutants make tests wait until their patience is at its end."""

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


HOMES = {
    case: module.stem
    for module in sorted((ROOT / "lazyflow" / "testing").glob("*.py"))
    for case in re.findall(r"^def test_(\w+)", module.read_text(), re.MULTILINE)
}
"""The module of each case of the suite: to collect all cases for a mutant would take longer than to run its own."""

VIEWER = ("tests/test_viewer_build.py::test_the_sources_pass_their_tests",)


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
    return tuple(f"tests/test_cases_of_{HOMES[name]}.py::test_{name}[{backend}]" for name in names)


INTERLEAVINGS = ("tests/test_interleavings.py::test_a_few_interleavings",)


def wire(name: str, backend: str = "duckdb") -> tuple[str, ...]:
    """Node id of a test of round trips on one backend."""
    return (f"tests/test_round_trips.py::test_{name}[{backend}]",)


RUNNING = "any(generation.wants(running) for generation in self._current.values())"
KEY = "fingerprint.value, stage.digest, column.inside, statistic.name, statistic.version, origin, durable"
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
        "columns that somebody scrolls to wait for all others",
        "lazyflow/session/current.py",
        "            self.step.see(columns)\n",
        "",
        ("tests/test_round_trips.py::test_statistics_of_columns_that_somebody_scrolls_to_come_next",),
    ),
    Mutant(
        "a sample taken for all rows",
        "lazyflow/statistics/registry.py",
        "        return self._replace(sampled=True, durable=False)\n",
        "        return self\n",
        parity("what_is_sampled_says_so_and_is_not_complete"),
    ),
    Mutant(
        "sampled cells counted as known on the wire",
        "lazyflow/session/board.py",
        '                    known[want.statistic.group] += cell.basis != "sampled"\n',
        "                    known[want.statistic.group] += 1\n",
        ("tests/test_board.py::test_what_a_sample_says_is_told_and_replaced_and_nothing_final",),
    ),
    Mutant(
        "too few sampled rows speak for a view",
        "lazyflow/statistics/sampling.py",
        "        tells = answer.num_rows >= self.sampling.least\n",
        "        tells = True\n",
        parity("too_few_sampled_rows_say_nothing"),
    ),
    Mutant(
        "sampled counts shown as they are",
        "lazyflow/statistics/builtin.py",
        "    return round(value * factor)\n",
        "    return value\n",
        parity("counts_are_scaled_to_all_rows"),
    ),
    Mutant(
        "small sources sampled too",
        "lazyflow/statistics/choosing.py",
        "        if rows is not None and (rows.error is not None or rows.value <= sampling.above):\n",
        "        if rows is not None and rows.error is not None:\n",
        parity("a_source_of_fewer_rows_is_not_sampled"),
    ),
    Mutant(
        "quantiles believed to lie where a sample says",
        "lazyflow/statistics/likely.py",
        "        if not is_one and inside > _WIDEST * number:\n",
        "        if False:\n",
        parity("columns_of_many_values_follow_the_sample"),
    ),
    Mutant(
        "alone, a statistic is approximated too",
        "lazyflow/statistics/view.py",
        "        return Choice(self, known, seconds, exact=True).toward(want) if want is not None else None\n",
        "        return Choice(self, known, seconds).toward(want) if want is not None else None\n",
        parity("columns_of_many_values_follow_the_sample"),
    ),
    Mutant(
        "second phase a no-op",
        "lazyflow/step.py",
        "        self._generation.start()\n        self._generation.wait(timeout)\n",
        "",
        parity("four_of_ten_differ_between_the_phases"),
    ),
    Mutant(
        "columns of a wide table asked about in their order, whichever is in sight",
        "lazyflow/statistics/choosing.py",
        "        open.sort(key=lambda column: column not in urgent)\n",
        "",
        parity("columns_in_sight_come_first", backend="duckdb-all"),
    ),
    Mutant(
        "the filtered scope taken for the clean one",
        "lazyflow/plan.py",
        "    return Stage(clean.table, clean.columns, *found, clean.fingerprint, asked)\n",
        "    return Stage(clean.table, clean.columns, clean.digest, clean.durable, clean.fingerprint, asked)\n",
        parity("ten_of_ten_are_computed_nevertheless"),
    ),
    Mutant(
        "first phase computes",
        "lazyflow/backend.py",
        "        return Step(plan, view, window, rows, generation, windows.fetch)\n",
        "        generation.start()\n        generation.wait()\n"
        "        return Step(plan, view, window, rows, generation, windows.fetch)\n",
        parity("the_rows_phase_asks_for_rows_alone"),
    ),
    Mutant(
        "first phase starts the work",
        "lazyflow/backend.py",
        "        return Step(plan, view, window, rows, generation, windows.fetch)\n",
        "        generation.start()\n        return Step(plan, view, window, rows, generation, windows.fetch)\n",
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
        "lazyflow/work/worker.py",
        "            if before is not None and before.stands_for(wanted):\n",
        "            if before is not None and before.wanted is wanted:\n",
        parity("an_equal_state_joins_what_runs"),
    ),
    Mutant(
        "wanted raw work is cancelled",
        "lazyflow/work/worker.py",
        f"if running is None or {RUNNING}:",
        "if running is None:",
        parity("wanted_raw_work_goes_on_however_fast_someone_types"),
    ),
    Mutant(
        "unwanted work is not cancelled",
        "lazyflow/work/worker.py",
        f"if running is None or {RUNNING}:",
        "if running is None or self._current:",
        parity("unwanted_work_leaves_the_engine"),
    ),
    Mutant(
        "cancel token ignored",
        "lazyflow/work/token.py",
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
        "lazyflow/work/generation.py",
        "        if self._superseded:\n            raise Superseded(",
        "        if False:\n            raise Superseded(",
        parity("a_superseded_step_never_answers"),
    ),
    Mutant(
        "key without the fingerprint",
        "lazyflow/statistics/view.py",
        KEY,
        KEY.replace("fingerprint.value", '""'),
        ("tests/test_cache.py::test_a_table_that_changed_under_its_name_is_read_anew",),
    ),
    Mutant(
        "number of rows without the fingerprint",
        "lazyflow/statistics/view.py",
        'CellKey(fingerprint.value, stage.digest, "", ROWS.name',
        'CellKey("", stage.digest, "", ROWS.name',
        ("tests/test_cache.py::test_a_table_that_changed_under_its_name_is_read_anew",),
    ),
    Mutant(
        "disk: files believed whatever their digest",
        "lazyflow/store.py",
        "head == _head(subject, name, text)",
        "head.startswith(_MAGIC)",
        (
            "tests/test_store.py::test_a_flipped_bit_anywhere_is_a_miss",
            "tests/test_disk.py::test_two_processes_hammer_a_directory_that_a_third_one_harms[pandas-15]",
        ),
    ),
    Mutant(
        "disk: the fingerprint not in the key",
        "lazyflow/disk.py",
        "json.dumps([self._release, scope.fingerprint, scope.scope])",
        "json.dumps([self._release, scope.scope])",
        ("tests/test_disk.py::test_a_file_that_was_replaced_is_another[duckdb]",),
    ),
    Mutant(
        "disk: the release not in the key",
        "lazyflow/disk.py",
        "json.dumps([self._release, scope.fingerprint, scope.scope])",
        "json.dumps([scope.fingerprint, scope.scope])",
        ("tests/test_disk.py::test_engines_do_not_read_each_others_answers",),
    ),
    Mutant(
        "disk: keys written that do not last",
        "lazyflow/disk.py",
        "sorted((key for key in cells if key.durable), key=_scope_key)",
        "sorted(cells, key=_scope_key)",
        ("tests/test_disk.py::test_frames_are_not_written_to_disk[duckdb]",),
    ),
    Mutant(
        "disk: views by chance taken for lasting",
        "lazyflow/digest.py",
        "        durable = durable and is_pure(node)\n",
        "",
        ("tests/test_disk.py::test_what_another_time_may_be_otherwise_is_not_written_to_disk[duckdb]",),
    ),
    Mutant(
        "disk: the engine asked without a look",
        "lazyflow/work/worker.py",
        "            self._recall(generation)\n",
        "",
        ("tests/test_disk.py::test_a_second_process_is_complete_without_a_statistics_query[duckdb]",),
    ),
    Mutant(
        "disk: a directory that others write to is used",
        "lazyflow/store.py",
        "if found.st_uid == os.geteuid() and not found.st_mode & 0o022:",
        "if found.st_uid == os.geteuid():",
        ("tests/test_store.py::test_a_directory_that_others_may_write_to_is_not_used",),
    ),
    Mutant(
        "disk: the bound forgotten",
        "lazyflow/store.py",
        "if self._since_look > self._share:",
        "if False:",
        ("tests/test_store.py::test_several_processes_keep_the_bound_and_read_what_was_written[150]",),
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
        "plans of before a refresh are used after it",
        "lazyflow/dataflow.py",
        "            self._shared.plans.clear()",
        "            pass",
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
        "lazyflow/work/worker.py",
        "        generation.rows_token.cancel()\n",
        "",
        parity("rows_of_a_superseded_step_leave_the_engine"),
    ),
    Mutant(
        "a failure is kept",
        "lazyflow/cache.py",
        "kept = cell.error is None or isinstance(cell.error, OutOfTime)",
        "kept = True",
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
        "lazyflow/work/worker.py",
        "        parts = query.split()\n",
        "        parts = []\n",
        ("tests/test_work.py::test_a_failed_fold_is_split_until_the_guilty_stands_alone",),
    ),
    Mutant(
        "an older generation is sent",
        "lazyflow/session/client.py",
        "        current = self._session.current\n        if current is None:\n            return None\n"
        "        if self.owes",
        "        current = self._sent or self._session.current\n        if current is None:\n            return None\n"
        "        if self.owes",
        INTERLEAVINGS,
    ),
    Mutant(
        "the order of phases swapped on the wire",
        "lazyflow/session/client.py",
        "            return None if rows is None else self._state(current, rows)\n",
        "            if rows is not None:\n                return self._state(current, rows)\n",
        INTERLEAVINGS,
    ),
    Mutant(
        "broadcast to every session",
        "lazyflow/session/session.py",
        "        self.clients: dict[Client, object] = {}\n",
        "        self.clients: dict[Client, object] = globals().setdefault('everybody', {})\n",
        INTERLEAVINGS,
    ),
    Mutant(
        "what a replaced file gave is shown",
        "lazyflow/backend.py",
        "        query.fingerprint.check()\n",
        "",
        parity("a_change_is_told_until_a_refresh", backend="pandas-folder-written"),
    ),
    Mutant(
        "a change that is not valid takes those before it along",
        "lazyflow/session/session.py",
        "                    await self._take(self._changes.pop())",
        "                    last = self._changes.pop(); self._changes.clear(); await self._take(last)",
        ("tests/test_faults.py::test_a_wrong_change_does_not_take_the_one_before_along[duckdb]",),
    ),
    Mutant(
        "a delay between the phases",
        "lazyflow/session/session.py",
        "            await current.rows_handed_over.wait()\n",
        "            await current.rows_handed_over.wait()\n            await asyncio.sleep(3600)\n",
        wire("statistics_start_at_once_and_rows_come_before_them"),
    ),
    Mutant(
        "rows wait for statistics",
        "lazyflow/session/session.py",
        "        fetch, self._ahead = self._ahead, None\n",
        "        if self._following is not None:\n            await asyncio.wait({self._following})\n"
        "        fetch, self._ahead = self._ahead, None\n",
        wire("rows_do_not_wait_for_statistics"),
    ),
    Mutant(
        "what is found is taken for told",
        "lazyflow/session/board.py",
        "                        new[found.scope, want.key] = cell\n",
        "                        new[found.scope, want.key] = self._seen[found.scope, want.key] = cell\n",
        ("tests/test_board.py::test_what_was_found_and_not_added_is_found_again",),
    ),
    Mutant(
        "known statistics come in a second frame",
        "lazyflow/session/client.py",
        "        self._version, self._stopped = current.board.version, current.stopped\n"
        "        self._row_count = dict(current.row_count)\n        if rows.error",
        "        self._version, self._stopped = 0, current.stopped\n"
        "        self._row_count = dict(current.row_count)\n        if rows.error",
        wire("a_known_state_costs_one_frame_and_no_query"),
    ),
    Mutant(
        "an update repeats everything",
        "lazyflow/session/client.py",
        "current.board.since(self._version)",
        "current.board.since(0)",
        wire("an_update_has_what_changed_and_nothing_else"),
    ),
    Mutant(
        "each client computes for itself",
        "lazyflow/session/session.py",
        "        for client in self.clients:\n            client.give(given, current)\n",
        "        current.bodies.clear()\n        for client in list(self.clients)[-1:]:\n"
        "            client.give(given, current)\n",
        wire("ten_clients_ten_frames_one_computation"),
    ),
    Mutant(
        "the queue of a client unbounded",
        "lazyflow/server/conversation.py",
        "asyncio.timeout(self._settings.client_timeout)",
        "asyncio.timeout(None)",
        ("tests/test_security.py::test_a_client_that_does_not_read_is_dropped",),
    ),
    Mutant(
        "answers to broken messages unbounded",
        "lazyflow/session/client.py",
        "        if len(self._errors) >= _ERRORS_KEPT:\n",
        "        if False:\n",
        ("tests/test_fuzz.py::test_who_does_not_read_its_errors_is_let_go",),
    ),
    Mutant(
        "a download that broke ends as if it were whole",
        "lazyflow/server/web.py",
        "            self._break_off()\n            return\n",
        "            self.finish()\n            return\n",
        ("tests/test_download.py::test_what_breaks_in_the_middle_has_no_end",),
    ),
    Mutant(
        "a download goes on when its reader has gone",
        "lazyflow/server/download.py",
        "            self._task.cancel()\n",
        "            pass\n",
        ("tests/test_download.py::test_who_goes_stops_the_query",),
    ),
    Mutant(
        "a download follows the session's view",
        "lazyflow/session/session.py",
        "state, flow = self.current.step.plan.state, self._flow.fork()",
        "state, flow = self.current.step.plan.state, self._flow",
        ("tests/test_download.py::test_a_newer_state_does_not_mix_into_a_download",),
    ),
    Mutant(
        "token not checked",
        "lazyflow/server/access.py",
        "            return self.token_right(given)\n",
        "            return True\n",
        ("tests/test_security.py::test_a_wrong_token_is_refused",),
    ),
    Mutant(
        "token not asked for",
        "lazyflow/server/guarded.py",
        "if needs_token and not access.admits(request.token, request.cookie):",
        "if False:",
        ("tests/test_security.py::test_without_the_token_nothing_but_health_is_answered",),
    ),
    Mutant(
        "Origin not checked",
        "lazyflow/server/access.py",
        "return urlsplit(origin).netloc == host.lower() or origin in self._origins",
        "return True",
        ("tests/test_security.py::test_a_foreign_origin_is_refused",),
    ),
    Mutant(
        "Host not checked",
        "lazyflow/server/guarded.py",
        "if not access.host_allowed(request.host):",
        "if False:",
        ("tests/test_security.py::test_a_foreign_host_is_refused",),
    ),
    Mutant(
        "the token in the log",
        "lazyflow/server/web.py",
        'self.request.uri = redacted(self.request.uri or "")',
        "pass",
        ("tests/test_security.py::test_the_log_does_not_have_the_token",),
    ),
    Mutant(
        "messages at any rate",
        "lazyflow/server/conversation.py",
        "        if delay:\n",
        "        if False:\n",
        ("tests/test_security.py::test_messages_beyond_the_rate_wait_and_none_is_lost",),
    ),
    Mutant(
        "a message too long is taken where it was read",
        "lazyflow/server/conversation.py",
        "        if len(message) > most or (isinstance(message, str) and len(message.encode()) > most):\n",
        "        if False:\n",
        ("tests/test_security.py::test_a_message_too_long_ends_its_connection_alone[asgi]",),
    ),
    Mutant(
        "nothing is sent to find out who does not read",
        "lazyflow/server/conversation.py",
        "                self._joined.repeat()\n",
        "                pass\n",
        ("tests/test_security.py::test_a_client_that_does_not_read_is_dropped[asgi]",),
    ),
    Mutant(
        "sessions of a mounted application outlive its server",
        "lazyflow/server/asgi.py",
        "        await anext(self._end)\n",
        "        pass\n",
        ("tests/test_asgi.py::test_the_end_of_the_loop_ends_the_sessions_of_what_is_mounted",),
    ),
    Mutant(
        "the token in the log of an ASGI server",
        "lazyflow/server/asgi.py",
        '    scope["query_string"] = redacted(f"?{query}")[1:].encode("latin-1")\n',
        "",
        ("tests/test_asgi.py::test_the_log_of_the_server_does_not_have_the_token",),
    ),
    Mutant(
        "what is asked for under a prefix is not found",
        "lazyflow/server/asgi.py",
        """.removeprefix(scope.get("root_path", "").rstrip("/"))""",
        "",
        ("tests/test_asgi.py::test_it_is_mounted_in_an_application_of_somebody_else",),
    ),
    Mutant(
        "who goes before anything was sent stays",
        "lazyflow/server/conversation.py",
        "            self._joined.leave()\n",
        "            pass\n",
        ("tests/test_server.py::test_who_goes_before_anything_was_sent_leaves",),
    ),
    Mutant(
        "changes are not measured",
        "lazyflow/session/session.py",
        "        self._when_ended(self.source, outcome)\n",
        "",
        ("tests/test_metrics.py::test_changes_are_counted_by_how_they_end_and_how_long_they_took",),
    ),
    Mutant(
        "an app's mistake fails the query that it is in",
        "lazyflow/statistics/queries.py",
        "            except StatisticError as error:\n                settled = Cell(error=error)\n",
        "            except StatisticError:\n                raise\n",
        parity("a_mistake_in_a_form_never_reaches_the_engine"),
    ),
    Mutant(
        "an app's mistake in the end leaves its cell",
        "lazyflow/statistics/building.py",
        '    except Exception as error:\n        log.exception("a statistic failed")\n',
        '    except ZeroDivisionError as error:\n        log.exception("a statistic failed")\n',
        parity("a_mistake_costs_its_own_cells", backend="duckdb-ends badly-counting"),
    ),
    Mutant(
        "an app's mistake is not seen when it is declared",
        "lazyflow/dataflow.py",
        "        try_builds(registry, own, backend.ns)\n",
        "",
        parity("a_mistake_in_a_declaration_is_an_error_at_once", backend="duckdb-raises"),
    ),
    Mutant(
        "own statistics before the built-in ones",
        "lazyflow/statistics/registry.py",
        'return statistic.group == "order" or statistic.name in self.own',
        'return statistic.group == "order"',
        parity("own_statistics_are_folded_and_come_last"),
    ),
    Mutant(
        "what ran out of time is taken for unwanted",
        "lazyflow/work/worker.py",
        "            if token.cancelled:\n                raise\n            self._ran_out(query, token)\n"
        "            return\n",
        "            raise\n",
        parity("what_runs_out_of_time_is_marked_and_costs_nothing_else"),
    ),
    Mutant(
        "a statistic out of time takes along what it was folded with",
        "lazyflow/work/worker.py",
        "        parts = query.singly()\n",
        "        parts = []\n",
        parity("what_runs_out_of_time_is_marked_and_costs_nothing_else"),
    ),
    Mutant(
        "what ran out of time is tried again by each view",
        "lazyflow/cache.py",
        "kept = cell.error is None or isinstance(cell.error, OutOfTime)",
        "kept = cell.error is None",
        parity("the_next_view_does_not_try_it_again"),
    ),
    Mutant(
        "no time budget",
        "lazyflow/work/worker.py",
        "        alarm = self.alarm(query.seconds, limited.cancel) if query.seconds is not None else None\n",
        "        alarm = None\n",
        parity("what_runs_out_of_time_is_marked_and_costs_nothing_else"),
    ),
    Mutant(
        "a statistic asked for alone waits for all others",
        "lazyflow/work/worker.py",
        "                query = self._next_alone(generation)\n"
        "                begun = generation._started and not generation._stopped\n",
        "                query = None\n                begun = bool(generation._started or generation._alone)\n",
        parity("a_statistic_can_be_asked_for_before_all_others"),
    ),
    Mutant(
        "who asks for a statistic is left without an answer",
        "lazyflow/session/session.py",
        "            client.computed(request, error)\n",
        "            pass\n",
        ("tests/test_statistic_requests.py::test_one_asks_and_all_are_told[duckdb]",),
    ),
    Mutant(
        "a hung statistics query stops all others",
        "lazyflow/work/worker.py",
        "            self._running = None\n            if self._worker is not None:\n",
        "            return\n            if self._worker is not None:\n",
        ("tests/test_faults.py::test_statistics_that_hang_are_given_up_and_a_newer_state_has_its_own[duckdb]",),
    ),
    Mutant(
        "row numbers of another order",
        "lazyflow/query.py",
        'plan.stages["shown"].digest, plan.sort_keys)',
        'plan.stages["shown"].digest)',
        parity("each_view_has_row_numbers_of_its_own_and_keeps_them"),
    ),
    Mutant(
        "row numbers of another search",
        "lazyflow/query.py",
        'plan.source.fingerprint.value, plan.stages["shown"].digest, plan.sort_keys)',
        "plan.source.fingerprint.value, plan.sort_keys)",
        parity("each_view_has_row_numbers_of_its_own_and_keeps_them"),
    ),
    Mutant(
        "ties by no position",
        "lazyflow/plan.py",
        "            order.append(table[ROW_NUMBER].asc())\n",
        "            order.append(table[ROW_NUMBER].desc())\n",
        parity("windows_are_the_same_before_and_after", backend="duckdb-ties"),
    ),
    Mutant(
        "rows by number in the order of the source",
        "lazyflow/query.py",
        "rows if self.numbers is None else rows.take(self._places)",
        "rows",
        parity("windows_are_the_same_before_and_after", backend="duckdb-ties"),
    ),
    Mutant(
        "rows by number that were not found",
        "lazyflow/query.py",
        "        if self.numbers is not None and answer.num_rows != len(self.numbers):\n",
        "        if False:\n",
        parity("an_engine_that_fails_leaves_the_view_as_it_was", backend="duckdb-at some rows by number"),
    ),
    Mutant(
        "row numbers in the rows phase",
        "lazyflow/query.py",
        "    deferred = True\n",
        "    deferred = False\n",
        parity("row_numbers_are_no_part_of_the_rows_phase"),
    ),
    Mutant(
        "unwanted row numbers are not cancelled",
        "lazyflow/work/generation.py",
        "            return self.prepare_query is not None and self.prepare_query.key == query.key\n",
        "            return True\n",
        parity("a_newer_state_takes_row_numbers_off_the_engine"),
    ),
    Mutant(
        "windows wait for row numbers",
        "lazyflow/windows.py",
        "        query, straight = RowsQuery(self.plan, *window, columns), CancelToken()\n",
        "        self.generation.wait_prepared()\n"
        "        query, straight = RowsQuery(self.plan, *window, columns), CancelToken()\n",
        parity("windows_are_the_same_while_row_numbers_are_prepared"),
    ),
    Mutant(
        "row numbers without a bound",
        "lazyflow/work/worker.py",
        "Memo(row_numbers_bytes, lambda numbers: numbers.nbytes)",
        "Memo(row_numbers_bytes)",
        parity("row_numbers_are_kept_within_a_bound"),
    ),
    Mutant(
        "rows are sorted by a column that was left out",
        "lazyflow/pruning.py",
        "    needed = {key.column for key in plan.sort_keys}.union(inside)\n",
        "    needed = set(inside)\n",
        parity("rows_of_columns_in_sight", backend="duckdb-filtered and sorted-given"),
    ),
    Mutant(
        "columns out of sight are asked for with those in sight",
        "lazyflow/pruning.py",
        "    if len(raw.columns) <= WIDE or plan.transformed or not plan.positional:\n",
        "    if True:\n",
        parity("columns_out_of_sight_are_not_asked_for"),
    ),
    Mutant(
        "row numbers that somebody asked for come after statistics",
        "lazyflow/work/worker.py",
        "                if query is None and begun and asked is None:\n",
        "                if query is None and begun:\n",
        ("tests/test_deep.py::test_row_numbers_that_somebody_asks_for_come_before_statistics",),
    ),
    Mutant(
        "a file that is new in a folder is not noticed",
        "lazyflow/fingerprint.py",
        "        if self.listed is not None:\n",
        "        if False:\n",
        parity("a_change_is_told_until_a_refresh", backend="duckdb-folder-added"),
    ),
    Mutant(
        "a changed file fails statistics cell by cell",
        "lazyflow/work/worker.py",
        "        except SourceChanged:\n            raise\n        except LazyflowError as error:\n",
        "        except LazyflowError as error:\n",
        parity("a_change_is_told_until_a_refresh", backend="duckdb-folder-written"),
    ),
    Mutant(
        "a flow does not follow its files",
        "lazyflow/dataflow.py",
        "        if self._shared.auto_refresh and self.outdated:\n",
        "        if False:\n",
        parity("a_flow_that_follows_its_files"),
    ),
    Mutant(
        "files come in any order",
        "lazyflow/listing.py",
        "    return tuple(sorted(files, key=str))\n",
        "    return tuple(sorted(files, key=lambda path: path.name))\n",
        parity("rows_come_by_path_and_then_by_position"),
    ),
    Mutant(
        "DataFusion is given the files as they are",
        "backends/lazyflow_xorq/opening.py",
        'f"{number:08}"',
        'f"{99 - number:08}"',
        parity("rows_come_by_path_and_then_by_position", backend="xorq"),
    ),
    Mutant(
        "a folder's value hides a column of its files",
        "lazyflow/files.py",
        "        return tuple(found for found in self.partitions if found.name not in own)\n",
        "        return self.partitions\n",
        parity("a_files_own_column_stands"),
    ),
    Mutant(
        "the types of partitions are guessed by the first value",
        "lazyflow/partitions.py",
        "for text in present):",
        "for text in present[:1]):",
        parity("values_in_paths", backend="duckdb-large"),
    ),
    Mutant(
        "a reader is read again at a refresh",
        "lazyflow/dataflow.py",
        "        if reads_once(data):\n",
        "        if False:\n",
        parity("a_reader_is_read_once_and_that_is_said"),
    ),
    Mutant(
        "CSV files of other columns are joined",
        "backends/lazyflow_duckdb/guessing.py",
        "        _check_headers(connection, paths)\n",
        "        pass\n",
        parity("files_of_other_columns_are_named", backend="duckdb-csv"),
    ),
    Mutant(
        "a filter on a partition reads all files",
        "backends/lazyflow_duckdb/files.py",
        '    return f"MAP {{{pairs}}}[{_FILE}]"\n',
        '    return f"CAST(CAST(MAP {{{pairs}}}[{_FILE}] AS VARCHAR) AS {type})"\n',
        ("tests/test_sources.py::test_a_filter_on_a_partition_reads_its_files_alone",),
    ),
    Mutant(
        "a database is looked into, and its lock lost",
        "lazyflow/files.py",
        "    log = path.with_name(",
        "    path.open('rb').close()\n    log = path.with_name(",
        ("tests/test_show_sources.py::test_a_database_that_somebody_writes_to",),
    ),
    Mutant(
        "the fields of a struct are one sort key",
        "lazyflow/plan.py",
        "first.setdefault((key.column, key.places), key)",
        "first.setdefault(key.column, key)",
        parity("sort_by_fields_of_structs", backend="duckdb-at.inner.deep"),
    ),
    Mutant(
        "the SQL of a view forgets its sort",
        "backends/lazyflow_duckdb/backend.py",
        "        table = plan.named(plan.ordered)\n",
        "        table = plan.named(plan.shown)\n",
        parity("sql_of_sorts_with_ties"),
    ),
    Mutant(
        "the SQL of a view indents names",
        "lazyflow/sql.py",
        'if node.key == "identifier" and "\\n" in node.name:',
        "if False:",
        parity("sql_of_names", backend="duckdb-lines"),
    ),
    Mutant(
        "views of lists are cast, which loses their elements",
        "lazyflow/plain.py",
        "    if is_list(type):  # not by a cast",
        "    if False:  # not by a cast",
        parity("every_type_in_memory", backend="duckdb-list views"),
    ),
    Mutant(
        "answers are cast by the names of fields",
        "lazyflow/plain.py",
        "            column = pa.chunked_array([_in_type(chunk, type) for chunk in column.chunks], type)",
        "            column = column.cast(type)",
        parity("every_type_in_memory", backend="duckdb-structs of fields alike"),
    ),
    Mutant(
        "fields of structs that differ in case are one",
        "lazyflow/fields.py",
        "places.append([field.name for field in type].index(step))",
        "places.append([field.name.lower() for field in type].index(step.lower()))",
        parity("names_of_fields_in_structs"),
    ),
    Mutant(
        "DuckDB reads times of day by itself, whatever their unit",
        "backends/lazyflow_duckdb/lossless.py",
        'return type != pa.time64("ns") and not',
        "return not",
        parity("units_of_time_are_those_of_the_file", backend="duckdb-naive-ns"),
    ),
    Mutant(
        "DuckDB makes floats of long decimals",
        "backends/lazyflow_duckdb/lossless.py",
        " and not (pat.is_decimal(type) and type.precision > 38)",
        "",
        parity("every_type_in_a_file", backend="duckdb-decimal256(76, 4)"),
    ),
    Mutant(
        "DuckDB reads timestamps at which it fails",
        "backends/lazyflow_duckdb/lossless.py",
        "if any(abs(end) > _MOST_MILLISECONDS for end in ends):",
        "if not ends:",
        parity("moments_at_the_ends_of_64_bits_spoil_no_rows"),
    ),
    Mutant(
        "units of time are DuckDB's",
        "backends/lazyflow_duckdb/opening.py",
        "        columns = (*written, *columns[len(written) :])",
        "        columns = columns",
        parity("units_of_time_are_those_of_the_file", backend="duckdb-naive-ms"),
    ),
    Mutant(
        "years that Python does not have are left to it",
        "lazyflow/types.py",
        "    return is_far_day(days)",
        "    return False",
        parity("statistics_of_far_years", backend="duckdb-counting-far date"),
    ),
    Mutant(
        "years with a sign are moved by a cycle too few",
        "lazyflow/moments.py",
        "cycles * _CYCLE_DAYS",
        "(cycles - 1) * _CYCLE_DAYS",
        parity("filters_and_order_of_far_years", backend="duckdb-far date"),
    ),
    Mutant(
        "names keep control characters",
        "lazyflow/source.py",
        """text = _NO_TEXT.sub("\\ufffd", str(name))""",
        "text = str(name)",
        parity("what_is_no_text_in_a_name_is_replaced"),
    ),
    Mutant(
        "sort keys of pandas have their own names",
        "backends/lazyflow_pandas/backend.py",
        "columns[str(number)] = _sortable(values)\n                keys.append((str(number),",
        "columns[column] = _sortable(values)\n                keys.append((column,",
        parity("hostile_names_are_unharmed", backend="pandas-paths"),
    ),
    Mutant(
        "objects of no common type are refused",
        "lazyflow/data.py",
        "        array = None\n",
        "        raise\n",
        parity("objects_of_no_common_type_are_text", backend="duckdb-texts and numbers"),
    ),
    Mutant(
        "names of types are shown as they are",
        "lazyflow/show/rows.py",
        "cut(printable(str(values.type)), widest)",
        "cut(str(values.type), widest)",
        ("tests/test_hostile.py::test_the_page_has_no_character_that_moves_the_cursor",),
    ),
    Mutant(
        "errors are shown as they are",
        "lazyflow/cli.py",
        "printable(' '.join(message.split()))",
        "' '.join(message.split())",
        ("tests/test_hostile.py::test_errors_are_one_short_line_whatever_the_names",),
    ),
    Mutant(
        "events keep what ends a line",
        "lazyflow/show/events.py",
        '_MOVING.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)',
        "text",
        ("tests/test_hostile.py::test_events_are_lines_of_json_whatever_is_in_them",),
    ),
    Mutant(
        "statistics that were stopped go on in the engine",
        "lazyflow/work/worker.py",
        "            if wanted:\n                generation.queries_cancelled += self._leave_off()\n",
        "",
        ("tests/test_stopping.py::test_the_engine_is_left_and_rows_come_on[duckdb]",),
    ),
    Mutant(
        "statistics that were stopped are asked for again",
        "lazyflow/work/worker.py",
        "begun = generation._started and not generation._stopped",
        "begun = generation._started",
        ("tests/test_stopping.py::test_the_engine_is_left_and_rows_come_on[duckdb]",),
    ),
    Mutant(
        "statistics that somebody else wants are stopped",
        "lazyflow/work/generation.py",
        "self._alone.keys() if self._stopped else self.wanted.keys",
        "self.wanted.keys",
        ("tests/test_stopping.py::test_what_somebody_else_wants_goes_on[duckdb]",),
    ),
    Mutant(
        "the viewer shows frames of older views",
        "lazyflow/viewer/src/store.ts",
        "    if (this.#refuses(header)) return",
        "    if (this.#refuses(header) && !header) return",
        VIEWER,
    ),
    Mutant(
        "the viewer takes a state that it refused for what was asked",
        "lazyflow/viewer/src/client.ts",
        'if (this.store.take(frame) !== "refused") {',
        'if (this.store.take(frame) !== "nothing") {',
        VIEWER,
    ),
    Mutant(
        "the viewer forgets what was asked while the connection was lost",
        "lazyflow/viewer/src/client.ts",
        "this.#unsent ||= this.changing;",
        "this.#unsent ||= false;",
        VIEWER,
    ),
    Mutant(
        "the viewer asks again for rows that are on their way",
        "lazyflow/viewer/src/client.ts",
        "    if (same && asking.window[0] <= first && last <= asking.window[1]) return;\n",
        "",
        VIEWER,
    ),
    Mutant(
        "the viewer does not say that it read a frame in a notebook",
        "lazyflow/viewer/src/channel.ts",
        'model.send({ type: "taken", view });',
        "",
        VIEWER,
    ),
    Mutant(
        "a widget sends views more than they read",
        "lazyflow/widget/channel.py",
        "while self._unread >= AHEAD:",
        "while False:",
        ("tests/test_widget.py::test_a_view_that_does_not_read_is_sent_no_more_until_it_does",),
    ),
    Mutant(
        "a view that leaves before it began stays in the session",
        "lazyflow/widget/channel.py",
        "self._views.pop(name).client.leave()",
        "self._views.pop(name)",
        ("tests/test_widget.py::test_a_view_that_leaves_at_once_leaves_the_session",),
    ),
    Mutant(
        "a saved notebook has HTML of the data",
        "lazyflow/widget/fallback.py",
        "return escape(_short(printable(text)))",
        "return _short(printable(text))",
        ("tests/test_widget.py::test_a_saved_notebook_has_rows_and_statistics_that_are_nothing_but_text",),
    ),
    Mutant(
        "a closed widget leaves its thread",
        "lazyflow/widget/explorer.py",
        "    loop.end()\n",
        "",
        ("tests/test_widget.py::test_nothing_is_left_of_a_closed_widget",),
    ),
    Mutant(
        "a state set in Python is not waited for",
        "lazyflow/widget/explorer.py",
        "self._loop.run(self._change(state))",
        "self._loop.post(print, state)",
        ("tests/test_widget.py::test_a_state_set_in_python_is_a_new_change_in_every_view",),
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
    packages = Path("lazyflow", "viewer", "node_modules")
    if (ROOT / packages).is_dir():
        (folder / packages).symlink_to(ROOT / packages)
    (folder / "witness.py").write_text(WITNESS)
    for module in set(HOMES.values()):
        (folder / "tests" / f"test_cases_of_{module}.py").write_text(f"from lazyflow.testing.{module} import *\n")


def mutate(folder: Path, mutant: Mutant) -> str | None:
    """Apply a mutant to a copy; what is wrong with it, or None."""
    path = folder / mutant.file
    text = path.read_text()
    found = text.count(mutant.original)
    if found != 1:
        return f"stale: the original text occurs {found} times in {mutant.file}"
    path.write_text(text.replace(mutant.original, mutant.replacement))
    return None


class Runners:
    """Processes that run tests; as many at once as there are."""

    def __init__(self, number: int) -> None:
        command = [sys.executable, str(ROOT / "tests" / "preloaded.py")]
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self._all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        for process in self._all:
            self._free.put(process)

    def run(self, folder: Path, tests: tuple[str, ...], *options: str) -> Outcome:
        """Run tests on a copy, in a process of their own."""
        arguments = ["-q", "-p", "witness", "-p", "no:cacheprovider", "-n", "0", *options, *tests]
        order = {"folder": str(folder), "arguments": arguments, "seconds": TIMEOUT}
        process = self._free.get()
        assert process.stdin is not None
        assert process.stdout is not None
        began = time.monotonic()
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        code = json.loads(process.stdout.readline())
        self._free.put(process)
        seconds, output = time.monotonic() - began, (folder / "output.txt").read_text()
        report = folder / "failed.json"
        failed = json.loads(report.read_text()) if report.exists() else []
        if code is None:
            return Outcome("endless", seconds, output)
        if code == 0:
            return Outcome("passed", seconds, output)
        if code == 1 and failed:
            return Outcome("failed", seconds, output)
        return Outcome("broken", seconds, output)

    def end(self) -> None:
        """Let them go."""
        for process in self._all:
            process.communicate()


def try_mutant(runners: Runners, mutant: Mutant) -> tuple[str, Outcome]:
    """What became of a mutant: killed, survived, or an error in words."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        copied(folder)
        stale = mutate(folder, mutant)
        if stale is not None:
            return stale, Outcome("stale", 0.0, "")
        outcome = runners.run(folder, mutant.tests, "-x")
    words = {"failed": "killed", "passed": "SURVIVED", "endless": "ENDLESS", "broken": "BROKEN"}
    return words[outcome.word], outcome


def unchanged(runners: Runners, tests: Sequence[str]) -> Outcome:
    """Run tests on a copy without any change: one that fails there would kill every mutant."""
    with tempfile.TemporaryDirectory(prefix="mutant-none-") as name:
        folder = Path(name)
        copied(folder)
        return runners.run(folder, tuple(tests))


def main(names: list[str]) -> int:
    """Try the mutants of these names, or all; 0 if every one is killed."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no such mutant: {', '.join(sorted(unknown))}; there are: {', '.join(m.name for m in MUTANTS)}")
        return 2
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    began = time.monotonic()
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    shares = [share for share in (tests[place::AT_ONCE] for place in range(AT_ONCE)) if share]
    runners = Runners(AT_ONCE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(partial(unchanged, runners), shares):
            if outcome.word != "passed":
                print(f"the tests do not pass without a change ({outcome.word}):\n{outcome.output[-3000:]}")
                return 2
    width = max(len(mutant.name) for mutant in chosen)
    survived = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, (words, outcome) in zip(chosen, pool.map(partial(try_mutant, runners), chosen), strict=True):
            print(f"{mutant.name:{width}}  {outcome.seconds:5.1f} s  {words}", flush=True)
            if words != "killed":
                survived += 1
                print(outcome.output[-2000:])
    runners.end()
    print(f"{len(chosen) - survived} of {len(chosen)} killed, {time.monotonic() - began:.0f} s")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
