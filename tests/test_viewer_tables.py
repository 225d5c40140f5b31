"""The viewer over tables of every form: hostile, wide, empty, tiny."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow.protocol import ErrorOf, Frame, StatsUpdate
from tests.browsing import Wire, browser, viewing
from tests.serving import until
from tests.test_security import in_loop
from tests.viewer_data import trips

pytestmark = browser

SAMPLED = {"edges": ["0.00", "5.00", "10.00"], "counts": [300, 200], "below": 0, "above": 0}
SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture
def expect() -> Any:
    from playwright.async_api import expect

    return expect


@in_loop
async def test_hostile_names_and_values_are_text(expect: Any) -> None:
    long = "long " * 200_000  # 1 MB
    names = [SCRIPT, "\u202egnp.exe", "🦆👩‍👩‍👧", "__proto__", "", "a\nb", "q\"u'o", "constructor", "x" * 1000]
    values = [SCRIPT, "\u202eright to left", "🦆" * 500, long, "\x00\x1b[31m", "</style><b>bold</b>", "", None]
    short = [value if value != long else "long" for value in values]
    table = pa.table([pa.array(values if name == SCRIPT else short) for name in names], names=names)
    with lf.DataFlow(table) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await expect(view.cell(0, SCRIPT)).to_have_text(SCRIPT)
            await expect(view.header(SCRIPT).locator("bdi")).to_have_text(SCRIPT)
            await expect(view.cell(3, "__proto__")).to_have_text("long")
            assert len(await view.cell(3, SCRIPT).inner_text()) < 400
            await expect(view.cell(6, "")).to_have_text('""')
            await expect(view.cell(7, "")).to_have_text("—")
            await expect(view.header("__proto__")).to_contain_text("7 distinct")
            await view.audit("hostile")
            await view.cell(3, SCRIPT).dblclick()
            await expect(view.popup.locator("pre")).to_contain_text("long long")
            assert len(await view.popup.locator("pre").inner_text()) == 200_000
            await expect(view.popup).to_contain_text("of 1,000,000 characters")
            await view.page.keyboard.press("Escape")
            await view.header(SCRIPT).locator(".lf-facts").click()
            await expect(view.panel.locator("h2")).to_have_text(SCRIPT)
            await expect(view.panel.locator(".lf-top")).to_contain_text("<b>bold</b>")
            await view.panel.locator(".lf-top button").filter(has_text="<b>").click()
            await expect(view.chips).to_contain_text("</style><b>bold</b>")
            await expect(view.count).to_have_text("1 of 8 rows")
            await view.search.fill(SCRIPT)
            await expect(view.count).to_have_text("0 of 8 rows")
            assert await view.page.evaluate("window.hacked") is None
            assert await view.page.locator(".lazyflow script, .lazyflow b, .lazyflow img").count() == 0


LIES_OVER = """() => [...document.querySelectorAll(".ag-row .lf-value")]
  .filter((each) => each.scrollWidth > each.clientWidth && getComputedStyle(each).overflowX === "visible")
  .map((each) => each.textContent)"""
"""Values that lie over their neighbours, since they have no room and are not cut."""


@in_loop
async def test_values_are_cut_where_a_column_has_no_room_for_them(expect: Any) -> None:
    wide = ["W" * 30, "﷽﷽﷽﷽﷽﷽﷽", "🦆" * 20, "9" * 40, "ab", "", None, "\n" * 40]
    rows = {"text": wide * 3, "number": [1.5, -0.123456789012345, 123456789.123456, None] * 6, "sign": ["W"] * 24}
    table = pa.table(rows).append_column("left", trips(24)["left"])
    with lf.DataFlow(table) as flow:
        async with viewing(flow) as view:
            await view.settled()
            assert await view.page.evaluate(LIES_OVER) == []
            cut = {"text": view.cell(4, "text"), "number": view.cell(0, "number"), "left": view.cell(0, "left")}
            for cell in (*cut.values(), view.cell(0, "sign")):  # to cut costs, so what has room is not
                await expect(cell).to_have_css("overflow-x", "visible")
            for name in ("text", "number", "left"):
                handle = await view.header(name).locator(".ag-header-cell-resize").bounding_box()
                x, y = handle["x"] + handle["width"] / 2, handle["y"] + 40
                await view.page.mouse.move(x, y)
                await view.page.mouse.down()
                await view.page.mouse.move(x - 300, y, steps=3)
                await view.page.mouse.up()
            await expect(cut["left"]).to_have_css("overflow-x", "clip")
            assert await view.page.evaluate(LIES_OVER) == []
            await view.audit("cut")


@in_loop
async def test_two_thousand_columns_cost_what_is_seen(expect: Any) -> None:
    columns = 2000
    wire = Wire()
    table = pa.table({f"c{n}": pa.array(range(n, n + 300)) for n in range(columns)})
    with lf.DataFlow(table) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await expect(view.cell(1, "c0")).to_have_text("1")
            assert await view.page.locator(".ag-header-cell").count() < 40
            await view.page.get_by_role("button", name="Columns").click()
            await view.popup.get_by_label("Find a column").fill("c1987")
            await view.popup.get_by_role("button", name="Go to c1987").click()
            await view.page.keyboard.press("Escape")
            await expect(view.cell(5, "c1987")).to_have_text("1992")
            await view.audit("wide")
            asked = [len(header.columns) for header in wire.seen if hasattr(header, "columns")]
            assert asked[-1] < 60


@in_loop
async def test_no_rows_no_columns_one_row(expect: Any) -> None:
    with lf.DataFlow(pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.string())})) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await expect(view.count).to_have_text("0 rows")
            await expect(view.page.locator(".lf-message")).to_have_text("The table has no rows.")
            await view.audit("empty")
    with lf.DataFlow(pa.table({"x": [1]})) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await expect(view.count).to_have_text("1 row")
            await expect(view.cell(0, "x")).to_have_text("1")


@in_loop
async def test_where_no_row_matches_all_are_one_press_away(expect: Any) -> None:
    with lf.DataFlow(trips(100)) as flow:
        async with viewing(flow) as view:
            await view.settled()
            await view.page.keyboard.type("nowhere")
            await expect(view.page.locator(".lf-message")).to_contain_text("No row matches.")
            await expect(view.count).to_have_text("0 of 100 rows")
            await view.settled()
            await view.audit("no-match")
            await view.page.get_by_role("button", name="Show all rows").click()
            await expect(view.count).to_have_text("100 rows")
            await expect(view.page.locator(".lf-message")).to_be_hidden()
            await expect(view.search).to_have_value("")


@in_loop
async def test_what_is_approximate_sampled_or_failed_is_marked(expect: Any) -> None:
    wire = Wire()
    with lf.DataFlow(trips(100)) as flow:
        async with viewing(flow, wire_of=wire) as view:
            await view.settled()
            cells = {
                "number": {"distinct": {"value": 98, "basis": "approximate"}},
                "city": {"distinct": {"value": 7, "basis": "sampled"}},
                "delay": {"distinct": {"error": {"code": "engine_failed", "message": "The engine failed at the view"}}},
                "price": {"histogram": {"value": SAMPLED, "basis": "sampled"}},
                "day": {"distinct": {"error": {"code": "out_of_time", "message": "took longer than it may"}}},
            }
            frame = {"filtered": {"columns": cells}}
            wire.send(Frame(StatsUpdate(generation=1, statistics=frame, progress={}, final=True)))  # type: ignore[arg-type]
            await expect(view.header("number").locator("[data-form='approximate']")).to_have_text("~98 distinct")
            await expect(view.header("city").locator("[data-form='sampled']")).to_have_text("≈7 distinct")
            chart = view.header("price").locator(".lf-chart")
            await expect(chart).to_have_attribute("data-basis", "sampled")
            await chart.hover()
            await expect(view.page.locator(".lf-status .lf-told")).to_contain_text("filtered: ≈")
            failed = view.header("delay").locator("[data-form='failed']")
            await expect(failed).to_have_text("failed")
            await expect(failed).to_have_attribute("title", ErrorOf("", "The engine failed at the view").message)
            await expect(view.header("day").locator("[data-form='slow']")).to_have_text("slow")
            await view.audit("marks")
            await view.header("day").locator(".lf-facts").click()
            await view.panel.get_by_role("button", name="compute").click()
            await until(lambda: wire.said[-1]["type"] == "statistic_request")
            asked = {"scope": "filtered", "column": "day", "statistic": "distinct"}
            assert asked.items() <= wire.said[-1].items()


@in_loop
async def test_a_change_that_fails_is_told_and_tried_again(expect: Any, tmp_path: Any) -> None:

    path = tmp_path / "trips.parquet"
    pa.parquet.write_table(trips(100), path)
    with lf.DataFlow(path) as flow:
        async with viewing(flow) as view:
            await view.settled()
            path.write_bytes(b"no longer a file of Parquet")
            await view.page.keyboard.type("rome")
            notice = view.page.locator(".lf-notice")
            await expect(notice).to_contain_text("cannot be read")
            await expect(view.page.get_by_role("button", name="Undo")).to_be_disabled()
            await view.audit("error")
            pa.parquet.write_table(trips(100), path)
            await notice.get_by_role("button", name="Try again").click()
            await expect(view.cell(0, "city")).to_have_text("Rome")
            await expect(view.search).to_have_value("rome")
            await expect(notice).to_be_hidden()


@in_loop
async def test_each_type_is_written_as_its_people_write_it(expect: Any) -> None:
    day = datetime.date(2024, 2, 29)
    moment = datetime.datetime(2024, 2, 29, 12, 30, 15, 250_000)
    columns = {
        "uint64": (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
        "int64": (pa.array([-(2**63)], pa.int64()), "-9223372036854775808"),
        "float32": (pa.array([0.1], pa.float32()), "0.1"),
        "infinite": (pa.array([float("-inf")]), "−∞"),
        "nan": (pa.array([float("nan")]), "—"),
        "decimal": (
            pa.array([decimal.Decimal("-1234567890123456789.5")], pa.decimal128(38, 2)),
            "-1234567890123456789.50",
        ),
        "category": (pa.array(["low"]).dictionary_encode(), "low"),
        "date": (pa.array([day]), "2024-02-29"),
        "seconds": (pa.array([moment], pa.timestamp("ms")), "2024-02-29 12:30:15.25"),
        "nanoseconds": (pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
        "instant": (pa.array([moment], pa.timestamp("us", "Europe/Berlin")), "2024-02-29 12:30:15.25Z"),
        "time": (pa.array([datetime.time(1, 2, 3)], pa.time64("us")), "01:02:03"),
        "duration": (pa.array([datetime.timedelta(days=1, seconds=2)], pa.duration("us")), "1 d 00:00:02"),
        "binary": (pa.array([b"\x00\xff"]), "0x00ff"),
        "list": (pa.array([[1, None]], pa.list_(pa.int64())), "[1, —]"),
        "struct": (pa.array([{"city": "Rome", "day": day}]), "{city: Rome, day: 2024-02-29}"),
        "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "{a: 1}"),
        "nothing": (pa.nulls(1), "—"),
    }
    with lf.DataFlow(pa.table({name: values for name, (values, _) in columns.items()})) as flow:
        async with viewing(flow, width=3200) as view:
            await view.settled()
            await view.audit("types")
            for name, (_, text) in columns.items():
                await expect(view.cell(0, name)).to_have_text(text)
