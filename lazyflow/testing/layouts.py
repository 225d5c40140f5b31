"""Small columns of every type that Arrow has beside the plain scalars, and what callers see of each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa

from lazyflow.testing.scalars import INF, NAN
from lazyflow.types import canonical


@dataclass(frozen=True)
class Layout:
    """A column as a caller may bring it, and the same values in the type in which they are handed out.

    `written` says whether a Parquet file holds such a type.
    """

    name: str
    given: pa.Array
    plain: pa.Array
    written: bool = True

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """The column `x` between two others: as brought, in pieces that begin within an array, and as seen."""
        rows = len(self.given)
        row, good = pa.array(range(rows), pa.int64()), pa.array([f"good {number}" for number in range(rows)])
        pieces = pa.chunked_array([self.given.slice(0, 1), self.given.slice(1)])
        names = ["row", "x", "good"]
        return pa.table([row, pieces, good], names=names), pa.table([row, self.plain, good], names=names)


def _same(name: str, values: list[Any], type: pa.DataType, written: bool = True) -> Layout:
    """Of values that are handed out as they are, in the canonical form of their type."""
    return Layout(name, pa.array(values, type), pa.array(values, canonical(type)), written)


def _numbers(name: str, counts: list[Any], type: pa.DataType, plain: pa.DataType, written: bool = True) -> Layout:
    """Of moments and the like, given as numbers of their unit."""
    numbers = pa.array(counts, pa.int64())
    return Layout(name, numbers.cast(type), numbers.cast(type).cast(plain), written)


def _decimals(width: int, precision: int, scale: int, plain: pa.DataType, written: bool = True) -> Layout:
    """Decimals at both ends of their type; made of whole numbers, since Arrow takes no texts with other exponents."""
    whole = [15, None, 10**precision - 1, 1 - 10**precision, 0, 15]
    made = pa.array([None if number is None else Decimal(number) for number in whole], _decimal(width, precision, 0))
    given = pa.Array.from_buffers(_decimal(width, precision, scale), len(whole), made.buffers())
    with localcontext(prec=100):
        texts = pa.array([None if number is None else format(Decimal(number).scaleb(-scale), "f") for number in whole])
    return Layout(f"decimal{width}({precision}, {scale})", given, texts.cast(plain), written)


def _decimal(width: int, precision: int, scale: int) -> pa.DataType:
    return getattr(pa, f"decimal{width}")(precision, scale)


def _coded(
    name: str, labels: pa.Array, codes: list[int | None], plain: list[Any], ordered: bool = False, written: bool = True
) -> Layout:
    """A dictionary of these labels."""
    given = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), labels, ordered=ordered)
    return Layout(name, given, pa.array(plain, canonical(labels.type)), written)


def _extension(name: str, type: pa.DataType, stored: pa.Array, plain: pa.Array) -> Layout:
    return Layout(name, pa.ExtensionArray.from_storage(type, stored), plain)


_IDENTIFIERS = [b"\0" * 15 + b"\x05", None, b"\xff" * 16]
_IDENTIFIERS_AS_TEXT = ["00000000-0000-0000-0000-000000000005", None, "ffffffff-ffff-ffff-ffff-ffffffffffff"]
_UUIDS = pa.array(_IDENTIFIERS, pa.binary(16))
_EITHER = pa.struct([("0", pa.int64()), ("1", pa.string())])
_EITHER_VALUES = [{"0": 1}, {"1": "b"}, {}, {}]
_DEEP = pa.struct(
    [
        ("a", pa.list_(pa.struct([("b", pa.list_(pa.int32())), ("c", pa.timestamp("ns", "UTC"))]))),
        ("d", pa.string()),
    ]
)
_BEYOND = [[4_000_000, -1_000_000], None, []]

LAYOUTS = [
    Layout(
        "half floats",
        pa.array(np.array([1.5, NAN, INF, -0.0, 6e-8, 65504.0], np.float16)),
        pa.array([1.5, NAN, INF, -0.0, float(np.float16(6e-8)), 65504.0], pa.float32()),
    ),
    _decimals(32, 9, 2, pa.decimal128(9, 2), written=False),
    _decimals(64, 18, 4, pa.decimal128(18, 4), written=False),
    _decimals(128, 38, 0, pa.decimal128(38, 0)),
    _decimals(128, 38, 38, pa.decimal128(38, 38)),
    _decimals(128, 5, -2, pa.decimal128(7, 0), written=False),
    _decimals(128, 3, 5, pa.decimal128(5, 5), written=False),
    _decimals(256, 38, 4, pa.decimal128(38, 4)),
    _decimals(256, 76, 4, pa.string()),
    _same("text in views", ["a", None, "", "long enough not to be inline", "nul\0x"], pa.string_view()),
    _same("binary in views", [b"ab", None, b"", b"\0\xff" * 20], pa.binary_view()),
    _numbers("date64", [0, None, 86_400_000 * -719_162, 86_400_000 * 2_932_896], pa.date64(), pa.date32()),
    *(
        _numbers(
            f"timestamp ns {zone}", [0, None, 1, -1, 2**62 + 1], pa.timestamp("ns", zone), pa.timestamp("ns", "UTC")
        )
        for zone in ("+05:30", "Asia/Tokyo")
    ),
    Layout(
        "calendar intervals",
        pa.array([(1, 2, 3), None, (0, 0, 0), (-1, -2, -3_500_000_000)], pa.month_day_nano_interval()),
        pa.array(["P1M2DT0.000000003S", None, "P0M0DT0S", "P-1M-2DT-3.5S"]),
        written=False,
    ),
    _coded(
        "dictionary of views",
        pa.array(["z", "a"], pa.string_view()),
        [0, None, 1, 0],
        ["z", None, "a", "z"],
        written=False,
    ),
    _coded("dictionary in order", pa.array(["z", "a"]), [0, None, 1, 0], ["z", None, "a", "z"], ordered=True),
    _coded("dictionary with a null", pa.array(["z", None]), [0, None, 1, 0], ["z", None, None, "z"], written=False),
    _coded("dictionary with a label twice", pa.array(["z", "z", "a"]), [0, 1, 2], ["z", "z", "a"]),
    _coded("dictionary of binary", pa.array([b"z", b"a"]), [0, None, 1], [b"z", None, b"a"]),
    _coded("dictionary of decimals", pa.array([Decimal("1.5")]), [0, None, 0], [Decimal("1.5"), None, Decimal("1.5")]),
    Layout(
        "dictionary of instants",
        pa.array([0, None, 5], pa.int64()).cast(pa.timestamp("ns", "Europe/Berlin")).dictionary_encode(),
        pa.array([0, None, 5], pa.int64()).cast(pa.timestamp("ns", "UTC")),
    ),
    Layout(
        "runs of text",
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int32()), pa.array(["a", None, "b"])),
        pa.array(["a", "a", None, "b", "b"]),
        written=False,
    ),
    Layout(
        "runs of integers",
        pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 5], pa.int16()), pa.array([1, None, 2**63 - 1])),
        pa.array([1, 1, None, 2**63 - 1, 2**63 - 1]),
        written=False,
    ),
    _same("list views", [[1, 2], None, [], [None, 3]], pa.list_view(pa.int64()), written=False),
    _same("large list views", [["a"], None, [], [None, "b"]], pa.large_list_view(pa.large_string()), written=False),
    _same("lists of instants", [[1, None], None, []], pa.list_(pa.timestamp("ns", "Asia/Tokyo"))),
    _same("lists of durations", [[1, None], None, []], pa.list_(pa.duration("us"))),
    _same("lists of fixed binary", [[b"ab", None], None, []], pa.list_(pa.binary(2))),
    _same("lists of half floats", [[np.float16(1.5), None], None, []], pa.list_(pa.float16())),
    _same("lists of nulls", [[None], None, []], pa.list_(pa.null())),
    _same("lists of lists", [[[1], None, []], None, []], pa.list_(pa.list_(pa.int64()))),
    _same("lists of decimals", [[Decimal("9" * 38), None], None], pa.list_(pa.decimal128(38, 0))),
    Layout(
        "lists of far dates",
        pa.array(_BEYOND, pa.list_(pa.int32())).cast(pa.list_(pa.date32())),
        pa.array(_BEYOND, pa.list_(pa.int32())).cast(pa.list_(pa.date32())),
    ),
    _same("lists of times", [[1, None], None, []], pa.list_(pa.time64("ns"))),
    _same("structs of lists of structs", [{"a": [{"b": [1, None], "c": 5}, None], "d": "x"}, None, {"a": None}], _DEEP),
    _same("structs without fields", [{}, None, {}], pa.struct([]), written=False),
    Layout(
        "structs of layouts",
        pa.array(
            [{"a": "x", "b": np.float16(1.5), "c": b"ab"}, None],
            pa.struct([("a", pa.large_string()), ("b", pa.float16()), ("c", pa.binary(2))]),
        ),
        pa.array(
            [{"a": "x", "b": 1.5, "c": b"ab"}, None],
            pa.struct([("a", pa.string()), ("b", pa.float32()), ("c", pa.binary())]),
        ),
    ),
    _same("structs of durations", [{"a": dt.timedelta(1)}, None], pa.struct([("a", pa.duration("us"))])),
    _same("structs of nulls", [{"a": None}, None, {"a": None}], pa.struct([("a", pa.null())])),
    _same(
        "structs of fields alike",
        [{"A": 1, "a": 2, "": 3, 'q"q': 4}, None, {"A": None, "a": 1, "": 2, 'q"q': None}],
        pa.struct([("A", pa.int64()), ("a", pa.int64()), ("", pa.int64()), ('q"q', pa.int64())]),
    ),
    _same("maps", [[("a", 1), ("b", None)], None, []], pa.map_(pa.string(), pa.int64())),
    _same("maps of numbers", [[(1, "a"), (2, "b")], None], pa.map_(pa.int32(), pa.large_string())),
    _same("maps to structs", [[("a", {"x": 1})], None, []], pa.map_(pa.string(), pa.struct([("x", pa.int64())]))),
    Layout(
        "sparse unions",
        pa.UnionArray.from_sparse(
            pa.array([0, 1, 0, 1], pa.int8()), [pa.array([1, None, None, 4]), pa.array(["a", "b", "c", None])]
        ),
        pa.array(_EITHER_VALUES, _EITHER),
        written=False,
    ),
    Layout(
        "dense unions",
        pa.UnionArray.from_dense(
            pa.array([0, 1, 0, 1], pa.int8()),
            pa.array([0, 0, 1, 1], pa.int32()),
            [pa.array([1, None]), pa.array(["b", None])],
        ),
        pa.array(_EITHER_VALUES, _EITHER),
        written=False,
    ),
    _extension("identifiers", pa.uuid(), _UUIDS, pa.array(_IDENTIFIERS_AS_TEXT)),
    Layout(
        "lists of identifiers",
        pa.ListArray.from_arrays(pa.array([0, 1, 1, 3]), pa.ExtensionArray.from_storage(pa.uuid(), _UUIDS)),
        pa.array([_IDENTIFIERS_AS_TEXT[:1], [], _IDENTIFIERS_AS_TEXT[1:]]),
    ),
    _extension("json", pa.json_(), pa.array(['{"k": 1}', None]), pa.array(['{"k": 1}', None])),
    _extension("booleans of eight bits", pa.bool8(), pa.array([1, None, 0], pa.int8()), pa.array([True, None, False])),
    _extension("opaque", pa.opaque(pa.binary(), "x", "y"), pa.array([b"a", None]), pa.array([b"a", None])),
    _extension(
        "tensors",
        pa.fixed_shape_tensor(pa.int32(), [2]),
        pa.array([[1, 2], [3, None]], pa.list_(pa.int32(), 2)),
        pa.array([[1, 2], [3, None]], pa.list_(pa.int32())),
    ),
]
"""Each is shown, sorted or not, counted, in a table in memory and in a file."""
