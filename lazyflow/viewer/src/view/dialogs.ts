// The contents of the small dialogs: columns, links, a whole value, keys.

import type { Address } from "../address.ts";
import { formatValue, grouped } from "../format.ts";
import type { Place } from "../rows.ts";
import type { FileFormat } from "../transport.ts";
import { h } from "./dom.ts";
import type { Grid } from "./grid.ts";

/** Characters of a value that are laid out; all of it can be copied. */
const MOST_SHOWN = 200_000;
const MOST_LISTED = 200;

/** The columns, to show and hide; with a field to find some among many. */
export function columnList(grid: Grid): HTMLElement {
  const columns = grid.columns();
  const list = h("div", { class: "lf-list" });
  const show = (wanted: string): void => {
    const found = columns.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
    const rest = found.length > MOST_LISTED ? h("p", {}, `and ${grouped(found.length - MOST_LISTED)} more`) : "";
    list.replaceChildren(
      ...found.slice(0, MOST_LISTED).map(({ name, visible }) => {
        const box = h("input", { type: "checkbox" });
        box.checked = visible;
        box.addEventListener("change", () => grid.setVisible(name, box.checked));
        const go = h(
          "button",
          { type: "button", class: "lf-quiet", "aria-label": `Go to ${name}`, click: () => grid.reveal(name) },
          "→",
        );
        return h("div", { class: "lf-line" }, h("label", {}, box, h("bdi", {}, name || '""')), go);
      }),
      rest,
    );
  };
  show("");
  const find = h("input", {
    type: "search",
    placeholder: `Find among ${grouped(columns.length)} columns`,
    "aria-label": "Find a column",
    input: () => show(find.value),
  });
  return h("div", { class: "lf-dialog" }, find, list);
}

export function shareLinks(address: Address, copy: (text: string) => void): HTMLElement {
  const line = (to: "session" | "state", title: string, text: string): HTMLElement =>
    h(
      "div",
      { class: "lf-share" },
      h("button", { type: "button", click: () => copy(address.link(to)) }, title),
      h("p", {}, text),
    );
  return h(
    "div",
    { class: "lf-part" },
    line(
      "session",
      "Copy link to this session",
      "Whoever opens it sees what you see, and what you change; you see what they change.",
    ),
    line("state", "Copy link to this view", "Whoever opens it begins with this view, in a session of their own."),
  );
}

const FORMATS = { csv: "CSV", parquet: "Parquet", arrow: "Arrow" } as const;

/** The whole view as a file; where each is had is what `address` says. */
export function downloads(address: (format: FileFormat) => string): HTMLElement {
  const links = Object.entries(FORMATS).map(([format, name]) =>
    h("a", { href: address(format as FileFormat), download: "" }, `Download ${name}`),
  );
  const note = "All rows and columns of the view as it is now, in its order.";
  return h("div", { class: "lf-share" }, h("div", { class: "lf-links" }, ...links), h("p", {}, note));
}

/** The view as SQL, copied and shown once it is asked for; or why there is none. */
export function viewAsSql(sql: () => Promise<string>, copy: (text: string) => void): HTMLElement {
  const told = h("p", { role: "status" }, "One statement, for whoever has the table.");
  const text = h("pre", { tabindex: 0, "aria-label": "The view as SQL", hidden: true });
  const ask = async (): Promise<void> => {
    try {
      text.textContent = await sql();
      text.hidden = false;
      copy(text.textContent);
    } catch (error) {
      text.hidden = true;
      told.textContent = (error as Error).message;
    }
  };
  const button = h("button", { type: "button", click: () => void ask() }, "Copy as SQL");
  return h("div", { class: "lf-share lf-sql" }, button, told, text);
}

export function wholeValue(column: string, { values, index }: Place, copy: (text: string) => void): HTMLElement {
  const text = formatValue(values.at(index), values.type, Infinity);
  const shown = text.slice(0, MOST_SHOWN);
  const note =
    shown.length < text.length ? `the first ${grouped(shown.length)} of ${grouped(text.length)} characters` : "";
  return h(
    "div",
    { class: "lf-dialog lf-whole" },
    h("h2", {}, h("bdi", {}, column || '""')),
    h("pre", { tabindex: 0, dir: "auto", autofocus: true }, shown),
    h("p", {}, note),
    h(
      "div",
      { class: "lf-buttons" },
      h("button", { type: "button", class: "lf-primary", click: () => copy(text) }, "Copy"),
    ),
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "search"],
  ["↓ in the search", "to the rows"],
  ["arrows, Page Up, Page Down", "move among cells and headers"],
  ["Enter on a header", "sort; with Shift beside the other keys"],
  ["Space on a header", "all statistics of the column"],
  ["Shift, Alt with ← → on a header", "move the column; make it narrower or wider"],
  ["Enter on a cell", "its whole value"],
  ["Shift with arrows, dragging", "choose cells"],
  ["Ctrl+C", "copy the cells, tab-separated; with Shift whole rows"],
  ["← → on a distribution", "move; with Shift choose several bars, Enter filters, Delete takes it back"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["Escape", "close"],
];

const MARKS: readonly (readonly [string, string])[] = [
  ["…", "on its way"],
  ["~", "approximate: an algorithm over all rows that does not count exactly"],
  ["≈", "sampled: from some of the rows, the exact value follows"],
  ["failed", "this one could not be computed, the others are right"],
  ["slow", "took too long; compute it alone from the column's statistics"],
  ["stopped", "not computed, as somebody stopped the statistics"],
  ["—", "missing"],
  ["grey and blue bars", "share of all rows, and of those that search and filters keep"],
];

export function helpText(): HTMLElement {
  const table = (caption: string, lines: readonly (readonly [string, string])[]): HTMLElement =>
    h(
      "table",
      {},
      h("caption", {}, caption),
      h("tbody", {}, ...lines.map(([sign, text]) => h("tr", {}, h("th", { scope: "row" }, sign), h("td", {}, text)))),
    );
  return h(
    "div",
    { class: "lf-dialog lf-help", tabindex: -1, autofocus: true },
    table("Keys", KEYS),
    table("Marks", MARKS),
  );
}
