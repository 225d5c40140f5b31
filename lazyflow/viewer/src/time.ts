// Days, instants, times of day and spans, counted from 1970 in some unit, as text. No digit of them is lost.

const SECONDS_A_DAY = 86_400n;
/** Digits after the second, by Arrow's unit. */
const DIGITS = [0, 3, 6, 9] as const;

const two = (number: number | bigint): string => String(number).padStart(2, "0");

/** The date of a day of the proleptic Gregorian calendar, of any year. */
export function calendarDay(day: number): string {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const date = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  return `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}-${two(month)}-${two(date)}`;
}

function parts(count: bigint, unit: number): { seconds: bigint; fraction: string } {
  const digits = DIGITS[unit] ?? 0;
  const scale = 10n ** BigInt(digits);
  const fraction = ((count % scale) + scale) % scale;
  const text = digits === 0 ? "" : fraction.toString().padStart(digits, "0").replace(/0+$/, "");
  return { seconds: (count - fraction) / scale, fraction: text && `.${text}` };
}

function timeOfDay(seconds: bigint, fraction: string): string {
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${fraction}`;
}

/** An instant or local timestamp. */
export function instant(count: bigint, unit: number, zoned: boolean): string {
  const { seconds, fraction } = parts(count, unit);
  const ofDay = ((seconds % SECONDS_A_DAY) + SECONDS_A_DAY) % SECONDS_A_DAY;
  const day = Number((seconds - ofDay) / SECONDS_A_DAY);
  return `${calendarDay(day)} ${timeOfDay(ofDay, fraction)}${zoned ? "Z" : ""}`;
}

/** A time of day. */
export function clock(count: bigint, unit: number): string {
  const { seconds, fraction } = parts(count, unit);
  return timeOfDay(seconds, fraction);
}

/** A duration, in days and hours. */
export function span(count: bigint, unit: number): string {
  const { seconds, fraction } = parts(count < 0n ? -count : count, unit);
  const days = seconds / SECONDS_A_DAY;
  return `${count < 0n ? "−" : ""}${days ? `${days} d ` : ""}${timeOfDay(seconds % SECONDS_A_DAY, fraction)}`;
}
