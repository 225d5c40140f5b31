import assert from "node:assert/strict";
import { test } from "node:test";
import {
  binFilters,
  chipsOf,
  chooseValues,
  chosenBins,
  nextSort,
  operatorsFor,
  parseValue,
  replaceConditions,
  valueFilters,
} from "../src/filters.ts";
import { EMPTY_STATE } from "../src/protocol.ts";
import type { Condition, State } from "../src/protocol.ts";

const filtered = (...filters: Condition[]): State => ({ ...EMPTY_STATE, filters });

test("bars of a histogram are half open, the last one of floats is not", () => {
  const edges = [0, 1, 2, 3];
  assert.deepEqual(binFilters("x", "float", edges, 0, 1), [
    { column: "x", operator: ">=", value: 0 },
    { column: "x", operator: "<", value: 2 },
  ]);
  assert.equal(binFilters("x", "float", edges, 1, 2)[1]!.operator, "<=");
  assert.equal(binFilters("x", "integer", edges, 1, 2)[1]!.operator, "<");
  assert.deepEqual(binFilters("x", "integer", [5, 5], 0, 0), [{ column: "x", operator: "==", value: 5 }]);
});

test("the bars that a state chooses are those that were chosen", () => {
  const edges = ["2013-01-01", "2013-02-01", "2013-03-01", "2013-04-01"];
  for (const [first, last] of [
    [0, 0],
    [0, 2],
    [1, 2],
  ] as const) {
    const state = chooseValues(EMPTY_STATE, "day", binFilters("day", "date", edges, first, last));
    assert.deepEqual(chosenBins(state, "day", edges), [first, last]);
    assert.equal(chosenBins(state, "other", edges), null);
  }
});

test("choosing takes the place of what was chosen of the column, and leaves the rest", () => {
  const contains = { column: "x", operator: "contains", value: "a" };
  const group = [{ column: "x", operator: "==", value: 1 }];
  const state = filtered(
    { column: "x", operator: ">=", value: 1 },
    contains,
    { column: "y", operator: "<", value: 1 },
    group,
  );
  const next = chooseValues(state, "x", valueFilters("x", [1, 2]));
  assert.deepEqual(next.filters, [{ column: "x", operator: "in", value: [1, 2] }, contains, state.filters[2], group]);
  assert.deepEqual(chooseValues(next, "x", []).filters, [contains, state.filters[2], group]);
});

test("a range is one chip, and goes as one", () => {
  const state = filtered(
    { column: "city", operator: "==", value: "Rome" },
    { column: "x", operator: ">=", value: 1 },
    { column: "x", operator: "<", value: 12_000 },
    [
      { column: "x", operator: "==", value: 1 },
      { column: "y", operator: "is missing" },
    ],
  );
  const chips = chipsOf(state);
  assert.deepEqual(
    chips.map(({ text }) => text),
    ["city = Rome", "1 ≤ x < 12,000", "x = 1 or y is missing"],
  );
  assert.deepEqual(replaceConditions(state, chips[1]!.places, []).filters, [state.filters[0], state.filters[3]]);
});

test("what is typed becomes a value of the column's kind, with all its digits", () => {
  assert.equal(parseValue(" 12,000 ", "integer"), 12_000);
  assert.equal(parseValue("9007199254740993", "integer"), 9007199254740993n);
  assert.equal(parseValue("-1.5e3", "float"), -1500);
  assert.equal(parseValue("12.50", "decimal"), "12.50");
  assert.equal(parseValue("many", "integer"), "many");
  assert.equal(parseValue("true", "boolean"), true);
  assert.equal(parseValue(" a ", "text"), " a ");
  assert.equal(parseValue("2013-01-31T12:00", "timestamp"), "2013-01-31 12:00");
});

test("a click sorts up, then down, then not; with Shift beside the others", () => {
  let state = nextSort(EMPTY_STATE, "x", false);
  assert.deepEqual(state.sort, [{ column: "x", descending: false }]);
  state = nextSort(state, "y", true);
  state = nextSort(state, "x", true);
  assert.deepEqual(state.sort, [
    { column: "x", descending: true },
    { column: "y", descending: false },
  ]);
  assert.deepEqual(nextSort(state, "x", true).sort, [{ column: "y", descending: false }]);
  assert.deepEqual(nextSort(state, "z", false).sort, [{ column: "z", descending: false }]);
});

test("each kind has operators of its own", () => {
  assert.ok(operatorsFor("text").includes("matches"));
  assert.ok(!operatorsFor("integer").includes("contains"));
  assert.deepEqual(operatorsFor("other"), ["is missing", "is not missing"]);
  assert.equal(new Set(operatorsFor("integer")).size, 11);
});
