// The editor of a group: filters any of which is enough, as chips, and below them the editor of one of them.

import { describe } from "../filters.ts";
import type { ColumnSchema, Filter } from "../protocol.ts";
import { h, setText } from "./dom.ts";
import { filterEditor } from "./editor.ts";

export interface GroupOptions {
  readonly schema: readonly ColumnSchema[];
  readonly operators: readonly string[];
  readonly filters: readonly Filter[];
  /** Whether a further filter is begun at once. */
  readonly further: boolean;
  /** Asks for these in place of those before; fails with the reason where they are refused. */
  apply(filters: readonly Filter[]): Promise<void>;
  done(): void;
}

export function groupEditor(options: GroupOptions): HTMLElement {
  let { filters } = options;
  const chips = h("div", { class: "lf-group", role: "group", "aria-label": "Any of" });
  const below = h("div");
  const error = h("p", { class: "lf-error", role: "alert" });

  /** Ask for others in place of one; what is asked for next goes on from there, whether it is answered or not. */
  const replace = async (place: number, by: readonly Filter[]): Promise<void> => {
    const before = filters;
    const next = [...filters.slice(0, place), ...by, ...filters.slice(place + 1)];
    filters = next;
    try {
      await options.apply(next);
    } catch (reason) {
      if (filters === next) filters = before;
      throw reason;
    }
  };
  const remove = (place: number): void => {
    setText(error, "");
    replace(place, []).catch((reason: Error) => {
      setText(error, reason.message);
      draw(null);
    });
    if (filters.length === 0) options.done();
    else list(Math.min(place, filters.length - 1));
  };
  /** Show the filters alone, one of them focused. */
  const list = (focused: number): void => {
    draw(null);
    chips.querySelectorAll<HTMLElement>(".lf-chip-text")[focused]?.focus();
  };
  /** Show the editor of one, or of a further one. */
  const edit = (place: number): void => {
    draw(place);
    below.querySelector("select")?.focus();
  };
  const draw = (edited: number | null): void => {
    const further = h("button", { type: "button", click: () => edit(filters.length) }, "+ Or");
    further.hidden = edited === filters.length;
    chips.replaceChildren(...filters.flatMap((filter, place) => [place ? "or" : "", chip(filter, place)]), further);
    const editor =
      edited === null
        ? null
        : filterEditor({
            schema: options.schema,
            operators: options.operators,
            filters: filters.slice(edited, edited + 1),
            column: null,
            alone: true,
            apply: (made) => replace(edited, made),
            remove: null,
            either: null,
            done: () => list(edited),
          });
    below.replaceChildren(...(editor ? [editor] : []));
  };
  const chip = (filter: Filter, place: number): HTMLElement => {
    const text = describe(filter);
    return h(
      "span",
      { class: "lf-chip" },
      h("button", { type: "button", class: "lf-chip-text", title: `Edit ${text}`, click: () => edit(place) }, text),
      h("button", { type: "button", "aria-label": `Remove ${text}`, click: () => remove(place) }, "×"),
    );
  };

  draw(options.further ? filters.length : null);
  return h("div", { class: "lf-dialog" }, h("p", {}, "Rows that meet any of these:"), chips, error, below);
}
