"""The wire: what docs/protocol.md says of it, messages to bytes and back, and what errors may tell."""

from __future__ import annotations

import json
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

import msgspec
import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow import errors, protocol, state
from lazyflow.errors import EngineError, InvalidInput, LazyflowError, SourceError, TransformError
from lazyflow.protocol import (
    CLOSE_CODES,
    CODES,
    VERSION,
    ErrorFrame,
    Frame,
    InitialState,
    Join,
    Refused,
    RowsFrame,
    RowsRequest,
    StateChange,
    StateFrame,
    decode_join,
    decode_message,
    error_of,
    request_of,
)
from lazyflow.session.board import wire_cell
from lazyflow.statistics.results import Cell

PAGE = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()

STRUCTS: dict[str, type[msgspec.Struct]] = {
    name: value
    for module in (protocol, state)
    for name, value in vars(module).items()
    if isinstance(value, type)
    and issubclass(value, msgspec.Struct)
    and value.__module__ == module.__name__
    and not name.startswith("_")
}
MESSAGES = {"from clients": protocol.ClientMessage, "from the service": protocol.ServerMessage}


# -- the document


def heading(kind: type[msgspec.Struct]) -> str:
    """Messages have the heading that their `type` says, what they are made of that of its class."""
    return kind.__struct_config__.tag or kind.__name__


def section(title: str) -> str:
    """What stands below a heading, up to the next."""
    found = re.search(rf"^#+ `?{re.escape(title)}`?$\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/protocol.md has no heading {title!r}"
    return found[1]


def rows_of(text: str) -> list[list[str]]:
    """The rows of the first table in a text, without its head; a bar within a cell is written as \\|."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def in_words(hint: Any) -> str:
    """A type as the tables write it."""
    if hint is Any:
        return "any"
    if hint == protocol.Window:
        return "Window"
    if hint == protocol.Cells:
        return "Cells"
    simple = {int: "integer", float: "number", str: "text", bool: "boolean", type(None): "null"}
    if hint in simple:
        return simple[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(part) for part in parts)
    if origin is Literal:
        return " or ".join(f'"{part}"' for part in parts)
    if origin is dict:
        return f"text -> {in_words(parts[1])}" if parts[0] is str else "?"
    if origin in (tuple, typing.get_origin(typing.Sequence[int])):
        within = in_words(parts[0])
        return f"list of ({within})" if " or " in within else f"list of {within}"
    return str(hint.__name__)


def documented(kind: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    """Name, type and default of each field, in the order of the bytes."""
    hints = typing.get_type_hints(kind)
    found = []
    for field in msgspec.structs.fields(kind):
        if kind is InitialState and field.name in StateFrame.__struct_fields__:
            continue  # "the fields of `state`, and"
        default: Any = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        shown = "" if field.required else f"`{msgspec.json.encode(default).decode()}`"
        found.append((f"`{field.encode_name}`", in_words(hints[field.name]), shown))
    return found


@pytest.mark.parametrize("kind", STRUCTS.values(), ids=STRUCTS)
def test_every_field_stands_in_the_tables(kind: type[msgspec.Struct]) -> None:
    written = rows_of(section(heading(kind)))
    unlinked = [(name, re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", type), default) for name, type, default, _ in written]
    assert unlinked == documented(kind)
    assert all(meaning for *_, meaning in written)


def test_every_message_stands_on_its_side() -> None:
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    chapters = dict(zip(parts[1::2], parts[2::2], strict=True))
    for side, messages in MESSAGES.items():
        chapter = next(text for title, text in chapters.items() if title.lower() == f"messages {side}")
        tags = [heading(kind) for kind in typing.get_args(messages)]
        assert re.findall(r"^### `(\w+)`$", chapter, re.MULTILINE) == tags


def test_a_new_field_would_be_missed() -> None:
    longer = msgspec.defstruct("RowsRequest", [("more", int, 3)], bases=(RowsRequest,), tag="rows_request")
    assert documented(longer)[-1] == ("`more`", "integer", "`3`")
    assert documented(longer)[:-1] == documented(RowsRequest)


def test_types_link_to_where_they_are_described() -> None:
    for target in re.findall(r"\]\(#([\w-]+)\)", PAGE):
        titles = [
            re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.M)
        ]
        assert target in titles


def test_codes_and_what_they_say() -> None:
    assert [(code.strip("`"), meaning) for code, meaning, _ in rows_of(section("Codes of errors"))] == list(
        CODES.items()
    )
    assert [(int(code), meaning) for code, meaning in rows_of(section("Close codes"))] == list(CLOSE_CODES.items())


def test_the_class_in_python_that_each_code_has() -> None:
    for code, _, kind in rows_of(section("Codes of errors")):
        error = protocol.exception_of(protocol.ErrorOf(code.strip("`"), "text"))
        assert type(error).__name__ == kind.strip("`")
        assert str(error) == "text"
        assert error_of(error).code == code.strip("`")


def test_the_version_is_the_documents() -> None:
    assert f"version {VERSION}" in PAGE.splitlines()[0]


def test_samples_of_the_document_are_messages() -> None:
    samples = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(samples) >= 2
    for sample in samples:
        if '"type"' in sample:
            assert decode_message(sample)
        else:
            assert decode_join(sample)


# -- frames

HEADERS = [
    ErrorFrame(code="timeout", message="x" * length, request=length, generation=None) for length in range(17)
] + [RowsFrame(generation=1, request=None, window=(0, 3), columns=("ä", '"', "\U0001f600"))]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
@pytest.mark.parametrize("body", [b"", b"rows", bytes(1000)], ids=len)
def test_a_frame_is_what_was_encoded(header: Any, body: bytes) -> None:
    data = Frame(header, body).encode()
    length = int.from_bytes(data[:4], "little")
    assert data[4:8] == bytes(4)
    assert length % 8 == 0
    assert data[8 + length :] == body
    assert json.loads(data[8 : 8 + length])["type"] == heading(type(header))
    assert Frame.decode(data) == Frame(header, body)


def test_arrow_reads_a_body_where_it_lies() -> None:
    table = pa.table({"x": pa.array([1, 2, 3], pa.int64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = pa.py_buffer(Frame(HEADERS[3], sink.getvalue().to_pybytes()).encode())
    body = data.slice(8 + int.from_bytes(data.slice(0, 4).to_pybytes(), "little"))
    read = pa.ipc.open_stream(body).read_all()
    assert read.equals(table)
    values = read["x"].chunk(0).buffers()[1]
    assert data.address <= values.address < data.address + data.size  # not copied
    assert (values.address - data.address) % 8 == 0


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\xff" * 8, b"\2\0\0\0\0\0\0\0{}", Frame(HEADERS[0]).encode()[:-9]], ids=len
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(Refused, match="not a frame") as caught:
        Frame.decode(data)
    assert caught.value.code == "invalid_message"


# -- messages


def test_messages_of_clients() -> None:
    change = decode_message('{"type": "state_change", "state": {"search": "x"}, "request": 3, "columns": ["a"]}')
    assert change == StateChange(state=lf.State(search="x"), request=3, columns=("a",))
    request = decode_message('{"type": "rows_request", "generation": 2, "window": [5, 9]}')
    assert request == RowsRequest(generation=2, window=(5, 9))
    for message in (change, request):
        assert decode_message(msgspec.json.encode(message).decode()) == message


DEEP = '{"type": "state_change", "state": {"filters": [{"column": "x", "operator": "==", "value": %s}]}}'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `type`"),
        ('{"type": "x"}', r"Invalid value 'x' - at `\$\.type`"),
        ('{"type": "state_change"}', "missing required field `state`"),
        ('{"type": "state_change", "state": {"filters": [{"column": "x"}]}}', r"`operator` - at `\$\.state\.filters"),
        ('{"type": "state_change", "state": {"sort": [{"column": 3}]}}', r"`int` - at `\$\.state\.sort\[0\]\.column"),
        (DEEP % ("[" * 10_000 + "]" * 10_000), "recursion"),
        (DEEP % ('{"x": ' * 10_000 + "1" + "}" * 10_000), "recursion"),
        (DEEP % "[[1]]", r"type list cannot be compared with a column - at `\$\.state\.filters\[0\]`"),
        ('{"type": "state_change", "state": {}, "request": 1.5}', r"Expected `int \| null`.*`\$\.request`"),
        ('{"type": "state_change", "state": {}, "more": 1}', "unknown field `more`"),
        ('{"type": "state_change", "state": {"more": 1}}', r"unknown field `more` - at `\$\.state`"),
        ('{"type": "rows_request", "generation": 1, "window": [0, "1"]}', r"got `str` - at `\$\.window\[1\]`"),
        ('{"type": "rows_request", "generation": 1, "window": [0, NaN]}', "malformed|invalid"),
        (b'{"type": "rows_request", "generation": 1, "window": [0, 1]}', "text, not binary"),
        ('{"type": "state_change", "state": {"search": "\\ud800"}}', "truncated|malformed|invalid"),
        ("[" * 10_000, "Expected `object`, got `array`"),
        ('{"x": ' * 10_000 + "1" + "}" * 10_000, "recursion|missing|unknown"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_no_message_says_where(text: str | bytes, where: str) -> None:
    with pytest.raises(Refused, match=f"(?i){where}") as caught:
        decode_message(text)
    assert caught.value.code == "invalid_message"


def test_joins() -> None:
    assert decode_join("{}") == Join()
    assert decode_join('{"version": 1, "body": "json", "window": [0, 5]}') == Join(body="json", window=(0, 5))
    for text, code in {
        '{"version": 2}': "wrong_version",
        '{"version": 0}': "wrong_version",
        '{"version": "1"}': "invalid_message",
        '{"body": "csv"}': "invalid_message",
        '{"state": {"search": 3}}': "invalid_message",
        '{"more": 1}': "invalid_message",
        "[" * 10_000: "invalid_message",
        "": "invalid_message",
    }.items():
        with pytest.raises(Refused) as caught:
            decode_join(text)
        assert caught.value.code == code, text


def test_the_number_of_a_broken_request() -> None:
    assert request_of('{"type": "nonsense", "request": 7, "window": "x"}') == 7
    assert request_of('{"request": null}') is None
    assert request_of('{"request": "7"}') is None
    assert request_of('{"request": 7') is None
    assert request_of("[7]") is None
    assert request_of("[" * 10_000) is None
    assert request_of(b"\xff") is None


# -- errors

SECRETS = [
    "IO Error: /home/me/secret.parquet",
    "could not connect to postgresql://me:hunter2@db.example/prod",
    "Conversion Error: 'Jane Doe, 4111 1111 1111 1111' is no number",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", [EngineError, SourceError, TransformError, LazyflowError, RuntimeError, OSError])
def test_what_others_say_stays_in_the_log(kind: type[Exception], secret: str) -> None:
    for error in (kind(secret), _caused(kind("outer"), secret)):
        shown = msgspec.json.encode(error_of(error)).decode()
        assert secret not in shown
        assert "secret" not in shown
        assert "hunter2" not in shown
        code = json.loads(shown)["code"]
        assert json.loads(shown)["message"] == CODES[code]
    if issubclass(kind, LazyflowError):
        cell = msgspec.json.encode(wire_cell(Cell(error=kind(secret)))).decode()
        assert secret not in cell
        assert set(json.loads(cell)) == {"error"}


def _caused(error: Exception, secret: str) -> Exception:
    error.__cause__ = RuntimeError(secret)
    error.add_note(secret)
    return error


def test_what_the_client_asked_wrongly_is_said_in_full() -> None:
    for kind in (InvalidInput, *InvalidInput.__subclasses__()):
        assert error_of(kind("the text")).message == "the text"
        assert error_of(kind("the text")).code in CODES
    assert error_of(Refused("timeout")).message == CODES["timeout"]


def test_every_error_of_lazyflow_has_a_code() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, LazyflowError)]
    for kind in kinds:
        assert error_of(kind("text")).code in CODES


def test_close_codes_of_refusals() -> None:
    assert {Refused(code).close_code for code in CODES} <= set(CLOSE_CODES)
    assert Refused("too_many_clients").close_code == 4429
    assert Refused("invalid_message").close_code == 4400
