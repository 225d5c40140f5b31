"""Views as SQL: what the backends share whose engine speaks it. Queries are trees of sqlglot, as ibis compiles to."""

from __future__ import annotations

import uuid
from typing import Any, TypeAlias

Query: TypeAlias = Any  # sqlglot.expressions.Query

SOURCE = "source"
"""The name that the source's table goes by in the SQL of a view, where it has none of its own."""


def laid_out(query: Query, dialect: Any, source: str | None = None) -> str:
    """A query as text over several lines, for people; it may be changed.

    Parameters
    ----------
    dialect
        Of sqlglot's.
    source
        What the table `SOURCE` is, as a query in that dialect; None where whoever runs it has such a table.

    Examples
    --------
    >>> import sqlglot
    >>> print(laid_out(sqlglot.parse_one("SELECT x FROM source"), "duckdb", "SELECT 1 AS x"))
    WITH source AS (
      SELECT
        1 AS x
    )
    SELECT
      x
    FROM source
    """
    if source is not None:
        others = list(query.ctes)
        query = query.with_(SOURCE, as_=source, append=False, dialect=dialect)
        for other in others:  # behind it, since they read from it
            query = query.with_(other.alias, as_=other.this)
    line_break = uuid.uuid4().hex  # sqlglot indents what follows a line break, also within a name
    for node in query.walk():
        if node.key == "identifier" and "\n" in node.name:
            node.set("this", node.name.replace("\n", line_break))
    return str(query.sql(dialect, pretty=True)).replace(line_break, "\n")
