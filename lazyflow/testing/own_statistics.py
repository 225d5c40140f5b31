"""An app's own statistics: what they may be, that they are as the built-in ones, and that a mistake costs its cell."""

# ruff: noqa: D103 - the name of a case says what it holds

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lazyflow.dataflow import DataFlow
from lazyflow.errors import EngineError, InvalidStatistic, LazyflowError, NotForThisType, StatisticError, UnknownName
from lazyflow.state import State
from lazyflow.statistics.builtin import NAMES
from lazyflow.statistics.queries import AggregateQuery, StatisticsQuery
from lazyflow.statistics.registry import Native, Statistic
from lazyflow.testing.control import PATIENCE, controlled
from lazyflow.testing.harness import Harness
from lazyflow.testing.isolation import unknown
from lazyflow.testing.phases import ALL, FLIGHTS, FOUR, OF_ALL, OF_FOUR, summary
from lazyflow.testing.statistics import ROUTES, Route
from lazyflow.types import KINDS

pytestmark = pytest.mark.family("own statistics")


def _far(column: Any, ns: Any, mean: float, std: float) -> Any:
    return ((column.cast("float64") - mean).abs() > std).ifelse(1, 0).sum()


FAR = Statistic("far", _far, needs=("mean", "std"))
WORDS = Statistic("with_i", lambda column, ns: column.contains("i").ifelse(1, 0).sum(), kinds=["text"])
RANGE = Statistic(
    "ends", lambda column, ns: {"low": column.min(), "high": column.max()}, kinds={"integer"}, group="distribution"
)


def _share(column: Any, ns: Any, far: int, count: int) -> Any:
    return column.count()


SHARE = Statistic("far_share", _share, needs=("far", "count"), finish=lambda parts, far, count: far / parts[""].as_py())
ALL_OWN = (SHARE, FAR, WORDS, RANGE)


def value(statistics: Any, scope: str, column: str, name: str) -> Any:
    cell = statistics[scope][column][name]
    assert cell.error is None, cell.error
    return cell.value


@ROUTES
def test_own_statistics_are_what_they_say(harness: Harness, route: Route) -> None:
    with route(harness).flow(FLIGHTS, statistics=ALL_OWN) as flow:
        statistics = flow.apply(FOUR).resolve(PATIENCE)
        assert [name for name in statistics["raw"]["flight"] if name not in NAMES] == [own.name for own in ALL_OWN]
        assert value(statistics, "raw", "flight", "far") == 4
        assert value(statistics, "filtered", "flight", "far") == 2
        assert value(statistics, "raw", "delay", "far") == 2
        assert value(statistics, "raw", "flight", "far_share") == 0.4
        assert value(statistics, "raw", "carrier", "with_i") == 10
        assert type(value(statistics, "filtered", "carrier", "with_i")) is int
        assert value(statistics, "filtered", "flight", "ends") == {"low": 1, "high": 9}
        assert isinstance(statistics["raw"]["origin"]["far"].error, NotForThisType)
        assert summary(statistics, "filtered") == OF_FOUR


def test_own_statistics_are_known_when_they_were_computed_once(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, ALL_OWN) as (flow, control):
        flow.apply(ALL).resolve(PATIENCE)
        before = len(control.deferred)
        assert flow.apply(ALL).complete
        with flow.fork() as other:
            assert value(other.apply(ALL).resolve(PATIENCE), "raw", "flight", "far") == 4
        flow.apply(FOUR).resolve(PATIENCE)
        raw = control.deferred[0].query
        assert isinstance(raw, StatisticsQuery)
        later = [visit.query for visit in control.deferred[before:]]
        assert later
        assert all(isinstance(query, StatisticsQuery) and query.stage.digest != raw.stage.digest for query in later)


def test_own_statistics_are_folded_and_come_last(harness: Harness) -> None:
    with controlled(harness, FLIGHTS, ALL_OWN) as (flow, control):
        flow.apply(FOUR).resolve(PATIENCE)
        names = [{want.statistic.name for want in visit.query.wants} for visit in control.deferred]  # type: ignore[attr-defined]
        own = [bool(asked & flow.own_statistics) for asked in names]
        first = own.index(True)
        assert all(asked <= flow.own_statistics | {"first", "last", "monotonic"} for asked in names[first:])
        if flow._shared.backend.folding.max_columns > 1:
            assert sum(own) == 2 * 3, "of two scopes: what needs nothing new, what needs that, and the distribution"


def test_the_form_for_an_engine_is_taken(harness: Harness) -> None:
    engine = harness.backend()
    engine.close()
    native = {
        engine.name: Native(lambda column, ns: column.max(), "approximate"),
        "another": Native(lambda column, ns: column.min()),
    }
    greatest = Statistic("greatest", lambda column, ns: column.count(), native=native)
    with harness.flow(FLIGHTS, statistics=[greatest]) as flow:
        cell = flow.apply(ALL).resolve(PATIENCE)["raw"]["flight"]["greatest"]
        assert (cell.value, cell.basis) == (10, "approximate")


def test_what_needs_something_approximate_is_so_too(harness: Harness) -> None:
    rough = Statistic("rough", lambda column, ns: column.max(), basis="approximate")
    more = Statistic("more", lambda column, ns, rough: column.max() + rough, needs=("rough",))
    with harness.flow(FLIGHTS, statistics=[more, rough]) as flow:
        cell = flow.apply(ALL).resolve(PATIENCE)["raw"]["flight"]["more"]
        assert (cell.value, cell.basis) == (20, "approximate")


def test_where_there_is_no_value(harness: Harness) -> None:
    table = pa.table({"x": pa.array([None, None], pa.int64()), "y": [1, 2]})
    nothing = Statistic("nothing", lambda column, ns: None)
    doubled = Statistic("doubled", lambda column, ns, mean: column.max() + mean, needs=("mean",))
    with harness.flow(table, statistics=[nothing, doubled]) as flow:
        statistics = flow.apply(State()).resolve(PATIENCE)
        assert value(statistics, "raw", "y", "nothing") is None
        assert value(statistics, "raw", "x", "doubled") is None
        assert value(statistics, "raw", "y", "doubled") == 3.5


def _raising(column: Any, ns: Any, count: int) -> Any:
    raise KeyError("no such thing")


def _finish_badly(parts: Any, **_: Any) -> Any:
    raise ValueError("no such thing")


BROKEN = {
    "raises": Statistic("broken", _raising, needs=("count",)),
    "is no expression": Statistic("broken", lambda column, ns, count: count, needs=("count",)),
    "is a column": Statistic("broken", lambda column, ns, count: column + 1, needs=("count",)),
    "is of another table": Statistic(
        "broken", lambda column, ns, count: ns.table({"z": "int64"}, name="other").z.max(), needs=("count",)
    ),
    "is unknown to the engine": Statistic("broken", lambda column, ns: unknown(ns)(column.cast("float64"))),
    "ends badly": Statistic("broken", lambda column, ns: column.max(), finish=_finish_badly),
}


@ROUTES
@pytest.mark.parametrize("how", BROKEN)
def test_a_mistake_costs_its_own_cells(harness: Harness, how: str, route: Route) -> None:
    heir = Statistic("heir", lambda column, ns, broken: column.max(), needs=("broken",))
    with route(harness).flow(FLIGHTS, statistics=[BROKEN[how], FAR, heir]) as flow:
        step = flow.apply(FOUR)
        statistics = step.resolve(PATIENCE)
        assert step.complete
        for scope, expected in (("raw", OF_ALL), ("filtered", OF_FOUR)):
            assert summary(statistics, scope) == expected
            assert value(statistics, scope, "flight", "far") is not None
            failed = {
                (column, name): cell.error
                for column, cells in statistics[scope].items()
                for name, cell in cells.items()
                if cell.error is not None and not isinstance(cell.error, NotForThisType)
            }
            assert set(failed) == {(column, name) for column in ("flight", "delay") for name in ("broken", "heir")}
            seen_by_engine = how in ("is of another table", "is unknown to the engine")
            assert isinstance(failed["flight", "broken"], EngineError if seen_by_engine else StatisticError)
            assert isinstance(failed["flight", "heir"], StatisticError)
            assert "broken" in str(failed["flight", "heir"])


def _statistic(name: str = "mine", **fields: Any) -> Any:
    return Statistic(name, fields.pop("build", lambda column, ns, **needs: column.max()), **fields)


WRONG: dict[str, tuple[Any, type[LazyflowError], str]] = {
    "no statistic": (lambda: ["mine"], InvalidStatistic, "expected a Statistic"),
    "no name": (lambda: [_statistic("")], InvalidStatistic, "name"),
    "no function": (lambda: [_statistic(build="max")], InvalidStatistic, "build"),
    "nothing to build": (lambda: [_statistic(build=None)], InvalidStatistic, "build"),
    "a kind that is none": (lambda: [_statistic(kinds=["int"])], InvalidStatistic, "'int'"),
    "kinds as a text": (lambda: [_statistic(kinds="text")], InvalidStatistic, "kinds"),
    "a group that is none": (lambda: [_statistic(group="sumary")], InvalidStatistic, "summary"),
    "a basis that is none": (lambda: [_statistic(basis="sampled")], InvalidStatistic, "basis"),
    "no version": (lambda: [_statistic(version="1")], InvalidStatistic, "version"),
    "no native form": (lambda: [_statistic(native={"duckdb": max})], InvalidStatistic, "Native"),
    "a name that is built in": (lambda: [_statistic("mean")], InvalidStatistic, "taken"),
    "a name that is used inside": (lambda: [_statistic("rows")], InvalidStatistic, "taken"),
    "a name twice": (lambda: [_statistic(), _statistic()], InvalidStatistic, "taken"),
    "an unknown need": (lambda: [_statistic(needs=["meen"])], UnknownName, "did you mean 'mean'"),
    "itself": (lambda: [_statistic(needs=["mine"])], InvalidStatistic, "mine -> mine"),
    "a circle": (
        lambda: [_statistic(needs=["other"]), _statistic("other", needs=["mine"])],
        InvalidStatistic,
        "mine -> other -> mine",
    ),
    "a need of other types": (
        lambda: [_statistic(kinds=["text"], needs=["mean"])], InvalidStatistic, "not for: text",
    ),
    "raises": (lambda: [_statistic(build=lambda column, ns: 1 / 0)], InvalidStatistic, "ZeroDivisionError"),
    "a column": (lambda: [_statistic(build=lambda column, ns: column + 1)], InvalidStatistic, "not a column"),
    "a number": (lambda: [_statistic(build=lambda column, ns: 7)], InvalidStatistic, "not int"),
    "executes": (lambda: [_statistic(build=lambda column, ns: column.max().execute())], InvalidStatistic, "kind"),
    "raises for a kind": (
        lambda: [_statistic(kinds=["integer", "text"], build=lambda column, ns: column.mean())],
        InvalidStatistic, "kind text",
    ),
    "the engine's form raises": (
        lambda: [_statistic(native=dict.fromkeys(("duckdb", "pandas", "xorq", "sqlite"), Native(_raising)))],
        InvalidStatistic, "mine",
    ),
}  # fmt: skip
"""What is declared, and the error that says what is wrong."""


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mistake_in_a_declaration_is_an_error_at_once(harness: Harness, wrong: str) -> None:
    declare, kind, message = WRONG[wrong]
    engine = harness.backend()
    with harness.queries() as asked, pytest.raises(kind, match=message):
        DataFlow(harness.source(FLIGHTS), backend=engine, statistics=declare())
    assert not any("SELECT" in text and "source" in text for text in asked), "no data was asked for"
    if wrong == "the engine's form raises":
        return
    with harness.flow(FLIGHTS) as flow:
        assert value(flow.apply(ALL).resolve(PATIENCE), "raw", "flight", "max") == 10, "others are as before"


def test_a_statistic_of_every_kind_of_type(harness: Harness) -> None:
    everywhere = Statistic("present_twice", lambda column, ns: column.count() * 2, kinds=KINDS)
    with harness.flow(FLIGHTS, statistics=[everywhere]) as flow:
        statistics = flow.apply(ALL).resolve(PATIENCE)
        assert [statistics["raw"][name]["present_twice"].value for name in flow.schema] == [20, 20, 20, 14]


def test_nothing_is_declared_for_other_flows(harness: Harness) -> None:
    with harness.flow(FLIGHTS, statistics=[FAR]) as flow, harness.flow(FLIGHTS) as other:
        assert "far" in flow.apply(ALL).resolve(PATIENCE)["raw"]["flight"]
        assert "far" not in other.apply(ALL).resolve(PATIENCE)["raw"]["flight"]
        assert flow.own_statistics == {"far"}
        assert [one.name for one in other.statistics] == list(NAMES)


def test_a_fold_of_own_statistics_alone_is_split_where_it_fails(harness: Harness) -> None:
    """A mistake of an app's that only the engine sees sends none of the built-in statistics to it again."""
    with controlled(harness, FLIGHTS, [BROKEN["is unknown to the engine"], FAR]) as (flow, control):
        step = flow.apply(ALL)
        step.resolve(PATIENCE)
        again = [
            want.statistic.name
            for visit in control.deferred
            if visit.outcome == "stopped" and isinstance(visit.query, AggregateQuery)
            for want in visit.query.wants
        ]
        assert set(again) <= {"broken", "far"}
        assert "broken" in again


def test_a_mistake_in_a_form_never_reaches_the_engine(harness: Harness) -> None:
    """It is seen while the query is put together, so no query has to be asked again without it."""
    with controlled(harness, FLIGHTS, [BROKEN["raises"], FAR]) as (flow, control):
        statistics = flow.apply(ALL).resolve(PATIENCE)
        assert isinstance(statistics["raw"]["flight"]["broken"].error, StatisticError)
        assert {visit.outcome for visit in control.deferred} == {"answered"}
