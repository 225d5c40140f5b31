"""What a service measures of itself, as Prometheus reads it, through each door."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import lazyflow as lf
from lazyflow.metrics import Metrics
from lazyflow.protocol import CLOSE_CODES, ErrorFrame, Frame, StateFrame
from lazyflow.service import Service
from lazyflow.settings import Settings
from lazyflow.statistics.queries import StatisticsQuery
from lazyflow.testing.control import watched
from tests.drivers import HARNESSES
from tests.serving import TABLE, TOKEN, Server, hosting, serving, until, until_frame
from tests.test_security import BEARER, at_each_door
from tests.wire import next_frame

ROOT = Path(__file__).parent.parent


async def scraped(server: Server) -> dict[tuple[str, ...], float]:
    """All samples: name, and values of labels in the order of their names -> value."""
    answer = await server.get("/metrics", BEARER)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.body)
        for sample in family.samples
    }


@at_each_door
async def test_changes_are_counted_by_how_they_end_and_how_long_they_took() -> None:
    engine, control = watched(HARNESSES["duckdb"]())
    with lf.DataFlow(TABLE, backend=engine) as flow:
        async with hosting({"numbers": flow}, Settings(token=TOKEN)) as server:
            client = await server.connect()
            await until_frame(client, lambda header: getattr(header, "complete", getattr(header, "final", False)))
            found = await scraped(server)
            assert found["lazyflow_sessions",] == found["lazyflow_clients",] == 1
            assert found["lazyflow_changes_total", "final", "numbers"] == 1
            assert found["lazyflow_rows_seconds_count", "numbers"] == 1
            assert 0 < found["lazyflow_rows_seconds_sum", "numbers"] < 60, "these are seconds"
            for group in ("summary", "distribution"):
                assert found["lazyflow_statistics_seconds_count", group, "numbers"] == 1
            started = found["lazyflow_statistics_queries_started_total", "numbers"]
            assert started > 0
            assert found["lazyflow_statistics_queries_cancelled_total", "numbers"] == 0

            control.hold(lambda query: isinstance(query, StatisticsQuery))
            client.write_message('{"type": "state_change", "state": {"search": "o"}, "request": 1}')
            await until_frame(client, lambda header: getattr(header, "request", None) == 1)
            await until(lambda: any(visit.outcome == "waiting" for visit in control.visits))
            client.write_message('{"type": "state_change", "state": {"search": "rome"}, "request": 2}')
            await until_frame(client, lambda header: isinstance(header, StateFrame) and header.request == 2)
            control.release()
            found = await scraped(server)
            assert found["lazyflow_changes_total", "superseded", "numbers"] == 1
            assert found["lazyflow_rows_seconds_count", "numbers"] == 2
            assert found["lazyflow_statistics_seconds_count", "summary", "numbers"] == 1
            assert found["lazyflow_statistics_queries_started_total", "numbers"] > started
            assert found["lazyflow_statistics_queries_cancelled_total", "numbers"] > 0
            client.close()


@at_each_door
async def test_what_is_sent_is_counted_by_type() -> None:
    async with serving() as server:
        client = await server.connect()
        sizes: dict[str, list[int]] = {}
        while True:
            data = await client.read_message()
            assert isinstance(data, bytes)
            header = Frame.decode(data).header
            sizes.setdefault(header.__struct_config__.tag, []).append(len(data))  # type: ignore[arg-type]
            if getattr(header, "complete", False) or getattr(header, "final", False):
                break
        found = await scraped(server)
        for kind, each in sizes.items():
            assert found["lazyflow_frames_sent_total", kind] == len(each)
            assert found["lazyflow_sent_bytes_total", kind] == sum(each)
        client.write_message("nonsense")
        await until_frame_of_error(client)
        assert (await scraped(server))["lazyflow_errors_total", "invalid_message"] == 1
        client.close()


async def until_frame_of_error(client: Any) -> None:
    while not isinstance(getattr(await next_frame(client), "header", None), ErrorFrame):
        pass


@at_each_door
async def test_clients_that_are_gone_are_counted_by_code() -> None:
    async with serving(max_clients=1) as server:
        client = await server.connect()
        await next_frame(client)
        refused = await server.connect()
        await next_frame(refused)
        assert await next_frame(refused) is None
        client.close()
        await until(lambda: not server.connections)
        found = await scraped(server)
        assert {key: value for key, value in found.items() if key[0] == "lazyflow_clients_ended_total"} == {
            ("lazyflow_clients_ended_total", "1000"): 1,
            ("lazyflow_clients_ended_total", "4429"): 1,
        }
        assert {1000, 4429} <= set(CLOSE_CODES)
        assert found["lazyflow_clients",] == 0


@at_each_door
async def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lazyflow.metrics", None)
    async with serving() as server:
        answer = await server.get("/metrics", BEARER)
        assert (answer.status, answer.body) == (404, '404 Not Found: for metrics, pip install "lazyflow[metrics]"\n')
        client = await server.connect()
        assert await next_frame(client) is not None
        client.close()


def test_services_do_not_mix() -> None:
    one, two = Service({}), Service({})
    for service in (one, two):
        service.measure()
    assert one.metrics is not None
    assert two.metrics is not None
    one.metrics.failed("timeout")
    assert two.metrics.registry.get_sample_value("lazyflow_errors_total", {"code": "timeout"}) is None
    before = one.metrics
    one.measure()
    assert one.metrics is before


def test_the_document_has_each_metric() -> None:
    page = (ROOT / "docs" / "server.md").read_text().split("## Metrics\n")[1]
    documented = {
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(lazyflow_\w+)` \| (\w+) \| (.*?) \|", page, re.MULTILINE)
    }
    metrics = Metrics(lambda: 0, lambda: 0, lambda: 0)
    there = {
        (f"{metric._name}_total" if metric._type == "counter" else metric._name, metric._type, metric._labelnames)
        for metric in metrics.registry._collector_to_names
    }
    assert documented == there
