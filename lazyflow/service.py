"""The tables that are served, and the sessions on them: who may join, and when a session ends."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from lazyflow.dataflow import DataFlow
from lazyflow.formats import FileFormat
from lazyflow.protocol import CLOSE_CODES, Join, Outcome, Refused
from lazyflow.session import Client, Session
from lazyflow.settings import Settings
from lazyflow.state import State
from lazyflow.threads import dismiss_idle

if TYPE_CHECKING:
    from lazyflow.metrics import Metrics

log = logging.getLogger("lazyflow.service")

_PATIENCE = 5.0
"""Seconds for which `close` waits for threads that a stopped query still holds."""


class Service:
    """Sessions over flows, for whatever carries their messages; all of it on one event loop.

    Parameters
    ----------
    flows
        Name of a table -> its flow. They stay the caller's: `close` leaves them open.
    settings
        Bounds and times.

    Attributes
    ----------
    metrics
        What it measures of itself since `measure`, else None.

    Examples
    --------
    >>> import pyarrow as pa
    >>> async def first_frame():
    ...     with DataFlow(pa.table({"x": [1, 2, 3]})) as flow:
    ...         service = Service({"numbers": flow})
    ...         client = service.join(Join(body="json"))
    ...         async for frame in client.frames():
    ...             await service.close()
    ...             return frame.header.schema[0].name, frame.body
    >>> asyncio.run(first_frame())
    ('x', b'[[1,2,3]]')
    """

    def __init__(self, flows: Mapping[str, DataFlow], settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.metrics: Metrics | None = None
        self._flows = dict(flows)
        self._turns = {name: asyncio.Semaphore(1) for name in flows}
        self._sessions: dict[str, Session] = {}
        self._expiring: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(self._flows)

    @property
    def session_count(self) -> int:
        """How many sessions there are now."""
        return len(self._sessions)

    @property
    def client_count(self) -> int:
        """How many clients there are now."""
        return sum(len(session.clients) for session in self._sessions.values())

    @property
    def download_count(self) -> int:
        """How many downloads are under way."""
        return sum(session.downloads for session in self._sessions.values())

    def measure(self) -> None:
        """Measure from now on, if it does not yet, and if Prometheus' client library is installed."""
        if self.metrics is not None:
            return
        try:
            made = import_module("lazyflow.metrics").Metrics
        except ImportError:
            return
        self.metrics = made(lambda: self.session_count, lambda: self.client_count, lambda: self.download_count)

    def _ended(self, table: str, outcome: Outcome) -> None:
        if self.metrics is not None:
            self.metrics.change_ended(table, outcome)

    def join(self, join: Join) -> Client:
        """A client of a session: of the one that it names, else of a new one.

        Raises
        ------
        Refused
            If there is no such session or source, or the service takes no more.
        InvalidValue
            If the window is none.
        """
        if self._closed:
            raise Refused("no_such_session")
        if self.client_count >= self.settings.max_clients:
            raise Refused("too_many_clients")
        if join.session is None:
            return self._open(join)
        session = self._sessions.get(join.session)
        if session is None or join.source not in (None, session.source):
            raise Refused("no_such_session")
        client = Client(session, join)
        session.join(client)
        self._keep(session.name)
        return client

    def download(self, session: str, format: FileFormat) -> tuple[str, AsyncGenerator[bytes, None]]:
        """All rows and columns of a session's current view as a file.

        Parameters
        ----------
        session
            Name of the session.
        format
            As what.

        Returns
        -------
        str, async generator of bytes
            The name of the table, and the parts of the file, none computed before the last one is taken; see
            `Session.download`. Close it to stop.

        Raises
        ------
        Refused
            If there is no such session, or the service gives no more downloads.
        """
        found = self._sessions.get(session)
        if found is None:
            raise Refused("no_such_session")
        if self.download_count >= self.settings.max_downloads:
            raise Refused("too_many_downloads")
        return found.source, found.download(format)

    def _open(self, join: Join) -> Client:
        source = join.source if join.source is not None or len(self._flows) != 1 else next(iter(self._flows))
        if source is None or source not in self._flows:
            raise Refused("no_such_source")
        if len(self._sessions) >= self.settings.max_sessions:
            raise Refused("too_many_sessions")
        name = secrets.token_urlsafe(16)
        flow = self._flows[source].fork(statistic_budget=self.settings.statistic_budget)
        session = Session(flow, name, source, self.settings, self._turns[source], self._left, self._ended)
        try:
            client = Client(session, join)
        except BaseException:
            session.close()
            raise
        self._sessions[name] = session
        session.join(client)
        session.open(join.state or State(), client)
        return client

    def _keep(self, name: str) -> None:
        timer = self._expiring.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _left(self, session: Session) -> None:
        """A client is gone; a session without clients is kept for a time, for those who come back."""
        if session.clients or session.name not in self._sessions:
            return
        self._keep(session.name)
        if session.over:
            self._sessions.pop(session.name)
            return
        loop = asyncio.get_running_loop()
        self._expiring[session.name] = loop.call_later(self.settings.session_expiry, self._expire, session)

    def _expire(self, session: Session) -> None:
        self._expiring.pop(session.name, None)
        if session.downloads:  # somebody is still there
            self._left(session)
            return
        log.info("session %s expired", session.name[:6])
        self._sessions.pop(session.name, None)
        session.close()

    async def close(self) -> None:
        """End all sessions: clients are told, queries are stopped, threads are waited for."""
        self._closed = True
        for name in list(self._expiring):
            self._keep(name)
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            session.close(1001, CLOSE_CODES[1001])
        for session in sessions:
            if not await session.closed(_PATIENCE):
                log.warning("session %s: the engine does not let go of a query", session.name[:6])
        dismiss_idle()
