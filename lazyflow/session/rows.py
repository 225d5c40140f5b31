"""Rows of a window as the body of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lazyflow.plan import Plan
from lazyflow.protocol import BodyFormat, ErrorOf, Window
from lazyflow.values import plain, python_values

if TYPE_CHECKING:
    import pyarrow as pa


class Seen(NamedTuple):
    """Which columns somebody sees: those of these names, or where none are named the first `most`."""

    columns: tuple[str, ...]
    most: int

    def of(self, plan: Plan) -> tuple[str, ...]:
        """Those of a view; where it has none of the names, the first too."""
        return tuple(name for name in self.columns if name in plan.schema) or tuple(plan.schema)[: self.most]


@dataclass(frozen=True)
class WantedRows:
    """Which rows somebody sees, and how they are to be written: what is computed once for all who want the same."""

    window: Window
    columns: tuple[str, ...]
    body: BodyFormat

    @classmethod
    def of(cls, plan: Plan, window: Window, seen: Seen, body: BodyFormat) -> WantedRows:
        """The rows of a view for one who sees these columns of it."""
        return cls(window, seen.of(plan), body)

    def overlaps(self, other: WantedRows) -> bool:
        """Whether some row of this window is in the other one too."""
        (start, stop), (first, last) = self.window, other.window
        return (self.columns, self.body) == (other.columns, other.body) and start < last and first < stop


@dataclass(frozen=True)
class GivenRows:
    """The answer: a body, or why there is none."""

    wanted: WantedRows
    body: bytes = b""
    error: ErrorOf | None = None


def encode_rows(table: pa.Table, wanted: WantedRows) -> bytes:
    """The wanted columns of a table as an Arrow IPC stream, or as JSON.

    >>> import pyarrow as pa
    >>> encode_rows(pa.table({"x": [1, None], "y": ["a", "b"]}), WantedRows((0, 2), ("y", "x"), "json"))
    b'[["a","b"],[1,null]]'
    """
    table = table.select(list(wanted.columns))
    if wanted.body == "json":
        return msgspec.json.encode([[plain(value) for value in python_values(column)] for column in table.columns])
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
