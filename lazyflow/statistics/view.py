"""What a view wants to know of its scopes, and how the answers read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial

from lazyflow.errors import NotForThisType, UnknownName
from lazyflow.memo import Memo
from lazyflow.numbering import in_source_order, numberable
from lazyflow.plan import Plan, Stage, row_wise
from lazyflow.query import PrepareQuery
from lazyflow.source import SourceColumn
from lazyflow.statistics.builtin import RANGE, REGISTRY, ROWS, SAMPLE
from lazyflow.statistics.choosing import Choice, Known
from lazyflow.statistics.queries import StatisticsQuery, Want
from lazyflow.statistics.registry import EDGES, CellKey, Native, Registry, Statistic
from lazyflow.statistics.results import Cell, ScopeStatistics, Statistics
from lazyflow.statistics.sampling import Sampling
from lazyflow.types import Kind


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
    window_rows
        How many of the first and of the last rows are looked at for statistics that depend on their order; None for
        all of them, where they need not leave the process.
    native
        The engine's own forms of statistics, by name.
    sampling
        How the engine samples; None where it cannot read some rows in much less time than all.
    keeps_rows
        Whether the engine keeps the rows of the scopes that it computed statistics of, so that windows anywhere in them
        are quick.
    """

    max_distinct: int | None = 50_000
    ask_first: bool = True
    max_columns: int = 64
    window_rows: int | None = 10_000
    native: dict[str, Native] | None = None
    sampling: Sampling | None = None
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
    content: tuple[object, ...]
    _view: View
    _stage: Stage
    _known: Known

    @property
    def begun(self) -> bool:
        """Whether anything is known of all rows: their number is, as soon as the first query of them was answered."""
        return self._known(self._view.rows_key(self._stage)) is not None

    @property
    def sampled(self) -> bool:
        """Whether some of the rows were looked at."""
        return self._view.samples(self._stage, self._known)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """How many cells each group has."""
        numbers = Counter[str]({ROWS.group: 1})
        for kind, columns in Counter(column.kind for column in self._stage.columns).items():
            for statistic in self._view.statistics_of(self._stage, kind):
                numbers[statistic.group] += columns
        return numbers

    @cached_property
    def cells(self) -> list[tuple[Want, Cell | None]]:
        """Each cell that is wanted, as it is known when this is first asked, be it of a sample, or None."""
        wants = self._view.wants_of[self._stage.digest]
        known = partial(known_or_sampled, self._known) if self.sampled else self._known
        return [(want, known(want.key)) for want in wants if want.statistic is not RANGE]


def known_or_sampled(known: Known, key: CellKey) -> Cell | None:
    """What all rows say, or some of them, or None."""
    cell = known(key)
    return known(key.of_sample) if cell is None else cell


STAGES_KEPT = 16

TURNS = 4
"""Columns in sight come before the others, and of both what may take long after the rest."""


@dataclass(frozen=True)
class View:
    """The statistics that a plan wants, those of the columns in sight first.

    Parameters
    ----------
    plan
        The state.
    in_sight
        Names of the columns in sight; none are all.
    folding
        How finely the engine wants statistics folded.
    registry
        Which statistics there are.
    budget
        Seconds that the engine has for each of them, or None for as long as it takes.
    shared
        Keeps what is wanted of stages that many plans have in common, the raw one above all.
    """

    plan: Plan
    in_sight: frozenset[str]
    folding: Folding
    registry: Registry = REGISTRY
    budget: float | None = None
    shared: Memo[object, tuple[Want, ...]] = field(default_factory=lambda: Memo(STAGES_KEPT))

    @property
    def identity(self) -> object:
        """Equal for equal states over the same source."""
        return self.plan.source.fingerprint, self.plan.state

    @cached_property
    def wants(self) -> tuple[Want, ...]:
        """Every cell wanted, in the order of priority."""
        by_stage = self.wants_of.values()  # scopes with the same digest have the same cells
        return tuple(want for turn in range(TURNS) for wants in by_stage for want in wants if want.turn == turn)

    @cached_property
    def wants_of(self) -> Mapping[str, tuple[Want, ...]]:
        """Digest of a stage -> the cells wanted of it."""
        result: dict[str, tuple[Want, ...]] = {}
        content: tuple[object, ...] = (self.plan.source.fingerprint.value, self.in_sight, self.registry)
        for stage in (self.plan.stages[scope] for scope in self.plan.scopes):
            content = (*content, stage.digest)  # those before it give the edges of histograms
            if stage.digest not in result:
                result[stage.digest] = self.shared.get_or(content, partial(self._wants_in, stage))
        return result

    def _wants_in(self, stage: Stage) -> tuple[Want, ...]:
        wants = [Want(self.rows_key(stage), stage, None, ROWS)]
        of_kind: dict[Kind, list[tuple[Statistic, bool]]] = {}
        for column in stage.columns:
            turn = 0 if not self.in_sight or column.name in self.in_sight else 2
            what = column.kind
            if what not in of_kind:
                found = self.statistics_of(stage, what) + ((RANGE,) if what in RANGE.kinds else ())
                of_kind[what] = [(statistic, self.registry.is_late(statistic)) for statistic in found]
            origin = self.edges_stage(column)
            for statistic, late in of_kind[what]:
                wants.append(Want(self.key(stage, column, statistic, origin), stage, column, statistic, turn + late))
        return tuple(wants)

    def statistics_of(self, stage: Stage, kind: Kind) -> tuple[Statistic, ...]:
        """The statistics of columns of a kind in a scope."""
        return self.registry.wanted(kind, self._ordered[stage.digest])

    @cached_property
    def _ordered(self) -> Mapping[str, bool]:
        """Digest of a stage -> whether its rows are in the order of the source."""
        source = self.plan.source
        stages = {stage.digest: stage.table for stage in self.plan.stages.values()}
        return {
            digest: source.positional and (table is source.table or row_wise(table, source.table))
            for digest, table in stages.items()
        }

    def seeing(self, in_sight: frozenset[str]) -> View:
        """The same view with other columns in sight."""
        other = replace(self, in_sight=in_sight)
        vars(other)["keys"] = self.keys  # equal, whatever comes first: they are many, and locks wait for them
        return other

    def samplable(self, stage: Stage) -> bool:
        """Whether each row of a stage comes from one row of the source, which has a number by which it is read."""
        return self.plan.source.numbered and self._ordered[stage.digest]

    def samples(self, stage: Stage, known: Known) -> bool:
        """Whether some rows of a stage were looked at, of some columns."""
        if self.folding.sampling is None or not self.samplable(stage):
            return False
        return any(known(self.key(stage, column, SAMPLE).of_sample) is not None for column in stage.columns)

    @cached_property
    def keys(self) -> frozenset[CellKey]:
        """The content keys of what is wanted."""
        return frozenset(want.key for want in self.wants)

    def rows_key(self, stage: Stage) -> CellKey:
        """The content key of the number of rows of a stage."""
        fingerprint = self.plan.source.fingerprint
        durable = fingerprint.durable and stage.durable and ROWS.durable
        return CellKey(fingerprint.value, stage.digest, "", ROWS.name, ROWS.version, durable=durable)

    def key(
        self, stage: Stage, column: SourceColumn, statistic: Statistic, edges_stage: Stage | None = None
    ) -> CellKey:
        """The content key of a statistic of a column of a stage."""
        fingerprint = self.plan.source.fingerprint
        durable = fingerprint.durable and stage.durable and statistic.durable
        origin = ""
        if EDGES in statistic.needs:
            edges_stage = edges_stage or self.edges_stage(column)
            origin, durable = edges_stage.digest, durable and edges_stage.durable
        return CellKey(
            fingerprint.value, stage.digest, column.inside, statistic.name, statistic.version, origin, durable
        )

    def edges_stage(self, column: SourceColumn) -> Stage:
        """The first scope in which the column has its type: its values give the edges of all scopes."""
        stages = self.plan.stages.values()
        return next(stage for stage in stages if stage.by_name.get(column.name) == column)

    def find(self, scope: str, column: str, statistic: str) -> CellKey:
        """The content key of a cell, by the names that callers use.

        Raises
        ------
        UnknownName
            If there is no such scope, column or statistic.
        NotForThisType
            If the statistic has no meaning for the column.
        """
        if scope not in self.plan.scopes:
            raise UnknownName.of("scope", scope, self.plan.scopes)
        stage = self.plan.stages[scope]
        found, known = stage.column(column), self.registry.by_name
        if statistic not in known:
            raise UnknownName.of("statistic", statistic, known)
        if known[statistic] not in self.statistics_of(stage, found.kind):
            raise _not_for(known[statistic], str(found.type), found.kind).error or NotForThisType(statistic)
        return self.key(stage, found, known[statistic])

    def containing(self, stage: Stage) -> list[Stage]:
        """The stage, and those whose rows include its rows."""
        stages = self.plan.stages
        if stage.digest == stages["filtered"].digest:
            return [stage, stages["clean"]]
        return [stage]

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
        return Choice(self, known, self.budget).next()

    def query_for(self, key: CellKey, known: Known, seconds: float | None) -> StatisticsQuery | None:
        """The query for one cell alone, with so many seconds, or for what it needs; None if it cannot be had."""
        want = next((want for want in self.wants if want.key == key), None)
        return Choice(self, known, seconds, exact=True).toward(want) if want is not None else None

    def read(self, known: Known) -> Statistics:
        """The statistics as far as they are known."""
        scopes: dict[str, ScopeStatistics] = {}
        for name in self.plan.scopes:
            stage = self.plan.stages[name]
            earlier = list(scopes.values())[::-1]
            rows = known(self.rows_key(stage)) or _stand_in([scope.rows for scope in earlier])
            columns = {}
            find = partial(known_or_sampled, known) if self.samples(stage, known) else known
            for column in stage.columns:
                cells = {}
                wanted = {statistic.name for statistic in self.statistics_of(stage, column.kind)}
                for statistic in self.registry.statistics:
                    if statistic.name not in wanted:
                        cells[statistic.name] = _not_for(statistic, str(column.type), column.kind)
                        continue
                    cell = find(self.key(stage, column, statistic))
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
        contents: tuple[object, ...] = (self.plan.source.fingerprint.value, self.registry.identity)
        for name in self.plan.scopes:
            stage = self.plan.stages[name]
            contents += (stage.digest,)  # those before it give the edges of histograms
            found.append(KnownScope(name, contents, self, stage, known))
        return found


def _stand_in(earlier: Sequence[Cell]) -> Cell:
    """A pending cell that shows the last known value of an earlier scope."""
    value = next((cell.value for cell in earlier if cell.value is not None and cell.error is None), None)
    return Cell(value, "pending")


@lru_cache(1024)
def _not_for(statistic: Statistic, type: str, kind: Kind) -> Cell:
    what = f"columns of type {type}" if kind not in statistic.kinds else "rows without an order of their own"
    return Cell(error=NotForThisType(f"{statistic.name} is not for {what}"))
