"""The three queries of the statistics phase, each over one scope and many columns at once."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from lazyflow import expressions as ex
from lazyflow.errors import EngineError, LazyflowError
from lazyflow.plan import Stage
from lazyflow.query import Query
from lazyflow.source import SourceColumn
from lazyflow.statistics.builtin import CARDINALITY, RANGE, TOP
from lazyflow.statistics.edges import edges
from lazyflow.statistics.registry import Build, CellKey, Edges, Statistic
from lazyflow.statistics.results import Basis, Cell
from lazyflow.statistics.value_counts import ValueCounts
from lazyflow.types import NUMBERS, TEMPORAL

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("lazyflow.statistics")

OVERFLOW = -1
"""In an answer to a `ValueCountsQuery`, the number of rows that says: this column has too many distinct values."""

MANY = 2**62
"""The cardinality of a column of which nothing is known but that it has too many distinct values to be counted."""

Scalars = Mapping[str, "pa.Scalar"]


class Want(NamedTuple):
    """One cell that a view wants: a statistic of a column of a stage, and the key that says so."""

    key: CellKey
    stage: Stage
    column: SourceColumn | None
    statistic: Statistic
    in_sight: bool = False
    edges: Edges | None = None


@dataclass(frozen=True)
class Native:
    """An engine's own, faster form of a statistic: what it aggregates, and on what basis."""

    build: Build
    basis: Basis = "exact"


class StatisticsQuery(Query):
    """Cells of one scope, computed together. `read` turns the engine's answer into them."""

    deferred: ClassVar[bool] = True

    def __init__(
        self, stage: Stage, wants: Sequence[Want], ns: ex.Namespace, rows_key: CellKey, native: Mapping[str, Native]
    ) -> None:
        self.stage = stage
        self.wants = tuple(wants)
        self.ns = ns
        self.rows_key = rows_key
        self.native = native
        self.cells = frozenset(want.key for want in wants)

    @property
    def concerns(self) -> frozenset[CellKey]:
        """Keys by which views know that the query is for them: its cells, and the number of rows of its scope.

        A query for numbers of distinct values has no cell that a view asked for, and is yet for views of its scope.
        """
        return self.cells | {self.rows_key}

    @abstractmethod
    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        """The cells that the engine's answer gives; may hold more than was wanted."""

    def unanswered(self, cells: Mapping[CellKey, Cell]) -> frozenset[CellKey]:
        """The cells that an answer was due to give and did not."""
        return self.cells - cells.keys()

    def failed(self, error: LazyflowError) -> dict[CellKey, Cell]:
        """The cells that are known when the query failed and cannot be split: each with the error."""
        return {key: Cell(error=error) for key in self.cells}

    @abstractmethod
    def split(self) -> list[StatisticsQuery]:
        """Smaller queries for the same cells, to find the guilty one where this one failed; empty if it is the one."""

    def _like(self, kind: type[StatisticsQuery], wants: Sequence[Want]) -> StatisticsQuery:
        return kind(self.stage, wants, self.ns, self.rows_key, self.native)

    def _halves(self) -> list[StatisticsQuery]:
        middle = len(self.wants) // 2
        return (
            [self._like(type(self), self.wants[:middle]), self._like(type(self), self.wants[middle:])] if middle else []
        )

    @cached_property
    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns asked about, each once."""
        return tuple({want.column.inside: want.column for want in self.wants if want.column is not None}.values())

    def cleaned(self, column: SourceColumn) -> ex.Column:
        """The column with missing values as NULL."""
        return ex.clean(self.ns, self.stage.table[column.inside])


class ValueCountsQuery(StatisticsQuery):
    """Distinct values and their numbers of rows, of columns that have few of them: everything else follows.

    The answer has the columns `column` (position in `columns`), one value column per type (`value_0`...), and `rows`.
    """

    @cached_property
    def types(self) -> tuple[Any, ...]:
        """The types of the value columns, as the expression family writes them."""
        return tuple(dict.fromkeys(self._type(column) for column in self.columns))

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """For each column, which value column holds its values."""
        return tuple(self.types.index(self._type(column)) for column in self.columns)

    def _type(self, column: SourceColumn) -> Any:
        return self.stage.table[column.inside].type()(nullable=True)

    @cached_property
    def expression(self) -> ex.Table:
        branches = []
        for position, (column, slot) in enumerate(zip(self.columns, self.slots, strict=True)):
            grouped = self.group(column)
            values = {
                f"value_{other}": grouped["value"] if other == slot else self.ns.null(type)
                for other, type in enumerate(self.types)
            }
            branches.append(grouped.select(column=self.ns.literal(position, "int32"), **values, rows=grouped["rows"]))
        return branches[0] if len(branches) == 1 else self.ns.union(*branches)

    @cached_property
    def table(self) -> ex.Table:
        """The columns asked about: compilers go through every column of a table, once for each group of rows."""
        return self.stage.table.select([column.inside for column in self.columns])

    def group(self, column: SourceColumn) -> ex.Table:
        """The value counts of one column, as a table with the columns `value` and `rows`."""
        value = ex.clean(self.ns, self.table[column.inside])
        return self.table.group_by(value=value).aggregate(rows=lambda table: table.count())

    def answer(self, counts: Sequence[tuple[pa.ChunkedArray, pa.ChunkedArray] | None]) -> pa.Table:
        """The answer that `expression` would have, for engines that count in their own way.

        Parameters
        ----------
        counts
            For each of `columns` its values and their numbers of rows, or None where it has too many.
        """
        import pyarrow as pa

        types = [type.to_pyarrow() for type in self.types]
        tables = []
        for position, (slot, found) in enumerate(zip(self.slots, counts, strict=True)):
            values, rows = found or (pa.nulls(1, types[slot]), pa.array([OVERFLOW], pa.int64()))
            size = len(rows)
            columns = {"column": pa.repeat(pa.scalar(position, pa.int32()), size)}
            for other, type in enumerate(types):
                columns[f"value_{other}"] = values.cast(type) if other == slot else pa.nulls(size, type)
            tables.append(pa.table(columns | {"rows": rows.cast(pa.int64())}))
        return pa.concat_tables(tables)

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        import numpy as np

        numbers = answer["column"].to_numpy()
        if (numbers[1:] < numbers[:-1]).any():  # the branches of a union may come mixed
            order = np.argsort(numbers, kind="stable")
            answer, numbers = answer.take(order), numbers[order]
        starts = np.searchsorted(numbers, np.arange(len(self.columns) + 1))
        result: dict[CellKey, Cell] = {}
        for position, (column, slot) in enumerate(zip(self.columns, self.slots, strict=True)):
            part = answer.slice(starts[position], starts[position + 1] - starts[position])
            if part.num_rows == 1 and part["rows"][0].as_py() == OVERFLOW:
                result[_hidden(self.rows_key, column, CARDINALITY)] = Cell(MANY)
            else:
                result.update(self.read_column(column, part[f"value_{slot}"], part["rows"]))
        return result

    def unanswered(self, cells: Mapping[CellKey, Cell]) -> frozenset[CellKey]:
        """As of any query; but a column that has too many values is asked about in another way."""
        many = {key.column for key, cell in cells.items() if cell.value == MANY and key.statistic == CARDINALITY.name}
        return frozenset(key for key in self.cells - cells.keys() if key.column not in many and key.column)

    def read_column(self, column: SourceColumn, values: pa.ChunkedArray, rows: pa.ChunkedArray) -> dict[CellKey, Cell]:
        """The cells of one column from its values and their numbers of rows."""
        import pyarrow as pa

        counts = ValueCounts(
            pa.chunked_array(values.chunks, values.type).combine_chunks().cast(column.type), rows.combine_chunks()
        )
        mine = [want for want in self.wants if want.column == column]
        result = {self.rows_key: Cell(counts.rows)}
        result[_hidden(self.rows_key, column, CARDINALITY)] = Cell(counts.distinct)
        if column.kind in NUMBERS | TEMPORAL:
            result[_hidden(self.rows_key, column, RANGE)] = Cell(counts.finite_range)
        for want in mine:
            result[want.key] = _cell(partial(self._from_counts, want, column, counts), "exact")
        return result

    def _from_counts(self, want: Want, column: SourceColumn, counts: ValueCounts) -> Any:
        """A statistic's value; a histogram without edges from elsewhere takes them from the values counted."""
        own = want.statistic.needs_edges and want.edges is None
        return want.statistic.from_counts(counts, edges(*counts.finite_range, column.type) if own else want.edges or ())

    def split(self) -> list[StatisticsQuery]:
        if len(self.columns) > 1:
            middle = {column.inside for column in self.columns[: len(self.columns) // 2]}
            first = [want for want in self.wants if want.column is not None and want.column.inside in middle]
            rest = [want for want in self.wants if want not in first]
            return [self._like(ValueCountsQuery, first), self._like(ValueCountsQuery, rest)]
        return []

    def failed(self, error: LazyflowError) -> dict[CellKey, Cell]:
        """A column that cannot be counted value by value is asked about in the other way, so nothing has failed yet."""
        return {_hidden(self.rows_key, column, CARDINALITY): Cell(MANY) for column in self.columns}


class AggregateQuery(StatisticsQuery):
    """Statistics that are aggregates, all of them in one pass; the answer is one row."""

    @cached_property
    def _parts(self) -> list[tuple[Want, Mapping[str, ex.Column], Basis]]:
        parts = []
        for want in self.wants:
            if want.column is None:
                continue
            native = self.native.get(want.statistic.name)
            build = native.build if native else want.statistic.build
            assert build is not None
            basis = native.basis if native else want.statistic.basis
            parts.append((want, build(self.cleaned(want.column), self.ns, want.edges or ()), basis))
        return parts

    @cached_property
    def expression(self) -> ex.Table:
        metrics = {"rows": self.stage.table.count()}
        for number, (_, parts, _) in enumerate(self._parts):
            metrics.update({f"a{number}_{index}": part for index, part in enumerate(parts.values())})
        return self.stage.table.aggregate(**metrics)

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        result = {self.rows_key: Cell(answer["rows"][0].as_py())}
        for number, (want, parts, basis) in enumerate(self._parts):
            scalars = {name: answer[f"a{number}_{index}"][0] for index, name in enumerate(parts)}
            result[want.key] = _cell(partial(self._finish, want, scalars), basis)
        return result

    def _finish(self, want: Want, scalars: Scalars) -> Any:
        if want.statistic.in_column_type and want.column is not None:
            scalars = {name: scalar.cast(want.column.type) for name, scalar in scalars.items()}
        return want.statistic.finish(scalars, want.edges or ())

    def split(self) -> list[StatisticsQuery]:
        return self._halves()


class TopValuesQuery(StatisticsQuery):
    """The most frequent values of columns that have many; the answer is as that of `ValueCountsQuery`, cut short."""

    @cached_property
    def _counts(self) -> ValueCountsQuery:
        return _Cut(self.stage, self.wants, self.ns, self.rows_key, self.native)

    @property
    def expression(self) -> ex.Table:
        return self._counts.expression

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        return {key: cell for key, cell in self._counts.read(answer).items() if key in self.cells}

    def split(self) -> list[StatisticsQuery]:
        return self._halves()


class _Cut(ValueCountsQuery):
    def group(self, column: SourceColumn) -> ex.Table:
        present = self.table.filter(ex.present(self.table[column.inside]))
        counted = present.group_by(value=ex.clean(self.ns, present[column.inside])).aggregate(
            rows=lambda table: table.count()
        )
        return counted.order_by([counted["rows"].desc(), counted["value"].asc()]).limit(TOP)


def _hidden(rows_key: CellKey, column: SourceColumn, statistic: Statistic) -> CellKey:
    return rows_key._replace(column=column.inside, statistic=statistic.name, version=statistic.version)


def _cell(compute: Callable[[], Any], basis: Basis) -> Cell:
    """A cell of what is computed; a failure costs this cell alone."""
    try:
        return Cell(compute(), basis)
    except Exception as error:
        log.exception("a statistic failed")
        return Cell(error=EngineError(f"{type(error).__name__}: {error}"))
