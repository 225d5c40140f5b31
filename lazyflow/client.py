"""A client of `lazyflow serve` for Python programs: `docs/service.md`.

Importing this module does not load tornado; `connect` does.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import msgspec

from lazyflow import protocol as wire
from lazyflow.errors import BackendNotInstalled, InvalidInput, LazyflowError, Superseded
from lazyflow.protocol import Frame, Join, Refused, Window
from lazyflow.state import State
from lazyflow.statistics.results import Cell, Histogram

if TYPE_CHECKING:
    import pyarrow as pa
    from tornado.websocket import WebSocketClientConnection

Statistics = Mapping[str, Mapping[str, Mapping[str, Cell]]]
"""scope -> column -> statistic -> cell. What is absent is not known yet, or has no meaning for the column's type."""

_KEPT = 1000
_FRAME_BYTES = 100_000_000
_FAREWELL = 2.0
_ALONE = (wire.StatisticRequest, wire.StatisticsWanted, wire.SqlRequest)
"""Requests of which each has an answer of its own."""
"""Seconds that the service has to answer the closing handshake."""


class Disconnected(LazyflowError, ConnectionError):
    """There is no connection to the service.

    `code` is the close code with which it ended (`protocol.CLOSE_CODES`), the HTTP status with which it was refused,
    or None where it broke without a word; `reason` is what was said.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason if code is None else f"{reason} ({code})")
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class View:
    """What a client sees; every frame makes a new one, and those before it stay as they were.

    Parameters
    ----------
    session, source
        Name of the session, by which others may join it, and of its table.
    generation
        The number of the accepted state; it never falls within a session.
    state, schema
        The state, and the columns of its view.
    window, columns, rows
        Which rows of the view `rows` holds; all three are None or empty where they could not be had.
    row_count
        Numbers of rows by scope, as far as they are known.
    statistics
        What is known: scope -> column -> statistic -> cell, as in Python, but for values that JSON does not have:
        dates, times, decimals and infinities are text, bytes hexadecimal.
    progress
        How far each group of statistics has come.
    complete
        Whether nothing is pending.
    stopped
        Whether somebody stopped the statistics: no more of them come until `Client.start_statistics`.
    superseded
        How the states ended that this one took the place of, since the one that was seen before.
    error
        Why the rows or the statistics of this view do not come, or None.
    sql
        The view as SQL, once `Client.sql` asked for it.
    """

    session: str
    source: str
    generation: int
    state: State
    schema: tuple[wire.ColumnSchema, ...]
    window: Window | None
    columns: tuple[str, ...]
    rows: pa.Table | None
    row_count: Mapping[str, int]
    statistics: Statistics
    progress: Mapping[str, wire.Progress]
    complete: bool
    superseded: tuple[wire.Outcome, ...] = ()
    error: LazyflowError | None = None
    sql: str | None = None
    stopped: bool = False


@dataclass(frozen=True)
class _Asked:
    """A request: a change, or for rows of a generation, or another one that is answered alone."""

    generation: int | None
    answer: asyncio.Future[View]
    alone: bool = False

    def settle(self, answer: View | LazyflowError) -> None:
        if self.answer.done():
            return
        if isinstance(answer, View):
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(answer)
            self.answer.exception()  # it is no oversight where nobody asks for it


class Client:
    """A client of a session; made by `connect`.

    Iterating gives what the service said, in its order: `protocol.InitialState` first, then `StateFrame`, `RowsFrame`,
    `RowCountFrame`, `StatsUpdate`, `ErrorFrame`. `view` is never behind them. Of those that nobody reads 1000 are kept.

    Attributes
    ----------
    view
        What is known now.
    options
        What may be asked for.
    missed
        Whether, when `reconnect` came back, the state was no longer the one that was seen before.
    stale_frames
        How many frames were refused because they were not of the generation seen last; 0, as long as the service keeps
        its word.
    """

    view: View
    options: wire.Options

    def __init__(self, url: str, token: str | None, join: Join) -> None:
        self.missed = False
        self.stale_frames = 0
        self._url, self._token, given = _address(url, token)
        session, source = join.session or given.get("session"), join.source or given.get("source")
        self._join = msgspec.structs.replace(join, session=session, source=source)
        self._numbers = itertools.count(1)
        self._asked: dict[int, _Asked] = {}
        self._last_change: int | None = None
        self._waiting: list[tuple[Callable[[View], bool], _Asked]] = []
        self._events: deque[wire.ServerMessage] = deque(maxlen=_KEPT)
        self._news = asyncio.Event()
        self._connection: WebSocketClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._end: Disconnected | None = None
        self._left = False

    # -- asking

    async def change(self, state: State, window: Window | None = None, columns: Iterable[str] | None = None) -> int:
        """Ask for another view, and do not wait for it; the number of the request.

        Of several changes that are asked for quickly, the service may pass over all but the last.

        Parameters
        ----------
        state
            What is to be seen.
        window, columns
            What of its rows; None leaves it as it is.
        """
        self._last_change = number = next(self._numbers)
        names = None if columns is None else tuple(columns)
        return await self._send(
            number, wire.StateChange(state=state, request=number, window=window, columns=names), None
        )

    async def request_rows(self, window: Window, columns: Iterable[str] | None = None) -> int:
        """Ask for other rows of this view, and do not wait for them; the number of the request."""
        number, generation = next(self._numbers), self.view.generation
        names = None if columns is None else tuple(columns)
        message = wire.RowsRequest(generation=generation, window=window, request=number, columns=names)
        return await self._send(number, message, generation)

    async def compute(self, scope: str, column: str, statistic: str) -> Cell:
        """One statistic of this view by itself, such as one that ran out of time; raises what `answer` does."""
        number, generation = next(self._numbers), self.view.generation
        message = wire.StatisticRequest(
            generation=generation, scope=scope, column=column, statistic=statistic, request=number
        )
        view = await self.answer(await self._send(number, message, generation))
        return view.statistics[scope][column][statistic]

    async def stop_statistics(self) -> View:
        """Stop the statistics of this view, for all clients; rows are not concerned. Raises what `answer` does."""
        return await self._want_statistics(False)

    async def start_statistics(self) -> View:
        """Let the statistics of this view go on, once they were stopped; raises what `answer` does."""
        return await self._want_statistics(True)

    async def _want_statistics(self, wanted: bool) -> View:
        number, generation = next(self._numbers), self.view.generation
        message = wire.StatisticsWanted(generation=generation, wanted=wanted, request=number)
        return await self.answer(await self._send(number, message, generation))

    async def sql(self) -> str:
        """The view as one statement of the engine's SQL; what it calls `source` is the table of the session.

        Raises
        ------
        NotForThisEngine
            If the engine speaks no SQL, as pandas.
        LazyflowError
            As `answer` does.
        """
        number, generation = next(self._numbers), self.view.generation
        view = await self.answer(await self._send(number, wire.SqlRequest(generation, number), generation))
        assert view.sql is not None, "it is in the view that answers"
        return view.sql

    async def _send(self, number: int, message: wire.ClientMessage, generation: int | None) -> int:
        from tornado.websocket import WebSocketClosedError

        self._check()
        assert self._connection is not None
        answer: asyncio.Future[View] = asyncio.get_running_loop().create_future()
        self._asked[number] = _Asked(generation, answer, isinstance(message, _ALONE))
        if len(self._asked) > _KEPT:
            self._asked.pop(next(iter(self._asked))).settle(InvalidInput("too many requests came after this one"))
        with suppress(WebSocketClosedError):  # then whoever waits for the answer is told
            await self._connection.write_message(msgspec.json.encode(message).decode())
        return number

    async def answer(self, request: int) -> View:
        """The view with the answer to a request in it; a change that was passed over has that of a newer one.

        Raises
        ------
        LazyflowError
            What the service says is wrong: `UnknownName`, `InvalidValue`, `EngineError`, `protocol.Refused`, ...
        Superseded
            If a newer state, or the answer to a later change, came before the rows that were asked for.
        Disconnected
            If the connection ends before.
        """
        if request not in self._asked:
            raise InvalidInput(f"request {request} was not made, or is too long ago")
        return await asyncio.shield(self._asked[request].answer)

    async def apply(self, state: State, window: Window | None = None, columns: Iterable[str] | None = None) -> View:
        """As `change`, but wait until its rows are there; raises what `answer` does."""
        return await self.answer(await self.change(state, window, columns))

    async def fetch(self, window: Window, columns: Iterable[str] | None = None) -> View:
        """As `request_rows`, but wait until they are there; raises what `answer` does."""
        return await self.answer(await self.request_rows(window, columns))

    async def settled(self) -> View:
        """The view once the last change is answered and nothing is pending, or the statistics were stopped.

        Raises what `answer` does, or why the rows or statistics do not come.
        """
        if self._last_change is not None:
            await self.answer(self._last_change)
        view = await self.wait_for(lambda view: view.complete or view.stopped or view.error is not None)
        if view.error is not None:
            raise view.error
        return view

    async def wait_for(self, predicate: Callable[[View], bool]) -> View:
        """The first view, this one or a later one, for which `predicate(view)` is true; none is passed over."""
        if predicate(self.view):
            return self.view
        self._check()
        asked = _Asked(None, asyncio.get_running_loop().create_future())
        self._waiting.append((predicate, asked))
        return await asked.answer

    def __aiter__(self) -> AsyncIterator[wire.ServerMessage]:
        return self

    async def __anext__(self) -> wire.ServerMessage:
        while not self._events:
            if self._left:
                raise StopAsyncIteration
            self._check()
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def _check(self) -> None:
        if self._left:
            raise Disconnected(None, "the client is closed")
        if self._end is not None:
            raise self._end

    # -- coming and going

    async def _open(self) -> None:
        """Connect, and take the first frame."""
        self._connection = connection = await _connected(self._url, self._token, self._join)
        first = await connection.read_message()
        frame = self._decode(first) if isinstance(first, bytes) else None
        if frame is None or isinstance(frame.header, wire.ErrorFrame):
            connection.close()
            if frame is not None and isinstance(frame.header, wire.ErrorFrame):
                raise wire.exception_of(frame.header)
            raise Disconnected(connection.close_code, connection.close_reason or "the service said nothing")
        self._take(frame)
        self._end = None
        self._reading = asyncio.create_task(self._read(connection))

    async def _read(self, connection: WebSocketClientConnection) -> None:
        end = None
        try:
            while (data := await connection.read_message()) is not None:
                self._take(self._decode(data if isinstance(data, bytes) else data.encode()))
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            end = Disconnected(None, f"a frame could not be read: {error}")
            connection.close()
        self._end = end or Disconnected(connection.close_code, connection.close_reason or "the connection broke")
        for asked in [*self._asked.values(), *(asked for _, asked in self._waiting)]:
            asked.settle(self._end)
        self._waiting.clear()
        self._news.set()

    def _decode(self, data: bytes) -> Frame:
        return Frame.decode(zlib.decompress(data) if self._join.compression else data)

    async def reconnect(self) -> None:
        """Come back to the same session, or where it is no more to a new one with the same state.

        `missed` says afterwards whether the state changed meanwhile. Requests without an answer stay without.
        """
        before = self.view
        await self._hang_up()
        self._last_change = None
        window = before.window or self._join.window
        again = Join(window=window, columns=before.columns, compression=self._join.compression)
        self._join = msgspec.structs.replace(again, session=before.session)
        try:
            await self._open()
        except Refused as error:
            if error.code != "no_such_session":
                raise
            self._join = msgspec.structs.replace(again, source=before.source, state=before.state)
            await self._open()
        self.missed = (self.view.session, self.view.generation) != (before.session, before.generation)

    async def close(self) -> None:
        """Leave the session; it stays for others, and for a while for this client."""
        self._left = True
        await self._hang_up()
        self._news.set()

    async def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close(1000)
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_FAREWELL)
            self._reading.cancel()

    # -- hearing

    def _take(self, frame: Frame) -> None:
        """Take a frame into the view, and let those know who wait for it."""
        event = frame.header
        if self._is_stale(event):
            self.stale_frames += 1
        else:
            self._see(event, frame.body)
            self._events.append(event)
            self._news.set()
        self._give_answers(event)
        waiting, self._waiting = self._waiting, []
        for predicate, asked in waiting:
            if asked.answer.done():
                continue  # given up
            try:
                if not predicate(self.view):
                    self._waiting.append((predicate, asked))
                    continue
            except Exception as error:  # noqa: BLE001 - it is the waiting task's
                asked.answer.set_exception(error)
            else:
                asked.settle(self.view)

    def _is_stale(self, event: wire.ServerMessage) -> bool:
        if isinstance(event, wire.InitialState):
            before: View | None = getattr(self, "view", None)
            return before is not None and event.session == before.session and event.generation < before.generation
        if isinstance(event, wire.StateFrame):
            return event.generation < self.view.generation
        return event.generation is not None and event.generation != self.view.generation

    def _see(self, event: wire.ServerMessage, body: bytes) -> None:
        match event:
            case wire.InitialState():
                self.options = event.options
                self.view = _view_of(event, event.session, event.source, body)
            case wire.StateFrame():
                self.view = _view_of(event, self.view.session, self.view.source, body)
            case wire.RowsFrame():
                self.view = replace(self.view, window=event.window, columns=event.columns, rows=_table(body))
            case wire.RowCountFrame():
                self.view = replace(self.view, row_count=event.row_count)
            case wire.StatsUpdate():
                statistics = _merged(self.view.statistics, event.statistics)
                self.view = replace(
                    self.view,
                    statistics=statistics,
                    progress=event.progress,
                    complete=event.final,
                    stopped=event.stopped,
                )
            case wire.SqlFrame():
                self.view = replace(self.view, sql=event.sql)
            case wire.ErrorFrame() if event.generation is not None and (
                event.request is None or self.view.window is None
            ):
                self.view = replace(self.view, error=wire.exception_of(event))

    def _give_answers(self, event: wire.ServerMessage) -> None:
        last = getattr(event, "request", None) or 0
        for number, asked in self._asked.items():
            generation = asked.generation
            if asked.alone:
                self._give_alone(number, asked, event)
                continue
            match event:
                case wire.StateFrame() if generation is not None and (generation < event.generation or number < last):
                    asked.settle(Superseded(f"a newer state came before rows of generation {generation}"))
                case wire.StateFrame() if generation is None and number <= last:
                    if number < last or event.window is not None:  # else an error follows
                        asked.settle(self.view)
                case wire.RowsFrame() if generation is not None and number <= last:
                    asked.settle(self.view)
                case wire.ErrorFrame() if number == last:
                    asked.settle(wire.exception_of(event))
                case wire.ErrorFrame() if generation is not None and event.generation is not None and number < last:
                    asked.settle(Superseded("rows of another window were asked for since"))

    def _give_alone(self, number: int, asked: _Asked, event: wire.ServerMessage) -> None:
        """Answer a request that is answered alone, if this is its answer."""
        match event:
            case wire.StateFrame() if asked.generation is not None and asked.generation < event.generation:
                asked.settle(Superseded(f"a newer state came before the answer for generation {asked.generation}"))
            case wire.StatsUpdate() if number in event.answered:
                asked.settle(self.view)
            case wire.SqlFrame() if number == event.request:
                asked.settle(self.view)
            case wire.ErrorFrame() if number == event.request:
                asked.settle(wire.exception_of(event))


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: str | None = None,
    source: str | None = None,
    session: str | None = None,
    state: State | None = None,
    window: Window = (0, 100),
    columns: Iterable[str] = (),
    compression: bool | None = None,
) -> AsyncIterator[Client]:
    """Join a session of a service, or open one; its first rows are there when this is entered.

    Parameters
    ----------
    url
        What `lazyflow serve` prints, or a link to a session.
    token
        What the service wants to know, unless it stands in the URL.
    source, session
        The table to open a session on, or the session to join.
    state
        The state to open a session with.
    window, columns
        What of the rows is visible; without columns, all.
    compression
        Whether frames are compressed; by default where the service is on another machine.

    Raises
    ------
    BackendNotInstalled
        If tornado is not installed.
    Disconnected
        If there is no connection; its `code` is 401 where the token is wrong.
    Refused
        If the service takes no client, or has no such session or source.

    Examples
    --------
    >>> import asyncio, pyarrow as pa
    >>> from tornado.httpserver import HTTPServer
    >>> from tornado.netutil import bind_sockets
    >>> from lazyflow import DataFlow
    >>> from lazyflow.server import close_app, make_app
    >>> async def rows_then_mean():
    ...     with DataFlow(pa.table({"x": [1, 2, 6]})) as flow:
    ...         app, sockets = make_app({"numbers": flow}), bind_sockets(0, "127.0.0.1")
    ...         server = HTTPServer(app)
    ...         server.add_sockets(sockets)
    ...         url, token = "http://127.0.0.1:%d/" % sockets[0].getsockname()[1], app.settings["access"].token
    ...         async with connect(url, token=token) as client:
    ...             print(client.view.rows["x"].to_pylist())
    ...             print((await client.settled()).statistics["filtered"]["x"]["mean"].value)
    ...         server.stop()
    ...         await close_app(app)
    >>> asyncio.run(rows_then_mean())
    [1, 2, 6]
    3.0
    """
    if compression is None:
        compression = urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1")
    join = Join(
        source=source,
        session=session,
        state=state,
        window=window,
        columns=tuple(columns),
        compression="deflate" if compression else None,
    )
    client = Client(url, token, join)
    try:
        await client._open()
        yield client
    finally:
        await client.close()


def _address(url: str, token: str | None) -> tuple[str, str | None, Mapping[str, str]]:
    """The address of the websocket, the token, and what else stands in a link.

    >>> _address("https://example.org/tables/?token=a%2Bb&session=s", None)
    ('wss://example.org/tables/ws', 'a+b', {'session': 's'})
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise InvalidInput(f"the address of a service begins with http:// or https://, not {url!r}")
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    in_url = given.pop("token", None)
    path = parts.path.removesuffix("/ws").rstrip("/") + "/ws"
    return urlunsplit((scheme, parts.netloc, path, "", "")), in_url if token is None else token, given


async def _connected(url: str, token: str | None, join: Join) -> WebSocketClientConnection:
    try:
        from tornado.httpclient import HTTPClientError, HTTPRequest
        from tornado.websocket import WebSocketError, websocket_connect
    except ImportError as error:
        raise BackendNotInstalled(
            f'the client needs packages that are not installed ({error}): pip install "lazyflow[server]"'
        ) from error
    asked = urlencode({"join": msgspec.json.encode(join).decode()}, quote_via=quote)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return await websocket_connect(HTTPRequest(f"{url}?{asked}", headers=headers), max_message_size=_FRAME_BYTES)
    except HTTPClientError as error:
        raise Disconnected(error.code, f"the service refused the connection: {error.message}") from error
    except (OSError, WebSocketError) as error:
        raise Disconnected(None, f"no service answers at {url}: {error}") from error


def _view_of(event: wire.StateFrame, session: str, source: str, body: bytes) -> View:
    return View(
        session=session,
        source=source,
        generation=event.generation,
        state=event.state,
        schema=event.schema,
        window=event.window,
        columns=event.columns,
        rows=None if event.window is None else _table(body),
        row_count=event.row_count,
        statistics=_merged({}, event.statistics),
        progress=event.progress,
        complete=event.complete,
        stopped=event.stopped,
        superseded=event.superseded,
    )


def _table(body: bytes) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(body).read_all()


def _merged(before: Statistics, news: wire.Cells) -> Statistics:
    """The statistics with what is new; those before stay as they were."""
    merged = dict(before)
    for scope, of_scope in news.items():
        columns = dict(merged.get(scope, {}))
        for column, cells in of_scope.columns.items():
            columns[column] = {**columns.get(column, {}), **{name: _cell(name, cell) for name, cell in cells.items()}}
        merged[scope] = columns
    return merged


def _cell(statistic: str, cell: wire.Cell) -> Cell:
    """A cell as in Python."""
    if cell.error is not None:
        return Cell(error=wire.exception_of(cell.error))
    value = cell.value
    if statistic == "histogram" and value is not None:
        value = Histogram(tuple(value["edges"]), tuple(value["counts"]), value["below"], value["above"])
    elif statistic == "quantiles" and value is not None:
        value = {float(level): quantile for level, quantile in value.items()}
    elif isinstance(value, list):
        value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return Cell(value, cell.basis)
