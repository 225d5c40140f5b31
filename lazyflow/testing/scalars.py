"""Small columns of every scalar type, with the values at which engines differ, and operands to ask them about."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lazyflow.state import Scalar
from lazyflow.types import Kind, canonical, kind

NAN, INF = float("nan"), float("inf")

FAMILIES: dict[Kind, str] = {
    "integer": "integers",
    "float": "floats",
    "decimal": "decimals",
    "text": "text",
    "boolean": "booleans",
    "date": "dates",
    "timestamp": "timestamps",
    "time": "times",
    "duration": "durations",
    "binary": "binary",
    "list": "lists",
    "other": "other types",
}
"""The families of cases that go through the types."""

BETWEEN = frozenset(
    {"int16", "int32", "uint16", "uint32", "timestamp ms", "timestamp us", "time ms", "large text"}
    | {f"timestamp {unit} America/New_York" for unit in ("s", "ms")}
)


@dataclass(frozen=True)
class Sample:
    """A column of one type: its values, and operands for filters, each a value of the column, beside one, or beyond."""

    name: str
    type: pa.DataType
    values: tuple[Any, ...]
    operands: tuple[Any, ...]

    @property
    def between(self) -> bool:
        """Whether it lies between other types of its kind, such as int16: nothing new is to be expected of it."""
        return self.name in BETWEEN

    @property
    def family(self) -> str:
        """The family of the cases of this type."""
        return FAMILIES[kind(canonical(self.type))]

    def column(self) -> pa.Array:
        """The values as an Arrow array; integers for temporal types are numbers of their unit."""
        if pa.types.is_temporal(self.type) and all(isinstance(value, int | None) for value in self.values):
            width = pa.int32() if self.type.bit_width == 32 else pa.int64()
            return pa.array(self.values, width).cast(self.type)
        return pa.array(self.values, self.type)

    def table(self) -> pa.Table:
        """The column `x` beside the number of its row."""
        return pa.table({"row": pa.array(range(len(self.values)), pa.int64()), "x": self.column()})


def _integers(bits: int, signed: bool) -> Sample:
    type = getattr(pa, f"{'' if signed else 'u'}int{bits}")()
    low = -(2 ** (bits - 1)) if signed else 0
    high = 2 ** (bits - signed) - 1
    values = (5, None, low, high, high - 1, low + 1, 0, 5, None)
    return Sample(str(type), type, values, (5, low, high, 1.5, -7, 2**70, -(2**70), INF, None))


_MICRO = 1_000_000
_DAY = 86_400


def _timestamps(unit: str, zone: str | None) -> Sample:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    night = int(dt.datetime(2024, 11, 3, 5, 30, tzinfo=dt.UTC).timestamp()) * per_second
    if unit == "ns":
        extreme = [int(dt.datetime(1700, 1, 1, tzinfo=dt.UTC).timestamp()) * per_second, (2**63 - 1) // 10**9 * 10**9]
    else:
        extreme = [
            (dt.date(y, m, d).toordinal() - dt.date(1970, 1, 1).toordinal()) * _DAY * per_second
            for y, m, d in ((1, 1, 1), (9999, 12, 31))
        ]
    values = (night, None, *extreme, night + 1, -1, 0, night, None)
    text = "2024-11-03T05:30:00"
    zoned: tuple[Scalar, ...] = (
        text + "Z",
        "2024-11-03T01:30:00-04:00",
        "2024-11-03 11:00:00+05:30",
        "1969-12-31T23:59:59.999999999+00:00",
    )
    naive: tuple[Scalar, ...] = (text, "1969-12-31 23:59:59.999999999", "2024-11-03T05:30")
    finer = (
        "2024-11-03T05:30:00.0000005" + ("Z" if zone else ""),
        "2024-11-03T05:30:00.000000001" + ("Z" if zone else ""),
    )
    operands = (*(zoned if zone else naive), *finer, "0001-01-01" + (" 00:00:00Z" if zone else ""), "9999-12-31", None)
    return Sample(f"timestamp {unit}{' ' + zone if zone else ''}", pa.timestamp(unit, zone), values, operands)


def _times(unit: str) -> Sample:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    noon, last = 43_200 * per_second, _DAY * per_second - 1
    type = pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    operands = ("12:00", "00:00:00", "23:59:59", "12:00:00.000000001", "23:59:59.999999", None)
    return Sample(f"time {unit}", type, (noon, None, 0, last, noon + 1, noon, None), operands)


def _texts(name: str, type: pa.DataType) -> Sample:
    values = (
        "a",
        None,
        "",
        "A",
        "50%",
        "5_0",
        "back\\slash",
        "nul\0byte",
        "nul",
        "😀",
        "\uffff",
        "a%",
        None,
        "é",
        "e\u0301",
        "'",
    )
    return Sample(name, type, values, ("a", "", "%", "_", "\\", "\0", "😀", "nul", "\uffff", "'", "zz", None))


INTEGERS = [_integers(bits, signed) for signed in (True, False) for bits in (8, 16, 32, 64)]

FLOATS = [
    Sample(
        "float64",
        pa.float64(),
        (1.5, None, NAN, INF, -INF, 0.0, -0.0, 2.0**53, 5e-324, 1.7976931348623157e308, 1.5, 0.1),
        (1.5, 0.0, -0.0, INF, -INF, NAN, 0.1, 2**53 + 1, 10**400, -(10**400), Decimal("1.50"), None),
    ),
    Sample(
        "float32",
        pa.float32(),
        (1.5, None, NAN, INF, -INF, 0.0, -0.0, 16777216.0, 3.4028234663852886e38, 0.1, -1.5),
        (1.5, 0.0, INF, -INF, NAN, 0.1, 16777217, 1e39, -1e39, None),
    ),
    Sample("float64 of NaN", pa.float64(), (NAN, NAN, NAN, NAN, NAN, 2.5), (2.5, 100.0, -1.0, INF, None)),
    Sample("float64 all missing", pa.float64(), (None, NAN, None), (2.5, NAN)),
]

DECIMALS = [
    Sample(
        "decimal(10, 2)",
        pa.decimal128(10, 2),
        (
            Decimal("1.50"),
            None,
            Decimal("-2.25"),
            Decimal("99999999.99"),
            Decimal("-99999999.99"),
            Decimal("0.00"),
            Decimal("0.10"),
        ),
        (1.5, Decimal("1.505"), 0.1, 0, 10**9, -(10**9), INF, Decimal("99999999.99"), Decimal("-0.00000001"), None),
    ),
    Sample(
        "decimal(38, 10)",
        pa.decimal128(38, 10),
        (Decimal("10.0000000001"), None, Decimal("10"), Decimal("9" * 28 + ".5"), Decimal("-" + "9" * 28)),
        (Decimal("10.0000000001"), 10, Decimal("10.00000000005"), 10**28, Decimal("9" * 28 + ".5"), None),
    ),
    Sample(
        "decimal(5, 0)",
        pa.decimal128(5, 0),
        (Decimal(1), None, Decimal(99999), Decimal(-99999), Decimal(0)),
        (1, 0.5, 99999, 100000, -1e9, None),
    ),
]

BOOLEANS = [Sample("boolean", pa.bool_(), (True, None, False, True, None), (True, False, None))]

DATES = [
    Sample(
        "date",
        pa.date32(),
        (
            dt.date(2000, 1, 1),
            None,
            dt.date(1, 1, 1),
            dt.date(9999, 12, 31),
            dt.date(1969, 12, 31),
            dt.date(2024, 2, 29),
        ),
        ("2000-01-01", dt.date(1, 1, 1), dt.date(9999, 12, 31), "1970-01-01", None),
    ),
]

TIMESTAMPS = [_timestamps(unit, zone) for zone in (None, "America/New_York") for unit in ("s", "ms", "us", "ns")]

TIMES = [_times(unit) for unit in ("s", "ms", "us", "ns")]

TEXTS = [
    _texts("text", pa.string()),
    _texts("large text", pa.large_string()),
    _texts("dictionary of text", pa.dictionary(pa.int32(), pa.string())),
    Sample(
        "dictionary of integers",
        pa.dictionary(pa.int8(), pa.int64()),
        (10, None, 9, 2**53 + 1, 2**53, 10),
        (10, 2**53, 9.5, None),
    ),
]

_NINETY = {"s": "PT1M30S", "ms": "PT0.09S", "us": "PT0.00009S", "ns": "PT0.00000009S"}
_HALF = {"s": "PT90.5S", "ms": "PT0.0905S", "us": "PT0.0000905S", "ns": "PT0.0000000905S"}

DURATIONS = [
    Sample(
        f"duration {unit}",
        pa.duration(unit),
        (90, None, -90, 0, 2**63 - 1, 91, 90, 1 - 2**63, None),
        (*(sign + text[unit] for text in (_NINETY, _HALF) for sign in ("", "-")), "PT0S", "P200000000000D", "-P69993D",
         dt.timedelta(days=1), None),
    )
    for unit in ("s", "ms", "us", "ns")
]  # fmt: skip

BINARIES = [
    Sample(
        name,
        type,
        (b"ab", None, b"\0\xff", b"aa", b"\0\0", b"ab", None),
        (b"ab", b"", "0x00ff", b"\xff", b"a", None),
    )
    for name, type in (
        ("binary", pa.binary()),
        ("fixed binary", pa.binary(2)),
        ("large binary", pa.large_binary()),
    )
]

LISTS = [
    Sample(
        "list of integers",
        pa.list_(pa.int64()),
        ([1, 2], None, [], [None, 3], [2**63 - 1]),
        (1, 3, 1.5, 2**70, 2**63 - 1, None),
    ),
    Sample(
        "list of floats",
        pa.list_(pa.float64()),
        ([1.5, NAN], None, [], [None], [0.0], [-0.0, INF], [1.0, -INF]),
        (1.5, 0.0, -0.0, NAN, INF, -INF, 0.1, None),
    ),
    Sample(
        "list of text",
        pa.list_(pa.string()),
        (["a", None], None, [], ["A", "ab", "😀"], [""]),
        ("a", "", "😀", "b", None),
    ),
    Sample("large list of large text", pa.large_list(pa.large_string()), (["a", None], None, [], ["b"]), ("a", "c")),
    Sample(
        "list of categories",
        pa.list_(pa.dictionary(pa.int8(), pa.string())),
        (["a", None], None, [], ["b"]),
        ("a", "c"),
    ),
    Sample("list of two", pa.list_(pa.int32(), 2), ([1, 2], None, [None, 3]), (1, 3, 4, None)),
    Sample("list of booleans", pa.list_(pa.bool_()), ([True, None], None, [], [False]), (True, False)),
    Sample(
        "list of decimals",
        pa.list_(pa.decimal128(10, 2)),
        ([Decimal("1.50"), None], None, [], [Decimal("-2.25")]),
        (1.5, Decimal("-2.25"), Decimal("1.505"), None),
    ),
    Sample(
        "list of dates",
        pa.list_(pa.date32()),
        ([dt.date(2000, 1, 1), None], None, [], [dt.date(1, 1, 1)]),
        ("2000-01-01", "0001-01-01", "1999-01-01"),
    ),
    Sample(
        "list of timestamps",
        pa.list_(pa.timestamp("us")),
        ([dt.datetime(2000, 1, 1, 12), None], None, []),
        ("2000-01-01 12:00:00", "2000-01-01 12:00:00.0000001", "2001-01-01"),
    ),
    Sample(
        "list of instants",
        pa.list_(pa.timestamp("us", "Europe/Berlin")),
        ([dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC), None], None, []),
        ("2000-01-01 12:00:00Z", "2000-01-01 13:00:00+01:00", "2001-01-01"),
    ),
    Sample(
        "list of times",
        pa.list_(pa.time64("us")),
        ([dt.time(12), None], None, [], [dt.time(0)]),
        ("12:00", "00:00", "13:00"),
    ),
    Sample("list of binary", pa.list_(pa.binary()), ([b"ab", None], None, [], [b""]), (b"ab", b"", b"c")),
]
"""Lists, which `contains` asks for an element."""

_BEFORE, _AFTER, _ERA = -62_135_596_801, 253_402_300_800, -100_000_000_000
"""Seconds since 1970 of the last one before year 1, of the first one after year 9999, and of one in the year -1199."""


def _far(unit: str, zone: str | None) -> Sample:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    end = "Z" if zone else ""
    operands = (
        f"+0000-12-31T23:59:59{end}", f"+10000-01-01 00:00:00{end}", f"-1199-02-15T14:13:20{end}", "2000-01-01",
        f"+10000-01-01 00:00:00.000000001{end}", f"+9999999-01-01{end and 'T00:00Z'}",
        f"-9999999-01-01{end and 'T00:00Z'}", None,
    )  # fmt: skip
    values = (*(second * per_second for second in (_BEFORE, _AFTER, 0, _ERA, _AFTER)), None)
    return Sample(f"far timestamp {unit}{' ' + zone if zone else ''}", pa.timestamp(unit, zone), values, operands)


FAR = [
    Sample(
        "far date",
        pa.date32(),
        (0, None, -719_163, 2_932_897, -1_000_000, 4_000_000, -719_162, 2_932_896, 4_000_000),
        ("+0000-12-31", "+10000-01-01", "-0768-02-04", "+12921-08-18", "2000-01-01", "+9999999-01-01", "-9999999-12-31",
         "0001-01-01", None),
    ),
    *(_far(unit, zone) for unit in ("s", "ms", "us") for zone in (None, "Europe/Berlin")),
]  # fmt: skip
"""Dates before the year 1 and after 9999, which Python does not have."""

SAMPLES = [*INTEGERS, *FLOATS, *DECIMALS, *BOOLEANS, *DATES, *TIMESTAMPS, *TIMES, *DURATIONS, *TEXTS, *BINARIES]

OTHERS = [
    *LISTS,
    Sample(
        "struct",
        pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ({"a": 1, "b": "x"}, None, {"a": None, "b": "y"}),
        (),
    ),
    Sample("map", pa.map_(pa.string(), pa.int64()), ([("a", 1)], None, []), ()),
    Sample("null", pa.null(), (None, None, None), ()),
]
"""Types that are shown and counted as missing or not."""


def each(samples: list[Sample]) -> pytest.MarkDecorator:
    """Parametrise a case with samples, each in the family of its type."""
    given = [pytest.param(sample, id=sample.name, marks=pytest.mark.family(sample.family)) for sample in samples]
    return pytest.mark.parametrize("sample", given)
