"""Functions of test modules, run in processes of their own: `start(function, *arguments)()` waits for its result."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazyflow.testing.control import PATIENCE


def start(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Call a function of a module, by JSON, in a new interpreter; returns how to wait for what it returns."""
    command = [sys.executable, "-m", "tests.processes", function.__module__, function.__name__, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent, env=environment, text=True
    )

    def result() -> Any:
        output, _ = process.communicate(timeout=PATIENCE * 20)
        assert process.returncode == 0, f"{function.__name__} ended with {process.returncode}"
        return json.loads(output.splitlines()[-1])

    return result


if __name__ == "__main__":
    module, name, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(arguments))))
