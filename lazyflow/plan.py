"""A state over a source, as one ibis expression per stage. Nothing here executes anything.

raw -> cleaning -> clean -> search, filters -> filtered -> post-processing -> shown -> sort -> windows
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from lazyflow import expressions as ex
from lazyflow.conditions import conditions
from lazyflow.digest import digest
from lazyflow.errors import InvalidInput, InvalidValue, NotForThisType, TransformError, UnknownName
from lazyflow.fields import find_field
from lazyflow.fingerprint import Fingerprint
from lazyflow.memo import Memo
from lazyflow.source import Source, SourceColumn, outside_names
from lazyflow.state import Sort, State
from lazyflow.types import COMPARABLE, canonical, kind

if TYPE_CHECKING:
    import pyarrow as pa

Transform: TypeAlias = Callable[[ex.Table, ex.Namespace], ex.Table]
"""What an app registers as cleaning or post-processing: `fn(table, ns) -> table`."""

ROW_NUMBER = "__row_number"

_ROW_WISE = frozenset({"Project", "Filter", "DropNull", "DropNa", "FillNull", "FillNa", "DropColumns"})
"""Relations that make each row of one row that they read, in the order in which they read."""

_NOT_ROW_WISE = frozenset(
    {"Reduction", "Analytic", "WindowFunction", "Subquery", "Impure", "RandomScalar", "RandomUUID", "Unnest"}
)
"""Values that depend on more than their own row, or on chance."""


@dataclass(frozen=True, eq=False)
class Transforms:
    """The cleanings and post-processings that an app registered, by name."""

    cleanings: Mapping[str, Transform] = field(default_factory=dict)
    post_processings: Mapping[str, Transform] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: its table, its columns as callers see them, and a digest that says what it computes.

    The table is that of `before` with the rows that meet all `conditions`. `durable` says whether another process would
    find the same digest for the same rows of the same source.
    """

    before: ex.Table
    columns: tuple[SourceColumn, ...]
    digest: str
    durable: bool
    fingerprint: Fingerprint
    conditions: tuple[ex.Column, ...] = ()

    @cached_property
    def table(self) -> ex.Table:
        """The table, made when first asked for: of many columns that takes long."""
        return self.before.filter(self.conditions) if self.conditions else self.before

    @cached_property
    def by_name(self) -> Mapping[str, SourceColumn]:
        """The columns by the names that callers use."""
        return {column.name: column for column in self.columns}

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type, as callers see them."""
        return MappingProxyType({column.name: column.type for column in self.columns})

    def column(self, name: str) -> SourceColumn:
        """The column of that name; UnknownName where there is none."""
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownName.of("column", name, self.by_name) from None


class SortKey(NamedTuple):
    """One key of a sort: the name inside of a column, the places of the fields that lead into it, the direction."""

    column: str
    places: tuple[int, ...]
    descending: bool


class Engine(ex.Dialect, Protocol):
    """What a plan needs to know of its engine."""

    def sql(self, plan: Plan) -> str:
        """A view as one statement of the engine's SQL."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The stages of a state over a source, as ordinary ibis expressions that the caller may execute or build on.

    `raw`, `clean`, `filtered` and `shown` are tables in no order but the source's own, `ordered` is sorted,
    `window(start, stop)` is a part of it.
    """

    source: Source
    state: State
    engine: Engine
    stages: Mapping[str, Stage]
    positional: bool
    pruned: Memo[frozenset[str], Plan] = field(default_factory=lambda: Memo(8), repr=False)
    """The same plan over fewer columns of its source, by their inside names."""

    @property
    def transformed(self) -> bool:
        """Whether a cleaning or a post-processing is set."""
        return self.state.cleaning is not None or self.state.post_processing is not None

    @property
    def ns(self) -> ex.Namespace:
        """The namespace of the expression family."""
        return self.engine.ns

    @property
    def raw(self) -> ex.Table:
        """The source's table."""
        return self.stages["raw"].table

    @property
    def clean(self) -> ex.Table:
        """The table after cleaning."""
        return self.stages["clean"].table

    @property
    def filtered(self) -> ex.Table:
        """The clean table after search and filters."""
        return self.stages["filtered"].table

    @property
    def shown(self) -> ex.Table:
        """The filtered table after post-processing."""
        return self.stages["shown"].table

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that have statistics: raw, clean, filtered, and shown where a post-processing is set."""
        return ("raw", "clean", "filtered") + (("shown",) if self.state.post_processing is not None else ())

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Name to Arrow type of the shown table."""
        return self.stages["shown"].schema

    def shown_columns(self, names: Sequence[str] = ()) -> tuple[SourceColumn, ...]:
        """The columns of the shown table of these names, or all of them."""
        shown = self.stages["shown"]
        return tuple(map(shown.column, names)) if names else shown.columns

    def no_rows(self, columns: Sequence[str] = ()) -> pa.Table:
        """The shown table, or some columns of it, without its rows, under the names and types that callers see."""
        import pyarrow as pa

        fields = [(column.name, column.type) for column in self.shown_columns(columns)]
        return pa.Table.from_batches([], pa.schema(fields))

    @cached_property
    def ordered(self) -> ex.Table:
        """The shown table in the order of the state's sort; ties keep the order of the source."""
        return self._sorted(lambda table: table)

    @property
    def sort_keys(self) -> tuple[SortKey, ...]:
        """What the rows are sorted by, each column or field once. With `positional`, ties keep the source's order."""
        shown, keys = self.stages["shown"], []
        for sort in self.state.sort:
            column, places, _ = find_field(sort.column, shown.schema)
            keys.append(SortKey(shown.column(column).inside, places, sort.descending))
        if not self.positional:
            keys += [SortKey(column.inside, (), False) for column in shown.columns]
        first: dict[Any, SortKey] = {}
        for key in keys:
            first.setdefault((key.column, key.places), key)
        return tuple(first.values())

    def sql(self) -> str:
        """The view, from cleaning to sort, as one statement of the engine's SQL: run again, it gives all rows in order.

        On DuckDB, files are read by the statement itself, and a table of a database or of a connection goes by its own
        name. All else (frames, Arrow tables, what was copied at opening; on xorq, every source) whoever runs it brings
        as a table named `source`: `plan.raw.to_pyarrow()`. The docs say under which settings rows keep their order.

        Raises
        ------
        NotForThisEngine
            If the engine speaks no SQL, as pandas.

        Examples
        --------
        >>> import pyarrow as pa
        >>> from lazyflow import DataFlow, Filter
        >>> with DataFlow(pa.table({"delay": [5, None, 90]})) as flow:
        ...     print(flow.compile(State(filters=[Filter("delay", ">", 60)])).sql())
        SELECT
          *
        FROM "source" AS "t0"
        WHERE
          "t0"."delay" > 60 AND "t0"."delay" IS NOT NULL
        """
        return self.engine.sql(self)

    def named(self, table: ex.Table) -> ex.Table:
        """A table that has the shown columns, under the names that callers see.

        A name that SQL cannot write, an empty one or one with NUL in it, stays the one inside.
        """
        columns = self.stages["shown"].columns
        names = outside_names(c.name if c.name and "\0" not in c.name else c.inside for c in columns)
        return table.select([table[c.inside].name(name) for c, name in zip(columns, names, strict=True)])

    def window(self, start: int, stop: int) -> ex.Table:
        """Rows `start` to `stop` (exclusive, counted from 0) of the ordered table."""
        return self._sorted(lambda table: table.limit(stop - start, offset=start))

    def _sorted(self, cut: Callable[[ex.Table], ex.Table]) -> ex.Table:
        """The shown table sorted, then `cut`; the limit sits on the sort itself, where engines turn both into one."""
        table, names = self.shown, [column.inside for column in self.stages["shown"].columns]
        if not self.sort_keys:
            return cut(table)
        if self.positional:
            table = table.mutate(**{ROW_NUMBER: self.ns.row_number()})
        return cut(self.sorted_by_keys(table)).select(names)

    def sorted_by_keys(self, table: ex.Table) -> ex.Table:
        """The shown table sorted; where it is `positional`, it has a column `ROW_NUMBER`, by which ties are broken."""
        order = [self._sort_key(table, key) for key in self.sort_keys]
        if self.positional:
            order.append(table[ROW_NUMBER].asc())
        return table.order_by(order)

    def _sort_key(self, table: ex.Table, key: SortKey) -> ex.Column:
        column = ex.inner(self.engine, table[key.column], key.places)
        if column.type().is_nested():
            column = column.cast("string")
        column = ex.clean(self.ns, column)
        return column.desc(nulls_first=False) if key.descending else column.asc(nulls_first=False)


def compile_plan(source: Source, state: State, transforms: Transforms, engine: Engine) -> Plan:
    """The plan of `state` over `source`.

    Raises
    ------
    UnknownName, InvalidValue, NotForThisType
        Where the state names what does not exist or compares what cannot be compared.
    TransformError
        Where the cleaning or the post-processing fails.
    """
    ns = engine.ns
    raw = Stage(source.table, source.columns, *source.digest, source.fingerprint)
    clean = _transformed("cleaning", state.cleaning, transforms.cleanings, raw, source, ns)
    filtered = _filtered(clean, state, source, engine)
    shown = _transformed("post-processing", state.post_processing, transforms.post_processings, filtered, source, ns)
    for sort in state.sort:
        _check_sort(sort, shown)
    transformed = shown is not filtered or clean is not raw
    positional = source.positional and (not transformed or row_wise(shown.table, source.table))
    stages = {"raw": raw, "clean": clean, "filtered": filtered, "shown": shown}
    return Plan(source, state, engine, stages, positional)


def row_wise(table: ex.Table, leaf: ex.Table) -> bool:
    """Whether each row of `table` comes from one row of `leaf`, by itself and in its order.

    Such a table can be computed block by block, and comes in the order of its leaf on every engine that reads in order.
    """
    leaf_op = leaf.op()
    seen: set[Any] = {leaf_op}
    pending = [table.op()]
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        kinds = {base.__name__ for base in type(node).__mro__}
        if "Relation" in kinds and type(node).__name__ not in _ROW_WISE:
            return False
        if kinds & _NOT_ROW_WISE:
            return False
        pending.extend(node.__children__)
    return True


def _transformed(
    what: str, name: str | None, known: Mapping[str, Transform], before: Stage, source: Source, ns: ex.Namespace
) -> Stage:
    """The stage after a registered function, which sees a table without data and so cannot execute anything."""
    if name is None:
        return before
    if name not in known:
        raise UnknownName.of(what, name, known)
    blank: Any = ns.table(before.table.schema(), name="table")
    try:
        result = known[name](blank, ns)
    except Exception as error:
        hint = ""
        if "unbound" in str(error).lower() or "backend" in str(error).lower() or "does not exist" in str(error):
            hint = " (it is given a table to build an expression on, and may not execute anything)"
        raise TransformError(f"{what} {name!r} failed{hint}: {type(error).__name__}: {error}") from error
    table_class: type[Any] = next(base for base in type(blank).__mro__ if base.__name__ == "Table")
    if not isinstance(result, table_class):
        raise TransformError(f"{what} {name!r} must return a table expression, it returned {type(result).__name__}")
    op: Any = result.op()
    bound = before.table if op == blank.op() else op.replace({blank.op(): before.table.op()}).to_expr()
    columns = _columns(bound, before)
    if not columns:
        raise TransformError(f"{what} {name!r} returned a table without columns")
    return Stage(bound, columns, *digest(bound, source.table, source.digest), before.fingerprint)


def _columns(table: ex.Table, before: Stage) -> tuple[SourceColumn, ...]:
    """The columns of a table that a registered function made; those it left alone keep outside names and types."""
    known = {column.inside: column for column in before.columns}
    types_before = dict(before.table.schema().items())
    columns = []
    for name, type in table.schema().items():
        if name in known and types_before[name] == type:
            columns.append(known[name])
        else:
            outside = known[name].name if name in known else name
            columns.append(SourceColumn(outside, name, canonical(type.to_pyarrow())))
    return tuple(columns)


def _filtered(clean: Stage, state: State, source: Source, dialect: ex.Dialect) -> Stage:
    asked = tuple(conditions(clean.table, clean.by_name, state, dialect))
    if not asked:
        return clean
    found = digest(clean.table, source.table, source.digest, asked)
    return Stage(clean.table, clean.columns, *found, clean.fingerprint, asked)


def _check_sort(sort: Sort, shown: Stage) -> None:
    type = find_field(sort.column, shown.schema).type
    if kind(type) not in COMPARABLE:
        raise NotForThisType(f"sort by {sort.column!r}: columns of type {type} have no order")


def check_window(window: object) -> tuple[int, int]:
    """`window` as (start, stop) in rows, 0 <= start <= stop < 2**62; InvalidValue for anything else."""
    match window:
        case (int() as start, int() as stop) if not isinstance(start, bool) and not isinstance(stop, bool):
            if 0 <= start <= stop < 2**62:
                return start, stop
    raise InvalidValue(f"a window is (start, stop) with 0 <= start <= stop, in rows; got {window!r}")


def check_columns(columns: Iterable[str], known: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of columns, each of which must be known; each once."""
    if isinstance(columns, str):
        raise InvalidInput(f"columns is a list of names, not the text {columns!r}")
    names = tuple(dict.fromkeys(columns))
    for name in names:
        if name not in known:
            raise UnknownName.of("column", name, known)
    return names
