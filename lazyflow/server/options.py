"""The options of `lazyflow serve`, one for each setting, and those that `lazyflow show` has too."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from lazyflow.settings import Setting, settings

F = TypeVar("F", bound=Callable[..., Any])


def settings_options(command: F) -> F:
    """Give a command an option for each row of the table; their values come as keyword arguments of their names."""
    for item in reversed(list(settings())):
        command = _option(item)(command)
    return command


def cache_options(command: F) -> F:
    """Give a command the options of the cache on disk alone."""
    for item in reversed([item for item in settings() if item.name.startswith("cache_")]):
        command = _option(item)(command)
    return command


def _option(item: Setting) -> Callable[[F], F]:
    shared: dict[str, Any] = {"envvar": item.variable, "show_envvar": True, "help": item.help, "default": item.default}
    if item.kind is bool:
        return click.option(item.option, item.name, is_flag=True, **shared)
    if item.several:
        return click.option(item.option, item.name, multiple=True, metavar="A,B,...", callback=_split, **shared)
    callback = _maybe_empty if item.default is None else None
    metavar = item.unit.upper()
    return click.option(
        item.option, item.name, type=item.kind, metavar=metavar, show_default=True, callback=callback, **shared
    )


def _split(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values of an option that is given several times, or with commas, or both."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _maybe_empty(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """The value, where an empty one is not none at all: click passes over variables that are empty."""
    return os.environ.get(str(option.envvar)) if value is None else value
