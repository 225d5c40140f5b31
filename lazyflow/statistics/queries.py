"""The three queries of the statistics phase, each over one scope and many columns at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from lazyflow import expressions as ex
from lazyflow.errors import LazyflowError, StatisticError
from lazyflow.fingerprint import Fingerprint
from lazyflow.plan import Stage
from lazyflow.query import Query
from lazyflow.source import SourceColumn
from lazyflow.statistics.building import build_parts, computed_cell, finish_cell, settled_by_needs, weakest
from lazyflow.statistics.builtin import CARDINALITY, RANGE, TOP
from lazyflow.statistics.edges import edges
from lazyflow.statistics.registry import EDGES, Build, CellKey, Edges, Registry, Statistic
from lazyflow.statistics.results import Basis, Cell
from lazyflow.statistics.value_counts import ValueCounts
from lazyflow.types import NUMBERS, TEMPORAL

if TYPE_CHECKING:
    import pyarrow as pa

OVERFLOW = -1
"""In an answer to a `ValueCountsQuery`, the number of rows that says: this column has too many distinct values."""

MANY = 2**62
"""The cardinality of a column of which nothing is known but that it has too many distinct values to be counted."""

Scalars = Mapping[str, "pa.Scalar"]


class Want(NamedTuple):
    """One cell that a view wants: a statistic of a column of a stage, and the key that says so.

    Those of a lower `turn` come first. `edges` and `needs` are what it needs, once that is known.
    """

    key: CellKey
    stage: Stage
    column: SourceColumn | None
    statistic: Statistic
    turn: int = 0
    edges: Edges | None = None
    needs: Mapping[str, Cell] = MappingProxyType({})


class StatisticsQuery(Query):
    """Cells of one scope, computed together. `read` turns the engine's answer into them.

    Parameters
    ----------
    stage
        The scope.
    wants
        The cells.
    ns
        The namespace of the expression family.
    rows_key
        The key of the scope's number of rows, which every answer gives.
    registry
        All statistics, with the engine's forms of them.
    budget
        Seconds that the engine has for each statistic; those that are computed together have theirs together. None for
        as long as it takes.
    """

    deferred: ClassVar[bool] = True

    def __init__(
        self,
        stage: Stage,
        wants: Sequence[Want],
        ns: ex.Namespace,
        rows_key: CellKey,
        registry: Registry,
        budget: float | None = None,
    ) -> None:
        self.stage = stage
        self.wants = tuple(wants)
        self.ns = ns
        self.rows_key = rows_key
        self.registry = registry
        self.budget = budget
        self.cells = frozenset(want.key for want in wants)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.stage.fingerprint

    @property
    def seconds(self) -> float | None:
        """How long the engine may take for the query; None for as long as it takes."""
        return None if self.budget is None else self.budget * len({want.statistic.name for want in self.wants})

    def singly(self) -> list[StatisticsQuery]:
        """A query for each statistic, to ask instead of this one where it ran out of time; empty if it is of one."""
        names = dict.fromkeys(want.statistic.name for want in self.wants)
        by_name = [[want for want in self.wants if want.statistic.name == name] for name in names]
        return [self._like(type(self), wants) for wants in by_name] if len(names) > 1 else []

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
        return kind(self.stage, wants, self.ns, self.rows_key, self.registry, self.budget)

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
                result[hidden_key(self.rows_key, column, CARDINALITY)] = Cell(MANY)
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
        result[hidden_key(self.rows_key, column, CARDINALITY)] = Cell(counts.distinct)
        if column.kind in NUMBERS | TEMPORAL:
            result[hidden_key(self.rows_key, column, RANGE)] = Cell(counts.finite_range)
        for want in mine:
            result[want.key] = computed_cell(partial(self._from_counts, want, column, counts), "exact")
        return result

    def _from_counts(self, want: Want, column: SourceColumn, counts: ValueCounts) -> Any:
        """A statistic's value; a histogram without edges from elsewhere takes them from the values counted."""
        own = EDGES in want.statistic.needs and want.edges is None
        assert want.statistic.from_counts is not None
        return want.statistic.from_counts(counts, edges(*counts.finite_range, column.type) if own else want.edges or ())

    def singly(self) -> list[StatisticsQuery]:
        return []  # the counts give all statistics: what takes too long is asked for in the other way

    def split(self) -> list[StatisticsQuery]:
        if len(self.columns) > 1:
            middle = {column.inside for column in self.columns[: len(self.columns) // 2]}
            first = [want for want in self.wants if want.column is not None and want.column.inside in middle]
            rest = [want for want in self.wants if want not in first]
            return [self._like(ValueCountsQuery, first), self._like(ValueCountsQuery, rest)]
        return []

    def failed(self, error: LazyflowError) -> dict[CellKey, Cell]:
        """A column that cannot be counted value by value is asked about in the other way, so nothing has failed yet."""
        return {hidden_key(self.rows_key, column, CARDINALITY): Cell(MANY) for column in self.columns}


class _Built(NamedTuple):
    """What is aggregated for a cell, and on what basis; `settled` is the cell where nothing needs to be."""

    want: Want
    needs: Mapping[str, Any]
    parts: Mapping[str, ex.Column]
    basis: Basis
    settled: Cell | None = None


class AggregateQuery(StatisticsQuery):
    """Statistics that are aggregates, all of them in one pass; the answer is one row."""

    @cached_property
    def _built(self) -> list[_Built]:
        return [self._build(want, want.column) for want in self.wants if want.column is not None]

    def form(self, statistic: Statistic) -> tuple[Build, Basis]:
        """How a statistic is built, in the engine's own form where it has one, and on what basis."""
        native = self.registry.native.get(statistic.name)
        build, basis = (native.build, native.basis) if native else (statistic.build, statistic.basis)
        assert build is not None
        return build, basis

    def _build(self, want: Want, column: SourceColumn) -> _Built:
        statistic = want.statistic
        build, basis = self.form(statistic)
        needs = {name: cell.value for name, cell in want.needs.items()}
        if EDGES in statistic.needs:
            needs[EDGES] = want.edges or ()
        basis = weakest([basis, *(cell.basis for cell in want.needs.values())])
        settled = settled_by_needs(statistic, want.needs)
        if settled is None:
            try:
                parts = build_parts(statistic, build, self.cleaned(column), self.ns, needs)
            except StatisticError as error:
                settled = Cell(error=error)
            else:
                if parts is not None:
                    return _Built(want, needs, parts, basis)
                settled = Cell(None, basis)
        return _Built(want, needs, {}, basis, settled)

    @cached_property
    def expression(self) -> ex.Table:
        metrics = {"rows": self.stage.table.count()}
        for number, built in enumerate(self._built):
            metrics.update({f"a{number}_{index}": part for index, part in enumerate(built.parts.values())})
        return self.stage.table.aggregate(**metrics)

    def read(self, answer: pa.Table) -> dict[CellKey, Cell]:
        result = {self.rows_key: Cell(answer["rows"][0].as_py())}
        for number, built in enumerate(self._built):
            scalars = {name: answer[f"a{number}_{index}"][0] for index, name in enumerate(built.parts)}
            result[built.want.key] = built.settled or self._finish(built, scalars)
        return result

    def _finish(self, built: _Built, scalars: Scalars) -> Cell:
        statistic, column = built.want.statistic, built.want.column
        if statistic.in_column_type and column is not None:
            scalars = {name: scalar.cast(column.type) for name, scalar in scalars.items()}
        is_own = statistic.name in self.registry.own
        if is_own:  # engines widen sums, to decimals on DuckDB: an app is given the type that its expression says
            types = {name: part.type().to_pyarrow() for name, part in built.parts.items()}
            return finish_cell(statistic, scalars, built.needs, built.basis, types)
        return finish_cell(statistic, scalars, built.needs, built.basis)

    def split(self) -> list[StatisticsQuery]:
        return self._halves()


class ExactQuery(AggregateQuery):
    """Aggregates without the engine's approximations."""

    def form(self, statistic: Statistic) -> tuple[Build, Basis]:
        native = self.registry.native.get(statistic.name)
        if native is None or native.basis == "exact" or statistic.build is None:
            return super().form(statistic)
        return statistic.build, statistic.basis


class TopValuesQuery(StatisticsQuery):
    """The most frequent values of columns that have many; the answer is as that of `ValueCountsQuery`, cut short."""

    @cached_property
    def _counts(self) -> ValueCountsQuery:
        return _Cut(self.stage, self.wants, self.ns, self.rows_key, self.registry)

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


def hidden_key(rows_key: CellKey, column: SourceColumn, statistic: Statistic) -> CellKey:
    """The key of what is known of a column and not shown, in the scope of `rows_key`."""
    durable = rows_key.durable and statistic.durable
    return rows_key._replace(column=column.inside, statistic=statistic.name, version=statistic.version, durable=durable)
