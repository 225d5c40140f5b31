import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../src/store.ts";
import type { Changes } from "../src/store.ts";
import { initial, rows, state, stats } from "./frames.ts";

function opened(): Store {
  const store = new Store();
  store.take(initial({ generation: 1, rows: { raw: 10 } }));
  return store;
}

const value = (store: Store, row: number): unknown => {
  const place = store.view!.rows.find("size", row);
  return place && place.values.at(place.index);
};

test("a state takes the place of all that was there", () => {
  const store = opened();
  store.take(stats(1, 5));
  assert.equal(store.cell("filtered", "size", "mean")?.value, 5);
  assert.deepEqual(store.take(state({ generation: 2, state: { search: "a" } })), { view: true });
  assert.equal(store.cell("filtered", "size", "mean"), undefined);
  assert.equal(store.view!.state.search, "a");
  assert.equal(value(store, 0), 3);
});

test("what is older than the view is refused, whatever it is, and told to nobody", () => {
  const store = opened();
  store.take(state({ generation: 3 }));
  const told: Changes[] = [];
  store.subscribe((changes) => told.push(changes));
  const failed = { type: "error", code: "engine_failed", message: "no", generation: 2 } as const;
  const counted = { type: "row_count", generation: 2, row_count: { raw: 1 } } as const;
  for (const frame of [
    state({ generation: 2, values: [9, 9] }),
    initial({ generation: 2 }),
    rows(2, [0, 2], [9, 9]),
    stats(2, 9, true),
    { header: counted, body: new Uint8Array() },
    { header: failed, body: new Uint8Array() },
  ]) {
    assert.equal(store.take(frame), "refused", frame.header.type);
  }
  assert.deepEqual(told, []);
  assert.equal(value(store, 0), 3);
  assert.equal(store.view!.complete, false);
  assert.equal(store.view!.failure, null);
  assert.equal(store.cell("filtered", "size", "mean"), undefined);
});

test("what is of a generation to come is refused too: its state has not been seen", () => {
  const store = opened();
  assert.equal(store.take(stats(2, 9)), "refused");
  assert.equal(store.take(rows(2, [0, 2], [9, 9])), "refused");
  assert.equal(value(store, 0), 1);
});

test("another session has generations of its own", () => {
  const store = opened();
  store.take(state({ generation: 7 }));
  assert.deepEqual(store.take(initial({ generation: 1 }, "two")), { view: true });
  assert.equal(store.view!.generation, 1);
});

test("an equal state keeps the rows that are there", () => {
  const store = opened();
  store.take(rows(1, [4, 6], [5, 6]));
  store.take(state({ generation: 1 }));
  assert.equal(value(store, 4), 5);
});

test("statistics come one by one, the later in place of the earlier, by column", () => {
  const store = opened();
  assert.deepEqual(store.take(stats(1, 5)), { statistics: new Set(["size"]), progress: true });
  store.take(stats(1, 6, true));
  assert.equal(store.cell("filtered", "size", "mean")?.value, 6);
  assert.equal(store.view!.complete, true);
});

test("the number of rows is what was counted, else where the rows ended, else not known", () => {
  const store = opened();
  assert.equal(store.length, null);
  store.take(rows(1, [2, 10], [3, 4]));
  assert.equal(store.length, 4);
  store.take({
    header: { type: "row_count", generation: 1, row_count: { raw: 10, filtered: 4 } },
    body: new Uint8Array(),
  });
  assert.equal(store.length, 4);
});

test("where statistics are stopped all headers are drawn anew, and again where they go on", () => {
  const store = opened();
  const stop = (stopped: boolean) => {
    const frame = stats(1, 5);
    return store.take({ ...frame, header: { ...frame.header, statistics: {}, stopped } as typeof frame.header });
  };
  assert.deepEqual(stop(false), { statistics: new Set(), progress: true });
  assert.deepEqual(stop(true), { statistics: new Set(["size"]), progress: true });
  assert.equal(store.view!.stopped, true);
  assert.deepEqual(stop(true), { statistics: new Set(), progress: true });
  assert.deepEqual(stop(false), { statistics: new Set(["size"]), progress: true });
  store.take(state({ generation: 2 }));
  assert.equal(store.view!.stopped, false);
});
