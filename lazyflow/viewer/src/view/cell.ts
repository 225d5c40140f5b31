// A cell of the grid: a value of the view at a row, read from the store each time it is drawn.

import type { ICellRendererComp, ICellRendererParams } from "ag-grid-community";
import { formatValue, grouped, isMissing, MISSING } from "../format.ts";
import type { ColumnSchema } from "../protocol.ts";
import type { Store } from "../store.ts";
import { isNumber } from "../filters.ts";
import { h, markMatches, setAttribute, setText } from "./dom.ts";

export interface CellParams extends ICellRendererParams {
  readonly schema: ColumnSchema;
  readonly store: Store;
  isPicked(row: number, column: string): boolean;
}

export class ValueCell implements ICellRendererComp {
  #gui = h("span", { class: "lf-value" });

  init(params: CellParams): void {
    if (isNumber(params.schema.kind)) this.#gui.classList.add("lf-number");
    this.#show(params);
  }

  getGui(): HTMLElement {
    return this.#gui;
  }

  refresh(params: CellParams): boolean {
    this.#show(params);
    return true;
  }

  #show({ schema, store, node, isPicked }: CellParams): void {
    const { view } = store;
    setAttribute(this.#gui, "data-picked", node.rowIndex !== null && isPicked(node.rowIndex, schema.name));
    const place = view && node.rowIndex !== null ? view.rows.find(schema.name, node.rowIndex) : null;
    if (!place) {
      setText(this.#gui, "");
      setAttribute(this.#gui, "data-form", "pending");
      return;
    }
    const value = place.values.at(place.index);
    if (isMissing(value)) {
      setText(this.#gui, MISSING);
      setAttribute(this.#gui, "data-form", "missing");
    } else if (value === "") {
      setText(this.#gui, '""');
      setAttribute(this.#gui, "data-form", "empty");
    } else {
      const text = formatValue(value, place.values.type);
      setAttribute(this.#gui, "data-form", null);
      const term = schema.kind === "text" ? view!.state.search : "";
      if (term || this.#gui.childElementCount) markMatches(this.#gui, visible(text), term);
      else setText(this.#gui, visible(text));
    }
  }
}

/** The number of the row, counted from 1. */
export class NumberCell implements ICellRendererComp {
  #gui = h("span", { class: "lf-value lf-number" });

  init(params: ICellRendererParams): void {
    this.refresh(params);
  }

  getGui(): HTMLElement {
    return this.#gui;
  }

  refresh({ node }: ICellRendererParams): boolean {
    setText(this.#gui, node.rowIndex === null ? "" : grouped(node.rowIndex + 1));
    return true;
  }
}

const CONTROLS: Readonly<Record<string, string>> = { "\n": "⏎", "\r": "␍", "\t": "⇥", "\0": "␀" };

/** Line breaks and the like as signs, since a cell is one line. */
export function visible(text: string): string {
  return text.replace(/[\0\n\r\t]/g, (control) => CONTROLS[control] ?? control);
}
