"""Dates and moments as ISO 8601, of any year: Python's own end with the years 1 and 9999.

Such years are written with their sign and at least four digits, the year before 1 as 0 (`-0043-03-15`, `+12024-01-01`).
"""

from __future__ import annotations

import datetime
import re

from lazyflow.durations import UNITS_PER_SECOND

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""The days since 1970 of Python's first and last date."""

_DAY = 86_400
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_ORDINAL_OF_1970 = 719_163
_FAR = re.compile(r"([+-]\d{4,})(-\d\d-\d\d(?:[T ].*)?)", re.DOTALL)


def is_far_day(days: int) -> bool:
    """Whether a day, as days since 1970, lies beyond the years 1 to 9999."""
    return not FIRST_DAY <= days <= LAST_DAY


def date_text(days: int) -> str:
    """A day, as days since 1970, as text.

    >>> date_text(0), date_text(-719_163), date_text(4_000_000)
    ('1970-01-01', '+0000-12-31', '+12921-08-18')
    """
    if not is_far_day(days):
        return datetime.date.fromordinal(days + _ORDINAL_OF_1970).isoformat()
    cycles, rest = divmod(days + _ORDINAL_OF_1970 - 1, _CYCLE_DAYS)
    date = datetime.date.fromordinal(rest + 1)
    return f"{date.year + cycles * _CYCLE_YEARS:+05}{date.isoformat()[4:]}"


def moment_text(count: int, unit: str, zoned: bool) -> str:
    """A timestamp, as a number of units since 1970, as text without zeros that say nothing; `zoned` ones are in UTC.

    >>> moment_text(1_500, "ms", zoned=True), moment_text(-62_135_596_801, "s", zoned=False)
    ('1970-01-01T00:00:01.5Z', '+0000-12-31T23:59:59')
    """
    seconds, rest = divmod(count, UNITS_PER_SECOND[unit])
    days, clock = divmod(seconds, _DAY)
    digits = len(str(UNITS_PER_SECOND[unit])) - 1
    fraction = f".{rest:0{digits}}".rstrip("0") if rest else ""
    hours, minutes = divmod(clock // 60, 60)
    return f"{date_text(days)}T{hours:02}:{minutes:02}:{clock % 60:02}{fraction}{'Z' if zoned else ''}"


def brought_near(text: str) -> tuple[str, int]:
    """A date or moment of any year as one that Python reads, and by how many days it is earlier.

    Years come again after 400: with the same days in the same months.

    >>> brought_near("+12024-02-29 10:00")
    ('2024-02-29 10:00', 3652425)
    >>> brought_near("2024-02-29")
    ('2024-02-29', 0)
    """
    found = _FAR.fullmatch(text)
    if found is None or len(found[1]) > 16:
        return text, 0
    cycles, rest = divmod(int(found[1]) - 2000, _CYCLE_YEARS)
    return f"{2000 + rest}{found[2]}", cycles * _CYCLE_DAYS


def day_of(text: str) -> int:
    """The days since 1970 of a date as text, of any year.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> day_of("1970-01-02"), day_of("+12921-08-18")
    (1, 4000000)
    """
    near, days = brought_near(text)
    return datetime.date.fromisoformat(near).toordinal() - _ORDINAL_OF_1970 + days


def moment_count(text: str, unit: str) -> int:
    """The units since 1970 of a moment as `moment_text` writes it; the fraction has no more digits than the unit.

    >>> moment_count("1970-01-01T00:00:01.5Z", "ms"), moment_count("+0000-12-31 23:59:59", "s")
    (1500, -62135596801)
    """
    near, days = brought_near(text)
    whole, _, fraction = near.removesuffix("Z").removesuffix("+00:00").partition(".")
    since = datetime.datetime.fromisoformat(whole) - datetime.datetime(1970, 1, 1)
    digits = len(str(UNITS_PER_SECOND[unit])) - 1
    seconds = (since.days + days) * _DAY + since.seconds
    return seconds * UNITS_PER_SECOND[unit] + int(fraction.ljust(digits, "0") or 0)


def clock_count(text: str) -> int:
    """The nanoseconds since midnight of a time of day as text.

    >>> clock_count("00:00:01.5"), clock_count("00:01")
    (1500000000, 60000000000)
    """
    whole, _, fraction = text.partition(".")
    hours, minutes, seconds, *_ = (*map(int, whole.split(":")), 0)
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + int(fraction.ljust(9, "0") or 0)
