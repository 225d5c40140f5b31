import assert from "node:assert/strict";
import { test } from "node:test";
import { Selection, tabSeparated } from "../src/selection.ts";

const SHOWN = ["a", "b", "c"];

test("a rectangle lies between two corners, whichever was first", () => {
  const selection = new Selection();
  selection.begin({ row: 5, column: "c" });
  assert.equal(selection.rectangle(SHOWN), null);
  selection.extend({ row: 3, column: "b" });
  assert.deepEqual(selection.rectangle(SHOWN), { rows: [3, 5], columns: ["b", "c"] });
  assert.deepEqual(selection.rectangle(["c", "x", "b"]), { rows: [3, 5], columns: ["c", "x", "b"] });
  assert.equal(selection.rectangle(["a", "b"]), null);
});

test("it ends where the table ends", () => {
  const selection = new Selection();
  assert.equal(selection.move(1, 0, SHOWN, 10), null);
  selection.begin({ row: 8, column: "b" });
  assert.deepEqual(selection.move(5, 5, SHOWN, 10), { row: 9, column: "c" });
  assert.deepEqual(selection.move(-50, -50, SHOWN, 10), { row: 0, column: "a" });
  assert.deepEqual(selection.rectangle(SHOWN), { rows: [0, 8], columns: ["a", "b"] });
});

test("what tabs and line breaks would tear apart is quoted", () => {
  assert.equal(
    tabSeparated([
      ["a", "b\tc"],
      ['d"e', "f\ng"],
    ]),
    'a\t"b\tc"\n"d""e"\t"f\ng"',
  );
});
