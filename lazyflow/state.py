"""What a person has asked for: search, filters, sort, cleaning, post-processing, as immutable values."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from lazyflow.durations import duration_text
from lazyflow.errors import InvalidState, UnknownName

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
TEXT_OPERATORS = ("contains", "starts with", "ends with", "matches")
OPERATORS = (*COMPARISONS, "between", "in", "not in", *TEXT_OPERATORS, "is missing", "is not missing")
"""The operators of a filter."""

LIST_OPERATORS = frozenset({"between", "in", "not in"})
NO_VALUE_OPERATORS = frozenset({"is missing", "is not missing"})

MAX_JSON_BYTES = 1_000_000
"""A state written as JSON may be this long; a longer one is refused before it is parsed."""

Scalar = str | int | float | bool | None


class Filter(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """One condition on one column.

    Parameters
    ----------
    column
        Name of a column of the clean table, or of a field in a struct, as in `address.city`.
    operator
        One of `OPERATORS`.
    value
        A scalar; for `in` and `not in` a list of scalars, for `between` the two bounds, both included.
        Dates, times, durations, decimals and bytes may be given as Python objects; they are kept as text (ISO 8601,
        hexadecimal), so that a state equals its own JSON. None is missing: a comparison with it keeps no row.

    Raises
    ------
    UnknownName, InvalidState
        For an unknown operator, or a value that no column could be compared with.

    Examples
    --------
    >>> Filter("dep_delay", ">=", 60)
    Filter(column='dep_delay', operator='>=', value=60)
    >>> import datetime
    >>> Filter("day", "==", datetime.date(2013, 1, 31)).value
    '2013-01-31'
    """

    column: str
    operator: str
    value: Any = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise UnknownName.of("operator", self.operator, OPERATORS)
        if not isinstance(self.column, str):
            raise InvalidState(f"a filter's column is a text, not {self.column!r}")
        where = f"filter on {self.column!r}"
        value: Any = self.value
        if self.operator in LIST_OPERATORS:
            if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
                raise InvalidState(f"{where}: {self.operator!r} needs a list of values, got {value!r}")
            if self.operator == "between" and (len(value) != 2 or not isinstance(value, Sequence)):
                raise InvalidState(f"{where}: 'between' needs two values, [low, high], got {value!r}")
            value = tuple(_plain(item, where) for item in value)
        elif self.operator in NO_VALUE_OPERATORS:
            if value is not None:
                raise InvalidState(f"{where}: {self.operator!r} takes no value, got {value!r}")
        else:
            value = _plain(value, where)
        msgspec.structs.force_setattr(self, "value", value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Any, ...]:
        """What makes filters equal: true is not 1 here, though it is in Python."""
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return self.column, self.operator, isinstance(self.value, tuple), *((type(v) is bool, v) for v in values)


Condition: TypeAlias = Filter | Sequence[Filter]
"""A filter, or a group of filters any of which a row must meet."""


class Sort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sort key; missing values come last in both directions, ties keep the source's order.

    `column` is the name of a column of the shown table, or of a field in a struct, as in `address.city`.

    >>> Sort("dep_delay", descending=True)
    Sort(column='dep_delay', descending=True)
    """

    column: str
    descending: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.column, str):
            raise InvalidState(f"a sort's column is a text, not {self.column!r}")


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One view of a table: what is searched, filtered, sorted, cleaned and post-processed.

    Parameters
    ----------
    search
        A literal text that some text column must contain, whatever the case; empty keeps every row.
    filters
        Conditions, all of which a row must meet; a list of filters among them is one condition, met by any of them.
    sort
        Sort keys, the first the most significant.
    cleaning, post_processing
        Names under which the app registered a function, or None.

    Examples
    --------
    >>> state = State(search="jfk", filters=[Filter("dep_delay", ">=", 60)])
    >>> State.from_json(state.to_json()) == state
    True
    >>> late_or_unknown = State(filters=[[Filter("dep_delay", ">", 60), Filter("dep_delay", "is missing")]])
    """

    search: str = ""
    filters: Sequence[Condition] = ()
    sort: Sequence[Sort] = ()
    cleaning: str | None = None
    post_processing: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.search, str):
            raise InvalidState(f"search is a text, not {self.search!r}")
        filters = tuple(
            _all_of(item, Filter, f"filters[{position}]") if isinstance(item, list | tuple) else item
            for position, item in enumerate(_sequence(self.filters, Filter, "filters"))
        )
        for item in filters:
            if not isinstance(item, tuple):
                _all_of((item,), Filter, "filters")
        msgspec.structs.force_setattr(self, "filters", filters)
        msgspec.structs.force_setattr(self, "sort", _all_of(self.sort, Sort, "sort"))
        for field in ("cleaning", "post_processing"):
            name = getattr(self, field)
            if name is not None and not isinstance(name, str):
                raise InvalidState(f"{field} is a registered name or None, not {name!r}")

    def to_json(self) -> str:
        """The state as JSON text; `State.from_json` gives it back, equal."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> State:
        """The state that a JSON text describes, checked for its shape; names and types are checked by `compile`.

        Raises
        ------
        InvalidState
            Where the text is no JSON, too long, or does not have the shape of a state; the message says where.

        Examples
        --------
        >>> State.from_json('{"sort": [{"column": 3}]}')
        Traceback (most recent call last):
        lazyflow.errors.InvalidState: not a state: Expected `str`, got `int` - at `$.sort[0].column`
        """
        if not isinstance(text, str | bytes):
            raise InvalidState(f"a state is read from JSON text, not from {type(text).__name__}")
        if len(text) > MAX_JSON_BYTES:
            raise InvalidState(f"not a state: {len(text):,} bytes of JSON, at most {MAX_JSON_BYTES:,} are read")
        try:
            return msgspec.json.decode(text, type=State)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidState(f"not a state: {error}") from error


def _sequence(items: Any, kind: type[Any], where: str) -> Sequence[Any]:
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise InvalidState(f"{where} is a list of {kind.__name__}, not {items!r}")
    return items


def _all_of(items: Any, kind: type[Any], where: str) -> tuple[Any, ...]:
    for item in _sequence(items, kind, where):
        if not isinstance(item, kind):
            raise InvalidState(f"{where} is a list of {kind.__name__}, found {item!r} in it")
    return tuple(items)


def _plain(value: Any, where: str) -> Scalar:
    """The value in the form that JSON keeps: temporal values and decimals as text, bytes too, NaN as None."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidState(f"{where}: {value!r} is not valid Unicode text") from error
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if hasattr(value, "item") and not isinstance(value, datetime.date | datetime.time):
        return _plain_numpy(value, where)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return None if value.is_nan() else str(value)
        text = format(value, "f")
        return text if "." in text else int(text)
    if isinstance(value, datetime.date | datetime.time):
        return None if value != value else value.isoformat()
    if isinstance(value, datetime.timedelta):  # pandas' own has nanoseconds beside
        return duration_text(
            value // datetime.timedelta(microseconds=1) * 1000 + getattr(value, "nanoseconds", 0), "ns"
        )
    if isinstance(value, bytes):
        return value.hex()
    raise InvalidState(f"{where}: {value!r} of type {type(value).__name__} cannot be compared with a column")


def _plain_numpy(value: Any, where: str) -> Scalar:
    """A numpy scalar as a plain value; a datetime64 as text, since `item()` would cut or count its nanoseconds."""
    if value.dtype.kind == "M":
        return None if str(value) == "NaT" else str(value)
    if value.dtype.kind == "m":
        nanoseconds = value.astype("m8[ns]")
        if nanoseconds.astype(value.dtype) != value and str(value) != "NaT":
            raise InvalidState(f"{where}: {value!r} does not fit 64 bits of nanoseconds")
        return None if str(value) == "NaT" else duration_text(int(nanoseconds.astype("i8")), "ns")
    item = value.item()
    if hasattr(item, "dtype"):
        raise InvalidState(f"{where}: {value!r} cannot be compared with a column")
    return _plain(item, where)
