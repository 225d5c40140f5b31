// The side panel: everything that is known of one column, the scopes side by side.

import { distributionOf } from "../distribution.ts";
import type { Distribution } from "../distribution.ts";
import { formatStatistic, grouped, percent, typeName } from "../format.ts";
import type { Cell, ColumnSchema, Scalar, StatisticSchema } from "../protocol.ts";
import type { Store } from "../store.ts";
import type { Actions } from "./actions.ts";
import { Chart } from "./chart.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { markOf } from "./marks.ts";

const CHART_HEIGHT = 120;
/** Drawn as bars or a list, not as a line of the table. */
const DRAWN = new Set(["histogram", "top_values", "quantiles"]);

export interface ColumnActions {
  isPinned(name: string): boolean;
  pin(name: string, pinned: boolean): void;
  hide(name: string): void;
  filter(name: string, anchor: HTMLElement): void;
  closed(name: string): void;
}

export class Panel {
  readonly element = h("aside", { class: "lf-panel", hidden: true, "aria-label": "Column" });
  #store: Store;
  #actions: Actions;
  #columns: ColumnActions;
  #column: ColumnSchema | null = null;
  #chart: Chart | null = null;
  #told = h("p", { class: "lf-told" });
  #statistics = h("div", { class: "lf-statistics" });

  constructor(store: Store, actions: Actions, columns: ColumnActions) {
    this.#store = store;
    this.#actions = actions;
    this.#columns = columns;
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  get column(): string | null {
    return this.#column?.name ?? null;
  }

  open(name: string): void {
    const column = this.#store.view?.byName.get(name);
    if (!column) return;
    this.#column = column;
    this.element.hidden = false;
    this.#build(column);
    this.update();
    (this.#distribution() ? this.#chart!.element : this.element.querySelector("button"))?.focus();
  }

  close(): void {
    const name = this.#column?.name;
    this.#column = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    if (name !== undefined) this.#columns.closed(name);
  }

  /** Show what is known now; a column that the view does not have any more closes it. */
  update(): void {
    if (!this.#column) return;
    const column = this.#store.view?.byName.get(this.#column.name);
    if (!column) {
      this.close();
      return;
    }
    this.#column = column;
    const distribution = this.#distribution();
    const state = this.#store.view?.state;
    this.#chart?.update(distribution, state && distribution ? distribution.chosen(state) : null);
    this.#statistics.replaceChildren(...this.#tables(column, distribution));
  }

  #distribution(): Distribution | null {
    return this.#column && distributionOf(this.#store, this.#column);
  }

  #build(column: ColumnSchema): void {
    const { name } = column;
    const button = (text: string, click: (event: MouseEvent) => void, label?: string): HTMLElement =>
      h("button", { type: "button", click, ...(label ? { "aria-label": label, title: label } : {}) }, text);
    const pinned = this.#columns.isPinned(name);
    const title = h("h2", { title: name }, h("bdi", {}, name === "" ? '""' : name));
    const tools = h(
      "div",
      { class: "lf-tools", role: "group", "aria-label": "Column" },
      button("Sort", (event) => this.#actions.sort(name, event.shiftKey)),
      button("Filter", (event) => this.#columns.filter(name, event.currentTarget as HTMLElement)),
      button(pinned ? "Unpin" : "Pin", () => {
        this.#columns.pin(name, !pinned);
        this.open(name);
      }),
      button("Hide", () => {
        this.#columns.hide(name);
        this.close();
      }),
    );
    this.#chart = new Chart({
      height: CHART_HEIGHT,
      focusable: true,
      label: `Distribution of ${name}. Arrow keys move, with Shift they extend, Enter filters`,
      choose: (range) => this.#actions.choose(column, range),
      tell: (text) => setText(this.#told, text ?? ""),
    });
    this.element.setAttribute("aria-label", `Column ${name}`);
    this.element.replaceChildren(
      h(
        "header",
        {},
        title,
        button("×", () => this.close(), "Close"),
      ),
      h("p", { class: "lf-type", title: column.type }, typeName(column.type)),
      tools,
      this.#chart.element,
      this.#told,
      this.#statistics,
    );
  }

  #tables(column: ColumnSchema, distribution: Distribution | null): HTMLTableElement[] {
    const { scopes } = this.#store;
    const offered = (this.#store.session?.options.statistics ?? []).filter((each) => each.kinds.includes(column.kind));
    const head = h("tr", {}, h("td"), ...scopes.map((scope) => h("th", { scope: "col" }, scope)));
    const rows = h(
      "tr",
      {},
      h("th", { scope: "row" }, "rows"),
      ...scopes.map((scope) => this.#value(this.#store.view?.scopeRows.get(scope), formatStatistic)),
    );
    const lines = offered.filter(({ name }) => !DRAWN.has(name)).map((each) => this.#line(column, each, scopes));
    const quantiles = offered.some(({ name }) => name === "quantiles") ? this.#quantiles(column, scopes) : [];
    const tables = [h("table", {}, h("thead", {}, head), h("tbody", {}, rows, ...lines, ...quantiles))];
    const top = offered.some(({ name }) => name === "top_values") ? this.#top(column) : null;
    if (top) tables.push(top);
    if (distribution?.pending && !this.#store.view?.stopped)
      tables.forEach((table) => setAttribute(table, "aria-busy", "true"));
    return tables;
  }

  #line(column: ColumnSchema, { name, own }: StatisticSchema, scopes: readonly string[]): HTMLElement {
    const cells = scopes.map((scope) => {
      const cell = this.#store.cell(scope, column.name, name);
      const format = name.endsWith("_share") ? (value: unknown) => formatShare(value) : formatStatistic;
      const made = this.#value(cell, format);
      if (cell?.error?.code === "out_of_time") {
        const compute = (): void => this.#actions.compute(scope, column.name, name);
        made.replaceChildren(h("button", { type: "button", click: compute, title: "It took too long" }, "compute"));
      }
      return made;
    });
    return h("tr", own ? { class: "lf-own" } : {}, h("th", { scope: "row" }, name.replaceAll("_", " ")), ...cells);
  }

  #quantiles(column: ColumnSchema, scopes: readonly string[]): HTMLElement[] {
    const cells = scopes.map((scope) => this.#store.cell(scope, column.name, "quantiles"));
    const levels = new Set(cells.flatMap((cell) => Object.keys((cell?.value as object | null) ?? {})));
    const sorted = [...levels].sort((some, other) => Number(some) - Number(other));
    const name = (level: string): string =>
      level === "0.5" ? "median" : `${Number((100 * Number(level)).toFixed(4))} %`;
    return sorted.map((level) => {
      const at = (value: unknown): string => formatStatistic((value as Record<string, unknown> | null)?.[level]);
      return h("tr", {}, h("th", { scope: "row" }, name(level)), ...cells.map((cell) => this.#value(cell, at)));
    });
  }

  #value(cell: Cell | undefined, format: (value: unknown) => string): HTMLElement {
    const mark = markOf(cell, format, this.#store.view?.stopped);
    return h("td", { "data-form": mark.form, title: mark.title || mark.text }, h("bdi", {}, mark.text));
  }

  /** The most frequent values, as buttons that filter. */
  #top(column: ColumnSchema): HTMLTableElement | null {
    const scope = this.#store.cell("filtered", column.name, "top_values") ? "filtered" : "raw";
    const cell = this.#store.cell(scope, column.name, "top_values");
    const values = cell?.value as (readonly [unknown, number])[] | null | undefined;
    if (!values?.length) return null;
    const total = Number(this.#store.cell(scope, column.name, "count")?.value ?? 0);
    const lines = values.map(([value, rows]) => {
      const text = formatStatistic(value);
      const choose = (): void => this.#actions.keep(column.name, value as Scalar);
      return h(
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("button", { type: "button", click: choose, title: `Keep ${text}` }, h("bdi", {}, text)),
        ),
        h("td", {}, grouped(rows)),
        h("td", {}, total ? percent(rows, total) : ""),
      );
    });
    const caption = h("caption", {}, `Most frequent values, ${scope}`);
    return h("table", { class: "lf-top" }, caption, h("tbody", {}, ...lines));
  }
}

const formatShare = (value: unknown): string =>
  typeof value === "number" ? percent(value, 1) : formatStatistic(value);
