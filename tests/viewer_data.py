"""Tables for the tests of the viewer."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa

CITIES = ["Bonn", "Rome", "Oslo", "Lima", "Graz", "Kyiv", "Bern"]


def trips(rows: int = 3000) -> pa.Table:
    """Trips: text, numbers with gaps, dates, instants, decimals, booleans, lists; each row another `number`."""
    numbers = range(rows)
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    return pa.table({
        "number": pa.array(numbers, pa.int64()),
        "city": [CITIES[n * 3 // 5 % 7] for n in numbers],
        "delay": [None if n % 10 == 3 else float((n * 37) % 100) / 2 - 5 for n in numbers],
        "day": [(start + datetime.timedelta(days=n % 90)).date() for n in numbers],
        "left": pa.array([start + datetime.timedelta(minutes=n) for n in numbers], pa.timestamp("us", "UTC")),
        "price": pa.array([decimal.Decimal(n % 40) / 4 for n in numbers], pa.decimal128(10, 2)),
        "paid": [n % 3 == 0 for n in numbers],
        "tags": [["a", "b"][: n % 3] for n in numbers],
        "note": ["" if n % 50 else f"trip {n} to {CITIES[n * 3 // 5 % 7].lower()}" for n in numbers],
    })  # fmt: skip
