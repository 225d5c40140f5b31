"""What a person types about columns, as filters, sort keys and names."""

from __future__ import annotations

import csv
import decimal
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lazyflow.errors import InvalidInput, InvalidValue, UnknownName
from lazyflow.fields import find_field
from lazyflow.state import LIST_OPERATORS, NO_VALUE_OPERATORS, OPERATORS, Condition, Filter, Scalar, Sort
from lazyflow.types import NUMBERS, is_list, kind

if TYPE_CHECKING:
    import pyarrow as pa

Schema = Mapping[str, "pa.DataType"]

_SYMBOL = r"\s*(?P<symbol>==|!=|<=|>=|<|>)(?![=<>!])"
_WORD = (
    r"\s+(?P<word>not\s+in|in|between|contains|starts\s+with|ends\s+with|matches|is\s+not\s+missing|is\s+missing)(?!\w)"
)
_OPERATOR = re.compile(f"(?:{_SYMBOL}|{_WORD})\\s*", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|`[^`]*`')
_AND = re.compile(rf"({_QUOTED.pattern}|.*?)\s+and\s+({_QUOTED.pattern}|.*)", re.IGNORECASE | re.DOTALL)
_OR = re.compile(rf"{_QUOTED.pattern}|(?P<or>\s+or\s+)", re.IGNORECASE)
_BARE = re.compile(r"[^\s=!<>]+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,4})?", re.IGNORECASE)
_INFINITY = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE)
_LONGEST_NUMBER = 1000
_MEANT = {
    "=": "==",
    "===": "==",
    "<>": "!=",
    "=<": "<=",
    "=>": ">=",
    "~": "matches",
    "=~": "matches",
    "like": "contains",
}


def parse_filter(text: str, schema: Schema) -> Condition:
    """The filter that `column operator value` says, or the group of several with `or` between them.

    A value is read by the type of its column. A column's name, or a value, is quoted where it would be ambiguous; the
    values of `in` and `not in` are a list, those of `between` are one too, or have `and` between them. A column is the
    name of one, or of a field in a struct, as in `address.city`.

    Raises
    ------
    UnknownName, InvalidValue
        Saying what was expected.

    Examples
    --------
    >>> import pyarrow as pa
    >>> schema = {"dep_delay": pa.float64(), "origin": pa.string()}
    >>> parse_filter("dep_delay >= 60", schema)
    Filter(column='dep_delay', operator='>=', value=60)
    >>> parse_filter("origin not in [JFK, 'LGA']", schema).value
    ('JFK', 'LGA')
    >>> parse_filter("dep_delay between 10 and 20", schema).value
    (10, 20)
    >>> len(parse_filter("dep_delay > 60 or origin == JFK", schema))
    2
    >>> parse_filter("dep_delay = 60", schema)
    Traceback (most recent call last):
    lazyflow.errors.UnknownName: filter 'dep_delay = 60': unknown operator '=', did you mean '=='?
    """
    try:
        filters = tuple(_filter(part, schema) for part in _alternatives(text, schema))
    except InvalidInput as error:
        raise type(error)(f"filter {text!r}: {error}") from error
    return filters[0] if len(filters) == 1 else filters


def _filter(text: str, schema: Schema) -> Filter:
    column, rest = _column(text.strip(), schema)
    found = _OPERATOR.match(rest)
    if found is None:
        raise _no_operator(rest)
    operator = found["symbol"] or " ".join(found["word"].lower().split())
    type = find_field(column, schema).type
    value = _operand(rest[found.end() :].strip(), operator, type.value_type if is_list(type) else type, column)
    return Filter(column, operator, value)


def _alternatives(text: str, schema: Schema) -> list[str]:
    """The parts between which `or` stands; an `or` that no condition follows belongs to a value."""
    parts, start = [], 0
    for found in _OR.finditer(text):
        if found["or"] and _is_condition(text[found.end() :].strip(), schema):
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]


def _is_condition(text: str, schema: Schema) -> bool:
    try:
        _, rest = _column(text, schema)
    except InvalidInput:
        return False
    return _OPERATOR.match(rest) is not None


def parse_sort(text: str, schema: Schema) -> list[Sort]:
    """The sort keys that `column`, `-column` or several with commas between say; a minus is from high to low.

    A column is the name of one, or of a field in a struct, as in `address.city`.

    >>> parse_sort("-dep_delay, origin", {"dep_delay": None, "origin": None})
    [Sort(column='dep_delay', descending=True), Sort(column='origin', descending=False)]
    """
    keys = []
    for name in split_names(text, schema):
        descending = name.startswith("-") and name not in schema
        column = name[1:].strip() if descending else name
        try:
            find_field(column, schema)
        except UnknownName as error:
            raise UnknownName(f"sort {text!r}: {error}") from error
        keys.append(Sort(column, descending))
    return keys


def parse_columns(texts: Iterable[str], schema: Schema) -> tuple[str, ...]:
    """The names of columns in `a,b`, each once and each known; a name with a comma is quoted."""
    names = dict.fromkeys(name for text in texts for name in split_names(text, schema))
    for name in names:
        if name not in schema:
            raise UnknownName(f"columns: {UnknownName.of('column', name, schema)}")
    return tuple(names)


def split_names(text: str, known: Iterable[str]) -> list[str]:
    """The names in `a,b`, in which a name with a comma is quoted, unless the whole text is one.

    >>> split_names('a, "b, c"', ())
    ['a', 'b, c']
    """
    if text in known:
        return [text]
    (names,) = csv.reader([text], skipinitialspace=True)
    return [name.strip() for name in names if name.strip()]


def _column(text: str, schema: Schema) -> tuple[str, str]:
    """The column at the start of a condition, and what follows it."""
    for name in sorted(schema, key=len, reverse=True):
        if name and text.startswith(name) and _OPERATOR.match(text, len(name)):
            return name, text[len(name) :]
    found = _QUOTED.match(text) or _BARE.match(text)
    if found is None:
        raise InvalidInput("expected 'COLUMN OPERATOR VALUE', such as 'dep_delay >= 60'")
    name = _unquoted(found.group())
    find_field(name, schema)
    return name, text[found.end() :]


def _no_operator(rest: str) -> InvalidInput:
    written = re.match(r"\s*([=!<>~]+|\S+)", rest)
    if written is None:
        return InvalidInput(f"expected an operator after the column, one of: {', '.join(OPERATORS)}")
    operator = written.group(1)
    if operator in _MEANT:
        return UnknownName(f"unknown operator {operator!r}, did you mean {_MEANT[operator]!r}?")
    return UnknownName.of("operator", operator, OPERATORS)


def _operand(text: str, operator: str, type: pa.DataType, column: str) -> Scalar | tuple[Scalar, ...]:
    if operator in NO_VALUE_OPERATORS:
        if text:
            raise InvalidValue(f"{operator!r} takes no value, got {text!r}")
        return None
    if not text:
        raise InvalidValue(f'expected a value after {operator!r}; for an empty text write ""')
    if operator == "between":
        return _bounds(text, type)
    if operator in LIST_OPERATORS:
        return tuple(_scalar(item, type) for item in _items(text))
    if operator == "matches":  # its backslashes are its own
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" else text
    value = _scalar(text, type)
    if value is None:
        raise InvalidValue(f"a comparison with a missing value keeps no row; write {column + ' is missing'!r}")
    return value


def _bounds(text: str, type: pa.DataType) -> tuple[Scalar, ...]:
    """The two values of `between`: low and high, or as a list."""
    found = _AND.fullmatch(text)
    bounds = tuple(_scalar(item, type) for item in (found.groups() if found else _items(text)))
    if len(bounds) != 2:
        raise InvalidValue(f"expected two values, such as '1 and 5' or [1, 5], got {text!r}")
    if None in bounds:
        raise InvalidValue("a comparison with a missing value keeps no row")
    return bounds


def _items(text: str) -> list[str]:
    """The values of a list: [a, b], (a, b), or without brackets."""
    if text[0] in "[(":
        if text[-1] != {"[": "]", "(": ")"}[text[0]]:
            raise InvalidValue(f"expected a list such as [1, 2], got {text!r}")
        text = text[1:-1]
    items, position = [], 0
    for comma in [
        *(found.start() for found in re.finditer(rf"{_QUOTED.pattern}|,", text) if found.group() == ","),
        len(text),
    ]:
        items.append(text[position:comma].strip())
        position = comma + 1
    return [item for item in items if item] if any(items) else []


def _scalar(text: str, type: pa.DataType) -> Scalar:
    """One value, read by the type of its column."""
    kinds = kind(type)
    if kinds != "text" and text.lower() in ("null", "none", "nan"):
        return None
    if kinds in NUMBERS:
        return _number(text, exact=kinds == "decimal")
    if kinds == "boolean":
        if text.lower() not in ("true", "false"):
            raise InvalidValue(f"expected true or false, got {text!r}")
        return text.lower() == "true"
    return _unquoted(text)


def _number(text: str, exact: bool) -> Scalar:
    infinite = _INFINITY.fullmatch(text)
    if infinite:
        return "-Infinity" if infinite[1] == "-" else "Infinity"
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > _LONGEST_NUMBER:
        raise InvalidValue(f"expected a number, got {text if len(text) <= 40 else text[:40] + '...'!r}")
    if "." not in text and not found[3]:
        return int(text)
    if exact:
        return format(decimal.Decimal(text), "f")
    return float(text)


def _unquoted(text: str) -> str:
    """A text without its quotes; double quotes as in JSON, with its escapes."""
    if text[:1] == '"':
        try:
            value = json.loads(text)
        except ValueError:
            raise InvalidValue(f"expected a closing quote at the end of {text!r}") from None
        return str(value)
    if text[:1] in ("'", "`") and len(text) > 1 and text[-1] == text[0]:
        return text[1:-1]
    return text
