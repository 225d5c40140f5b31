// The header of a column: name and sort, type, missing and distinct values, its distribution.

import type { IHeaderComp, IHeaderParams } from "ag-grid-community";
import { distributionOf } from "../distribution.ts";
import { compact, percent, typeName } from "../format.ts";
import type { Cell, ColumnSchema } from "../protocol.ts";
import type { Store } from "../store.ts";
import type { Actions } from "./actions.ts";
import { Chart } from "./chart.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { markOf } from "./marks.ts";

export const CHART_HEIGHT = 34;

/** What the headers share; their own parameters come with the column. */
export interface HeaderContext {
  readonly store: Store;
  readonly actions: Actions;
  /** The headers that are in sight, by column. */
  readonly headers: Map<string, Header>;
}

export interface HeaderParams extends IHeaderParams {
  readonly schema: ColumnSchema;
  readonly shared: HeaderContext;
}

export class Header implements IHeaderComp {
  #params!: HeaderParams;
  #gui!: HTMLElement;
  #arrow = h("span", { class: "lf-arrow", "aria-hidden": "true" });
  #missing = h("span", { class: "lf-fact" });
  #distinct = h("span", { class: "lf-fact" });
  #none = h("span", { class: "lf-none" });
  #chart!: Chart;

  init(params: HeaderParams): void {
    this.#params = params;
    const { schema, shared } = params;
    const { actions } = shared;
    this.#chart = new Chart({
      height: CHART_HEIGHT,
      focusable: false,
      label: schema.name,
      choose: (range) => actions.choose(schema, range),
      tell: (text) => actions.tell(text && `${schema.name}: ${text}`),
    });
    const name = h(
      "div",
      { class: "lf-name", title: schema.name, click: (event: MouseEvent) => actions.sort(schema.name, event.shiftKey) },
      h("bdi", {}, schema.name === "" ? '""' : schema.name),
      this.#arrow,
    );
    const facts = h(
      "div",
      { class: "lf-facts", click: () => actions.details(schema.name), title: "All statistics (Space)" },
      h("div", {}, h("span", { class: "lf-type", title: schema.type }, typeName(schema.type)), this.#missing),
      h("div", {}, this.#distinct),
    );
    this.#gui = h("div", { class: "lf-head", "data-kind": schema.kind }, name, facts, this.#chart.element, this.#none);
    shared.headers.set(schema.name, this);
    this.update();
  }

  getGui(): HTMLElement {
    return this.#gui;
  }

  refresh(params: HeaderParams): boolean {
    if (params.schema !== this.#params.schema) return false;
    this.#params = params;
    return true;
  }

  destroy(): void {
    const { schema, shared } = this.#params;
    if (shared.headers.get(schema.name) === this) shared.headers.delete(schema.name);
  }

  /** Show what is known now. */
  update(): void {
    const { schema, shared, eGridHeader } = this.#params;
    const { store } = shared;
    const state = store.view?.state;
    const place = state?.sort.findIndex((key) => key.column === schema.name) ?? -1;
    const key = state?.sort[place];
    const many = (state?.sort.length ?? 0) > 1;
    setText(this.#arrow, key ? `${key.descending ? "▼" : "▲"}${many ? place + 1 : ""}` : "");
    setAttribute(eGridHeader, "aria-sort", key ? (key.descending ? "descending" : "ascending") : "none");
    this.#showFacts(store, schema);
    const distribution = distributionOf(store, schema);
    const chosen = state && distribution ? distribution.chosen(state) : null;
    this.#chart.update(distribution, chosen);
    const none = distribution ? "" : this.#without(store, schema);
    setText(this.#none, none ?? "");
    setAttribute(this.#none, "data-waiting", !distribution && none === null);
  }

  #showFacts(store: Store, { name }: ColumnSchema): void {
    const missing = store.cell("filtered", name, "missing");
    const present = store.cell("filtered", name, "count")?.value;
    const share = (value: unknown): string => {
      const rows = typeof present === "number" ? present + Number(value) : null;
      return `${rows === null ? compact(Number(value)) : percent(Number(value), rows)} missing`;
    };
    const stopped = store.view?.stopped ?? false;
    show(this.#missing, missing, share, stopped);
    if (missing ? missing.value === 0 : stopped) setText(this.#missing, "");
    const distinct = store.cell("filtered", name, "distinct");
    show(this.#distinct, distinct, (value) => (value == null ? "" : `${compact(Number(value))} distinct`), stopped);
    const offered = store.session?.options.statistics.find((statistic) => statistic.name === "distinct");
    if (offered && !offered.kinds.includes(this.#params.schema.kind)) setText(this.#distinct, "");
  }

  /** Why there are no bars; null while they may come. */
  #without(store: Store, { name, kind }: ColumnSchema): string | null {
    const top = store.cell("filtered", name, "top_values") ?? store.cell("filtered", name, "histogram");
    const offered = store.session?.options.statistics.find((statistic) => statistic.name === "top_values");
    if (offered && !offered.kinds.includes(kind)) return "";
    if (!top) return store.view?.stopped ? "" : null;
    if (top.error) return markOf(top).text;
    if (Array.isArray(top.value) && top.value.length) return "all different";
    return top.basis === "approximate" ? "none is frequent" : "no values";
  }
}

function show(
  element: HTMLElement,
  cell: Cell | undefined,
  format: (value: unknown) => string,
  stopped: boolean,
): void {
  const mark = markOf(cell, format, stopped);
  setText(element, mark.text);
  setAttribute(element, "data-form", mark.form);
  setAttribute(element, "title", mark.title || null);
}
