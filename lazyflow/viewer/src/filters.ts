// Filters as a person makes and reads them. All functions are pure: a state goes in, another comes out.

import { formatStatistic } from "./format.ts";
import type { Condition, Filter, Scalar, State } from "./protocol.ts";

const NUMBERS: readonly string[] = ["integer", "float", "decimal"];
const SIGNS: Readonly<Record<string, string>> = { "==": "=", "!=": "≠", "<=": "≤", ">=": "≥" };
const RANGE = new Set(["==", "in", "<", "<=", ">", ">=", "between", "is missing"]);

export const isNumber = (kind: string): boolean => NUMBERS.includes(kind);
export const isGroup = (condition: Condition): condition is readonly Filter[] => Array.isArray(condition);

/** Conditions of a state that are shown as one: a range on one column is two filters that a person sees as one. */
export interface Chip {
  readonly places: readonly number[];
  readonly filters: readonly Filter[];
  readonly text: string;
  /** Whether any of the filters is enough. */
  readonly any: boolean;
}

export function chipsOf(state: State): Chip[] {
  const chips: Chip[] = [];
  state.filters.forEach((condition, place) => {
    const before = chips.at(-1);
    if (isGroup(condition)) {
      const text = condition.length ? condition.map(describe).join(" or ") : "nothing";
      chips.push({ places: [place], filters: condition, text, any: true });
    } else if (before && isRange(before, condition)) {
      const low = before.filters[0]!;
      const text = `${shown(low.value)} ≤ ${condition.column} ${sign(condition.operator)} ${shown(condition.value)}`;
      chips[chips.length - 1] = { places: [...before.places, place], filters: [low, condition], text, any: false };
    } else {
      chips.push({ places: [place], filters: [condition], text: describe(condition), any: false });
    }
  });
  return chips;
}

function isRange(before: Chip, condition: Filter): boolean {
  const [low, more] = before.filters;
  return (
    !before.any &&
    more === undefined &&
    low?.operator === ">=" &&
    low.column === condition.column &&
    condition.operator.startsWith("<")
  );
}

const sign = (operator: string): string => SIGNS[operator] ?? operator;
const shown = (value: unknown): string => (typeof value === "string" && !value ? '""' : formatStatistic(value, 40));

export function describe({ column, operator, value }: Filter): string {
  const name = column === "" ? '""' : column;
  if (operator === "is missing" || operator === "is not missing") return `${name} ${operator}`;
  if (operator === "between" && Array.isArray(value)) return `${shown(value[0])} ≤ ${name} ≤ ${shown(value[1])}`;
  if (Array.isArray(value)) {
    const some = value.slice(0, 3).map(shown).join(", ");
    return `${name} ${operator} ${value.length ? some : "nothing"}${value.length > 3 ? `, … (${value.length})` : ""}`;
  }
  return `${name} ${sign(operator)} ${shown(value)}`;
}

/** The state without the conditions at these places, others put where the first of them was, or at the end. */
export function replaceConditions(state: State, places: readonly number[], by: readonly Condition[]): State {
  const at = places[0] ?? state.filters.length;
  const kept = (condition: Condition, place: number): Condition[] => (places.includes(place) ? [] : [condition]);
  const before = state.filters.slice(0, at).flatMap(kept);
  const after = state.filters.slice(at).flatMap((condition, index) => kept(condition, at + index));
  return { ...state, filters: [...before, ...by, ...after] };
}

/** The state with these conditions on a column in place of those that choose values or a range of it. */
export function chooseValues(state: State, column: string, by: readonly Filter[]): State {
  const places = state.filters.flatMap((condition, place) =>
    !isGroup(condition) && condition.column === column && RANGE.has(condition.operator) ? [place] : [],
  );
  return replaceConditions(state, places, by);
}

/** What keeps the values in the bins from `first` to `last` of a histogram. */
export function binFilters(
  column: string,
  kind: string,
  edges: readonly Scalar[],
  first: number,
  last: number,
): Filter[] {
  const low = edges[first] as Scalar;
  const high = edges[last + 1] as Scalar;
  if (low === high) return [{ column, operator: "==", value: low }];
  const closed = kind === "float" && last === edges.length - 2;
  return [
    { column, operator: ">=", value: low },
    { column, operator: closed ? "<=" : "<", value: high },
  ];
}

/** What keeps these values. */
export function valueFilters(column: string, values: readonly Scalar[]): Filter[] {
  if (values.length === 1) return [{ column, operator: "==", value: values[0]! }];
  return values.length ? [{ column, operator: "in", value: values }] : [];
}

/** First and last of the bins that the state's filters on the column choose, or null. */
export function chosenBins(state: State, column: string, edges: readonly Scalar[]): [number, number] | null {
  const place = (value: unknown): number => edges.findIndex((edge) => String(edge) === String(value));
  const of = (operators: readonly string[]): Filter | undefined =>
    state.filters.find(
      (condition): condition is Filter =>
        !isGroup(condition) && condition.column === column && operators.includes(condition.operator),
    );
  const equal = of(["=="]);
  if (equal && edges.length === 2 && place(equal.value) === 0) return [0, 0];
  const [low, high] = [of([">="]), of(["<", "<="])];
  if (!low || !high) return null;
  const [first, end] = [place(low.value), place(high.value)];
  return first >= 0 && end > first ? [first, end - 1] : null;
}

/** The values that the state's filters on the column choose. */
export function chosenValues(state: State, column: string): readonly Scalar[] {
  for (const condition of state.filters) {
    if (isGroup(condition) || condition.column !== column) continue;
    if (condition.operator === "==") return [condition.value as Scalar];
    if (condition.operator === "in") return condition.value as readonly Scalar[];
  }
  return [];
}

const COMPARISONS = ["==", "!=", "<", "<=", ">", ">=", "between", "in", "not in"];
const PRESENCE = ["is missing", "is not missing"];

/** The operators that have a meaning for a kind of column, the most likely one first. */
export function operatorsFor(kind: string): readonly string[] {
  switch (kind) {
    case "text":
      return ["contains", "==", "!=", "in", "not in", "starts with", "ends with", "matches", ...PRESENCE];
    case "boolean":
      return ["==", "!=", ...PRESENCE];
    case "list":
      return ["contains", ...PRESENCE];
    case "other":
      return PRESENCE;
    case "integer":
    case "float":
    case "decimal":
    case "date":
    case "timestamp":
    case "time":
      return [
        "between",
        ">=",
        "<=",
        ...COMPARISONS.filter((name) => !["between", ">=", "<="].includes(name)),
        ...PRESENCE,
      ];
    default:
      return [...COMPARISONS, ...PRESENCE];
  }
}

/** What a person typed, as the value of a filter; what does not fit is left to the server, which says why. */
export function parseValue(typed: string, kind: string): Scalar {
  const text = kind === "text" ? typed : typed.trim();
  if (kind === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (kind === "decimal") return text.replace(/(?<=\d),(?=\d{3})/g, "");
  if (!isNumber(kind)) return kind === "timestamp" ? text.replace("T", " ") : text;
  const plain = text.replace(/(?<=\d)[,_](?=\d{3})/g, "").replace("−", "-");
  if (/^[-+]?\d+$/.test(plain)) {
    const number = Number(plain);
    return Number.isSafeInteger(number) ? number : BigInt(plain.replace("+", ""));
  }
  const number = Number(plain);
  return plain === "" || !Number.isFinite(number) ? text : number;
}

/** A value as a person would type it. */
export function writeValue(value: unknown): string {
  return value == null ? "" : String(value);
}

/** The next sort by a click on a column: up, down, none; with others kept if `also`. */
export function nextSort(state: State, column: string, also: boolean): State {
  const place = state.sort.findIndex((key) => key.column === column);
  const key = state.sort[place];
  const next = !key ? { column, descending: false } : !key.descending ? { column, descending: true } : null;
  if (!also) return { ...state, sort: next ? [next] : [] };
  const sort = [...state.sort];
  sort.splice(place < 0 ? sort.length : place, place < 0 ? 0 : 1, ...(next ? [next] : []));
  return { ...state, sort };
}
