"""Statistics that depend on the order of rows: the first and the last value, and whether the values rise or fall.

Nearly all columns have shown within the first rows that they do neither, and the last value is among the last rows; so
two windows of the scope are looked at, all columns at once. A pass over a whole column is made where they leave
something open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lazyflow import expressions as ex
from lazyflow.errors import LazyflowError
from lazyflow.statistics.builtin import FIRST, HEAD, LAST, MONOTONIC, TAIL
from lazyflow.statistics.queries import StatisticsQuery, Want, hidden_key
from lazyflow.statistics.registry import CellKey, Statistic
from lazyflow.statistics.results import Cell
from lazyflow.types import python_value

if TYPE_CHECKING:
    import pyarrow as pa

_PART = 10_000

Monotonic = Literal["increasing", "decreasing", "constant", "no"]


@dataclass(frozen=True)
class Course:
    """How the present values of a column go, in the order of the rows.

    Parameters
    ----------
    first, last
        Arrow scalars; None where there is no value.
    rises, falls
        Whether some value is greater, and whether some is less, than one before it.
    """

    first: pa.Scalar | None = None
    last: pa.Scalar | None = None
    rises: bool = False
    falls: bool = False

    @classmethod
    def of(cls, values: pa.ChunkedArray | pa.Array) -> Course:
        """The course of an Arrow array of a canonical type.

        >>> import pyarrow as pa
        >>> Course.of(pa.array([1, None, 3, 2])).monotonic, Course.of(pa.array([float("nan"), 0.0, -0.0])).monotonic
        ('no', 'constant')
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(values) > 2 * _PART:  # most columns have shown all that is asked before the first part ends
            head, tail = cls.of(values[:_PART]), cls.of(values[-_PART:])
            if head.first is not None and tail.last is not None and head.then(tail).monotonic == "no":
                return head.then(tail)
        if values.type == pa.bool_():  # few kernels take booleans
            course = cls.of(values.cast(pa.int8()))
            first, last = (None if end is None else end.cast(pa.bool_()) for end in (course.first, course.last))
            return cls(first, last, course.rises, course.falls)
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        missing = pc.is_null(values, nan_is_null=True)
        if pc.any(missing).as_py():
            values = values.filter(pc.invert(missing))
        if not len(values):
            return cls()
        if pa.types.is_floating(values.type):
            values = pc.add(values, pa.scalar(0.0, values.type))
        before, after = values[:-1], values[1:]
        rises, falls = (bool(pc.any(compare(after, before)).as_py()) for compare in (pc.greater, pc.less))
        return cls(values[0], values[-1], rises, falls)

    def then(self, later: Course) -> Course:
        """The course of both, where `later` follows; what lies between them may rise and fall more."""
        if self.last is None or later.first is None:
            return later if self.last is None else self
        between = Course.of(_pair(self.last, later.first))
        rises, falls = (
            self.rises or later.rises or between.rises,
            self.falls or later.falls or between.falls,
        )
        return Course(self.first, later.last, rises, falls)

    @property
    def monotonic(self) -> Monotonic | None:
        """Whether the values never fall, never rise, neither, or both; None without any."""
        if self.first is None:
            return None
        if self.rises and self.falls:
            return "no"
        return "increasing" if self.rises else "decreasing" if self.falls else "constant"


def _pair(one: pa.Scalar, other: pa.Scalar) -> pa.Array:
    import pyarrow as pa

    return pa.concat_arrays([pa.repeat(one, 1), pa.repeat(other, 1)])


class OrderQuery(StatisticsQuery):
    """A query whose engine has to keep the source's order."""

    def singly(self) -> list[StatisticsQuery]:
        return []  # one look gives all

    def unanswered(self, cells: Mapping[CellKey, Cell]) -> frozenset[CellKey]:
        """None: what a window leaves open is asked for in another way."""
        return frozenset()

    def decided(self, want: Want, course: Course, whole: bool, reaches_end: bool) -> Cell | None:
        """The cell of a want from the course of some of its column's rows, or None where that leaves it open."""
        if want.statistic is FIRST:
            return Cell(_value(course.first)) if whole or course.first is not None else None
        if want.statistic is LAST:
            return Cell(_value(course.last)) if whole or reaches_end else None
        return Cell(course.monotonic) if whole or course.monotonic == "no" else None


def _value(scalar: pa.Scalar | None) -> Any:
    return None if scalar is None else python_value(scalar)


class WindowQuery(OrderQuery):
    """Rows `start` to `stop` of a scope in the order of the source; the answer has the columns asked about.

    `before` are the courses of earlier rows, by the columns' inside names, `constant` the columns of which it is known
    that their values are all the same.
    """

    evidence: ClassVar[Statistic]

    def __init__(
        self,
        *arguments: Any,
        start: int,
        stop: int | None,
        before: Mapping[str, Course],
        constant: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(*arguments)
        self.start = start
        self.stop = stop
        self.before = before
        self.constant = constant

    @property
    def length(self) -> int | None:
        """How many rows are asked for; None for all from `start` on."""
        return None if self.stop is None else self.stop - self.start

    @cached_property
    def expression(self) -> ex.Table:
        table = self.stage.table.select([column.inside for column in self.columns])
        return table.limit(self.length, offset=self.start)

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        result: dict[CellKey, Cell] = {}
        is_head = self.start == 0
        whole = is_head and (self.stop is None or answer.num_rows < self.stop)
        for column in self.columns:
            found = Course.of(answer[column.inside].cast(column.type))
            course = self.before.get(column.inside, Course()).then(found)
            result[hidden_key(self.rows_key, column, self.evidence)] = Cell(course)
            for want in self.wants:
                if want.column == column:
                    cell = self.decided(want, course, whole, not is_head and found.last is not None)
                    if want.statistic is MONOTONIC and column.inside in self.constant:
                        cell = Cell("constant")
                    if cell is not None:
                        result[want.key] = cell
        return result

    def split(self) -> list[StatisticsQuery]:
        return self._halves()

    def failed(self, error: LazyflowError) -> dict[CellKey, Cell]:
        return super().failed(error) | {
            hidden_key(self.rows_key, column, self.evidence): Cell(Course()) for column in self.columns
        }

    def _like(self, kind: type[StatisticsQuery], wants: Sequence[Want]) -> StatisticsQuery:
        arguments = (self.stage, wants, self.ns, self.rows_key, self.registry, self.budget)
        return type(self)(*arguments, start=self.start, stop=self.stop, before=self.before, constant=self.constant)


class HeadQuery(WindowQuery):
    """The first rows of a scope."""

    evidence = HEAD


class TailQuery(WindowQuery):
    """The last rows of a scope."""

    evidence = TAIL


class CourseQuery(OrderQuery):
    """How all values of one column go; the answer is one row."""

    @cached_property
    def expression(self) -> ex.Table:
        (column,) = self.columns
        there = self.stage.table.filter(ex.present(self.stage.table[column.inside]))
        values = there.select(value=ex.clean(self.ns, there[column.inside]))
        # In the order in which the rows are read: to say it, by their numbers, costs engines a sort.
        beside = values.mutate(before=values["value"].lag(), after=values["value"].lead())
        value, before, after = (
            beside[name].cast("int8") if column.kind == "boolean" else beside[name]
            for name in ("value", "before", "after")
        )
        return beside.aggregate(
            first=beside["value"].max(where=before.isnull()),
            last=beside["value"].max(where=after.isnull()),
            rises=(value > before).ifelse(1, 0).sum(),
            falls=(value < before).ifelse(1, 0).sum(),
        )

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        (column,) = self.columns
        first, last = (answer[name].cast(column.type)[0] for name in ("first", "last"))
        rises, falls = (bool(answer[name][0].as_py()) for name in ("rises", "falls"))
        course = Course(first, last, rises, falls) if first.is_valid else Course()
        return {want.key: self.decided(want, course, whole=True, reaches_end=True) or Cell() for want in self.wants}

    def split(self) -> list[StatisticsQuery]:
        return []
