"""From a statistic's declaration to expressions, and from an engine's answer to a cell."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lazyflow.errors import EngineError, InvalidStatistic, LazyflowError, OutOfTime, StatisticError
from lazyflow.statistics.registry import Build, Parts, Registry, Statistic
from lazyflow.statistics.results import Basis, Cell
from lazyflow.types import Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.expressions import Column, Namespace

log = logging.getLogger("lazyflow.statistics")

_WEAKEST: tuple[Basis, ...] = ("sampled", "approximate", "exact")

_TYPES: dict[Kind, str] = {
    "integer": "int64",
    "float": "float64",
    "decimal": "decimal(18, 2)",
    "text": "string",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp(6)",
    "time": "time",
    "duration": "interval('us')",
    "binary": "binary",
    "list": "array<int64>",
    "other": "struct<x: int64>",
}
"""A type of each kind, to try on it what an app declares."""


def build_parts(
    statistic: Statistic, build: Build, column: Column, ns: Namespace, needs: Mapping[str, Any]
) -> Mapping[str, Column] | None:
    """The expressions of a statistic over a column, by name; None where it has no value.

    Raises
    ------
    StatisticError
        If `build` raises, or gives something else than scalar expressions.
    """
    try:
        built = build(column, ns, **needs)
    except Exception as error:
        raise StatisticError(f"{statistic.name} failed: {type(error).__name__}: {error}") from error
    if built is None:
        return None
    parts = dict(built) if isinstance(built, Mapping) else {"": built}
    for name, part in parts.items():
        if not isinstance(name, str) or not _is_scalar(part, ns):
            what = "a column" if _is_value(part, ns) else type(part).__name__
            raise StatisticError(
                f"{statistic.name}: build must give scalar expressions, such as column.max(), not {what}"
            )
    return parts


def _is_value(part: object, ns: Namespace) -> bool:
    return isinstance(part, ns.expr.types.Value)


def _is_scalar(part: object, ns: Namespace) -> bool:
    return isinstance(part, ns.expr.types.Scalar)


def try_builds(registry: Registry, own: Iterable[Statistic], ns: Namespace) -> None:
    """Build what an app declares once for each kind of type, without data, as far as it needs nothing that is data.

    Raises
    ------
    InvalidStatistic
        If a kind of type that it declares is one that it cannot be built for.
    """
    for statistic in own:
        native = registry.native.get(statistic.name)
        build = native.build if native else statistic.build
        assert build is not None
        for kind in sorted(statistic.kinds) if not statistic.needs else ():
            column = ns.table({"x": _TYPES[kind]}, name="table")["x"]
            try:
                build_parts(statistic, build, column, ns, {})
            except StatisticError as error:
                raise InvalidStatistic(
                    f"statistic {statistic.name!r}, tried on a column of kind {kind}: {error}"
                ) from error


def settled_by_needs(statistic: Statistic, needs: Mapping[str, Cell]) -> Cell | None:
    """The cell of a statistic where what it needs failed or has no value; None where it can be computed."""
    for name, cell in needs.items():
        if isinstance(cell.error, OutOfTime):
            return Cell(error=OutOfTime(f"{statistic.name} needs {name}, which ran out of time"))
        if cell.error is not None:
            return Cell(error=StatisticError(f"{statistic.name} needs {name}, which failed: {cell.error}"))
    if any(cell.value is None for cell in needs.values()):
        return Cell(None, weakest(cell.basis for cell in needs.values()))
    return None


def weakest(bases: Iterable[Basis]) -> Basis:
    """The least exact of several bases."""
    given = set(bases)
    return next(basis for basis in _WEAKEST if basis in given or basis == "exact")


def finish_cell(
    statistic: Statistic,
    parts: Parts,
    needs: Mapping[str, Any],
    basis: Basis,
    types: Mapping[str, pa.DataType] | None = None,
) -> Cell:
    """The cell that the answers to a statistic's expressions give; a failure costs this cell alone.

    `types` are those of the expressions of an app's own statistic, into which the answers are brought.
    """
    if types is None:
        return computed_cell(lambda: statistic.finish(parts, **needs), basis)

    def finish() -> Any:
        typed = {name: part.cast(types[name]) for name, part in parts.items()}
        return statistic.finish(typed, **needs)

    return computed_cell(finish, basis, lambda text: StatisticError(f"{statistic.name} failed: {text}"))


def computed_cell(
    compute: Callable[[], Any], basis: Basis, error_of: Callable[[str], LazyflowError] = EngineError
) -> Cell:
    """A cell of what is computed; a failure costs this cell alone."""
    try:
        return Cell(compute(), basis)
    except Exception as error:
        log.exception("a statistic failed")
        return Cell(error=error_of(f"{type(error).__name__}: {error}"))
