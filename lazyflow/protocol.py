"""The messages between a session and its clients: the one place that knows the wire.

They stand as tables in `docs/protocol.md`.

A client writes JSON. The service answers in frames: a JSON header, padded with spaces to a multiple of eight bytes, and
an optional body; before the header its length, as four bytes, little-endian, and four bytes of zero.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from lazyflow.errors import (
    EngineError,
    InvalidInput,
    InvalidState,
    InvalidValue,
    LazyflowError,
    NotForThisEngine,
    NotForThisType,
    OutOfTime,
    SourceError,
    StatisticError,
    TransformError,
    UnknownName,
)
from lazyflow.state import State

VERSION = 1
"""Version of the protocol; another one is refused."""

Window: TypeAlias = tuple[int, int]
"""Rows from the first, counted from 0, up to the second, exclusive."""

BodyFormat: TypeAlias = Literal["arrow", "json"]
"""How rows are written: an Arrow IPC stream, or a JSON list of columns, each a list of values."""


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says when it comes: in a websocket's URL, as its query parameter `join`.

    Parameters
    ----------
    version
        Version of the protocol that the client speaks.
    source
        Name of the table to open a session on; needed where the service has several.
    session
        Name of the session to join, in place of opening one.
    state
        The state to open a session with.
    window, columns
        What of the rows is visible; without columns, all.
    most_columns
        Where the client does not name any columns yet, so many of the first are visible at most.
    body
        How rows are to be written.
    compression
        Whether each frame is to be a zlib stream. It pays on networks slower than some 500 Mbit/s.
    """

    version: int = VERSION
    source: str | None = None
    session: str | None = None
    state: State | None = None
    window: Window = (0, 100)
    columns: tuple[str, ...] = ()
    most_columns: Annotated[int, msgspec.Meta(ge=1)] | None = None
    body: BodyFormat = "arrow"
    compression: Literal["deflate"] | None = None


class StateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="state_change"):
    """A client wants another view; `request` is a number of its choice, that the answer names."""

    state: State
    request: int | None = None
    window: Window | None = None
    columns: tuple[str, ...] | None = None
    session: str | None = None


class RowsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="rows_request"):
    """A client sees another part of the view; it takes the place of its request before."""

    generation: int
    window: Window
    request: int | None = None
    columns: tuple[str, ...] | None = None


class StatisticRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="statistic_request"):
    """A client wants one statistic of the view by itself, such as one that ran out of time."""

    generation: int
    scope: str
    column: str
    statistic: str
    request: int | None = None


class StatisticsWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="statistics_wanted"):
    """A client stops the statistics of the view, for all clients, or lets them go on; rows are not concerned."""

    generation: int
    wanted: bool
    request: int | None = None


class SqlRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sql_request"):
    """A client wants the view as a statement of SQL."""

    generation: int
    request: int | None = None


ClientMessage: TypeAlias = StateChange | RowsRequest | StatisticRequest | StatisticsWanted | SqlRequest


class ColumnSchema(msgspec.Struct, frozen=True):
    """A column of the view: its name, its Arrow type as text, and the kind of type that rules speak of."""

    name: str
    type: str
    kind: str


class Progress(msgspec.Struct, frozen=True):
    """How many cells of a group of statistics are known, of how many."""

    known: int
    wanted: int


class ErrorOf(msgspec.Struct, frozen=True):
    """What went wrong, in a word and in a sentence."""

    code: str
    message: str


class Cell(msgspec.Struct, frozen=True, omit_defaults=True):
    """One statistic; `lazyflow.Cell` on the wire."""

    value: Any = None
    basis: Literal["exact", "approximate", "sampled"] = "exact"
    error: ErrorOf | None = None


class ScopeCells(msgspec.Struct, omit_defaults=True):
    """Statistics of one scope that are known, or new: `columns` is column -> statistic -> cell."""

    rows: Cell | None = None
    columns: dict[str, dict[str, Cell]] = {}


Cells: TypeAlias = dict[str, ScopeCells]
"""scope -> its statistics. What is absent is not known yet, or has no meaning for the type of the column."""


class StatisticSchema(msgspec.Struct, frozen=True):
    """A statistic that a client will see: its name, its group, the kinds of type that it has a meaning for.

    `own` says that the app declared it.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    own: bool = False


class Options(msgspec.Struct, frozen=True):
    """What a client may ask for."""

    operators: tuple[str, ...]
    cleanings: tuple[str, ...]
    post_processings: tuple[str, ...]
    statistics: tuple[StatisticSchema, ...]
    max_window_rows: int
    max_columns: int


class Outcome(msgspec.Struct, frozen=True):
    """How a change went, once it is over; times in milliseconds since it was accepted, None for what never came.

    `ended` says how: rows and all statistics are there ("final"), a newer change came ("superseded"), they cannot be
    had ("error"), or the session ended before ("closed").
    """

    generation: int
    ended: Literal["final", "superseded", "error", "closed"]
    milliseconds: float
    rows_milliseconds: float | None
    summary_milliseconds: float | None
    distribution_milliseconds: float | None
    rows: int | None
    queries_started: int
    queries_cancelled: int


class StateFrame(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """The accepted state, with the client's own first rows of it as the body.

    `request` is the client's latest change that this answers: those before it were passed over. `complete` says that
    nothing is pending, `stopped` that nothing more comes until somebody wants it. Without a body the rows could not be
    had; an `error` of this generation follows.
    """

    generation: int
    request: int | None
    state: State
    schema: tuple[ColumnSchema, ...]
    window: Window | None
    columns: tuple[str, ...]
    row_count: dict[str, int]
    statistics: Cells
    progress: dict[str, Progress]
    complete: bool
    superseded: tuple[Outcome, ...] = ()
    stopped: bool = False


class InitialState(StateFrame, frozen=True, kw_only=True, tag="initial_state"):
    """The first frame: what `state` has, and what a client needs to know of the service."""

    version: int
    session: str
    source: str
    options: Options


class RowsFrame(msgspec.Struct, frozen=True, kw_only=True, tag="rows"):
    """Rows of a window, as the body; `request` as in `state`."""

    generation: int
    request: int | None
    window: Window
    columns: tuple[str, ...]


class RowCountFrame(msgspec.Struct, frozen=True, kw_only=True, tag="row_count"):
    """Numbers of rows by scope, as far as they are known."""

    generation: int
    row_count: dict[str, int]


class StatsUpdate(msgspec.Struct, frozen=True, kw_only=True, tag="stats_update"):
    """Statistics that changed; `final` says that nothing of the generation is pending any more.

    `answered` are the client's requests for statistics that this answers. `stopped` as in `state`.
    """

    generation: int
    statistics: Cells
    progress: dict[str, Progress]
    final: bool
    answered: tuple[int, ...] = ()
    stopped: bool = False


class SqlFrame(msgspec.Struct, frozen=True, kw_only=True, tag="sql"):
    """The view as a statement of the engine's SQL; what it calls `source` is the table of the session."""

    generation: int
    request: int | None
    sql: str


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True, tag="error"):
    """What went wrong with a request of the client, or with the view of a generation."""

    code: str
    message: str
    request: int | None = None
    generation: int | None = None


ServerMessage: TypeAlias = InitialState | StateFrame | RowsFrame | RowCountFrame | StatsUpdate | SqlFrame | ErrorFrame

CODES: dict[str, str] = {
    "invalid_message": "The message is no JSON, is unknown, or has not the shape of a message",
    "invalid_state": "The state is not well formed",
    "unknown_name": "A column, operator, cleaning or post-processing does not exist",
    "invalid_value": "A value does not fit its column's type, or a window is none",
    "not_for_this_type": "The operation has no meaning for the type of the column",
    "not_for_this_engine": "The engine has no such thing",
    "invalid_input": "What was asked for cannot be",
    "too_large": "The window has more rows or columns than the service gives at a time",
    "unknown_generation": "Rows were asked of a generation that does not exist yet",
    "wrong_session": "The change is for another session",
    "transform_failed": "A cleaning or post-processing of the app failed",
    "source_failed": "The table cannot be read: its file is missing, truncated or being written",
    "engine_failed": "The engine failed at the view",
    "statistic_failed": "A statistic of the app failed",
    "out_of_time": "The statistic took the engine longer than it may; it can be asked for alone",
    "timeout": "The engine did not answer in time",
    "wrong_version": "The protocol's version is not the service's",
    "no_such_session": "The session does not exist, or no longer",
    "no_such_source": "The service has no table of that name",
    "too_many_sessions": "The service has as many sessions as it takes",
    "too_many_clients": "The service has as many clients as it takes",
    "too_many_downloads": "The service gives as many downloads at a time as it does",
    "internal": "Something broke in the service; its log says what",
}
"""Codes of errors, and what they say."""

TOO_LONG, BROKEN, NOT_UNDERSTOOD, DID_NOT_READ = 1009, 1011, 4400, 4408

CLOSE_CODES: dict[int, str] = {
    1000: "The client, or the session, has ended",
    1001: "The service shuts down",
    1009: "The message was larger than the service takes",
    1011: "Something broke in the service",
    4400: "What the client said when it came is not understood",
    4404: "There is no such session or source",
    4406: "The protocol's version is not the service's",
    4408: "The client did not read what it was sent",
    4429: "The service takes no further sessions or clients",
}
"""Codes with which the service ends a websocket, and what they say."""

_CODE_OF_ERROR: tuple[tuple[type[LazyflowError], str], ...] = (
    (InvalidState, "invalid_state"),
    (UnknownName, "unknown_name"),
    (InvalidValue, "invalid_value"),
    (NotForThisType, "not_for_this_type"),
    (NotForThisEngine, "not_for_this_engine"),
    (InvalidInput, "invalid_input"),
    (TransformError, "transform_failed"),
    (SourceError, "source_failed"),
    (EngineError, "engine_failed"),
    (StatisticError, "statistic_failed"),
    (OutOfTime, "out_of_time"),
)


class Refused(LazyflowError):
    """The service does not take a client, or does not do what it asks; `code` is one of `CODES`."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(message or CODES[code])
        self.code = code

    @property
    def close_code(self) -> int:
        """With which code a websocket is closed where the client is not taken at all.

        >>> Refused("no_such_session").close_code
        4404
        """
        codes = {"wrong_version": 4406, "no_such_session": 4404, "no_such_source": 4404}
        return codes.get(self.code, 4429 if self.code.startswith("too_many") else 4400)


class Refusal(NamedTuple):
    """What a client is told that could not join, and the code and reason it ends with."""

    frame: Frame
    code: int
    reason: str

    @property
    def broken(self) -> bool:
        """Whether that was not the client's fault: how it came about is for the log."""
        return self.code == BROKEN


def refusal_of(error: BaseException) -> Refusal:
    """How a client is refused that could not join for this error.

    >>> refusal_of(Refused("no_such_session")).code, refusal_of(KeyError("a bug")).code
    (4404, 1011)
    """
    shown = error_of(error)
    code = error.close_code if isinstance(error, Refused) else NOT_UNDERSTOOD
    return Refusal(
        Frame(ErrorFrame(code=shown.code, message=shown.message)),
        BROKEN if shown.code == "internal" else code,
        shown.message,
    )


def error_of(error: BaseException) -> ErrorOf:
    """An error as clients may see it.

    What the client asked wrongly is said in full. What the engine, the source or the app's own functions say may hold
    paths, connection strings or data: it stays in the log.

    >>> error_of(UnknownName("unknown column 'x'"))
    ErrorOf(code='unknown_name', message="unknown column 'x'")
    >>> error_of(EngineError("IO Error: /home/me/secret.parquet"))
    ErrorOf(code='engine_failed', message='The engine failed at the view')
    """
    if isinstance(error, Refused):
        return ErrorOf(error.code, str(error))
    for kind, code in _CODE_OF_ERROR:
        if isinstance(error, kind):
            return ErrorOf(code, str(error) if isinstance(error, InvalidInput) else CODES[code])
    return ErrorOf("internal", CODES["internal"])


_KIND_OF_CODE = {code: kind for kind, code in _CODE_OF_ERROR}


def exception_of(error: ErrorFrame | ErrorOf) -> LazyflowError:
    """What clients see of an error as the class that it has in Python; `Refused` for those that only a service has.

    >>> exception_of(ErrorOf("unknown_name", "unknown column 'x'"))
    UnknownName("unknown column 'x'")
    """
    kind = _KIND_OF_CODE.get(error.code)
    return Refused(error.code, error.message) if kind is None else kind(error.message)


_PREFIX_BYTES = 8


class Frame(NamedTuple):
    """One answer of the service: a header, and a body that may be empty.

    `statistics` are those of the header as JSON, where somebody wrote them already.

    >>> frame = Frame(ErrorFrame(code="timeout", message="too slow"), b"rows")
    >>> Frame.decode(frame.encode()) == frame
    True
    """

    header: ServerMessage
    body: bytes = b""
    statistics: bytes | None = None

    def encode(self) -> bytes:
        """The frame as bytes; the body begins at a multiple of eight, as Arrow wants it."""
        message: Any = self.header
        if self.statistics is not None:
            message = msgspec.structs.replace(message, statistics=msgspec.Raw(self.statistics))
        header = msgspec.json.encode(message)
        header += b" " * (-len(header) % 8)
        return b"".join((len(header).to_bytes(4, "little"), bytes(4), header, self.body))

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """The frame that these bytes are.

        Raises
        ------
        Refused
            If they are none.
        """
        end = _PREFIX_BYTES + int.from_bytes(data[:4], "little")
        try:
            return cls(_from_server.decode(data[_PREFIX_BYTES:end]), data[end:])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Refused("invalid_message", f"not a frame: {error}") from error


class _Asked(msgspec.Struct):
    """As much of a broken message as is needed to name it in the answer."""

    request: int | None = None


_from_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_from_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_join = msgspec.json.Decoder(Join)
_asked = msgspec.json.Decoder(_Asked)


def decode_message(text: str | bytes) -> ClientMessage:
    """The message of a client.

    Raises
    ------
    Refused
        If it is none; the message says where.

    Examples
    --------
    >>> decode_message('{"type": "rows_request", "generation": 1, "window": [0]}')
    Traceback (most recent call last):
    lazyflow.protocol.Refused: Expected `array` of length 2, got 1 - at `$.window`
    """
    if isinstance(text, bytes):
        raise Refused("invalid_message", "a message is text, not binary")
    try:
        return _from_client.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused("invalid_message", str(error)) from error


def decode_join(text: str | bytes) -> Join:
    """What a client says when it comes.

    Raises
    ------
    Refused
        If it is not understood, or of another version.
    """
    try:
        join = _join.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused("invalid_message", f"join: {error}") from error
    if join.version != VERSION:
        raise Refused("wrong_version", f"this is version {VERSION} of the protocol, not {join.version}")
    return join


def request_of(text: str | bytes) -> int | None:
    """The number of the request in a message that is broken otherwise, as far as it can be made out."""
    try:
        return _asked.decode(text).request
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
