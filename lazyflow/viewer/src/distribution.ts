// The distribution of a column as bars: a histogram, or the most frequent values, filtered over raw.

import { formatStatistic, grouped, percent, readable } from "./format.ts";
import { binFilters, chosenBins, chosenValues, valueFilters } from "./filters.ts";
import type { Cell, ColumnSchema, Filter, Scalar, State } from "./protocol.ts";
import type { Store } from "./store.ts";

export interface Bar {
  /** The range or value in words; made when it is asked for, as few of them are. */
  label(): string;
  /** Rows; null where that is not known. */
  readonly raw: number | null;
  readonly filtered: number | null;
}

export interface Distribution {
  readonly form: "histogram" | "values";
  readonly bars: readonly Bar[];
  /** Rows with a value, in which the bars have their share. */
  readonly rawTotal: number;
  readonly filteredTotal: number;
  /** Whether the filtered bars are still to come. */
  readonly pending: boolean;
  readonly basis: "exact" | "approximate" | "sampled";
  /** First and last of the bars that a filter chooses. */
  chosen(state: State): [number, number] | null;
  /** The filters that keep the bars from `first` to `last`. */
  filters(first: number, last: number): Filter[];
}

interface HistogramValue {
  readonly edges: readonly Scalar[];
  readonly counts: readonly number[];
}

type TopValues = readonly (readonly [Scalar, number])[];

const sum = (counts: readonly (number | null)[]): number => counts.reduce<number>((total, n) => total + (n ?? 0), 0);

/** The distribution of a column as far as it is known; null while nothing is, or where the column has none. */
export function distributionOf(store: Store, column: ColumnSchema): Distribution | null {
  return histogram(store, column) ?? values(store, column);
}

function known(store: Store, scope: string, column: string, statistic: string): Cell | undefined {
  const cell = store.cell(scope, column, statistic);
  return cell && !cell.error && cell.value != null ? cell : undefined;
}

function histogram(store: Store, { name, kind }: ColumnSchema): Distribution | null {
  const rawCell = known(store, "raw", name, "histogram");
  const cell = known(store, "filtered", name, "histogram");
  const raw = rawCell?.value as HistogramValue | undefined;
  const filtered = cell?.value as HistogramValue | undefined;
  const edges = raw?.edges ?? filtered?.edges;
  if (!edges || edges.length < 2) return null;
  // A cleaning may have changed the type, and with it the edges: then the bars of raw would be other ones.
  const comparable = raw && filtered ? same(raw.edges, filtered.edges) : true;
  const shownRaw = comparable ? raw : undefined;
  const shownEdges = comparable ? edges : filtered!.edges;
  const bars = shownEdges.slice(0, -1).map((low, place) => ({
    label: () => rangeLabel(low, shownEdges[place + 1] as Scalar),
    raw: shownRaw?.counts[place] ?? null,
    filtered: filtered?.counts[place] ?? null,
  }));
  return {
    form: "histogram",
    bars,
    rawTotal: sum(shownRaw?.counts ?? []),
    filteredTotal: sum(filtered?.counts ?? []),
    pending: !filtered,
    basis: (cell ?? rawCell)?.basis ?? "exact",
    chosen: (state) => chosenBins(state, name, shownEdges),
    filters: (first, last) => binFilters(name, kind, shownEdges, first, last),
  };
}

const same = (some: readonly Scalar[], others: readonly Scalar[]): boolean =>
  some.length === others.length && some.every((edge, place) => edge === others[place]);

function rangeLabel(low: Scalar, high: Scalar): string {
  return low === high ? formatStatistic(low) : `${formatStatistic(low)} to ${formatStatistic(high)}`;
}

function values(store: Store, { name }: ColumnSchema): Distribution | null {
  const rawCell = known(store, "raw", name, "top_values");
  const cell = known(store, "filtered", name, "top_values");
  const raw = rawCell?.value as TopValues | undefined;
  const filtered = cell?.value as TopValues | undefined;
  const shown = raw?.length ? raw : filtered;
  if (!shown?.length || (shown[0]![1] < 2 && shown.length > 2)) return null;
  const inFiltered = new Map((filtered ?? []).map(([value, rows]) => [String(value), rows]));
  const inRaw = new Map((raw ?? []).map(([value, rows]) => [String(value), rows]));
  const distinct = Number(known(store, "filtered", name, "distinct")?.value ?? Infinity);
  const all = filtered !== undefined && cell?.basis === undefined && distinct <= filtered.length;
  const bars = shown.map(([value]) => ({
    label: () => (value === "" ? '""' : readable(String(value))),
    raw: inRaw.get(String(value)) ?? null,
    filtered: inFiltered.get(String(value)) ?? (all ? 0 : null),
  }));
  const chosen = (state: State): [number, number] | null => {
    const texts = new Set(chosenValues(state, name).map(String));
    const places = shown.flatMap(([value], place) => (texts.has(String(value)) ? [place] : []));
    return places.length ? [places[0]!, places.at(-1)!] : null;
  };
  return {
    form: "values",
    bars,
    rawTotal: count(store, "raw", name) ?? sum(bars.map((bar) => bar.raw)),
    filteredTotal: count(store, "filtered", name) ?? sum(bars.map((bar) => bar.filtered)),
    pending: !filtered,
    basis: (cell ?? rawCell)?.basis ?? "exact",
    chosen,
    filters: (first, last) =>
      valueFilters(
        name,
        shown.slice(first, last + 1).map(([value]) => value),
      ),
  };
}

function count(store: Store, scope: string, column: string): number | null {
  const value = known(store, scope, column, "count")?.value;
  return value == null ? null : Number(value);
}

/** What a bar says in words. */
export function describeBar(bar: Bar, { rawTotal, filteredTotal, pending, basis }: Distribution): string {
  const parts = [bar.label()];
  const about = basis === "sampled" ? "≈" : "";
  if (pending) parts.push("filtered: pending");
  else if (bar.filtered === null) parts.push("filtered: not among the ten most frequent");
  else parts.push(`filtered: ${about}${grouped(bar.filtered)} (${percent(bar.filtered, filteredTotal)})`);
  if (bar.raw !== null) parts.push(`raw: ${grouped(bar.raw)} (${percent(bar.raw, rawTotal)})`);
  return parts.join(" · ");
}
