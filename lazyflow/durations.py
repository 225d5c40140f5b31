"""Durations as text: ISO 8601, down to nanoseconds."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Arrow's units of time."""

_ISO = re.compile(
    r"(?P<sign>[+-]?)P(?=[\dT])(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def duration_text(count: int, unit: str) -> str:
    """A number of Arrow's units as an ISO 8601 duration; a negative one begins with a minus.

    >>> duration_text(5_400_000_000_001, "ns"), duration_text(-90_000, "s"), duration_text(0, "s")
    ('PT1H30M0.000000001S', '-P1DT1H', 'PT0S')
    """
    whole, part = divmod(abs(count), UNITS_PER_SECOND[unit])
    digits = len(str(UNITS_PER_SECOND[unit])) - 1
    fraction = f".{part:0{digits}d}".rstrip("0") if part else ""
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    clock = "".join(f"{number}{letter}" for number, letter in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction or not (days or clock):
        clock += f"{seconds}{fraction}S"
    return f"{'-' if count < 0 else ''}P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"


def duration_seconds(text: str) -> Fraction | None:
    """The seconds of an ISO 8601 duration, exactly; None for any other text, also for years and months.

    >>> duration_seconds("PT1H30M"), duration_seconds("-P1DT0.5S"), duration_seconds("P1M")
    (Fraction(5400, 1), Fraction(-172801, 2), None)
    """
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    total = sum((Fraction(found[part]) * seconds for part, seconds in _SECONDS.items() if found[part]), Fraction(0))
    return -total if found["sign"] == "-" else total
