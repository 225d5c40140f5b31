// What a person can do in the view; its parts know nothing else of each other.

import type { ColumnSchema, Scalar } from "../protocol.ts";

export interface Actions {
  /** Sort by a column: up, down, not at all; beside the others if `also`. */
  sort(column: string, also: boolean): void;
  /** Keep the values in some bars of a column's distribution; null keeps all. */
  choose(column: ColumnSchema, range: [number, number] | null): void;
  /** Keep the rows with this value; all, if that is what is kept already. */
  keep(column: string, value: Scalar): void;
  /** Show everything that is known of a column. */
  details(column: string): void;
  /** Show the whole of a value. */
  whole(column: string, row: number): void;
  compute(scope: string, column: string, statistic: string): void;
  /** Say something in passing; null to stop saying it. */
  tell(text: string | null): void;
  copy(text: string, what: string): void;
}
