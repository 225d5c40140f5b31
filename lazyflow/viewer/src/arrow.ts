// Rows of a frame: an Arrow IPC stream, decoded without losing a digit.

import { tableFromIPC } from "@uwdata/flechette";
import type { Column, DataType } from "@uwdata/flechette";

/** Values of one column in one window. */
export interface Values {
  readonly type: DataType;
  at(index: number): unknown;
}

export interface Block {
  readonly start: number;
  readonly count: number;
  readonly columns: ReadonlyMap<string, Values>;
}

/** 64-bit integers, instants and decimals stay integers: as numbers of JavaScript they would be other ones. */
const EXACT = { useBigInt: true, useBigIntTimestamp: true, useDecimalInt: true };

export function decodeRows(body: Uint8Array, start: number, names: readonly string[]): Block {
  const table = tableFromIPC(body, EXACT);
  const columns = new Map<string, Values>();
  names.forEach((name, place) => {
    const column: Column<unknown> | undefined = table.getChildAt(place);
    if (column) columns.set(name, { type: column.type, at: (index) => column.at(index) });
  });
  return { start, count: table.numRows, columns };
}
