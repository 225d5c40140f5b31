import assert from "node:assert/strict";
import { test } from "node:test";
import {
  int64,
  list,
  decimal,
  float32,
  float64,
  struct,
  timestamp,
  utf8,
  dateDay,
  duration,
  timeNanosecond,
  field,
  binary,
} from "@uwdata/flechette";
import { cut, formatStatistic, formatValue, percent, readable } from "../src/format.ts";
import { calendarDay } from "../src/time.ts";

test("numbers keep their digits", () => {
  assert.equal(formatValue(9007199254740993n, int64()), "9007199254740993");
  assert.equal(formatValue(Math.fround(0.1), float32()), "0.1");
  assert.equal(formatValue(0.1 + 0.2, float64()), "0.30000000000000004");
  assert.equal(formatValue(-1250n, decimal(10, 2)), "-12.50");
  assert.equal(formatValue(5n, decimal(10, 2)), "0.05");
  assert.equal(formatValue(-Infinity, float64()), "−∞");
});

test("missing is missing, in a list too", () => {
  assert.equal(formatValue(null, int64()), "—");
  assert.equal(formatValue(NaN, float64()), "—");
  assert.equal(formatValue([1n, null], list(field("item", int64()))), "[1, —]");
});

test("times keep nanoseconds, zones and all years", () => {
  assert.equal(formatValue(1_357_034_400_000_000_001n, timestamp(3, "UTC")), "2013-01-01 10:00:00.000000001Z");
  assert.equal(formatValue(-1n, timestamp(1)), "1969-12-31 23:59:59.999");
  assert.equal(formatValue(-62_135_596_800_000, dateDay()), "0001-01-01");
  assert.equal(calendarDay(2_932_897), "10000-01-01");
  assert.equal(calendarDay(-719_529), "-0001-12-31");
  assert.equal(calendarDay(11_016), "2000-02-29");
  assert.equal(formatValue(3_600_000_000_001n, timeNanosecond()), "01:00:00.000000001");
  assert.equal(formatValue(-90_061_500n, duration(1)), "−1 d 01:01:01.5");
});

test("nested values are written out, long ones cut", () => {
  const type = struct([field("city", utf8()), field("sizes", list(field("item", int64())))]);
  assert.equal(formatValue({ city: "Rome", sizes: [1n, 2n] }, type), "{city: Rome, sizes: [1, 2]}");
  assert.equal(formatValue(new Uint8Array([0, 255]), binary()), "0x00ff");
  const long = formatValue(
    Array.from({ length: 100_000 }, () => 1n),
    list(field("item", int64())),
    40,
  );
  assert.ok(long.length < 60 && long.endsWith("…"));
  assert.equal(cut("ab😀c", 3), "ab…");
});

test("statistics are for reading", () => {
  assert.equal(formatStatistic(336_776), "336,776");
  assert.equal(formatStatistic(12.639_070_4), "12.639");
  assert.equal(formatStatistic(9007199254740993n), "9,007,199,254,740,993");
  assert.equal(formatStatistic(1.5e-9), "1.5e-9");
  assert.equal(formatStatistic(null), "—");
  assert.equal(formatStatistic(""), '""');
  assert.equal(readable("2013-01-01T10:00:00.5Z"), "2013-01-01 10:00:00.5Z");
  assert.equal(readable("2013-01-01T00:00:00"), "2013-01-01");
  assert.equal(readable("Infinity"), "∞");
  assert.equal(percent(1, 100_000), "<\u00a00.1\u00a0%");
  assert.equal(percent(99_999, 100_000), ">\u00a099.9\u00a0%");
  assert.equal(percent(1, 40), "2.5\u00a0%");
});
