"""What `lazyflow serve` does: open the tables, listen, say where, and leave nothing behind."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import signal
import socket
import sys
import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

import click
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from lazyflow.dataflow import DataFlow
from lazyflow.errors import InvalidInput
from lazyflow.server.access import Access
from lazyflow.server.app import close_app, make_app
from lazyflow.server.interpreter import tune_interpreter
from lazyflow.settings import Settings
from lazyflow.state import State
from lazyflow.statistics.registry import Statistic

_REQUEST_BYTES = 65_536
"""Bound on the head and on the body of a request; the service takes no bodies."""

_IDLE = 120.0
"""Seconds that a connection without a request is kept."""


def table_names(paths: Iterable[str]) -> list[str]:
    """Names for tables: the stem of the file, numbered where several have the same.

    >>> table_names(["a/flights.parquet", "b/flights.csv", "data/*.parquet", "data/part-*.csv"])
    ['flights', 'flights-2', 'data', 'part']
    """
    names: list[str] = []
    for path in paths:
        pure = PurePath(path)
        stem = re.split(r"[*?\[]", pure.stem)[0].strip(" -_.") or pure.parent.name or "table"
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


class Table(NamedTuple):
    """What is to be served under a name: whatever `DataFlow` takes, and the name of its backend or None."""

    data: Any
    backend: str | None = None


def serve_tables(
    tables: Mapping[str, Table],
    settings: Settings,
    debug: bool,
    statistics: Iterable[Statistic] = (),
    table: str | None = None,
) -> None:
    """Serve tables until the process is told to end.

    Parameters
    ----------
    tables
        Name -> table.
    settings
        All settings.
    debug
        Whether everything is logged.
    statistics
        An app's own.
    table
        Which table of a database file, where that is what is served.

    Raises
    ------
    InvalidInput
        If the address cannot be listened at.
    KeyboardInterrupt
        After everything is closed, if that is how it was ended.
    """
    log_to_stderr(debug)
    settings = replace(settings, token=Access(settings).token)  # refuses, where it does, before anything is opened
    with ExitStack() as stack:
        sockets = _listen(settings.host, settings.port)
        for each in sockets:
            stack.callback(each.close)
        own = tuple(statistics)
        flows = {
            name: stack.enter_context(
                DataFlow(
                    data,
                    backend,
                    table=table,
                    cache_directory=settings.cache_directory,
                    cache_directory_bytes=settings.cache_directory_bytes,
                    statistics=own,
                )
            )
            for name, (data, backend) in tables.items()
        }
        app = make_app(flows, settings, None)
        for flow in flows.values():
            flow.compile(State())  # loads what compiling needs
        tune_interpreter()
        if asyncio.run(_serve(app, sockets, settings)) == signal.SIGINT:
            raise KeyboardInterrupt


async def _serve(app: Application, sockets: list[socket.socket], settings: Settings) -> signal.Signals:
    """Serve until a signal comes; which one."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[signal.Signals] = loop.create_future()

    def end(by: signal.Signals) -> None:
        # A second signal is not to wait for what the first one closes.
        loop.remove_signal_handler(by)
        if not ended.done():
            ended.set_result(by)

    for by in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(by, end, by)
    server = HTTPServer(
        app,
        max_header_size=_REQUEST_BYTES,
        max_body_size=_REQUEST_BYTES,
        max_buffer_size=max(_REQUEST_BYTES, settings.max_message_bytes) * 2,
        idle_connection_timeout=_IDLE,
        body_timeout=_IDLE,
    )
    server.add_sockets(sockets)
    click.echo(f"lazyflow: {_url(sockets[0], settings.host, app.settings['access'].token)}")
    sys.stdout.flush()
    try:
        return await ended
    finally:
        server.stop()
        await close_app(app)
        await server.close_all_connections()


def _listen(host: str, port: int) -> list[socket.socket]:
    where = f"{host or '*'}:{port}"
    try:
        return bind_sockets(port, host)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InvalidInput(f"{where} is in use: choose another with --port; 0 takes any that is free") from error
        raise InvalidInput(f"cannot listen at {where}: {error.strerror or error}") from error
    except UnicodeError as error:  # of the host's name
        raise InvalidInput(f"cannot listen at {where}: {error}") from error


def _url(bound: socket.socket, host: str, token: str) -> str:
    """The address to open in a browser; where every address is listened at, that of this machine."""
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    name = f"[{here}]" if ":" in here and not here.startswith("[") else here
    query = f"?token={quote(token, safe='')}" if token else ""
    return f"http://{name}:{bound.getsockname()[1]}/{query}"


def log_to_stderr(debug: bool) -> None:
    """Write changes and failures to stderr; with `debug` everything."""
    logging.basicConfig(
        level=logging.INFO if debug else logging.ERROR, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("lazyflow").setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("lazyflow.changes").setLevel(logging.INFO)
    if not debug:
        warnings.simplefilter("ignore")
