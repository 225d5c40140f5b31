"""A backend as an outside author would write it: SQLite through ibis. docs/backends.md goes through it line by line."""

from __future__ import annotations

import datetime
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr import datatypes as dt
from lazyflow_duckdb.files import to_arrow

from lazyflow.backend import Backend, Capabilities
from lazyflow.data import is_arrow, recognise, unsupported
from lazyflow.errors import InvalidInput, SourceError
from lazyflow.files import Database, Files
from lazyflow.plain import plain_arrow
from lazyflow.query import Query
from lazyflow.source import Fingerprint, Source, columns_of
from lazyflow.statistics.builtin import QUANTILES
from lazyflow.statistics.registry import Native
from lazyflow.statistics.view import Folding
from lazyflow.testing.layouts import LAYOUTS
from lazyflow.testing.scalars import FAR
from lazyflow.types import kind
from lazyflow.work import CancelToken

STORED = {"integer": "INTEGER", "float": "REAL", "text": "TEXT", "boolean": "INTEGER", "date": "TEXT"}
"""How SQLite keeps each kind of type; others it has no type for."""

NO_TYPE = "SQLite has five storage classes: integers of 64 bits, doubles, text, bytes, NULL"

UNSTORED = (
    *(
        f"{family} [{layout.name}]"
        for layout in LAYOUTS
        for family in ("every type", "every type in files")
        if kind(layout.plain.type) not in STORED or layout.plain.type == pa.float32()
    ),
    *(f"every type in files [{unit}]" for unit in ("s", "ms", "us", "ns")),
    "hostile values: all types in one table",
    "hostile values: moments at the ends of 64 bits spoil no rows",
    *(f"hostile values [{sample.name}]" for sample in FAR),  # dates are texts, of four digits for the year
    "hostile values [decimals of 38 digits]",
    "hostile names: names of fields in structs",
)
"""Cases of types that SQLite does not have."""

LARGEST = 1.7976931348623157e308


@ibis.udf.agg.builtin(name="lazyflow_quantile")
def quantile(column: dt.float64, q: dt.float64) -> dt.float64:  # type: ignore[empty-body,valid-type]
    """SQLite has no quantile: it is given one, below."""


class Quantile:
    """An aggregate for SQLite: linear interpolation between the two nearest values in order."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.q = 0.0

    def step(self, value: float | None, q: float) -> None:
        self.q = q
        if value is not None:
            self.values.append(value)

    def finalize(self) -> float | None:
        if not self.values:
            return None
        self.values.sort()
        place = (len(self.values) - 1) * self.q
        low, high = self.values[int(place)], self.values[min(int(place) + 1, len(self.values) - 1)]
        return low if low == high or place == int(place) else low + (high - low) * (place - int(place))


class Variance:
    """In place of ibis' own, which divides by zero where there is one value (ibis 12.0)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def step(self, value: float | None) -> None:
        if value is not None:
            self.count += 1
            off = value - self.mean
            self.mean += off / self.count
            self.squares += off * (value - self.mean)

    def finalize(self) -> float | None:
        return self.squares / (self.count - 1) if self.count > 1 else None


def quantiles(column: Any, ns: Any) -> Mapping[str, Any]:
    return {str(q): quantile(column.cast("float64"), float(q)) for q in QUANTILES}


class SQLiteBackend(Backend):
    """Arrow tables in a SQLite file of our own, a connection for each query."""

    name: ClassVar[str] = "sqlite"
    capabilities: ClassVar[Capabilities] = Capabilities(
        interrupts=True,
        missing=dict.fromkeys(
            ("decimals", "timestamps", "times", "durations", "binary", "lists", "nested fields", "other types"), NO_TYPE
        )
        | dict.fromkeys(
            ("sources: whole numbers of json", "integers [uint64]", "integers [unsigned]", "floats [float32]"), NO_TYPE
        )
        | {"views as SQL": "what ibis writes for SQLite calls functions that Python lends to a connection"}
        | dict.fromkeys(UNSTORED, NO_TYPE)
        | dict.fromkeys(
            (
                "text: parts of text [text]",
                "text: parts of text [large text]",
                "text: parts of text [dictionary of text]",
            ),
            "ibis compiles startswith and endswith on SQLite to LIKE, to which % and _ are wildcards",
        ),
    )
    folding: ClassVar[Folding] = Folding(native={"quantiles": Native(quantiles)})

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lazyflow-sqlite-")
        self._opened = 0
        self._compiling = threading.Lock()

    @property
    def ns(self) -> Any:
        return ibis

    def open(self, data: Any) -> Source:
        """Copy rows into a file; they are numbered by SQLite, in the order in which they come."""
        data, fingerprint = recognise(data), Fingerprint.of_opening()
        if isinstance(data, Files | Database):
            data, fingerprint = to_arrow(data), data.fingerprint
        if not is_arrow(data):
            raise unsupported(data, self.name)
        if not data.num_columns:
            raise SourceError("the source has no columns")
        table = plain_arrow(data)
        columns = columns_of(data.column_names, table.schema.types)
        for column in columns:
            if kind(column.type) not in STORED or column.type in (pa.uint64(), pa.float32()):
                raise InvalidInput(f"the sqlite backend has no type for column {column.name!r}: {column.type}")
        self._opened += 1
        name = f"source_{self._opened}"
        declared = ", ".join(f'"{column.inside}" {STORED[kind(column.type)]}' for column in columns)
        with self._connect() as connection:
            connection.execute(f'CREATE TABLE "{name}" ({declared})')
            rows = zip(*(map(_stored, array.to_pylist()) for array in table.columns), strict=True)
            connection.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(columns))})', rows)
        schema = ibis.Schema.from_pyarrow(pa.schema([(column.inside, column.type) for column in columns]))
        return Source(
            ibis.table(schema, name=name),
            columns,
            fingerprint,
            positional=True,
            materialised="SQLite has files of its own",
        )

    def execute(self, query: Query, token: CancelToken) -> pa.Table:
        """The answer to a query; SQLite asks every thousand steps whether it is still wanted."""
        with self._compiling:
            statement = str(ibis.to_sql(_without_isinf(query.expression), dialect="sqlite", pretty=False))
            schema = query.expression.schema().to_pyarrow()
        connection = self._connect()
        try:
            connection.set_progress_handler(lambda: token.cancelled, 1_000)
            rows = connection.execute(statement.replace("\0", "' || char(0) || '")).fetchall()
        finally:
            connection.close()
        columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
        arrays = [_array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=pa.schema([field.with_nullable(True) for field in schema]))

    def close(self) -> None:
        self._folder.cleanup()

    def _connect(self) -> Any:
        """A connection with what ibis relies on, and ours: SQLite lowers ASCII alone, and measures up to NUL."""
        connection = ibis.sqlite.connect(Path(self._folder.name) / "source.db").con
        connection.create_function("lower", 1, lambda text: None if text is None else "".join(map(str.lower, text)))
        connection.create_function("length", 1, lambda text: None if text is None else len(text))
        connection.create_function("_ibis_regex_search", 2, _matches)
        connection.create_aggregate("lazyflow_quantile", 2, Quantile)
        connection.create_aggregate("_ibis_var_sample", 1, Variance)
        return connection


def _without_isinf(expression: Any) -> Any:
    """The expression in what SQLite has: no `isinf`, but comparison."""

    def rewrite(node: Any, changed: dict[str, Any] | None) -> Any:
        node = node.__recreate__(changed) if changed else node
        return (node.arg.to_expr().abs() > LARGEST).op() if isinstance(node, ops.IsInf) else node

    return expression.op().replace(rewrite).to_expr()


def _matches(text: str | None, pattern: str) -> bool | None:
    """By RE2, since Python's `re`, which ibis gives SQLite, reads some patterns otherwise."""
    return None if text is None else bool(pc.match_substring_regex(pa.array([text]), pattern)[0].as_py())


def _stored(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


def _array(values: Any, type: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(type):
        return pa.array([None if value is None else bool(value) for value in values], type)
    if pa.types.is_date(type):
        return pa.array([value and datetime.date.fromisoformat(value) for value in values], type)
    return pa.array(values, type)
