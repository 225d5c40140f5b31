"""What an engine can be asked. Each kind of query knows whether it is deferred: whether rows come before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from lazyflow.expressions import Table
from lazyflow.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa


class Query(ABC):
    """One question to an engine.

    `deferred` says whether the query belongs to the statistics phase. `expression` is what is asked, as an ordinary
    expression; `finish` brings the engine's answer into the form that callers see.
    """

    deferred: ClassVar[bool]

    @property
    @abstractmethod
    def expression(self) -> Table:
        """What is asked, as a table expression."""

    def finish(self, answer: pa.Table) -> pa.Table:
        """The engine's answer in the form that callers see."""
        return answer


class RowsQuery(Query):
    """Rows `start` to `stop` of a plan's ordered table."""

    deferred = False

    def __init__(self, plan: Plan, start: int, stop: int) -> None:
        self.plan = plan
        self.start = start
        self.stop = stop

    @cached_property
    def expression(self) -> Table:
        return self.plan.window(self.start, self.stop)

    def finish(self, answer: pa.Table) -> pa.Table:
        """The rows under the names and types that callers see."""
        columns, schema = self.plan.stages["shown"].columns, self.plan.no_rows().schema
        answer = answer.select([column.inside for column in columns]).rename_columns(
            [column.name for column in columns]
        )
        # To Arrow lists are equal whatever their elements are called.
        nested = any(column.kind in ("list", "other") for column in columns)
        return answer.cast(schema) if nested or not answer.schema.equals(schema) else answer.replace_schema_metadata()


class CountQuery(Query):
    """The number of rows of a plan's shown table, as a table of one row with a column `rows`."""

    deferred = False

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def expression(self) -> Table:
        return self.plan.shown.aggregate(rows=self.plan.shown.count())
