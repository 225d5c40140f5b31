// How a statistic looks: final, approximate, sampled, failed, or on its way.

import { formatStatistic } from "../format.ts";
import type { Cell } from "../protocol.ts";

export const BASES = {
  approximate: "approximate: an algorithm over all rows that does not count exactly",
  sampled: "sampled: from some of the rows; the exact value follows",
} as const;

export interface Mark {
  readonly text: string;
  readonly form: "known" | "pending" | "stopped" | "approximate" | "sampled" | "failed" | "slow";
  readonly title: string;
}

/** The cell as text with a mark; undefined is one that is not known yet, or will not be where they were `stopped`. */
export function markOf(
  cell: Cell | undefined,
  format: (value: unknown) => string = formatStatistic,
  stopped = false,
): Mark {
  if (!cell && stopped) return { text: "stopped", form: "stopped", title: "its statistics were stopped" };
  if (!cell) return { text: "…", form: "pending", title: "being computed" };
  if (cell.error?.code === "out_of_time") return { text: "slow", form: "slow", title: cell.error.message };
  if (cell.error) return { text: "failed", form: "failed", title: cell.error.message };
  const basis = cell.basis ?? "exact";
  const text = format(cell.value);
  if (basis === "exact" || cell.value == null) return { text, form: "known", title: "" };
  return { text: `${basis === "sampled" ? "≈" : "~"}${text}`, form: basis, title: BASES[basis] };
}
