"""Tables that fit a width: which columns, how wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Lines:
    """One column of a table as lines of text, the head first."""

    lines: Sequence[Text]
    align: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """Cells of the terminal that it needs; a wide character takes two."""
        return max(cell_len(line.plain) for line in self.lines)

    def padded(self) -> list[Text]:
        """The lines, all of the same width."""
        width = self.width
        return [_pad(line, width - cell_len(line.plain), self.align) for line in self.lines]


def _pad(line: Text, by: int, align: str) -> Text:
    line = line.copy()
    line.pad_left(by) if align == "right" else line.pad_right(by)
    return line


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


def fitting(widths: Sequence[int], width: int, urgent: Iterable[int] = ()) -> list[int]:
    """Which columns fit beside each other, in their order: the urgent ones first, at least one.

    >>> fitting([10, 10, 10, 10], 40), fitting([10, 10, 10, 10], 40, urgent=[3])
    ([0, 1, 2], [0, 1, 3])
    """
    chosen: list[int] = []
    used = -GAP
    for index in dict.fromkeys([*urgent, *range(len(widths))]):
        needed = widths[index] + GAP
        if chosen and used + needed > width:
            break
        chosen.append(index)
        used += needed
    return sorted(chosen)


def beside(columns: Sequence[Lines], heads: int) -> Text:
    """The columns beside each other, a rule below the first `heads` lines."""
    padded = [column.padded() for column in columns]
    lines = [Text(" " * GAP).join(parts) for parts in zip(*padded, strict=True)]
    rule = Text("─" * sum(column.width for column in columns) + "─" * GAP * (len(columns) - 1), "dim")
    for line in lines:
        line.rstrip()
    text = Text("\n", no_wrap=True, overflow="crop").join([*lines[:heads], rule, *lines[heads:]])
    text.no_wrap, text.overflow = True, "crop"
    return text
