"""How one engine executes. The defer hook lives here, is final, and is what makes rows come before statistics."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

from lazyflow.errors import Cancelled, ContractError, EngineError, LazyflowError, NotForThisEngine, PhaseError
from lazyflow.expressions import Column, Namespace, literal
from lazyflow.plan import Plan
from lazyflow.query import Query
from lazyflow.source import Source
from lazyflow.statistics.view import Folding, View
from lazyflow.step import Step
from lazyflow.windows import Windows
from lazyflow.work import CancelToken, Generation

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("lazyflow.backend")

_rows_phase: ContextVar[bool] = ContextVar("lazyflow_rows_phase", default=False)


@contextmanager
def rows_phase() -> Iterator[None]:
    """While inside, no deferred query can be run from this context; other threads are not concerned."""
    before = _rows_phase.set(True)
    try:
        yield
    finally:
        _rows_phase.reset(before)


@dataclass(frozen=True)
class Capabilities:
    """What a backend says of itself.

    Parameters
    ----------
    interrupts
        Whether a running query leaves the engine soon after its token is cancelled; without it, at its next step.
    missing
        What the engine cannot do: name of a family of the conformance suite's cases -> the upstream reason.
    """

    interrupts: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)


class Backend(ABC):
    """One engine. A subclass says how to open a source and how to execute one query; `run` and `defer` are final.

    An instance serves one flow and its forks: `open` is called first, and again for a refresh; `execute` is called from
    several threads at once, at most one of them with deferred queries.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions decide what is answered. On disk, answers are kept for the same versions only; none
    are where no distribution is named."""
    capabilities: ClassVar[Capabilities] = Capabilities()
    folding: ClassVar[Folding] = Folding()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__:
            if base is Backend:
                continue
            for method in ("run", "run_rows", "defer"):
                if method in vars(base):
                    raise ContractError(f"{cls.__name__}: Backend.{method} is final, {base.__name__} overrides it")

    @property
    @abstractmethod
    def ns(self) -> Namespace:
        """The namespace of the expression family: the module `ibis`, or `xorq.vendor.ibis`."""

    @abstractmethod
    def open(self, data: Any) -> Source:
        """Open what the caller brought, or open it anew.

        Raises
        ------
        SourceError
            If it is missing, empty, truncated, or not what it claims to be.
        InvalidInput
            If this backend does not take such data.
        """

    @abstractmethod
    def execute(self, query: Query, token: CancelToken) -> pa.Table:
        """The engine's answer to `query.expression`.

        `token.check()` between steps, and `token.on_cancel(stop)` around whatever can be stopped, make the query leave
        the engine once nobody wants it. Whatever is raised after that counts as cancelled.
        """

    def comparable(self, column: Column) -> Column:
        """The column in a form that the engine can compare with a literal of that form's type.

        Durations are compared as numbers of their unit.
        """
        return column.cast("int64") if column.type().is_interval() else column

    def literal(self, column: Column, value: Any) -> Column:
        """A value of the column's type, temporal and decimal ones given as text, as a literal that compares with it."""
        return literal(self.ns, column, value)

    def field(self, column: Column, name: str) -> Column:
        """The field of that name in a struct; missing where the struct is."""
        return column[name]

    def matches(self, column: Column, pattern: str) -> Column:
        """True where a part of a text is what `pattern`, made by `lazyflow.patterns.plain_pattern`, says."""
        return column.re_search(pattern)

    def sql(self, plan: Plan) -> str:
        """A view as one statement of the engine's SQL, which gives its rows in order, under their names outside.

        See `Plan.sql`, `Plan.named` and `Source.statement`.

        Raises
        ------
        NotForThisEngine
            If the engine speaks none.
        """
        raise NotForThisEngine(f"the {self.name} backend speaks no SQL; that of duckdb writes a view as a statement")

    def close(self) -> None:  # noqa: B027 - most engines have nothing to release
        """Release what the backend holds; never what the caller owns."""

    @final
    def run(self, query: Query, token: CancelToken) -> pa.Table:
        """Run a query: the only caller of `execute`.

        Raises
        ------
        PhaseError
            If the query is deferred and this is the rows phase.
        Cancelled
            If the query is no longer wanted.
        SourceChanged
            If the files of the source changed since they were opened.
        EngineError
            If the engine fails.
        """
        if query.deferred and _rows_phase.get():
            raise PhaseError(f"{type(query).__name__} is deferred: it cannot be run before the rows are there")
        token.check()
        try:
            answer = self.execute(query, token)
        except LazyflowError:
            raise
        except BaseException as error:  # a panic of a Rust engine is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            if token.cancelled:
                raise Cancelled("the query was stopped: it is no longer wanted") from error
            query.fingerprint.check(error)
            raise EngineError(f"{self.name} failed: {_first_line(error)}") from error
        token.check()
        query.fingerprint.check()
        return query.finish(answer)

    @final
    def defer(
        self, plan: Plan, view: View, window: tuple[int, int], columns: tuple[str, ...], generation: Generation
    ) -> Step:
        """The rows now, everything else later.

        What it returns holds the rows of the new view and the statistics that were already known, and no deferred query
        was issued between its call and its return.
        """
        windows = Windows(plan, generation, self.run_rows)
        rows = generation.first_rows(window, columns)
        if rows is None:
            rows = windows.fetch(window, columns, generation.rows_token)
            generation.keep_first_rows(window, columns, rows)
        return Step(plan, view, window, rows, generation, windows.fetch)

    @final
    def run_rows(self, query: Query, token: CancelToken) -> pa.Table:
        """Run a query in the rows phase."""
        with rows_phase():
            return self.run(query, token)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
