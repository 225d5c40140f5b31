"""One shared view: its current state, and its clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from lazyflow.protocol import Frame


class Client:
    """One reader of a session; made by `Service.join`."""

    session: str
    close_code: int
    close_reason: str

    def receive(self, message: str | bytes) -> None:
        """Take a message of the client. It never raises: what is wrong is answered with an error."""
        raise NotImplementedError

    def frames(self) -> AsyncGenerator[Frame, None]:
        """What is to be sent, as long as the session lives; nothing is put together before it is asked for.

        When it ends, `close_code` and `close_reason` say why.
        """
        raise NotImplementedError

    def leave(self) -> None:
        """The client is gone."""
        raise NotImplementedError
