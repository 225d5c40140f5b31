// Choosing cells by pointer and keyboard, and copying them.

import { formatValue, grouped } from "../format.ts";
import { Selection, tabSeparated } from "../selection.ts";
import type { Corner, Rectangle } from "../selection.ts";
import type { Store } from "../store.ts";
import type { Actions } from "./actions.ts";

export interface PickingOptions {
  /** Names of the columns that are shown, in their order. */
  shown(): string[];
  nameOf(id: string): string | undefined;
  changed(): void;
  reveal(corner: Corner): void;
}

const STEPS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export class Picking {
  #store: Store;
  #actions: Actions;
  #options: PickingOptions;
  #selection = new Selection();
  #rectangle: Rectangle | null = null;
  #dragging = false;

  constructor(host: HTMLElement, store: Store, actions: Actions, options: PickingOptions) {
    this.#store = store;
    this.#actions = actions;
    this.#options = options;
    host.addEventListener("mousedown", (event) => this.#press(event), { capture: true });
    host.addEventListener("mousemove", (event) => {
      const corner = this.#dragging && event.buttons === 1 ? this.#cornerOf(event) : null;
      if (corner) this.#extend(corner);
    });
    host.addEventListener("mouseup", () => (this.#dragging = false));
  }

  /** Whether a cell is in the rectangle that is chosen. */
  has = (row: number, column: string): boolean => {
    const rectangle = this.#rectangle;
    return (
      rectangle !== null && rectangle.rows[0] <= row && row <= rectangle.rows[1] && rectangle.columns.includes(column)
    );
  };

  /** A cell has the focus: what is chosen next begins there. */
  begin(corner: Corner): void {
    this.#selection.begin(corner);
    this.#show();
  }

  /** Arrows with Shift extend the rectangle; whether this was one. */
  key(event: KeyboardEvent): boolean {
    const step = event.shiftKey && event.type === "keydown" ? STEPS[event.key] : undefined;
    if (!step) return false;
    const corner = this.#selection.move(step[0], step[1], this.#options.shown(), this.#store.length ?? Infinity);
    if (!corner) return false;
    event.preventDefault();
    this.#show();
    this.#options.reveal(corner);
    return true;
  }

  /** Copy what is chosen as tab-separated text, with `rows` whole rows of it. */
  copy(rows: boolean): void {
    const corner = this.#selection.corner;
    if (!corner) return;
    const chosen = this.#rectangle ?? { rows: [corner.row, corner.row] as const, columns: [corner.column] };
    const columns = rows ? this.#options.shown() : chosen.columns;
    const lines: string[][] = [];
    for (let row = chosen.rows[0]; row <= chosen.rows[1]; row += 1) {
      const places = columns.map((column) => this.#store.view?.rows.find(column, row));
      if (places.some((place) => !place)) {
        this.#actions.tell(`not copied: row ${grouped(row + 1)} is not here any more; choose fewer rows`);
        return;
      }
      lines.push(
        places.map((place) => {
          const value = place!.values.at(place!.index);
          return value == null ? "" : formatValue(value, place!.values.type, Infinity);
        }),
      );
    }
    const [count, cells] = [lines.length, lines.length * columns.length];
    this.#actions.copy(tabSeparated(lines), rows ? plural(count, "row") : plural(cells, "cell"));
  }

  #press(event: MouseEvent): void {
    const corner = event.button === 0 ? this.#cornerOf(event) : null;
    if (!corner) return;
    this.#dragging = true;
    if (!event.shiftKey) return; // the cell gets the focus, with which a new one begins
    event.preventDefault();
    event.stopPropagation();
    this.#extend(corner);
  }

  #extend(corner: Corner): void {
    this.#selection.extend(corner);
    this.#show();
  }

  #show(): void {
    const before = this.#rectangle;
    this.#rectangle = this.#selection.rectangle(this.#options.shown());
    if (before || this.#rectangle) this.#options.changed();
  }

  #cornerOf(event: MouseEvent): Corner | null {
    const cell = event.target instanceof Element ? event.target.closest(".ag-cell") : null;
    const row = cell?.closest(".ag-row")?.getAttribute("row-index");
    const column = this.#options.nameOf(cell?.getAttribute("col-id") ?? "");
    return row != null && column !== undefined ? { row: Number(row), column } : null;
  }
}

const plural = (count: number, what: string): string => `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;
