"""What an engine can be asked. Each kind of query knows whether it is deferred: whether rows come before it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from lazyflow.errors import EngineError
from lazyflow.expressions import Table
from lazyflow.fingerprint import Fingerprint
from lazyflow.numbering import row_numbers
from lazyflow.plain import in_schema
from lazyflow.plan import ROW_NUMBER, Plan
from lazyflow.pruning import pruned

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
    def fingerprint(self) -> Fingerprint:
        """Identity of the data that is asked about."""

    @property
    @abstractmethod
    def expression(self) -> Table:
        """What is asked, as a table expression."""

    def finish(self, answer: pa.Table) -> pa.Table:
        """The engine's answer in the form that callers see."""
        return answer


class RowsQuery(Query):
    """Rows `start` to `stop` of a plan's ordered table.

    Engines may answer with more columns than those that are asked for, of which `inside` are the inside names.

    Parameters
    ----------
    columns
        Names of the columns asked for; none means all.
    numbers
        Their row numbers in the source, in the order of the view, where they are known. The engine then answers with
        `plan.shown` over these rows of the source alone, in the source's order, in which the attribute `numbers` has
        them too.
    """

    deferred = False

    def __init__(
        self, plan: Plan, start: int, stop: int, columns: Sequence[str] = (), numbers: pa.Array | None = None
    ) -> None:
        self.start = start
        self.stop = stop
        self.columns = plan.shown_columns(columns)
        self.inside = tuple(column.inside for column in self.columns)
        self.plan = pruned(plan, self.inside)
        self.numbers = numbers
        if numbers is not None:
            import pyarrow.compute as pc

            ranks = pc.sort_indices(numbers)
            self.numbers = numbers.take(ranks)
            self._places = pc.sort_indices(ranks)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.plan.source.fingerprint

    @cached_property
    def expression(self) -> Table:
        return self.plan.window(self.start, self.stop).select(self.inside)

    def finish(self, answer: pa.Table) -> pa.Table:
        """The rows under the names and types that callers see, in the order of the view."""
        if self.numbers is not None and answer.num_rows != len(self.numbers):
            raise EngineError(f"asked for {len(self.numbers)} rows by number, the engine gave {answer.num_rows}")
        names = [column.name for column in self.columns]
        rows = in_schema(answer.select(self.inside), self.plan.no_rows(names).schema)
        return rows if self.numbers is None else rows.take(self._places)


class CountQuery(Query):
    """The number of rows of a plan's shown table, as a table of one row with a column `rows`."""

    deferred = False

    def __init__(self, plan: Plan) -> None:
        self.plan = pruned(plan, ())

    @property
    def fingerprint(self) -> Fingerprint:
        return self.plan.source.fingerprint

    @cached_property
    def expression(self) -> Table:
        return self.plan.shown.aggregate(rows=self.plan.shown.count())


class PrepareQuery(Query):
    """The row numbers of a plan's rows in their order: with them, any window is fetched without a sort or a filter.

    The answer is a table of the one column `ROW_NUMBER`. For `Work` a view's row numbers have a `key`, equal for all
    views that show the same rows in the same order.

    Parameters
    ----------
    max_bytes
        The most that the answer may take.
    ahead
        Whether it may pay before anybody finds windows slow.
    """

    deferred = True

    MANY_ROWS: ClassVar[int] = 100_000
    """Of fewer rows, windows are quick without."""

    def __init__(self, plan: Plan, max_bytes: int, ahead: bool = True) -> None:
        self.plan = pruned(plan, ())
        self.max_bytes = max_bytes
        self.ahead = ahead
        self.key: Hashable = (plan.source.fingerprint.value, plan.stages["shown"].digest, plan.sort_keys)

    def fits(self, rows: int) -> bool:
        """Whether the answer for so many rows is within its bound, as far as that is known beforehand."""
        return rows * 4 <= self.max_bytes

    def pays(self, rows: int) -> bool:
        """Whether a view of so many rows is to be prepared before anybody finds its windows slow."""
        return self.ahead and rows > self.MANY_ROWS and self.fits(rows)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.plan.source.fingerprint

    @cached_property
    def expression(self) -> Table:
        return row_numbers(self.plan)

    def collect(self, parts: Iterable[pa.Array]) -> pa.Table:
        """The engine's answer, from parts of its column; given up as soon as it is larger than it may be.

        Raises
        ------
        EngineError
            If it is too large.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        narrow, taken, chunks = pa.uint32(), 0, []
        for numbers in parts:
            highest = pc.max(numbers).as_py()
            chunks.append(numbers.cast(narrow if highest is None or highest < 2**32 else pa.int64()))
            taken += chunks[-1].nbytes
            if taken > self.max_bytes:
                raise EngineError(f"the row numbers of this view take more than {self.max_bytes:,} bytes")
        if any(chunk.type != narrow for chunk in chunks):
            chunks = [chunk.cast(pa.int64()) for chunk in chunks]
        return pa.table({ROW_NUMBER: pa.chunked_array(chunks, chunks[0].type if chunks else narrow)})

    def finish(self, answer: pa.Table) -> pa.Table:
        """The row numbers in one piece, of which any part is found at once."""
        return answer.combine_chunks()
