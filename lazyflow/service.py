"""The tables that are served, and the sessions on them: who may join, when a session ends, what all of them share."""

from __future__ import annotations

from collections.abc import Mapping

from lazyflow.dataflow import DataFlow
from lazyflow.protocol import Join
from lazyflow.session import Client
from lazyflow.settings import Settings


class Service:
    """Sessions over flows, for whatever carries their messages.

    Parameters
    ----------
    flows
        Name of a table -> its flow. They stay the caller's: `close` leaves them open.
    settings
        Bounds and times.
    """

    def __init__(self, flows: Mapping[str, DataFlow], settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        raise NotImplementedError

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tables."""
        raise NotImplementedError

    @property
    def session_count(self) -> int:
        """How many sessions there are now."""
        raise NotImplementedError

    @property
    def client_count(self) -> int:
        """How many clients there are now."""
        raise NotImplementedError

    def join(self, join: Join) -> Client:
        """A client of a session: of the one that it names, else of a new one.

        Raises
        ------
        Refused
            If there is no such session or source, or the service takes no more.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End all sessions: clients are told, queries are stopped, threads are waited for."""
        raise NotImplementedError
