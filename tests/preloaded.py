"""Runs pytest on copies of the packages, each in a fork of a process that has the libraries loaded already.

`python tests/preloaded.py` takes orders as lines of JSON at its standard input: `folder`, the copy; `arguments`, those
of pytest; `seconds`, after which it is ended. It answers each with a line: the exit code, or null where it was ended.
What pytest says is in `output.txt` of the copy.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

LIBRARIES = (
    "pytest", "hypothesis", "numpy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "duckdb", "ibis", "sqlglot",
    "ibis.backends.duckdb", "ibis.backends.sqlite", "xorq.api", "xorq.backends.pandas.executor", "tornado.web",
    "tornado.httpserver", "tornado.websocket", "msgspec", "click", "rich.table", "asyncio",
)  # fmt: skip
"""They take two seconds to load, most tests of a mutant less than one to run."""

ROOT = Path(__file__).parent.parent


def run(folder: Path, arguments: list[str]) -> int:
    """Run pytest on a copy, in this process, of which nothing is needed afterwards."""
    os.setsid()
    os.chdir(folder)
    ours = [str(folder), str(folder / "backends")]
    os.environ |= {
        "MUTANT": str(folder),
        "PYTHONPATH": os.pathsep.join(ours),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAZYFLOW_PATIENCE": "4",
    }
    sys.dont_write_bytecode = True
    sys.path[:] = ours + [path for path in sys.path if path not in ("", str(ROOT), str(ROOT / "tests"))]
    target = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    import pytest

    return int(pytest.main(arguments))


def wait(child: int, seconds: float) -> int | None:
    """The exit code of a child, which is ended after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    """Do what is ordered until there are no more orders."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(Path(order["folder"]), order["arguments"])
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(json.dumps(wait(child, order["seconds"])), flush=True)


if __name__ == "__main__":
    main()
