"""The settings of the live service, as one table: options, environment variables and docs/settings.md come from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from lazyflow.disk import DEFAULT_BYTES
from lazyflow.errors import InvalidInput

PREFIX = "LAZYFLOW_"

_LAST_PORT = 65_535


def _setting(default: Any, unit: str, help: str) -> Any:
    return field(default=default, metadata={"unit": unit, "help": help})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set of the live service. Each field is an option and an environment variable too.

    >>> Settings(max_sessions=3).max_sessions
    3
    >>> Settings(max_sessions=0)
    Traceback (most recent call last):
    lazyflow.errors.InvalidInput: max_sessions is at least 1, not 0
    """

    host: str = _setting("127.0.0.1", "address", "Where the server listens.")
    port: int = _setting(8473, "port", "Where the server listens; 0 takes any free port.")
    token: str | None = _setting(
        None, "text", "What a client must know; made anew at each start unless given, empty for none."
    )
    allow_hosts: tuple[str, ...] = _setting(
        (), "names", "Further names under which the server is reached, such as that of a proxy."
    )
    allow_origins: tuple[str, ...] = _setting(
        (), "origins", "Further origins whose pages may connect, such as https://app.example.org."
    )
    insecure: bool = _setting(False, "flag", "Serve without a token on addresses beyond loopback too.")
    max_sessions: int = _setting(100, "sessions", "Sessions at a time; further ones are refused.")
    max_clients: int = _setting(1000, "clients", "Clients at a time; further ones are refused.")
    max_downloads: int = _setting(4, "downloads", "Downloads at a time; further ones are refused.")
    session_expiry: float = _setting(300.0, "seconds", "How long a session without clients is kept.")
    max_window_rows: int = _setting(10_000, "rows", "Rows of a window.")
    max_columns: int = _setting(500, "columns", "Columns of a window.")
    max_message_bytes: int = _setting(
        1_000_000, "bytes", "Size of a client's message; a longer one ends the connection."
    )
    max_messages_per_second: float = _setting(100.0, "messages", "How fast a client's messages are read.")
    client_timeout: float = _setting(
        30.0, "seconds", "How long a frame may wait for a client that does not read; then the connection ends."
    )
    ping_interval: float = _setting(20.0, "seconds", "How often it is asked whether a silent client is still there.")
    rows_timeout: float = _setting(60.0, "seconds", "How long the engine may take for rows; then the query is stopped.")
    statistic_budget: float = _setting(
        30.0,
        "seconds",
        "How long the engine may take for one statistic; what runs out is marked, and can be asked for.",
    )
    statistics_timeout: float = _setting(
        300.0, "seconds", "How long the engine may take until some statistic is known; then they are given up."
    )
    cache_directory: str | None = _setting(
        None, "path", "Where statistics of files are kept for another day and other processes; none are unless given."
    )
    cache_directory_bytes: int = _setting(DEFAULT_BYTES, "bytes", "Size of all files of the cache directory together.")

    def __post_init__(self) -> None:
        for item in settings():
            value = getattr(self, item.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                least = 0 if item.name in ("port", "session_expiry") else 1 if isinstance(value, int) else 0.001
                if not least <= value < math.inf:
                    raise InvalidInput(f"{item.name} is at least {least}, not {value}")
        if self.port > _LAST_PORT:  # Linux would count on from 0
            raise InvalidInput(f"port is at most {_LAST_PORT}, not {self.port}")


@dataclass(frozen=True)
class Setting:
    """One row of the table: `kind` is the Python type of a value, or of each where there are several."""

    name: str
    default: Any
    unit: str
    help: str
    kind: type
    several: bool

    @property
    def option(self) -> str:
        """The option of the command line.

        >>> [item.option for item in settings()][:3]
        ['--host', '--port', '--token']
        """
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable; several values have commas between them."""
        return PREFIX + self.name.upper()


def settings() -> Iterator[Setting]:
    """The rows of the table."""
    hints = get_type_hints(Settings)
    for item in fields(Settings):
        hint = hints[item.name]
        several = hint == tuple[str, ...]
        kind = str if several or hint == str | None else hint
        yield Setting(item.name, item.default, item.metadata["unit"], item.metadata["help"], kind, several)
