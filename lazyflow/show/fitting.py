"""Tables that fit a width: which columns, how wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Span, Text

GAP = 2


@dataclass(frozen=True)
class Lines:
    """One column of a table: its lines, the head first, and the style of each."""

    texts: Sequence[str]
    styles: Sequence[str]
    align: Literal["left", "right"] = "left"

    @cached_property
    def width(self) -> int:
        """Cells of the terminal that it needs; a wide character takes two."""
        return max(map(cell_len, self.texts))

    def padded(self) -> list[str]:
        """The lines, all of the same width."""
        blanks = [" " * (self.width - cell_len(text)) for text in self.texts]
        pairs = zip(self.texts, blanks, strict=True)
        return [blank + text if self.align == "right" else text + blank for text, blank in pairs]


def cut(text: str, width: int) -> str:
    """The text, with an ellipsis at its end where it is wider than `width` cells.

    >>> cut("2013-01-01T10:00:00Z", 11), cut("short", 11)
    ('2013-01-01…', 'short')
    """
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def cut_front(text: str, width: int) -> str:
    """As `cut`, but the end is kept: of a path, the name.

    >>> cut_front("/data/flights.parquet", 16)
    '…flights.parquet'
    """
    while text and cell_len(text) > width:
        text = "…" + text.removeprefix("…")[1:] if len(text) > 1 else ""
    return text


def fitting(width_of: Callable[[int], int], count: int, width: int, urgent: Iterable[int] = ()) -> list[int]:
    """Which of `count` columns fit beside each other, in their order: the urgent ones first, at least one.

    >>> fitting(lambda index: 10, 4, width=40), fitting(lambda index: 10, 4, width=40, urgent=[3])
    ([0, 1, 2], [0, 1, 3])
    """
    chosen: list[int] = []
    used = -GAP
    for index in dict.fromkeys([*urgent, *range(count)]):
        used += width_of(index) + GAP
        if chosen and used > width:
            break
        chosen.append(index)
    return sorted(chosen)


def beside(columns: Sequence[Lines], heads: int) -> Text:
    """The columns beside each other, a rule below the first `heads` lines."""
    padded = [column.padded() for column in columns]
    lines: list[str] = []
    spans: list[Span] = []
    start = 0

    def add(line: str) -> None:
        nonlocal start
        lines.append(line.rstrip())
        start += len(lines[-1]) + 1

    for number, parts in enumerate(zip(*padded, strict=True)):
        if number == heads:
            rule = "─" * (sum(column.width for column in columns) + GAP * (len(columns) - 1))
            spans.append(Span(start, start + len(rule), "dim"))
            add(rule)
        position = start
        for part, column in zip(parts, columns, strict=True):
            if column.styles[number] and part.strip():
                spans.append(Span(position, position + len(part.rstrip()), column.styles[number]))
            position += len(part) + GAP
        add((" " * GAP).join(parts))
    return Text("\n".join(lines), no_wrap=True, overflow="crop", spans=spans)
