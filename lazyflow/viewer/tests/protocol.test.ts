import assert from "node:assert/strict";
import { test } from "node:test";
import { readState, writeState } from "../src/address.ts";
import { decodeFrame, EMPTY_STATE, parseJson, writeJson } from "../src/protocol.ts";
import { encode, state } from "./frames.ts";

test("integers beyond 2^53 keep their digits, both ways", () => {
  const text = '{"a":[9007199254740993,-9223372036854775808,1,1.5e300,"9007199254740993"]}';
  const value = parseJson(text) as { a: unknown[] };
  assert.deepEqual(value.a.slice(0, 3), [9007199254740993n, -9223372036854775808n, 1]);
  assert.equal(value.a[4], "9007199254740993");
  assert.equal(writeJson(value), '{"a":[9007199254740993,-9223372036854775808,1,1.5e+300,"9007199254740993"]}');
});

test("a frame is its header and the rest", () => {
  const frame = state({ generation: 2, state: { search: "Ωé" } });
  const decoded = decodeFrame(encode(frame));
  assert.deepEqual(decoded.header, frame.header);
  assert.deepEqual([...decoded.body], [...frame.body]);
});

test("a state goes into an address and comes back; what is none is none", () => {
  const some = {
    ...EMPTY_STATE,
    search: "a&#=%",
    filters: [{ column: "x", operator: "==", value: 9007199254740993n }],
  };
  assert.deepEqual(readState(writeState(some)), some);
  assert.equal(writeState(EMPTY_STATE), "");
  for (const hash of ["", "#", "#%", "#%7B", "#3", "#[]"]) assert.equal(readState(hash), null, hash);
});
