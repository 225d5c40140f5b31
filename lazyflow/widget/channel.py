"""The views of a widget, in however many places it is shown: each is a client of the widget's session.

What is said in either direction is a message of the notebook's channel with its kernel. A message names its view; bytes
of a frame go beside it.

| direction | message | carries |
|---|---|---|
| view -> kernel | `join` | what a client says when it comes, as the JSON of `protocol.Join` |
| view -> kernel | `message` | a message of the client, as JSON |
| view -> kernel | `taken` | nothing: a frame was read |
| view -> kernel | `leave` | nothing |
| kernel -> view | `frame` | bytes of the frame |
| kernel -> view | `closed` | a code and reason of docs/protocol.md |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec

from lazyflow.protocol import BROKEN, CLOSE_CODES, DID_NOT_READ, decode_join, refusal_of
from lazyflow.service import Service
from lazyflow.session import Client

log = logging.getLogger("lazyflow.widget")

Send: TypeAlias = Callable[[dict[str, Any], list[bytes]], None]
"""How a message with bytes beside it is sent; never waits."""

AHEAD = 4
"""Frames that a view is sent before it has read the first of them. What it misses meanwhile is not kept for it."""


class Joins(msgspec.Struct, frozen=True, tag_field="type", tag="join"):
    """A view comes."""

    view: str
    join: str


class Says(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """A view says what clients say."""

    view: str
    message: str


class Took(msgspec.Struct, frozen=True, tag_field="type", tag="taken"):
    """A view has read a frame."""

    view: str


class Leaves(msgspec.Struct, frozen=True, tag_field="type", tag="leave"):
    """A view goes."""

    view: str


class Channel:
    """The views of one widget; all of it on the event loop of its service.

    Parameters
    ----------
    service, session
        Where the views are clients.
    send
        To all places where the widget is shown; each knows its own views.
    """

    def __init__(self, service: Service, session: str, send: Send) -> None:
        self._service = service
        self._session = session
        self._send = send
        self._views: dict[str, _View] = {}

    def take(self, content: object) -> None:
        """Take a message of a view. It never raises: what cannot be read is noted in the log."""
        try:
            message = msgspec.convert(content, Joins | Says | Took | Leaves)
        except msgspec.ValidationError as error:
            log.warning("a message of the notebook was not understood: %s", error)
            return
        view = self._views.get(message.view)
        match message:
            case Joins() if view is None:
                self._join(message)
            case Says() if view is not None:
                view.client.receive(message.message)
            case Took() if view is not None:
                view.taken()
            case Leaves() if view is not None:
                view.end()

    def _join(self, message: Joins) -> None:
        try:
            join = decode_join(message.join)
            # Which session it is, is not for the view to say: the widget has but one.
            client = self._service.join(msgspec.structs.replace(join, session=self._session, source=None, state=None))
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.broken:
                log.exception("a view could not join")
            self._send({"type": "frame", "view": message.view}, [refusal.frame.encode()])
            self._send({"type": "closed", "view": message.view, "code": refusal.code, "reason": refusal.reason}, [])
            return
        view = _View(message.view, client, self._send, self._service.settings.client_timeout)
        self._views[message.view] = view
        view.task.add_done_callback(lambda _: self._gone(message.view))

    def _gone(self, name: str) -> None:
        """Let go of a view that has ended, perhaps before it began."""
        self._views.pop(name).client.leave()


class _View:
    """One view: sends it the frames of its client, no more than `AHEAD` of what it has read.

    One that reads nothing for `patience` seconds is given up: pages that are closed or loaded anew say no farewell.
    """

    def __init__(self, name: str, client: Client, send: Send, patience: float) -> None:
        self.client = client
        self._name = name
        self._send = send
        self._patience = patience
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def taken(self) -> None:
        """It has read a frame."""
        self._unread = max(0, self._unread - 1)
        self._room.set()

    def end(self) -> None:
        """It has gone."""
        self.task.cancel()

    async def _serve(self) -> None:
        try:
            await self._send_frames()
            code, reason = self.client.close_code, self.client.close_reason
        except TimeoutError:  # its page is gone, or will come back when it hears of this
            code, reason = DID_NOT_READ, CLOSE_CODES[DID_NOT_READ]
        except Exception:
            log.exception("a view could not be served")
            code, reason = BROKEN, CLOSE_CODES[BROKEN]
        self._send({"type": "closed", "view": self._name, "code": code, "reason": reason}, [])

    async def _send_frames(self) -> None:
        async with aclosing(self.client.frames()) as frames:
            while True:
                while self._unread >= AHEAD:  # a frame is put together when it is asked for: not before there is room
                    self._room.clear()
                    async with asyncio.timeout(self._patience):
                        await self._room.wait()
                frame = await anext(frames, None)
                if frame is None:
                    return
                self._unread += 1
                self._send({"type": "frame", "view": self._name}, [frame.encode()])
