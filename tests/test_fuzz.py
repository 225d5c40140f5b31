"""Malformed messages at a real socket: each is answered by one error, and nothing else happens."""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from tornado.websocket import WebSocketClientConnection

from lazyflow import DataFlow
from lazyflow.protocol import CODES, ErrorFrame, InitialState, Join, RowsFrame, StateFrame, StatsUpdate
from lazyflow.service import Service
from lazyflow.testing import Harness
from tests.wire import Server, next_frame, run, serving

SEED = 20130101
BATCH = 50
"""So many are sent before the answers are read; a session owes a client at most 100."""

TABLE = pa.table({"number": list(range(40)), "origin": ["JFK", "LGA", None, "EWR"] * 10})
CHANGE: dict[str, Any] = {
    "type": "state_change",
    "state": {
        "search": "j",
        "filters": [
            {"column": "number", "operator": ">=", "value": 3},
            {"column": "origin", "operator": "in", "value": ["JFK"]},
        ],
        "sort": [{"column": "number", "descending": True}],
        "cleaning": None,
        "post_processing": None,
    },
    "request": 0,
    "window": [0, 5],
    "columns": ["number", "origin"],
}
ROWS: dict[str, Any] = {"type": "rows_request", "generation": 1, "window": [0, 5], "request": 0, "columns": ["number"]}


@dataclass(frozen=True)
class Malformed:
    """A message, and the number that its answer must name: `sure` where the message is JSON and the number a number."""

    kind: str
    data: str | bytes
    request: int | None
    sure: bool = True


Maker = Callable[[random.Random, int], Malformed]
MAKERS: list[Maker] = []


def maker(make: Callable[[random.Random, int], str | bytes | dict[str, Any] | tuple[Any, ...]]) -> Any:
    """Register a way to spoil a message: it gives an object, or text, with its number where that can be made out."""
    kind = make.__name__

    def made(rng: random.Random, number: int) -> Malformed:
        given = make(rng, number)
        if isinstance(given, dict):
            return Malformed(kind, json.dumps(given), number)
        data, request = given if isinstance(given, tuple) else (given, None)
        return Malformed(kind, data, request, sure=isinstance(given, tuple))

    MAKERS.append(made)
    return make


def valid(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(rng.choice([CHANGE, ROWS])))
    message["request"] = number
    return message


# -- no JSON


@maker
def random_text(rng: random.Random, number: int) -> str:
    ranges = [(32, 127), (0, 0xD7FF), (0, 0x20)]
    codes = [rng.randrange(*rng.choice(ranges)) for _ in range(rng.randrange(200))]
    return "x" + "".join(map(chr, codes))  # an x begins no JSON


@maker
def empty(rng: random.Random, number: int) -> str:
    return rng.choice(["", " ", "\n", "\t \r"])


@maker
def truncated(rng: random.Random, number: int) -> str:
    text = json.dumps(valid(rng, number))
    return text[: rng.randrange(1, len(text))]


@maker
def with_something_behind(rng: random.Random, number: int) -> str:
    return json.dumps(valid(rng, number)) + rng.choice(["}", "x", "{}", ",", "\0"])


@maker
def lone_surrogate(rng: random.Random, number: int) -> str:
    spoilt = rng.choice(['"\\ud800"', '"a\\udfff"', '"\\ud800\\u0041"'])
    return json.dumps(valid(rng, number)).replace('"number"', spoilt, 1)


@maker
def not_a_number(rng: random.Random, number: int) -> str:
    spoilt = rng.choice(["NaN", "Infinity", "-Infinity", "+1", "01", "0x1", "1."])
    return json.dumps(valid(rng, number)).replace("5]", spoilt + "]")


@maker
def deep_brackets(rng: random.Random, number: int) -> str:
    return rng.choice(["[", '{"a":', '[{"a":'])* rng.choice([1000, 10_000])  # fmt: skip


# -- binary


@maker
def random_bytes(rng: random.Random, number: int) -> bytes:
    return rng.randbytes(rng.randrange(200))


@maker
def binary_message(rng: random.Random, number: int) -> tuple[bytes, int]:
    return json.dumps(valid(rng, number)).encode(), number


# -- JSON, but no message


@maker
def other_json(rng: random.Random, number: int) -> str:
    return rng.choice(
        ["null", "true", "3", '"text"', "[]", "[1, 2]", '["state_change"]', "1e999", "-0", "{}", '{"a": 1}']
    )


@maker
def unknown_type(rng: random.Random, number: int) -> dict[str, Any]:
    types = ["", "x", "state", "error", "STATE_CHANGE", "state_change ", "initial_state", "ä"]
    return valid(rng, number) | {"type": rng.choice(types)}


@maker
def type_of_another_type(rng: random.Random, number: int) -> dict[str, Any]:
    return valid(rng, number) | {"type": rng.choice([None, 1, [], {}, ["state_change"], True, 1.5])}


@maker
def no_type(rng: random.Random, number: int) -> dict[str, Any]:
    message = valid(rng, number)
    del message["type"]
    return message


@maker
def without_what_it_needs(rng: random.Random, number: int) -> dict[str, Any]:
    message = valid(rng, number)
    del message[rng.choice(["state"] if "state" in message else ["generation", "window"])]
    return message


@maker
def unknown_field(rng: random.Random, number: int) -> dict[str, Any]:
    message = valid(rng, number)
    places = [message, *(item for item in _objects(message) if item is not message)]
    rng.choice(places)[rng.choice(["x", "", "Search", "type ", "__class__", "\0"])] = rng.choice([None, 1, {}, "x"])
    return message


def _objects(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(item)


@maker
def another_type_somewhere(rng: random.Random, number: int) -> dict[str, Any]:
    message = valid(rng, number)
    places = [
        (holder, key) for holder in _objects(message) for key in holder if key not in ("type", "request", "value")
    ]
    holder, key = rng.choice(places)
    kinds: dict[type, list[Any]] = {
        str: [1, True, [], {}, 1.5, None], bool: [1, "true", None, []], int: ["1", 1.5, True, None, []],
        list: ["x", 1, {}, True, [None], [[[]]]], dict: [[], 1, "x", None, True], type(None): [1, [], {}, True],
    }  # fmt: skip
    before = holder[key]
    holder[key] = rng.choice(kinds[type(before)])
    return message


@maker
def request_of_another_type(rng: random.Random, number: int) -> str:
    return json.dumps(valid(rng, number) | {"request": rng.choice(["1", 1.5, True, [], {}, "x" * 1000])})


@maker
def nested_deeply(rng: random.Random, number: int) -> str:
    depth = rng.choice([1100, 10_000])
    deep = rng.choice(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
    return json.dumps(CHANGE | {"request": number}).replace("3", deep, 1)


@maker
def duplicate_keys(rng: random.Random, number: int) -> str:
    text = json.dumps(ROWS | {"request": number})
    return text[:-1] + rng.choice([', "window": 3}', ', "generation": "x"}', ', "columns": 7}', ', "type": "x"}'])


@maker
def many_levels_of_filters(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    message["state"]["filters"] = [{"column": "number", "operator": "in", "value": [[1]] * rng.randrange(1, 500)}]
    return message


# -- messages of things that do not exist, or are out of bounds


@maker
def window_that_is_none(rng: random.Random, number: int) -> dict[str, Any]:
    out_of_bounds: list[Any] = [[-1, 5], [5, 1], [0, 10**18], [0, 10**400], [-(10**18), 0], [0, 10_001], [2**62, 2**62]]
    no_window: list[Any] = [
        [0.0, 1.5],
        [0],
        [0, 1, 2],
        [],
        [None, 1],
        ["0", "1"],
        [True, False],
        [1e3, 1e30],
        {},
        "0:5",
    ]
    return valid(rng, number) | {"window": rng.choice(out_of_bounds + no_window)}


@maker
def generation_of_the_future(rng: random.Random, number: int) -> dict[str, Any]:
    return ROWS | {"request": number, "generation": rng.choice([10**6, 2**31, 2**63, 2**64, 10**30])}


@maker
def generation_that_is_none(rng: random.Random, number: int) -> dict[str, Any]:
    return ROWS | {"request": number, "generation": rng.choice(["1", None, 1.5, [], True, "latest"])}


@maker
def wrong_session(rng: random.Random, number: int) -> dict[str, Any]:
    return CHANGE | {"request": number, "session": rng.choice(["", "x", "../../etc/passwd", "a" * 10_000, "\0"])}


@maker
def unknown_column(rng: random.Random, number: int) -> dict[str, Any]:
    name = rng.choice(["nope", "", "Number", "number ", "*", "1; DROP TABLE x", '"', "'", "\0", "a" * 1000, "ä"])
    message = valid(rng, number)
    places = ["columns"] if message["type"] == "rows_request" else ["columns", "filters", "sort"]
    match rng.choice(places):
        case "columns":
            message["columns"] = ["number", name]
        case "filters":
            message["state"]["filters"][0]["column"] = name
        case "sort":
            message["state"]["sort"][0]["column"] = name
    return message


@maker
def too_many_columns(rng: random.Random, number: int) -> dict[str, Any]:
    return valid(rng, number) | {"columns": [f"c{i}" for i in range(5000)]}


@maker
def operator_that_is_none(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    item = message["state"]["filters"][0]
    item["operator"] = rng.choice(["=", "like", "", "IN", "is null", None, 3, "==="])
    return message


@maker
def value_that_does_not_fit(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    value = rng.choice(["x", True, [1], {"a": 1}, "", "1e", "١", [[[]]]])
    message["state"]["filters"][0]["value"] = value
    return message


@maker
def operation_without_meaning(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    message["state"]["filters"][0] = rng.choice([
        {"column": "number", "operator": "contains", "value": "x"},
        {"column": "number", "operator": "in", "value": "x"},
        {"column": "number", "operator": "is missing", "value": 3},
        {"column": "origin", "operator": "==", "value": 3},
    ])  # fmt: skip
    return message


@maker
def transform_that_does_not_exist(rng: random.Random, number: int) -> dict[str, Any]:
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    message["state"][rng.choice(["cleaning", "post_processing"])] = rng.choice(["nope", "", "__import__('os')", "\0"])
    return message


@maker
def one_byte_changed(rng: random.Random, number: int) -> str:
    """One that is no JSON any more, or has no `type` or `state` or `window` that a message has."""
    text = json.dumps(valid(rng, number))
    at = rng.choice([index for index, character in enumerate(text) if character in "{}[]:"])
    return text[:at] + rng.choice("\0\x7f#@") + text[at + 1 :]


# -- what they meet


async def good(connection: WebSocketClientConnection, number: int) -> None:
    """A message that is well formed is answered rightly, and nothing is on the way that nobody asked for."""
    connection.write_message(json.dumps(ROWS | {"request": number, "window": [number % 30, number % 30 + 2]}))
    frame = await next_frame(connection)
    assert frame is not None
    assert isinstance(frame.header, RowsFrame), frame.header
    assert frame.header.request == number
    assert frame.header.generation == 1
    assert json.loads(frame.body) == [[number % 30, number % 30 + 1]]


async def settled(server: Server) -> tuple[WebSocketClientConnection, str]:
    connection = await server.raw(body="json", window=[0, 5])
    session, complete = "", False
    while not complete:
        frame = await next_frame(connection)
        assert frame is not None
        header = frame.header
        if isinstance(header, InitialState):
            session = header.session
        complete = getattr(header, "complete", False) or (isinstance(header, StatsUpdate) and header.final)
    return connection, session


async def fuzz(number_of_messages: int, seed: int) -> str:
    """Send so many; figures of what was answered."""
    rng, kinds, codes = random.Random(seed), Counter[str](), Counter[str]()
    with DataFlow(TABLE) as flow:
        async with serving(flow, max_messages_per_second=1e9) as server:
            connection, session = await settled(server)
            begin = time.perf_counter()
            for first in range(0, number_of_messages, BATCH):
                batch = [rng.choice(MAKERS)(rng, 1000 + first + index) for index in range(BATCH)]
                for message in batch:
                    connection.write_message(message.data, binary=isinstance(message.data, bytes))
                await answers(connection, batch, codes)
                kinds.update(message.kind for message in batch)
                await good(connection, first)
            seconds = time.perf_counter() - begin
            current = server.service._sessions[session].current
            assert current is not None
            assert current.generation == 1
            assert current.step.plan.state.search == ""
            connection.write_message(json.dumps({"type": "state_change", "request": 1, "state": {"search": "jfk"}}))
            frame = await next_frame(connection)
            assert frame is not None
            assert isinstance(frame.header, StateFrame)
            assert (frame.header.generation, frame.header.request) == (2, 1)
            connection.close()
    return (
        f"{number_of_messages:,} malformed messages of {len(kinds)} kinds in {seconds:.1f} s, one error each: "
        + ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
    )


async def answers(connection: WebSocketClientConnection, batch: list[Malformed], codes: Counter[str]) -> None:
    """One error each, that names the request where that can be made out.

    Most are answered in their order; those that only the source can judge, when a thread has looked at them.
    """
    owed = Counter(message.request for message in batch if message.sure)
    spare = [message for message in batch if not message.sure]
    for _ in batch:
        frame = await next_frame(connection)
        assert frame is not None, f"the connection was ended with {connection.close_code}: {connection.close_reason}"
        error = frame.header
        assert isinstance(error, ErrorFrame), error
        assert error.code in CODES
        assert error.code != "internal", error
        assert error.generation is None
        assert error.message
        assert not frame.body
        codes[error.code] += 1
        if owed[error.request] > 0:
            owed[error.request] -= 1
        else:
            assert spare, f"nobody is owed this: {error}"
            spare.pop()
    assert not +owed, f"not named in an answer: {[m for m in batch if owed[m.request] > 0]}"


STRANGE: list[Any] = [
    "\0", "a\0b", "%", "_", "\\", "'", '"', "`", ";", "--", "/*", "${x}", "{{x}}", "\u202e", "\U0001f600", "\ufeff",
    "İ", "ß", "a" * 10_000, "", " ", "\n", 0, -0.0, 1e308, 5e-324, 10**400, -(10**400), 2**63, 2**64, -(2**63) - 1,
    True, None,
    "NaN", "Infinity", "1e999", "2013-02-30", "9999-12-31", "0x10", [], ["x"], [None], [1, "x"], list(range(1000)),
]  # fmt: skip


def strange_message(rng: random.Random, number: int) -> dict[str, Any]:
    """One that is well formed, of values that nobody thought of; what its answer is, the engine's rules say."""
    message = json.loads(json.dumps(CHANGE)) | {"request": number}
    state, value = message["state"], rng.choice(STRANGE)
    match rng.randrange(4):
        case 0 if isinstance(value, str):
            state["search"], state["filters"] = value, []
        case 1:
            message["window"] = rng.choice([[10**9, 10**9 + 5], [2**61, 2**61 + 5], [0, 0], [40, 41], [39, 45], [7, 7]])
        case 2:
            message["columns"] = rng.choice([["number"] * 500, ["origin", "number", "origin"], []])
        case _:
            lists = isinstance(value, list)
            operators = ["in", "not in"] if lists else ["==", "!=", "<", "<=", ">", ">=", "contains"]
            column = rng.choice(["number", "origin"])
            state["filters"] = [{"column": column, "operator": rng.choice(operators), "value": value}]
    return message


def test_strange_messages(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Each is answered by a state with its rows, or by an error that is the message's own; never by the engine's."""

    async def main() -> str:
        rng, answered = random.Random(SEED), Counter[str]()
        with harness.flow(TABLE) as flow:
            async with serving(flow, max_messages_per_second=1e9) as server:
                connection, _ = await settled(server)
                for number in range(60):
                    message = strange_message(rng, number)
                    connection.write_message(json.dumps(message))
                    while True:
                        frame = await next_frame(connection)
                        assert frame is not None, message
                        header = frame.header
                        if getattr(header, "request", None) == number:
                            break
                        assert not isinstance(header, ErrorFrame), header
                    if isinstance(header, ErrorFrame):
                        assert header.code in ("invalid_value", "not_for_this_type", "invalid_message"), (
                            header,
                            message,
                        )
                        answered[header.code] += 1
                    else:
                        assert isinstance(header, StateFrame), header
                        assert header.window == tuple(message["window"]), message
                        answered["state"] += 1
                connection.close()
        return ", ".join(f"{what} {count}" for what, count in answered.most_common())

    caplog.set_level(logging.WARNING)
    print(run(main()))
    assert not [record for record in caplog.records if record.name.startswith("lazyflow")]


COUNTS = [pytest.param(1_000, id="1000"), pytest.param(10_000, id="10000", marks=pytest.mark.long)]


@pytest.mark.parametrize("count", COUNTS)
def test_malformed_messages(count: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    figures = run(fuzz(count, SEED), patience=300)
    print(figures)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_malformed_joins(caplog: pytest.LogCaptureFixture) -> None:
    """Who does not say rightly what he wants is told by one error and a close code, and leaves nothing behind."""
    joins: list[tuple[Any, str, int]] = [
        (text, "invalid_message", 4400)
        for text in [
            "x", " ", "null", "[]", "3", "{", '{"version": "1"}', '{"x": 1}', '{"window": 3}', '{"window": [0]}',
            '{"state": []}', '{"state": {"search": 1}}', '{"body": "csv"}', '{"columns": "x"}', "[" * 10_000,
            '{"version": 1.5}', '{"session": 3}', '{"source": []}', '{"version": NaN}', '{"session": "\\ud800"}',
        ]
    ] + [
        ('{"version": 2}', "wrong_version", 4406),
        ('{"version": -1}', "wrong_version", 4406),
        (f'{{"version": {10**30}}}', "wrong_version", 4406),
        ('{"session": ""}', "no_such_session", 4404),
        ('{"session": "../../x"}', "no_such_session", 4404),
        ('{"source": "nope"}', "no_such_source", 4404),
        ('{"window": [5, 1]}', "invalid_value", 4400),
        ('{"window": [-1, 1]}', "invalid_value", 4400),
        (f'{{"window": [0, {10**18}]}}', "too_large", 4400),
        (json.dumps({"columns": [f"c{i}" for i in range(501)]}), "too_large", 4400),
    ]  # fmt: skip

    async def main() -> None:
        with DataFlow(TABLE) as flow:
            async with serving(flow) as server:
                for text, code, close_code in joins:
                    connection = await server.raw(text)
                    frame = await next_frame(connection)
                    assert frame is not None
                    assert isinstance(frame.header, ErrorFrame), text
                    assert frame.header.code == code, text
                    assert await next_frame(connection) is None
                    assert connection.close_code == close_code, text
                assert (server.service.session_count, server.service.client_count) == (0, 0)
                again, _ = await settled(server)
                await good(again, 3)
                again.close()

    caplog.set_level(logging.WARNING)
    run(main())
    assert not [record for record in caplog.records if record.name.startswith("lazyflow")]


def test_text_that_is_no_utf8_ends_the_connection() -> None:
    async def main() -> None:
        with DataFlow(TABLE) as flow:
            async with serving(flow) as server:
                connection, _ = await settled(server)
                assert connection.protocol is not None
                connection.protocol._write_frame(True, 1, b"\xff\xfe")  # type: ignore[attr-defined]
                assert await next_frame(connection) is None
                again, _ = await settled(server)
                await good(again, 3)
                again.close()

    run(main())


def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async def main() -> None:
        with DataFlow(TABLE) as flow:
            async with serving(flow, max_message_bytes=1000) as server:
                connection, _ = await settled(server)
                connection.write_message("x" * 1001)
                assert await next_frame(connection) is None
                assert connection.close_code == 1009
                again, _ = await settled(server)
                await good(again, 3)
                again.close()

    run(main())


def test_who_does_not_read_its_errors_is_let_go() -> None:
    """Answers that nobody reads are not kept without end."""

    async def main() -> None:
        with DataFlow(TABLE) as flow:
            service = Service({"table": flow})
            client = service.join(Join())
            for _ in range(101):
                client.receive("x")
            assert [frame async for frame in client.frames()] == []
            assert client.close_code == 4408
            client.leave()
            await service.close()

    run(main())
