"""Values as text for people."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

from lazyflow.statistics.results import Histogram
from lazyflow.values import iso_of

MISSING = "—"
BLOCKS = "▁▂▃▄▅▆▇█"

_JOINERS = "\u200c\u200d"  # they are part of emoji, and of words in Persian and Hindi


def shown(value: Any) -> str:
    r"""A value of a row, for people: one line without control characters; missing values are a dash, empty text quoted.

    >>> shown(517.0), shown(None), shown("two\nlines"), shown("")
    ('517', '—', 'two\\nlines', '""')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value, 6, separators=False)
    if isinstance(value, int | decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return iso_of(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if value == "":
        return '""'
    return printable(str(value))


def printable(text: str) -> str:
    """The text with everything that would move the cursor, hide or turn text around written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _JOINERS else character.encode("unicode_escape").decode()
        for character in text
    )


def number(value: float | decimal.Decimal, digits: int = 5, separators: bool = True) -> str:
    """A number with so many significant digits; whole numbers as they are, thousands set apart from 10,000 on.

    >>> number(12.112159), number(336776), number(2013), number(0.0000123), number(1e300)
    ('12.112', '336,776', '2013', '1.23e-05', '1e+300')
    """
    if isinstance(value, int):
        return format(value, "," if separators and abs(value) >= 10_000 else "")
    value = float(value)
    size = abs(value)
    comma = "," if separators and size >= 10_000 else ""
    if math.isinf(size):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return format(value, f".{digits - 1}g")
    if value.is_integer():
        return format(value, f"{comma}.0f")
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    text = format(value, f"{comma}.{decimals}f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(part: int, whole: int) -> str:
    """A part of a whole in per cent; only nothing is 0 % and only all is 100 %.

    >>> share(0, 10), share(1, 100_000), share(17, 1000), share(99_999, 100_000)
    ('0%', '<0.1%', '1.7%', '>99.9%')
    """
    if part in (0, whole) or not whole:
        return "100%" if part and whole else "0%"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1%"
    return ">99.9%" if percent > 99.9 else f"{percent:.1f}%"


def bars(histogram: Histogram, width: int) -> str:
    """A histogram as blocks, at most `width` of them: a blank is no row, the lowest block at least one.

    >>> bars(Histogram((0, 1, 2, 3, 4), (10, 5, 0, 1)), 10)
    '█▄ ▁'
    """
    counts = list(histogram.counts)
    while len(counts) > max(1, width):
        counts = [sum(counts[index : index + 2]) for index in range(0, len(counts), 2)]
    highest = max(counts, default=0)
    if not highest:
        return ""
    return "".join(BLOCKS[max(0, math.ceil(count / highest * len(BLOCKS)) - 1)] if count else " " for count in counts)
