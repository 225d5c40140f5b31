"""Expressions by what they compute: a short text, the same in every process wherever that can be promised."""

from __future__ import annotations

import datetime
import decimal
import enum
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lazyflow.expressions import Column, Table

_RELATIONS = frozenset(
    {
        "Aggregate", "Difference", "Distinct", "DropColumns", "DropNa", "DropNull", "FillNa", "FillNull", "Filter",
        "Intersection", "JoinChain", "JoinReference", "JoinTable", "Project", "SelfReference", "Sort", "Union",
    }
)  # fmt: skip
"""Relations that say by themselves which rows they give. Not so a table of an engine, a limit, a sample, or SQL."""

_BY_CHANCE = frozenset(
    {"Impure", "RandomScalar", "RandomUUID", "TimestampNow", "DateNow", "ScalarUDF", "AggUDF", "VectorizedUDF"}
)
"""Values that another time, or the code of somebody's function, makes others."""

_PLAIN = (
    bool, int, float, str, bytes, type(None), decimal.Decimal, datetime.date, datetime.time, datetime.timedelta,
    enum.Enum, uuid.UUID,
)  # fmt: skip
"""Types whose `repr` is the same in every process, and says all there is."""


class Digest(NamedTuple):
    """What an expression computes from its leaf.

    Attributes
    ----------
    text
        Equal where the same is computed from equal leaves.
    durable
        Whether another process finds the same text for the same expression, and whoever evaluates it gets the same.
    """

    text: str
    durable: bool


def digest_of_leaf(table: Table) -> Digest:
    """The digest of a source's table.

    It counts by its columns alone: its name is another in every process, and what it holds is said by the fingerprint
    of the source.
    """
    return Digest(_hash(repr([(name, repr(type)) for name, type in table.schema().items()])), True)


def digest(table: Table, leaf: Table, of_leaf: Digest, conditions: Sequence[Column] = ()) -> Digest:
    """The digest of an expression over a source's table, `leaf`, and of those of its rows that meet all conditions."""
    durable, leaf_op = True, leaf.op()

    def stable(value: Any) -> Any:
        """A part of an expression as a text that says what it is, not where it lies in memory."""
        nonlocal durable
        if value is leaf_op or (type(value) is type(leaf_op) and value == leaf_op):
            return of_leaf.text
        if isinstance(value, tuple | list):
            return tuple(stable(item) for item in value)
        if isinstance(value, Mapping):
            return tuple((stable(key), stable(item)) for key, item in value.items())
        if callable(getattr(value, "compile", None)):  # a backend: the source's fingerprint speaks for it
            return f"{type(value).__module__}"
        durable = durable and (isinstance(value, _PLAIN) or _is_of_ibis(type(value)))
        text = repr(value)
        durable = durable and " at 0x" not in text
        return text

    def of_node(node: Any, _: Any, **children: Any) -> str:
        nonlocal durable
        kind = type(node)
        durable = durable and is_pure(node)
        local = "" if _is_of_ibis(kind) else f"@{id(kind)}"
        parts = (kind.__name__ + local, *((name, stable(child)) for name, child in children.items()))
        return _hash(repr(parts))

    def of(expression: Table | Column) -> str:
        op = expression.op()
        return of_leaf.text if op == leaf_op else str(op.map(of_node, filter=lambda node: node != leaf_op)[op])

    text = of(table)
    if conditions:
        text = _hash(repr(("rows where", text, [of(condition) for condition in conditions])))
    return Digest(text, durable)


def is_pure(node: Any) -> bool:
    """Whether an operation gives the same from the same inputs, in every process."""
    kind = type(node)
    names = {base.__name__ for base in kind.__mro__}
    return _is_of_ibis(kind) and not names & _BY_CHANCE and ("Relation" not in names or kind.__name__ in _RELATIONS)


def _is_of_ibis(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("ibis", "xorq")


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
