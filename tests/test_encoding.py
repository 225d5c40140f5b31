"""Cells on their way to disk and back: the same value of the same type, every digit of it."""

from __future__ import annotations

import datetime
import decimal
import json
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyflow.errors import EngineError
from lazyflow.statistics.encoding import decode_cells, encode_cell
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell, Histogram
from lazyflow.types import python_value

SCOPE = CellKey("source", "scope", "", "", 0, durable=True)
KEY = SCOPE._replace(column="c'é\n\"", statistic="mean", version=3, edges="e")


def there_and_back(cell: Cell) -> Cell:
    line = encode_cell(KEY, cell)
    assert line is not None
    assert b"\n" not in line
    (found,) = decode_cells([line], SCOPE).items()
    assert found[0] == KEY
    return found[1]


def same(a: Any, b: Any) -> bool:
    """Whether two values are one, types and signs of zeros included; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, pa.Scalar):
        return bool(a.type == b.type) and repr(a) == repr(b)
    if isinstance(a, decimal.Decimal):
        return a.as_tuple() == b.as_tuple()
    return bool(a == b)


instants = st.builds(
    lambda unit, zone, steps: python_value(pa.scalar(steps, pa.int64()).cast(pa.timestamp(unit, zone))),
    st.sampled_from(["us", "ns"]), st.sampled_from([None, "UTC"]), st.integers(-(2**53), 2**53),
)  # fmt: skip
plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**90), 2**90), st.floats(), st.text(),
    st.dates(), st.times(), instants, st.decimals(allow_nan=False), st.binary(max_size=40),
)  # fmt: skip
values = st.one_of(
    plain,
    st.lists(st.tuples(plain, st.integers(0))).map(tuple),
    st.dictionaries(st.floats(0, 1), st.one_of(st.none(), st.floats())),
    st.builds(
        Histogram, st.lists(plain).map(tuple), st.lists(st.integers(0)).map(tuple), st.integers(0), st.integers(0)
    ),
)


@given(values, st.sampled_from(["exact", "approximate"]))
def test_values_come_back_as_they_were(value: Any, basis: Any) -> None:
    found = there_and_back(Cell(value, basis))
    assert found.basis == basis
    if isinstance(value, dict | Histogram):
        assert repr(found.value) == repr(value)
    else:
        assert same(found.value, value)


INTEGERS = {
    pa.int8(): -(2**7), pa.int16(): 2**15 - 1, pa.int32(): -(2**31), pa.int64(): -(2**63),
    pa.uint8(): 2**8 - 1, pa.uint16(): 2**16 - 1, pa.uint32(): 2**32 - 1, pa.uint64(): 2**64 - 1,
}  # fmt: skip
INSTANTS = [pa.timestamp(unit, zone) for unit in ("us", "ns") for zone in (None, "UTC")]
SCALARS = [
    *(pa.scalar(limit, type) for type, limit in INTEGERS.items()),
    *(pa.scalar(-(2**62) + 1, pa.int64()).cast(type) for type in INSTANTS),
    pa.scalar(1e-310), pa.scalar(0.1, pa.float32()), pa.scalar(-0.0), pa.scalar(math.inf),
    pa.scalar(decimal.Decimal("-12345678901234567890123456789012345.678"), pa.decimal128(38, 3)),
    pa.scalar(decimal.Decimal("1E+3"), pa.decimal128(5, -2)),
    pa.scalar(decimal.Decimal("9" * 70), pa.decimal256(76, 2)),
    pa.scalar(-719162, pa.int32()).cast(pa.date32()),
    pa.scalar(2**40, pa.int64()).cast(pa.timestamp("s")),
    pa.scalar(datetime.time(23, 59, 59), pa.time32("s")),
    pa.scalar(1, pa.int64()).cast(pa.time64("ns")),
]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: str(scalar.type))
def test_ranges_come_back_as_arrow_scalars_of_their_type(scalar: pa.Scalar) -> None:
    missing = pa.scalar(None, scalar.type)
    assert same(there_and_back(Cell((scalar, missing))).value, (scalar, missing))


@pytest.mark.parametrize(
    "cell",
    [
        Cell(error=EngineError("no")),
        Cell(1, "sampled"),
        Cell(1, "pending"),
        Cell(object()),
        Cell((1, [2])),
        Cell(pd.Timestamp("2020-01-01", tz="Europe/Berlin")),
        Cell(pa.scalar("text")),
    ],
)
def test_what_is_no_final_value_of_a_known_type_is_not_kept(cell: Cell) -> None:
    assert encode_cell(KEY, cell) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'["c","mean",1,"","sampled",1]',
        b'["c","mean","1","","exact",1]',
        b'["c","mean",1,"","exact",1,2]',
        *(
            json.dumps(["c", "mean", 1, "", "exact", value]).encode()
            for value in (
                [], [1], ["object", "x"], ["date"], ["date", 5], ["date", "never"], ["decimal", "x"], ["bytes", "0"],
                ["scalar", "int64", "00"], ["scalar", "object", "00"], ["scalar", "decimal128(99, 0)", "00"],
                ["timestamp", "ns", None, 2**70], ["timestamp", "y", None, 0], ["timestamp", "us", None, "x"],
                ["histogram", None, 3, 0, 0], ["mapping", [1]], ["mapping", [["mapping"], 1]], {"a": 1},
            )
        ),
    ],
)  # fmt: skip
def test_what_is_no_cell_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - those of the types that are read are among them
        decode_cells([line], SCOPE)
