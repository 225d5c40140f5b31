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

/** What is shown in place of a value that is not there, or cannot be seen. */
const SIGNS = { missing: MISSING, empty: '""' };

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

  #show({ schema, store, node, column, isPicked }: CellParams): void {
    const { view } = store;
    setAttribute(this.#gui, "data-picked", node.rowIndex !== null && isPicked(node.rowIndex, schema.name));
    const place = view && node.rowIndex !== null ? view.rows.find(schema.name, node.rowIndex) : null;
    if (!place) {
      setText(this.#gui, "");
      setAttribute(this.#gui, "data-form", "pending");
      setAttribute(this.#gui, "data-cut", null);
      return;
    }
    const value = place.values.at(place.index);
    const form = isMissing(value) ? "missing" : value === "" ? "empty" : null;
    const text = form ? SIGNS[form] : visible(formatValue(value, place.values.type));
    setAttribute(this.#gui, "data-form", form);
    setAttribute(this.#gui, "data-cut", !fits(text, column!.getActualWidth()));
    const term = schema.kind === "text" && !form ? view!.state.search : "";
    if (term || this.#gui.childElementCount) markMatches(this.#gui, text, term);
    else setText(this.#gui, text);
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

  refresh({ node, column }: ICellRendererParams): boolean {
    const text = node.rowIndex === null ? "" : grouped(node.rowIndex + 1);
    setText(this.#gui, text);
    setAttribute(this.#gui, "data-cut", !fits(text, column!.getActualWidth()));
    return true;
  }
}

/** Pixels beside the text of a cell, and those that digits, signs between them and letters take at most in any font. */
const BESIDE = 21;
export const DIGIT = 8.5;
const SIGN = 5.5;
const WIDEST_LETTER = 14;

/**
 * Whether a text has certainly room in a column of so many pixels.
 * A cell that cuts what has none costs the browser more to paint: an eighth of all that scrolling takes, if each one does.
 */
function fits(text: string, width: number): boolean {
  let pixels = BESIDE;
  for (let place = 0; place < text.length && pixels <= width; place += 1) {
    const character = text[place]!;
    if ("0" <= character && character <= "9") pixels += DIGIT;
    else if ("-.,: ".includes(character)) pixels += SIGN;
    else if ((" " <= character && character <= "ÿ") || character === MISSING) pixels += WIDEST_LETTER;
    else return false;
  }
  return pixels <= width;
}

const CONTROLS: Readonly<Record<string, string>> = { "\n": "⏎", "\r": "␍", "\t": "⇥", "\0": "␀" };

/** Line breaks and the like as signs, since a cell is one line. */
export function visible(text: string): string {
  return text.replace(/[\0\n\r\t]/g, (control) => CONTROLS[control] ?? control);
}
