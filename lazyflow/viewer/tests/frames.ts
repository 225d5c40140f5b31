// Frames as the service writes them, for the tests.

import { int32, tableFromArrays, tableToIPC } from "@uwdata/flechette";
import { EMPTY_STATE } from "../src/protocol.ts";
import type { Cells, Frame, InitialHeader, State, StateHeader, Window } from "../src/protocol.ts";

export const OPTIONS = {
  operators: ["==", ">=", "<"],
  cleanings: [],
  post_processings: [],
  statistics: [{ name: "mean", group: "summary", kinds: ["integer"] }],
  max_window_rows: 10_000,
  max_columns: 500,
};

export function body(values: readonly number[]): Uint8Array {
  return tableToIPC(tableFromArrays({ size: [...values] }, { types: { size: int32() } }), { format: "stream" })!;
}

interface Some {
  readonly generation: number;
  readonly state?: Partial<State>;
  readonly request?: number | null;
  readonly window?: Window;
  readonly values?: readonly number[];
  readonly statistics?: Cells;
  readonly rows?: Readonly<Record<string, number>>;
}

function fields({ generation, state, request, window, statistics, rows }: Some): Omit<StateHeader, "type"> {
  return {
    generation,
    request: request ?? null,
    state: { ...EMPTY_STATE, ...state },
    schema: [{ name: "size", type: "int32", kind: "integer" }],
    window: window ?? [0, 2],
    columns: ["size"],
    row_count: rows ?? {},
    statistics: statistics ?? {},
    progress: {},
    complete: false,
    stopped: false,
  };
}

export function initial(some: Some, session = "one"): Frame {
  const header: InitialHeader = {
    type: "initial_state",
    ...fields(some),
    version: 1,
    session,
    source: "sizes",
    options: OPTIONS,
  };
  return { header, body: body(some.values ?? [1, 2]) };
}

export function state(some: Some): Frame {
  return { header: { type: "state", ...fields(some) }, body: body(some.values ?? [3, 4]) };
}

export function rows(
  generation: number,
  window: Window,
  values: readonly number[],
  request: number | null = null,
): Frame {
  return { header: { type: "rows", generation, request, window, columns: ["size"] }, body: body(values) };
}

export function stats(generation: number, mean: number, final = false): Frame {
  const statistics = { filtered: { columns: { size: { mean: { value: mean } } } } };
  return {
    header: { type: "stats_update", generation, statistics, progress: {}, final, stopped: false },
    body: new Uint8Array(),
  };
}

export function sql(generation: number, request: number): Frame {
  return { header: { type: "sql", generation, request, sql: "SELECT 1" }, body: new Uint8Array() };
}

/** The frame as bytes. */
export function encode({ header, body: content }: Frame): ArrayBuffer {
  let text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  text += " ".repeat((8 - (bytes.length % 8)) % 8);
  const written = new TextEncoder().encode(text);
  const data = new Uint8Array(8 + written.length + content.length);
  new DataView(data.buffer).setUint32(0, written.length, true);
  data.set(written, 8);
  data.set(content, 8 + written.length);
  return data.buffer;
}
