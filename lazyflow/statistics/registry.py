"""How a statistic is declared: once, as data, by lazyflow and by apps alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from lazyflow.errors import InvalidStatistic, UnknownName
from lazyflow.statistics.results import Basis
from lazyflow.types import NUMBERS, Kind, python_value

if TYPE_CHECKING:
    import pyarrow as pa

    from lazyflow.expressions import Column
    from lazyflow.statistics.value_counts import ValueCounts

Group = Literal["summary", "distribution", "order"]
"""Which statistics come first, in this order."""

Edges: TypeAlias = "tuple[pa.Scalar, ...]"

EDGES = "edges"
"""As a need: the edges of the column's histogram, Arrow scalars of its type."""

Parts: TypeAlias = "Mapping[str, pa.Scalar]"
"""What an engine answered to the expressions of `build`, by their names; "" where it is a single one."""

Build: TypeAlias = "Callable[..., Column | Mapping[str, Column] | None]"
"""(column with missing as NULL, namespace, needs by their names) -> a scalar expression, or several by name; None where
there is no value."""


@dataclass(frozen=True)
class Native:
    """An engine's own, faster form of a statistic: what it aggregates, and on what basis."""

    build: Build
    basis: Basis = "exact"


def value_of(parts: Parts, **_: Any) -> Any:
    """What a statistic without `finish` makes of its parts: the value, or where there are several those by name."""
    if list(parts) == [""]:
        return python_value(parts[""])
    return {name: python_value(part) for name, part in parts.items()}


@dataclass(frozen=True)
class Statistic:
    """One statistic of a column.

    Parameters
    ----------
    name
        What callers call it.
    build
        `build(column, ns, **needs)` -> a scalar expression that an engine aggregates, or several by name. `column` has
        its missing values as NULL, `ns` is the expression library of the engine (the module `ibis` on DuckDB). None as
        its answer says that there is no value.
    kinds
        The kinds of type that it has a meaning for.
    needs
        Other statistics of the same column and scope whose values `build` and `finish` are given, by name. Where one of
        them has no value, this one has none.
    group
        "summary" comes before "distribution".
    finish
        `finish(parts, **needs)` -> the value, from the answers to `build` as Arrow scalars by name ("" for a single
        one). Without, the value is the answer, or a mapping where there are several.
    native
        Other forms for some engines: name of the backend -> `Native`.
    basis
        Of what `build` gives. A value is never more exact than those that it needs.
    version
        To be raised whenever the same data would give another value: part of the content key.
    from_counts
        Its value from a column's value counts and the edges of its histogram, exactly: used for columns with few
        distinct values, whose counts give all statistics in one pass. Without `build`, the most frequent values are
        enough for it.
    in_column_type
        Whether the answers to `build` are values of the column, to be brought into the type that callers see.
    durable
        Whether name and version say in every process what is computed. Only then values are kept on disk.
    scaled
        `scaled(value, factor)` -> what a value over some of the rows says of all of them, of which there are `factor`
        times as many. None where it says nothing, as of the greatest value.

    Raises
    ------
    InvalidStatistic
        If it cannot be one; the message says why.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from lazyflow import DataFlow, State
    >>> spread = Statistic("spread", lambda column, ns, min, max: column.max() - column.min(), needs=("min", "max"))
    >>> with DataFlow(pa.table({"x": [1, 5, None]}), statistics=[spread]) as flow:
    ...     flow.apply(State()).resolve()["raw"]["x"]["spread"].value
    4
    >>> Statistic("spread", "max - min")
    Traceback (most recent call last):
    lazyflow.errors.InvalidStatistic: statistic 'spread': build is a function (column, ns, **needs), not 'max - min'
    """

    name: str
    build: Build | None
    kinds: Collection[Kind] = NUMBERS
    needs: tuple[str, ...] = ()
    group: Group = "summary"
    finish: Callable[..., Any] = value_of
    native: Mapping[str, Native] = field(default_factory=dict)
    basis: Basis = "exact"
    version: int = 1
    durable: bool = False
    from_counts: Callable[[ValueCounts, Edges], Any] | None = None
    in_column_type: bool = False
    scaled: Callable[[Any, float], Any] | None = None

    def __post_init__(self) -> None:
        where = f"statistic {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise InvalidStatistic(f"a statistic needs a name, got {self.name!r}")
        if not callable(self.build) and not (
            self.build is None and (self.from_counts is not None or self.group == "order")
        ):
            raise InvalidStatistic(f"{where}: build is a function (column, ns, **needs), not {self.build!r}")
        if not callable(self.finish):
            raise InvalidStatistic(f"{where}: finish is a function (parts, **needs), not {self.finish!r}")
        for name, given in (("kinds", self.kinds), ("needs", self.needs)):
            if isinstance(given, str) or not isinstance(given, Collection):
                raise InvalidStatistic(f"{where}: {name} is a collection of names, not {given!r}")
        for kind in self.kinds:
            if kind not in get_args(Kind):
                raise InvalidStatistic(f"{where}: {UnknownName.of('kind of type', kind, get_args(Kind))}")
        if self.group not in get_args(Group) or (self.group == "order" and self.build is not None):
            raise InvalidStatistic(f"{where}: {UnknownName.of('group', self.group, ('summary', 'distribution'))}")
        if self.basis not in ("exact", "approximate"):
            raise InvalidStatistic(f"{where}: basis is 'exact' or 'approximate', not {self.basis!r}")
        if not isinstance(self.native, Mapping) or not all(isinstance(n, Native) for n in self.native.values()):
            raise InvalidStatistic(f"{where}: native is a mapping from backends to Native forms, not {self.native!r}")
        if isinstance(self.version, bool) or not isinstance(self.version, int):
            raise InvalidStatistic(f"{where}: version is a whole number, not {self.version!r}")
        object.__setattr__(self, "kinds", frozenset(self.kinds))
        object.__setattr__(self, "needs", tuple(self.needs))
        object.__setattr__(self, "native", MappingProxyType(dict(self.native)))

    def __hash__(self) -> int:
        return hash((self.name, self.version, self.build, self.finish))


@dataclass(frozen=True, eq=False)
class Registry:
    """The statistics of a flow: those that lazyflow brings, then the app's own.

    Attributes
    ----------
    statistics
        All of them, in the order in which they are shown.
    own
        The names of the app's own.
    native
        The engine's forms, by name.
    """

    statistics: tuple[Statistic, ...]
    own: frozenset[str] = frozenset()
    native: Mapping[str, Native] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Statistic]:
        """The statistics by name."""
        return {statistic.name: statistic for statistic in self.statistics}

    @cached_property
    def of_kind(self) -> Mapping[Kind, tuple[Statistic, ...]]:
        """Those that have a meaning for a kind of type."""
        return {kind: tuple(s for s in self.statistics if kind in s.kinds) for kind in get_args(Kind)}

    def wanted(self, kind: Kind, ordered: bool) -> tuple[Statistic, ...]:
        """Those of columns of a kind, in a scope whose rows have an order or not."""
        return self.of_kind[kind] if ordered else tuple(s for s in self.of_kind[kind] if s.group != "order")

    @cached_property
    def identity(self) -> tuple[Statistic, ...]:
        """Equal for registries with the same statistics."""
        return tuple(statistic for statistic in self.statistics if statistic.name in self.own)

    def is_late(self, statistic: Statistic) -> bool:
        """Whether it is computed after the others: those by order take a pass of their own, an app's what they like."""
        return statistic.group == "order" or statistic.name in self.own

    def declare(self, own: Iterable[Statistic], engine: str, reserved: Collection[str]) -> Registry:
        """As this registry, with an app's own statistics in their forms for an engine.

        Raises
        ------
        InvalidStatistic
            If one is none, or has a name that is taken, or they need each other in a circle.
        UnknownName
            If one needs what does not exist.
        """
        found = dict(self.by_name)
        declared = tuple(own)
        for statistic in declared:
            if not isinstance(statistic, Statistic):
                raise InvalidStatistic(f"expected a Statistic, got {type(statistic).__name__}")
            if statistic.build is None or statistic.group == "order":
                raise InvalidStatistic(f"statistic {statistic.name!r}: it needs a function build(column, ns, **needs)")
            if statistic.name in found or statistic.name in reserved:
                raise InvalidStatistic(f"statistic {statistic.name!r}: the name is taken")
            found[statistic.name] = statistic
        for statistic in declared:
            self._check_needs(statistic, found)
        native = {s.name: s.native[engine] for s in declared if engine in s.native}
        names = self.own | {statistic.name for statistic in declared}
        return Registry((*self.statistics, *declared), names, {**self.native, **native})

    @staticmethod
    def _check_needs(statistic: Statistic, known: Mapping[str, Statistic]) -> None:
        """Follow what a statistic needs, and what that needs, to its ends."""
        pending: list[tuple[Statistic, tuple[str, ...]]] = [(statistic, (statistic.name,))]
        while pending:
            one, way = pending.pop()
            for name in one.needs:
                if name in way:
                    circle = " -> ".join((*way, name))
                    raise InvalidStatistic(f"statistic {statistic.name!r} needs itself: {circle}")
                if name == EDGES:
                    continue
                if name not in known:
                    error = UnknownName.of("statistic", name, known)
                    raise UnknownName(f"statistic {one.name!r} needs another: {error}")
                needed = known[name]
                if statistic.durable and not needed.durable:
                    raise InvalidStatistic(f"statistic {statistic.name!r} is durable and needs {name!r}, which is not")
                if not one.kinds <= needed.kinds:  # type: ignore[operator]
                    missing = ", ".join(sorted(set(one.kinds) - set(needed.kinds)))
                    raise InvalidStatistic(f"statistic {one.name!r} needs {name!r}, which is not for: {missing}")
                pending.append((needed, (*way, name)))


class CellKey(NamedTuple):
    """What a cell computes, whoever asks: the content key of one statistic of one column of one scope.

    `edges` is the digest of the scope whose values give a histogram its edges, else empty. `durable` says whether
    another process finds the same key for the same cell of the same data. What some of the rows say is `sampled`: it
    has a key of its own, so that it is never taken for what all rows say.
    """

    fingerprint: str
    scope: str
    column: str
    statistic: str
    version: int
    edges: str = ""
    durable: bool = False
    sampled: bool = False

    @property
    def of_sample(self) -> CellKey:
        """The key of the same cell of some of the rows."""
        return self._replace(sampled=True, durable=False)
