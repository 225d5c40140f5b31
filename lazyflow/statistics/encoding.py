"""Cells as JSON, and back to what they were: the value's type is kept, and every digit of it."""

from __future__ import annotations

import datetime
import decimal
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell, Histogram

if TYPE_CHECKING:
    import pyarrow as pa

_LASTING = ("exact", "approximate")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")


def encode_cell(key: CellKey, cell: Cell) -> bytes | None:
    """A cell as a line of JSON, or None where it has an error, is not final, or has a value of some other type."""
    if cell.error is not None or cell.basis not in _LASTING:
        return None
    try:
        value = _encode(cell.value)
    except TypeError:
        return None
    return json.dumps([*key[2:6], cell.basis, value], separators=(",", ":")).encode()


def decode_cells(lines: Iterable[bytes], scope_key: CellKey) -> dict[CellKey, Cell]:
    """The cells that `encode_cell` made lines of; those of one scope, whose fingerprint and digest any key of it gives.

    Raises
    ------
    ValueError
        If a line is anything else.
    """
    cells = {}
    for line in lines:
        match json.loads(line):
            case [str(column), str(statistic), int(version), str(edges), ("exact" | "approximate") as basis, value]:
                key = scope_key._replace(column=column, statistic=statistic, version=version, edges=edges)
                cells[key] = Cell(_decode(value), basis)
            case other:
                raise ValueError(f"no cell: {str(other)[:80]}")
    return cells


def _encode(value: Any) -> Any:
    """A value as JSON has it, or as a list that begins with the name of its form."""
    import pyarrow as pa

    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return ["tuple", *map(_encode, value)]
    if isinstance(value, Mapping):
        return ["mapping", *([_encode(key), _encode(item)] for key, item in value.items())]
    if isinstance(value, Histogram):
        return ["histogram", _encode(value.edges), list(value.counts), value.below, value.above]
    if isinstance(value, datetime.datetime):
        return _encode_instant(value)
    if isinstance(value, datetime.date | datetime.time):
        return [type(value).__name__, value.isoformat()]
    if isinstance(value, decimal.Decimal):
        return ["decimal", str(value)]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, pa.Scalar) and (str(value.type) in _types() or pa.types.is_decimal(value.type)):
        return ["scalar", str(value.type), _bytes(value).hex() if value.is_valid else None]
    raise TypeError(f"a {type(value).__name__} is not kept")


def _encode_instant(value: datetime.datetime) -> list[Any]:
    """A timestamp by its unit: what Arrow makes of nanoseconds is a class of pandas, which has them."""
    import pyarrow as pa

    if value.tzinfo is not None and value.utcoffset() != datetime.timedelta():
        raise TypeError("an instant in another zone than UTC is not kept")
    unit, zone = "ns" if hasattr(value, "nanosecond") else "us", None if value.tzinfo is None else "UTC"
    return ["timestamp", unit, zone, pa.scalar(value, pa.timestamp(unit, zone)).value]


def _decode(stored: Any) -> Any:
    if not isinstance(stored, list | dict):
        return stored
    try:
        form, *parts = stored
        return _FORMS[form](*parts)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no value: {str(stored)[:80]}") from error


def _decode_instant(unit: str, zone: str | None, steps: int) -> Any:
    import pyarrow as pa

    return _scalar(pa.timestamp(unit, zone), steps.to_bytes(8, "little", signed=True)).as_py()


def _decode_scalar(name: str, digits: str | None) -> pa.Scalar:
    import pyarrow as pa

    found = _DECIMAL.fullmatch(name)
    type = getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3])) if found else _types()[name]
    return pa.nulls(1, type)[0] if digits is None else _scalar(type, bytes.fromhex(digits))


def _bytes(scalar: pa.Scalar) -> bytes:
    """A scalar of fixed width as it lies in memory."""
    import pyarrow as pa

    content: bytes = pa.repeat(scalar, 1).buffers()[1].to_pybytes()
    return content[: scalar.type.bit_width // 8]


def _scalar(type: pa.DataType, content: bytes) -> pa.Scalar:
    """The scalar that lies in memory so. `pa.scalar` would load pandas, which takes half a second."""
    import pyarrow as pa

    if len(content) != type.bit_width // 8:
        raise ValueError(f"{len(content)} bytes are no {type}")
    return pa.Array.from_buffers(type, 1, [None, pa.py_buffer(content)])[0]


def _decode_histogram(edges: Any, counts: list[int], below: int, above: int) -> Histogram:
    return Histogram(_decode(edges), tuple(counts), below, above)


_FORMS: Mapping[str, Callable[..., Any]] = {
    "tuple": lambda *items: tuple(map(_decode, items)),
    "mapping": lambda *pairs: {_decode(key): _decode(item) for key, item in pairs},
    "histogram": _decode_histogram,
    "timestamp": _decode_instant,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": decimal.Decimal,
    "bytes": bytes.fromhex,
    "scalar": _decode_scalar,
}


@cache
def _types() -> Mapping[str, pa.DataType]:
    """The canonical types of numbers, dates and times by their names, but for decimals."""
    import pyarrow as pa

    whole = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
    instants = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]
    times = [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
    return {str(type): type for type in (*whole, pa.float32(), pa.float64(), pa.date32(), *instants, *times)}
