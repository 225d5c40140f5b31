"""The settings as one table: what the document says, what the command takes, what the environment gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import lazyflow as lf
from lazyflow.cli import main
from lazyflow.server.options import settings_options
from lazyflow.settings import Setting, Settings, settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def _shown(item: Setting) -> str:
    if item.several or item.default in (None, ""):
        return ""
    if item.kind is bool:
        return "on" if item.default else "off"
    return f"{item.default:g}" if item.kind is float else str(item.default)


def table() -> str:
    """The table of docs/settings.md."""
    lines = ["| option | variable | default | unit | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{item.option}` | `{item.variable}` | {_shown(item)} | {item.unit} | {item.help} |" for item in settings()
    ]
    return "\n".join(lines) + "\n"


def test_the_document_has_the_table() -> None:
    found = re.search(r"^\| option .*?(?=^\n|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert found[0] == table(), "docs/settings.md: `python -m tests.test_settings` writes it anew"


@click.command()
@settings_options
@click.pass_context
def command(context: click.Context, **values: Any) -> None:
    context.find_root().obj.append(Settings(**values))


def parsed(*words: str, **environment: str) -> Settings:
    found: list[Settings] = []
    result = CliRunner().invoke(command, words, env=environment, obj=found, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def values() -> Iterator[tuple[str, str, Any]]:
    for item in settings():
        if item.several:
            yield item.name, "https://a.example,https://b.example", ("https://a.example", "https://b.example")
        else:
            yield item.name, *{bool: ("1", True), int: ("7", 7), float: ("0.5", 0.5), str: ("some", "some")}[item.kind]


def test_without_words_all_is_default() -> None:
    assert parsed() == Settings()


@pytest.mark.parametrize(("name", "text", "value"), list(values()))
def test_each_setting_is_an_option_and_a_variable(name: str, text: str, value: Any) -> None:
    (item,) = [item for item in settings() if item.name == name]
    words = [item.option] if item.kind is bool else [item.option, text]
    expected = Settings(**{name: value})
    assert parsed(*words) == expected
    assert parsed(**{item.variable: text}) == expected
    assert parsed(*words, **{item.variable: "3" if item.kind in (int, float) else text}) == expected


def test_the_command_has_every_setting() -> None:
    page = CliRunner().invoke(main, ["serve", "--help"]).output
    for item in settings():
        assert f"  {item.option} " in page
        assert item.variable in page


def test_an_empty_token_is_a_token_too() -> None:
    assert parsed(LAZYFLOW_TOKEN="").token == ""
    assert parsed("--token", "").token == ""
    assert parsed("--token", "x", LAZYFLOW_TOKEN="").token == "x"
    assert parsed().token is None


def test_several_values_are_given_again_or_with_commas() -> None:
    expected = ("a", "b", "c")
    assert parsed("--allow-hosts", "a,b", "--allow-hosts", "c").allow_hosts == expected
    assert parsed(LAZYFLOW_ALLOW_HOSTS="a, b,c").allow_hosts == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--max-sessions", "0"), "max_sessions is at least 1"),
        (("--client-timeout", "nan"), "client_timeout is at least 0.001"),
        (("--port", "-1"), "port is at least 0"),
        (("--port", "many"), "'many' is not a valid integer"),
        (("--allow-origins", "app.example.org"), "an origin is a scheme and a host"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[str, ...], expected: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--demo", *words])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_bad_settings_are_input_errors() -> None:
    with pytest.raises(lf.InvalidInput):
        Settings(rows_timeout=0)


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(re.sub(r"^\| option .*?(?=^\n|\Z)", lambda _: table(), text, flags=re.MULTILINE | re.DOTALL))
