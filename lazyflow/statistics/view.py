"""What a view wants to know of its scopes, which query comes next, and how the answers read.

Which way a column goes is decided by what is known of it: few distinct values are counted one by one, from which all
statistics follow in one pass; where there are many, aggregates are folded into few passes. A filtered column has no
more distinct values than the clean one, so the question is asked once per source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from lazyflow.errors import NotForThisType
from lazyflow.expressions import Namespace
from lazyflow.memo import Memo
from lazyflow.numbering import in_source_order, numberable
from lazyflow.plan import Plan, Stage
from lazyflow.query import PrepareQuery
from lazyflow.source import SourceColumn
from lazyflow.statistics.builtin import BUILTIN, CARDINALITY, RANGE
from lazyflow.statistics.edges import edges
from lazyflow.statistics.queries import (
    MANY,
    AggregateQuery,
    Native,
    StatisticsQuery,
    TopValuesQuery,
    ValueCountsQuery,
    Want,
)
from lazyflow.statistics.registry import CellKey, Statistic
from lazyflow.statistics.results import Cell, ScopeStatistics, Statistics
from lazyflow.types import Kind

ROWS = Statistic("rows", "summary", frozenset(), lambda counts, _: counts.rows, durable=True)
"""The number of rows of a scope: a cell without a column."""

Known = Callable[[CellKey], Cell | None]


@dataclass(frozen=True)
class Folding:
    """How finely an engine wants statistics folded.

    Parameters
    ----------
    max_distinct
        Up to so many distinct values a column is counted value by value; None for any number, where counting is
        cheaper than asking (the values need not leave the process).
    ask_first
        Whether an engine is asked for the number of distinct values before a column is counted. Without, it counts at
        once and gives up where there are more than `max_distinct`.
    max_columns
        Most columns in one query: the step in which work can be cancelled, and a bound on the size of a query.
    native
        The engine's own forms of statistics, by name.
    keeps_rows
        Whether the engine keeps the rows of the scopes that it computed statistics of, so that windows anywhere in them
        are quick.
    """

    max_distinct: int | None = 50_000
    ask_first: bool = True
    max_columns: int = 64
    native: dict[str, Native] | None = None
    keeps_rows: bool = False


@dataclass(frozen=True)
class KnownScope:
    """What is known of a scope.

    Attributes
    ----------
    scope
        Its name.
    content
        Equal for scopes with equal statistics.
    """

    scope: str
    content: tuple[str, ...]
    _view: View
    _stage: Stage
    _known: Known

    @property
    def begun(self) -> bool:
        """Whether anything is known: the number of rows is, as soon as the first query of the scope was answered."""
        return self._known(self._view.rows_key(self._stage)) is not None

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """How many cells each group has."""
        of_kind = Counter(column.kind for column in self._stage.columns)
        numbers = Counter[str]({ROWS.group: 1})
        for statistic in BUILTIN:
            numbers[statistic.group] += sum(of_kind[what] for what in statistic.kinds)
        return numbers

    @cached_property
    def cells(self) -> list[tuple[Want, Cell | None]]:
        """Each cell that is wanted, as it is known when this is first asked, or None."""
        wants = self._view._wants_of[self._stage.digest]
        return [(want, self._known(want.key)) for want in wants if want.statistic is not RANGE]


STAGES_KEPT = 16


@dataclass(frozen=True)
class View:
    """The statistics that a plan wants, those of the columns in sight first.

    `shared` keeps what is wanted of stages that many plans have in common, the raw one above all.
    """

    plan: Plan
    in_sight: frozenset[str]
    folding: Folding
    shared: Memo[object, tuple[Want, ...]] = field(default_factory=lambda: Memo(STAGES_KEPT))

    @property
    def _ns(self) -> Namespace:
        return self.plan.ns

    @property
    def identity(self) -> object:
        """Equal for equal states over the same source."""
        return self.plan.source.fingerprint, self.plan.state

    @cached_property
    def wants(self) -> tuple[Want, ...]:
        """Every cell wanted, in the order of priority."""
        by_stage = self._wants_of.values()  # scopes with the same digest have the same cells
        return (
            *(w for wants in by_stage for w in wants if w.in_sight),
            *(w for wants in by_stage for w in wants if not w.in_sight),
        )

    @cached_property
    def _wants_of(self) -> Mapping[str, tuple[Want, ...]]:
        """Digest of a stage -> the cells wanted of it."""
        result: dict[str, tuple[Want, ...]] = {}
        content: tuple[object, ...] = (self.plan.source.fingerprint.value, self.in_sight, BUILTIN)
        for stage in (self.plan.stages[scope] for scope in self.plan.scopes):
            content = (*content, stage.digest)  # those before it give the edges of histograms
            if stage.digest not in result:
                result[stage.digest] = self.shared.get_or(content, partial(self._wants_in, stage))
        return result

    def _wants_in(self, stage: Stage) -> tuple[Want, ...]:
        wants = [Want(self.rows_key(stage), stage, None, ROWS, True)]
        of_kind: dict[Kind, list[Statistic]] = {}
        for column in stage.columns:
            sight = not self.in_sight or column.name in self.in_sight
            what = column.kind
            if what not in of_kind:
                of_kind[what] = [statistic for statistic in (*BUILTIN, RANGE) if what in statistic.kinds]
            edges_stage = self._edges_stage(column)
            for statistic in of_kind[what]:
                wants.append(Want(self._key(stage, column, statistic, edges_stage), stage, column, statistic, sight))
        return tuple(wants)

    @cached_property
    def keys(self) -> frozenset[CellKey]:
        """The content keys of what is wanted."""
        return frozenset(want.key for want in self.wants)

    def rows_key(self, stage: Stage) -> CellKey:
        """The content key of the number of rows of a stage."""
        fingerprint = self.plan.source.fingerprint
        durable = fingerprint.durable and stage.durable and ROWS.durable
        return CellKey(fingerprint.value, stage.digest, "", ROWS.name, ROWS.version, durable=durable)

    def _key(
        self, stage: Stage, column: SourceColumn, statistic: Statistic, edges_stage: Stage | None = None
    ) -> CellKey:
        fingerprint = self.plan.source.fingerprint
        durable = fingerprint.durable and stage.durable and statistic.durable
        origin = ""
        if statistic.needs_edges:
            edges_stage = edges_stage or self._edges_stage(column)
            origin, durable = edges_stage.digest, durable and edges_stage.durable
        return CellKey(
            fingerprint.value, stage.digest, column.inside, statistic.name, statistic.version, origin, durable
        )

    def _edges_stage(self, column: SourceColumn) -> Stage:
        """The first scope in which the column has its type: its values give the edges of all scopes."""
        stages = self.plan.stages.values()
        return next(stage for stage in stages if stage.by_name.get(column.name) == column)

    def sight_known(self, known: Known) -> bool:
        """Whether all cells of the columns in sight are known."""
        return all(known(want.key) is not None for want in self.wants if want.in_sight)

    def rows_known(self, known: Known) -> int | None:
        """The number of the view's rows, if it is known."""
        cell = known(self.rows_key(self.plan.stages["shown"]))
        return int(cell.value) if cell is not None and cell.error is None else None

    def prepare_query(self, max_bytes: int) -> PrepareQuery | None:
        """The query for the row numbers of the view; None where the engine has no use for them."""
        useful = numberable(self.plan) and not in_source_order(self.plan)
        return PrepareQuery(self.plan, max_bytes, not self.folding.keeps_rows) if useful else None

    def next_query(self, known: Known) -> StatisticsQuery | None:
        """The most urgent query for cells that are not known (a failure is known too), or None."""
        missing = [want for want in self.wants if known(want.key) is None]
        for lead in missing:
            alike = [
                want for want in missing if want.stage.digest == lead.stage.digest and want.in_sight == lead.in_sight
            ]
            query = self._query(lead.stage, alike, known)
            if query is not None:
                return query
        return None

    def _query(self, stage: Stage, wants: Sequence[Want], known: Known) -> StatisticsQuery | None:
        columns = {want.column for want in wants if want.column is not None}
        countable = {column for column in columns if column.kind in CARDINALITY.kinds}
        few = {column for column in countable if self._few(stage, column, known)}
        if any(self._unasked(stage, column, known) for column in countable - few):
            return self._cardinalities(stage, wants, countable - few, known)
        if few:
            chosen = self._first_columns(wants, few)
            counted = [want for want in wants if want.column in chosen or want.column is None]
            counted = self._with_edges(counted, known, own=True)
            if any(want.column for want in counted):
                return self._make(ValueCountsQuery, stage, counted)
        many = columns - few
        chosen = self._first_columns(wants, many)
        mine = [want for want in wants if want.column in chosen or want.column is None]
        summary = [want for want in mine if want.column is None or want.statistic.group == "summary"]
        if summary:
            return self._make(AggregateQuery, stage, summary)
        aggregates = [want for want in mine if want.statistic.build is not None]
        aggregates = self._with_edges(aggregates, known, own=False)
        if aggregates:
            return self._make(AggregateQuery, stage, aggregates)
        tops = [want for want in mine if want.statistic.build is None]
        return self._make(TopValuesQuery, stage, tops) if tops else None

    def _cardinalities(
        self, stage: Stage, wants: Sequence[Want], urgent: set[SourceColumn], known: Known
    ) -> StatisticsQuery:
        """Which columns have few distinct values: one pass for all of the scope, in sight or not, unless it is wide."""
        open = [
            column
            for column in stage.columns
            if column.kind in CARDINALITY.kinds and self._unasked(stage, column, known)
        ]
        open.sort(key=lambda column: column not in urgent)
        asked = [
            Want(self._key(stage, column, CARDINALITY), stage, column, CARDINALITY)
            for column in open[: self.folding.max_columns]
        ]
        return self._make(AggregateQuery, stage, [want for want in wants if want.column is None] + asked)

    def _make(self, form: type[StatisticsQuery], stage: Stage, wants: Sequence[Want]) -> StatisticsQuery:
        return form(stage, wants, self._ns, self.rows_key(stage), self.folding.native or {})

    def _first_columns(self, wants: Sequence[Want], among: set[SourceColumn]) -> set[SourceColumn]:
        ordered = dict.fromkeys(want.column for want in wants if want.column in among)
        return {column for column in list(ordered)[: self.folding.max_columns] if column is not None}

    def _with_edges(self, wants: Sequence[Want], known: Known, own: bool) -> list[Want]:
        """The wants, histograms with their edges; those whose edges are still on the way are left for later.

        With `own`, a histogram whose edges come from its own scope finds them while its values are counted.
        """
        result = []
        for want in wants:
            if not want.statistic.needs_edges or want.column is None:
                result.append(want)
                continue
            origin = self._edges_stage(want.column)
            if own and origin.digest == want.stage.digest:
                result.append(want)
                continue
            key = self._key(origin, want.column, RANGE)
            cell = known(key)
            if cell is not None:
                low, high = cell.value if cell.error is None else (None, None)
                result.append(want._replace(edges=edges(low, high, want.column.type) if low is not None else ()))
        return result

    def _few(self, stage: Stage, column: SourceColumn, known: Known) -> bool:
        cardinality = self._cardinality(stage, column, known)
        if cardinality is None:
            return not self.folding.ask_first and known(self._key(stage, column, CARDINALITY)) is None
        most = MANY - 1 if self.folding.max_distinct is None else self.folding.max_distinct
        return cardinality <= most

    def _cardinality(self, stage: Stage, column: SourceColumn, known: Known) -> int | None:
        """How many distinct values the column has at most in this scope, or None where nobody knows."""
        for scope in self._containing(stage):
            if scope.by_name.get(column.name) == column:
                cell = known(self._key(scope, column, CARDINALITY))
                if cell is not None and cell.error is None:
                    return int(cell.value)
        return None

    def _unasked(self, stage: Stage, column: SourceColumn, known: Known) -> bool:
        return self._cardinality(stage, column, known) is None and known(self._key(stage, column, CARDINALITY)) is None

    def _containing(self, stage: Stage) -> list[Stage]:
        """The stage, and those whose rows include its rows."""
        stages = self.plan.stages
        if stage.digest == stages["filtered"].digest:
            return [stage, stages["clean"]]
        return [stage]

    def read(self, known: Known) -> Statistics:
        """The statistics as far as they are known."""
        scopes: dict[str, ScopeStatistics] = {}
        for name in self.plan.scopes:
            stage = self.plan.stages[name]
            earlier = list(scopes.values())[::-1]
            rows = known(self.rows_key(stage)) or _stand_in([scope.rows for scope in earlier])
            columns = {}
            for column in stage.columns:
                cells = {}
                for statistic in BUILTIN:
                    if column.kind not in statistic.kinds:
                        cells[statistic.name] = _not_for(statistic, column)
                        continue
                    cell = known(self._key(stage, column, statistic))
                    if cell is None:
                        before = [
                            scope.columns[column.name][statistic.name]
                            for scope in earlier
                            if column.name in scope.columns
                        ]
                        cell = _stand_in(before)
                    cells[statistic.name] = cell
                columns[column.name] = cells
            scopes[name] = ScopeStatistics(name, rows, columns)
        return Statistics(scopes)

    def known_scopes(self, known: Known) -> list[KnownScope]:
        """What is known, scope by scope, without anything in place of what is not."""
        found = []
        contents: tuple[str, ...] = (self.plan.source.fingerprint.value,)
        for name in self.plan.scopes:
            stage = self.plan.stages[name]
            contents += (stage.digest,)  # those before it give the edges of histograms
            found.append(KnownScope(name, contents, self, stage, known))
        return found


def _stand_in(earlier: Sequence[Cell]) -> Cell:
    """A pending cell that shows the last known value of an earlier scope."""
    value = next((cell.value for cell in earlier if cell.value is not None and cell.error is None), None)
    return Cell(value, "pending")


def _not_for(statistic: Statistic, column: SourceColumn) -> Cell:
    return Cell(error=NotForThisType(f"{statistic.name} is not for columns of type {column.type}"))
