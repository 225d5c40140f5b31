import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeRows } from "../src/arrow.ts";
import { Rows } from "../src/rows.ts";
import { body } from "./frames.ts";

function add(rows: Rows, start: number, stop: number, count = stop - start): void {
  rows.add(decodeRows(body(Array.from({ length: count }, (_, index) => start + index)), start, ["size"]), [
    start,
    stop,
  ]);
}

test("windows are covered by several blocks that touch", () => {
  const rows = new Rows();
  add(rows, 0, 10);
  add(rows, 20, 30);
  assert.equal(rows.covers([0, 10], ["size"]), true);
  assert.equal(rows.covers([5, 25], ["size"]), false);
  add(rows, 10, 20);
  assert.equal(rows.covers([5, 25], ["size"]), true);
  assert.equal(rows.covers([5, 25], ["size", "other"]), false);
  assert.equal(rows.find("size", 12)?.values.at(2), 12);
  assert.equal(rows.find("size", 30), null);
});

test("rows beyond the end do not exist", () => {
  const rows = new Rows();
  assert.equal(rows.end, null);
  add(rows, 0, 50, 7);
  assert.equal(rows.end, 7);
  assert.equal(rows.covers([0, 50], ["size"]), true);
});

test("a window far beyond the end says nothing of where that is, an empty first one does", () => {
  const rows = new Rows();
  add(rows, 100, 150, 0);
  assert.equal(rows.end, null);
  assert.equal(rows.limit, 100);
  assert.equal(rows.covers([110, 120], ["size"]), true);
  add(rows, 0, 50, 0);
  assert.equal(rows.end, 0);
});

test("however much is looked at, no more than some blocks are kept", () => {
  const rows = new Rows();
  for (let start = 0; start < 1000; start += 10) add(rows, start, start + 10);
  assert.equal(rows.find("size", 5), null);
  assert.equal(rows.find("size", 995)?.index, 5);
});
