// Values as their people write them.

import { Type } from "@uwdata/flechette";
import type { DataType } from "@uwdata/flechette";
import { calendarDay, clock, instant, span } from "./time.ts";

export const MISSING = "—";

/** Characters of a text that a cell shows; the whole is shown on demand. */
export const CELL_CHARACTERS = 300;

const GROUPED = new Intl.NumberFormat("en");
const ROUNDED = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const grouped = (count: number): string => GROUPED.format(count);
export const compact = (count: number): string => (count < 10_000 ? GROUPED.format(count) : COMPACT.format(count));

/** A share, which no line is broken in. */
export function percent(part: number, whole: number): string {
  return share(part, whole).replaceAll(" ", "\u00a0");
}

function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0 %";
  const percent = (100 * part) / whole;
  if (percent < 0.1) return "< 0.1 %";
  if (percent > 99.9 && part < whole) return "> 99.9 %";
  return `${percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

export const isMissing = (value: unknown): boolean =>
  value == null || (typeof value === "number" && Number.isNaN(value));

/** A value of a column of Arrow, at most about `most` characters of it; missing ones too. */
export function formatValue(value: unknown, type: DataType, most: number = CELL_CHARACTERS): string {
  if (isMissing(value)) return MISSING;
  switch (type.typeId) {
    case Type.Float:
      return formatFloat(value as number, (type as { precision: number }).precision);
    case Type.Decimal:
      return formatDecimal(BigInt(value as bigint | number), (type as { scale: number }).scale);
    case Type.Date:
      return calendarDay(Math.floor((value as number) / 86_400_000));
    case Type.Timestamp: {
      const { unit, timezone } = type as { unit: number; timezone: string | null };
      return instant(BigInt(value as bigint), unit, timezone != null);
    }
    case Type.Time:
      return clock(BigInt(value as bigint | number), (type as { unit: number }).unit);
    case Type.Duration:
      return span(BigInt(value as bigint | number), (type as { unit: number }).unit);
    case Type.Binary:
    case Type.LargeBinary:
    case Type.FixedSizeBinary:
      return hexadecimal(value as Uint8Array, most);
    case Type.List:
    case Type.LargeList:
    case Type.FixedSizeList:
      return formatList(value as Iterable<unknown>, childOf(type, 0), most);
    case Type.Struct:
      return formatStruct(value as Record<string, unknown>, type, most);
    case Type.Map:
      return formatMap(value as Iterable<[unknown, unknown]>, type, most);
    case Type.Dictionary:
      return formatValue(value, (type as unknown as { dictionary: DataType }).dictionary, most);
    default:
      return cut(String(value), most);
  }
}

/** A text, its end left out where it is longer than `most` characters; no character is halved. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = /[\uD800-\uDBFF]/.test(text.charAt(most - 1)) ? most - 1 : most;
  return `${text.slice(0, end)}…`;
}

function formatFloat(value: number, precision: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (precision === 2) return String(value);
  for (let digits = 6; digits < 10; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

function formatDecimal(scaled: bigint, scale: number): string {
  if (scale <= 0) return String(scaled * 10n ** BigInt(-scale));
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(scale + 1, "0");
  return `${scaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function hexadecimal(bytes: Uint8Array, most: number): string {
  const shown = bytes.subarray(0, Math.max(1, most >> 1));
  const digits = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `0x${digits}${shown.length < bytes.length ? "…" : ""}`;
}

function childOf(type: DataType, place: number): { name: string; type: DataType } {
  return (type as unknown as { children: { name: string; type: DataType }[] }).children[place]!;
}

/** Parts until they are long enough. */
function joined(parts: Iterable<string>, open: string, close: string, most: number): string {
  let text = open;
  for (const part of parts) {
    if (text.length > most) return `${text}…`;
    text += (text.length > open.length ? ", " : "") + part;
  }
  return text + close;
}

function formatList(values: Iterable<unknown>, child: { type: DataType }, most: number): string {
  const parts = function* (): Generator<string> {
    for (const value of values) yield formatValue(value, child.type, most);
  };
  return joined(parts(), "[", "]", most);
}

function formatStruct(value: Record<string, unknown>, type: DataType, most: number): string {
  const { children } = type as unknown as { children: { name: string; type: DataType }[] };
  const parts = children.map((child) => `${child.name}: ${formatValue(value[child.name], child.type, most)}`);
  return joined(parts, "{", "}", most);
}

function formatMap(pairs: Iterable<[unknown, unknown]>, type: DataType, most: number): string {
  const entry = childOf(type, 0).type;
  const [key, item] = [childOf(entry, 0), childOf(entry, 1)];
  const parts = function* (): Generator<string> {
    for (const [name, value] of pairs) {
      yield `${formatValue(name, key.type, most)}: ${formatValue(value, item.type, most)}`;
    }
  };
  return joined(parts(), "{", "}", most);
}

/** The value of a statistic, as JSON has it. */
export function formatStatistic(value: unknown, most: number = 80): string {
  if (value == null) return MISSING;
  if (typeof value === "bigint") return GROUPED.format(value);
  if (typeof value === "number") {
    if (Number.isInteger(value) && Math.abs(value) < 1e15) return GROUPED.format(value);
    const rounded = Number(value.toPrecision(5));
    return Math.abs(rounded) >= 1e-4 && Math.abs(rounded) < 1e15 ? ROUNDED.format(value) : String(rounded);
  }
  if (typeof value === "object") return cut(JSON.stringify(value), most);
  if (value === "") return '""';
  return cut(readable(String(value)), most);
}

const ISO = /^(-?\d{4,}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?Z?)$/;

/** ISO 8601 as a person reads it; any other text as it is. */
export function readable(text: string): string {
  if (text === "Infinity" || text === "-Infinity") return text.startsWith("-") ? "−∞" : "∞";
  const found = ISO.exec(text);
  if (!found) return text;
  return found[2] === "00:00:00" ? found[1]! : `${found[1]} ${found[2]}`;
}

const TYPE_NAMES: readonly (readonly [RegExp, string])[] = [
  [/^double$/, "float64"],
  [/^halffloat$/, "float16"],
  [/^float$/, "float32"],
  [/^string$/, "text"],
  [/^bool$/, "boolean"],
  [/^date32\[day\]$/, "date"],
  [/^timestamp\[\w+, tz=(.+)\]$/, "timestamp $1"],
  [/^(timestamp|duration)\[\w+\]$/, "$1"],
  [/^time(?:32|64)\[\w+\]$/, "time"],
  [/^decimal\d+(\(.+\))$/, "decimal$1"],
  [/^list<\w+: (\w+)>$/, "list of $1"],
  [/^(list|struct|map)<.*>$/s, "$1"],
];

/** An Arrow type as a person calls it. */
export function typeName(type: string): string {
  for (const [pattern, name] of TYPE_NAMES) if (pattern.test(type)) return type.replace(pattern, name);
  return type;
}
