"""Which query comes next, and which way a column goes.

That is decided by what is known of it: few distinct values are counted one by one, from which all statistics follow in
one pass; where there are many, aggregates are folded into few passes. A filtered column has no more distinct values
than the clean one, so the question is asked once per source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lazyflow.plan import Stage
from lazyflow.source import SourceColumn
from lazyflow.statistics.builtin import CARDINALITY, HEAD, RANGE, ROWS, SAMPLE, TAIL
from lazyflow.statistics.edges import edges
from lazyflow.statistics.likely import LikelyQuery, likely
from lazyflow.statistics.order import Course, CourseQuery, HeadQuery, TailQuery
from lazyflow.statistics.queries import (
    MANY,
    AggregateQuery,
    ExactQuery,
    StatisticsQuery,
    TopValuesQuery,
    ValueCountsQuery,
    Want,
)
from lazyflow.statistics.registry import EDGES, CellKey
from lazyflow.statistics.results import Cell
from lazyflow.statistics.sampling import Sample, SampleQuery

if TYPE_CHECKING:
    from lazyflow.statistics.view import View

Known = Callable[[CellKey], Cell | None]


@dataclass(frozen=True)
class Choice:
    """Chooses among the queries for what a view wants and does not know.

    Parameters
    ----------
    view
        What is wanted.
    known
        What is known (a failure is known too).
    budget
        Seconds that the engine has for each statistic, or None.
    exact
        Whether what a sample tells, and what an engine approximates, is left aside.
    """

    view: View
    known: Known
    budget: float | None
    exact: bool = False

    def next(self) -> StatisticsQuery | None:
        """The most urgent query, or None."""
        missing = [want for want in self.view.wants if self.known(want.key) is None]
        for lead in missing:
            alike = [want for want in missing if want.stage.digest == lead.stage.digest and want.turn == lead.turn]
            query = self._sample(lead.stage, alike) or self.query(lead.stage, alike)
            if query is not None:
                return query
        return None

    def toward(self, want: Want) -> StatisticsQuery | None:
        """The query for one cell alone, or for what it needs; None if neither is to be had."""
        query = self.query(want.stage, [want])
        if query is not None or want.column is None:
            return query
        for key in self._needed(want):
            if self.known(key) is None:
                needed = next((other for other in self.view.wants if other.key == key), None)
                query = self.toward(needed) if needed is not None else None
                if query is not None:
                    return query
        return None

    def _needed(self, want: Want) -> list[CellKey]:
        assert want.column is not None
        keys = [self._key(want, name) for name in want.statistic.needs if name != EDGES]
        if EDGES in want.statistic.needs:
            keys.append(self.view.key(self.view.edges_stage(want.column), want.column, RANGE))
        return keys

    def _key(self, want: Want, name: str) -> CellKey:
        assert want.column is not None
        if name == SAMPLE.name:
            return self.view.key(want.stage, want.column, SAMPLE).of_sample
        return self.view.key(want.stage, want.column, self.view.registry.by_name[name])

    def _sample(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        """A look at some of the rows before all are asked, where there are many and some are had for little."""
        sampling, view = self.view.folding.sampling, self.view
        if sampling is None or not view.samplable(stage):
            return None
        raw = view.plan.stages["raw"]
        rows = self.known(view.rows_key(raw))
        if rows is not None and (rows.error is not None or rows.value <= sampling.above):
            return None
        told = [want for want in wants if want.statistic.scaled is not None]
        columns = dict.fromkeys(want.column for want in told)
        unsampled = [c for c in columns if c and c.kind in SAMPLE.kinds and self._sample_of(stage, c) is None]
        if not unsampled:
            return None
        if rows is None:
            return self._make(AggregateQuery, raw, [Want(view.rows_key(raw), raw, None, ROWS)])
        chosen = set(unsampled[: sampling.columns])
        told = self._with_needs([want for want in told if want.column in chosen], counting=True)
        most = view.folding.max_distinct
        return SampleQuery(*self._arguments(stage, told), source_rows=rows.value, sampling=sampling, max_distinct=most)

    def query(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        """The first query for wants of one stage."""
        by_order = [want for want in wants if want.statistic.group == "order"]
        plain = [want for want in wants if want.column is not None and want.statistic.from_counts is None]
        own = [want for want in plain if want.statistic.group != "order"]
        others = [want for want in wants if want.column is None or want.statistic.from_counts is not None]
        return (
            (self._by_values(stage, others) if others else None)
            or self._aggregates(stage, [want for want in own if want.statistic.group == "summary"])
            or self._aggregates(stage, own)
            or (self._in_order(stage, by_order) if by_order else None)
        )

    def _by_values(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        columns = {want.column for want in wants if want.column is not None}
        countable = {column for column in columns if column.kind in CARDINALITY.kinds}
        few = {column for column in countable if self._few(stage, column)}
        if any(self._unasked(stage, column) for column in countable - few):
            return self._cardinalities(stage, wants, countable - few)
        if few:
            chosen = self._first_columns(wants, few)
            counted = [want for want in wants if want.column in chosen or want.column is None]
            counted = self._with_needs(counted, counting=True)
            if any(want.column for want in counted):
                return self._make(ValueCountsQuery, stage, counted)
        many = columns - few
        chosen = self._first_columns(wants, many)
        mine = [self._likely(want) for want in wants if want.column in chosen or want.column is None]
        summary = [want for want in mine if want.column is None or want.statistic.group == "summary"]
        if summary:
            return self._fold(stage, summary)
        query = self._fold(stage, [want for want in mine if want.statistic.build is not None])
        tops = [want for want in mine if want.statistic.build is None]
        return query or (self._make(TopValuesQuery, stage, tops) if tops else None)

    def _cardinalities(self, stage: Stage, wants: Sequence[Want], urgent: set[SourceColumn]) -> StatisticsQuery:
        """Which columns have few distinct values: one pass for all of the scope, in sight or not, unless it is wide."""
        open = [column for column in stage.columns if column.kind in CARDINALITY.kinds and self._unasked(stage, column)]
        open.sort(key=lambda column: column not in urgent)
        asked = [
            Want(self.view.key(stage, column, CARDINALITY), stage, column, CARDINALITY)
            for column in open[: self.view.folding.max_columns]
        ]
        return self._make(AggregateQuery, stage, [want for want in wants if want.column is None] + asked)

    def _aggregates(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        chosen = self._first_columns(wants, {want.column for want in wants if want.column is not None})
        return self._fold(stage, [want for want in wants if want.column in chosen])

    def _fold(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        """All of them that can be computed by now, in one pass."""
        ready = self._with_needs(wants, counting=False)
        form = LikelyQuery if any(SAMPLE.name in want.statistic.needs for want in ready) else AggregateQuery
        form = ExactQuery if self.exact else form
        return self._make(form, stage, ready) if ready else None

    def _likely(self, want: Want) -> Want:
        """The want in the form that follows what a sample told of the column, where there is one."""
        sample = None if self.exact else self._sample_of(want.stage, want.column)
        form = likely(want.statistic.name, want.column, sample) if sample is not None and want.column else None
        return want if form is None else want._replace(statistic=form)

    def _sample_of(self, stage: Stage, column: SourceColumn | None) -> Sample | None:
        cell = None if column is None else self.known(self.view.key(stage, column, SAMPLE).of_sample)
        return None if cell is None else cell.value

    def _in_order(self, stage: Stage, wants: Sequence[Want]) -> StatisticsQuery | None:
        """First rows, last rows, and then column by column what these leave open."""
        most, rows = self.view.folding.window_rows, self.known(self.view.rows_key(stage))
        columns = list(dict.fromkeys(want.column for want in wants if want.column is not None))
        number = rows.value if rows is not None and rows.error is None and most is not None else 0
        for form, evidence in ((HeadQuery, HEAD), (TailQuery, TAIL)):
            is_head = form is HeadQuery
            if not is_head and (most is None or number <= most):
                break
            unseen = [column for column in columns if self.known(self.view.key(stage, column, evidence)) is None]
            if unseen:
                chosen = set(unseen[: self.view.folding.max_columns])
                mine = [want for want in wants if want.column in chosen]
                bounds: dict[str, Any] = {"start": 0, "stop": most}
                if not is_head and most is not None:
                    bounds = {"start": max(most, number - most), "stop": number}
                courses = {} if is_head else {column.inside: self._course(stage, column) for column in chosen}
                constant = frozenset(column.inside for column in chosen if self._is_constant(stage, column))
                return form(*self._arguments(stage, mine), **bounds, before=courses, constant=constant)
        return CourseQuery(*self._arguments(stage, [want for want in wants if want.column == columns[0]]))

    def _course(self, stage: Stage, column: SourceColumn) -> Course:
        cell = self.known(self.view.key(stage, column, HEAD))
        return cell.value if cell is not None else Course()

    def _is_constant(self, stage: Stage, column: SourceColumn) -> bool:
        """Whether it is known that the column has one value."""
        by_name = self.view.registry.by_name
        low, high = (self.known(self.view.key(stage, column, by_name[name])) for name in ("min", "max"))
        if low is None or high is None or low.value is None:
            return False
        return bool(low.value == high.value and "exact" == low.basis == high.basis)

    def _make(self, form: type[StatisticsQuery], stage: Stage, wants: Sequence[Want]) -> StatisticsQuery:
        return form(*self._arguments(stage, wants))

    def _arguments(self, stage: Stage, wants: Sequence[Want]) -> tuple[Any, ...]:
        view = self.view
        return stage, wants, view.plan.ns, view.rows_key(stage), view.registry, self.budget

    def _first_columns(self, wants: Sequence[Want], among: set[SourceColumn]) -> set[SourceColumn]:
        ordered = dict.fromkeys(want.column for want in wants if want.column in among)
        return {column for column in list(ordered)[: self.view.folding.max_columns] if column is not None}

    def _with_needs(self, wants: Sequence[Want], counting: bool) -> list[Want]:
        """The wants with what they need; those for which that is still on the way are left for later.

        Where values are counted, they give all that is needed but the edges that come from another scope.
        """
        result = []
        for want in wants:
            needs = want.statistic.needs
            if not needs or want.column is None:
                result.append(want)
                continue
            if EDGES in needs:
                origin = self.view.edges_stage(want.column)
                if not (counting and origin.digest == want.stage.digest):
                    cell = self.known(self.view.key(origin, want.column, RANGE))
                    if cell is None:
                        continue
                    low, high = cell.value if cell.error is None else (None, None)
                    want = want._replace(edges=edges(low, high, want.column.type) if low is not None else ())
            if not counting:
                cells = {name: self.known(self._key(want, name)) for name in needs if name != EDGES}
                found = {name: cell for name, cell in cells.items() if cell is not None}
                if len(found) < len(cells):
                    continue
                want = want._replace(needs=found)
            result.append(want)
        return result

    def _few(self, stage: Stage, column: SourceColumn) -> bool:
        folding, cardinality = self.view.folding, self._cardinality(stage, column)
        if cardinality is None:
            return not folding.ask_first and self.known(self.view.key(stage, column, CARDINALITY)) is None
        most = MANY - 1 if folding.max_distinct is None else folding.max_distinct
        return cardinality <= most

    def _cardinality(self, stage: Stage, column: SourceColumn) -> int | None:
        """How many distinct values the column has at most in this scope, or None where nobody knows."""
        for scope in self.view.containing(stage):
            if scope.by_name.get(column.name) == column:
                cell = self.known(self.view.key(scope, column, CARDINALITY))
                if cell is not None and cell.error is None:
                    return int(cell.value)
        sample = self._sample_of(stage, column)
        return MANY if sample is not None and sample.many else None

    def _unasked(self, stage: Stage, column: SourceColumn) -> bool:
        key = self.view.key(stage, column, CARDINALITY)
        return self._cardinality(stage, column) is None and self.known(key) is None
