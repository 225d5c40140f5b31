// The messages of docs/protocol.md, as this client sees them.

export const VERSION = 1;

export type Window = readonly [start: number, stop: number];
export type Scalar = string | number | bigint | boolean | null;

export interface Filter {
  readonly column: string;
  readonly operator: string;
  readonly value?: Scalar | readonly Scalar[];
}

/** A filter, or several any of which a row must meet. */
export type Condition = Filter | readonly Filter[];

export interface Sort {
  readonly column: string;
  readonly descending?: boolean;
}

export interface State {
  readonly search: string;
  readonly filters: readonly Condition[];
  readonly sort: readonly Sort[];
  readonly cleaning: string | null;
  readonly post_processing: string | null;
}

export interface ColumnSchema {
  readonly name: string;
  readonly type: string;
  readonly kind: string;
}

export interface Cell {
  readonly value?: unknown;
  readonly basis?: "exact" | "approximate" | "sampled";
  readonly error?: { readonly code: string; readonly message: string };
}

export type ColumnCells = Readonly<Record<string, Cell>>;

export interface ScopeCells {
  readonly rows?: Cell | null;
  readonly columns?: Readonly<Record<string, ColumnCells>>;
}

export type Cells = Readonly<Record<string, ScopeCells>>;
export type Progress = Readonly<Record<string, { readonly known: number; readonly wanted: number }>>;
export type RowCount = Readonly<Record<string, number>>;

export interface StatisticSchema {
  readonly name: string;
  readonly group: string;
  readonly kinds: readonly string[];
  readonly own?: boolean;
}

export interface Options {
  readonly operators: readonly string[];
  readonly cleanings: readonly string[];
  readonly post_processings: readonly string[];
  readonly statistics: readonly StatisticSchema[];
  readonly max_window_rows: number;
  readonly max_columns: number;
}

interface StateFields {
  readonly generation: number;
  readonly request: number | null;
  readonly state: State;
  readonly schema: readonly ColumnSchema[];
  readonly window: Window | null;
  readonly columns: readonly string[];
  readonly row_count: RowCount;
  readonly statistics: Cells;
  readonly progress: Progress;
  readonly complete: boolean;
  readonly stopped: boolean;
}

export interface StateHeader extends StateFields {
  readonly type: "state";
}

export interface InitialHeader extends StateFields {
  readonly type: "initial_state";
  readonly version: number;
  readonly session: string;
  readonly source: string;
  readonly options: Options;
}

export interface RowsHeader {
  readonly type: "rows";
  readonly generation: number;
  readonly request: number | null;
  readonly window: Window;
  readonly columns: readonly string[];
}

export interface RowCountHeader {
  readonly type: "row_count";
  readonly generation: number;
  readonly row_count: RowCount;
}

export interface StatsHeader {
  readonly type: "stats_update";
  readonly generation: number;
  readonly statistics: Cells;
  readonly progress: Progress;
  readonly final: boolean;
  readonly answered?: readonly number[];
  readonly stopped: boolean;
}

export interface SqlHeader {
  readonly type: "sql";
  readonly generation: number;
  readonly request: number | null;
  readonly sql: string;
}

export interface ErrorHeader {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
  readonly request?: number | null;
  readonly generation?: number | null;
}

export type Header = InitialHeader | StateHeader | RowsHeader | RowCountHeader | StatsHeader | SqlHeader | ErrorHeader;

export interface Frame {
  readonly header: Header;
  readonly body: Uint8Array;
}

export interface Join {
  readonly version: number;
  readonly source?: string;
  readonly session?: string;
  readonly state?: State;
  readonly window: Window;
  readonly columns: readonly string[];
  /** Where no columns are named, so many of the first are fetched at most. */
  readonly most_columns?: number;
}

export type Message =
  | {
      type: "state_change";
      request: number;
      state: State;
      window: Window;
      columns: readonly string[];
      session?: string;
    }
  | { type: "rows_request"; request: number; generation: number; window: Window; columns: readonly string[] }
  | {
      type: "statistic_request";
      request: number;
      generation: number;
      scope: string;
      column: string;
      statistic: string;
    }
  | { type: "statistics_wanted"; request: number; generation: number; wanted: boolean }
  | { type: "sql_request"; request: number; generation: number };

export const EMPTY_STATE: State = { search: "", filters: [], sort: [], cleaning: null, post_processing: null };

/** The header's length in four bytes, four bytes of zero, the header as JSON, the body. */
export function decodeFrame(data: ArrayBuffer): Frame {
  const end = 8 + new DataView(data).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(data, 8, end - 8));
  return { header: parseJson(text) as Header, body: new Uint8Array(data, end) };
}

const LONG_INTEGER = /[[:,\s]-?\d{16,}[\],}\s]/;

/** JSON in which integers beyond 2^53 keep all their digits, as bigint. */
export function parseJson(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source
      ? exactInteger(context.source, value)
      : value;
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

function exactInteger(source: string, value: number): number | bigint {
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

const INTEGER_MARK = "\u0000integer:";
const MARKED_INTEGER = /"\\u0000integer:(-?\d+)"/g;

/** JSON in which a bigint is a number with all its digits. */
export function writeJson(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "bigint" ? `${INTEGER_MARK}${item}` : item,
  );
  return text.replace(MARKED_INTEGER, "$1");
}
