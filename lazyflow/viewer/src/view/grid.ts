// The grid: scrolls over rows and columns, and draws from the store what is in sight.

import {
  CellApiModule,
  ColumnApiModule,
  createGrid,
  EventApiModule,
  InfiniteRowModelModule,
  ModuleRegistry,
  RenderApiModule,
  RowApiModule,
  ScrollApiModule,
} from "ag-grid-community";
import type { CellKeyDownEvent, ColDef, Column, GridApi, IGetRowsParams, IHeaderComp } from "ag-grid-community";
import type { Client } from "../client.ts";
import { isNumber } from "../filters.ts";
import { formatValue, typeName } from "../format.ts";
import type { ColumnSchema } from "../protocol.ts";
import type { Changes } from "../store.ts";
import type { Actions } from "./actions.ts";
import { DIGIT, NumberCell, ValueCell } from "./cell.ts";
import { h } from "./dom.ts";
import { Header } from "./header.ts";
import { Picking } from "./picking.ts";
import { ICONS, THEME } from "./theme.ts";
import type { HeaderContext } from "./header.ts";

const ROW_HEIGHT = 25;
const HEADER_HEIGHT = 106;
const NUMBER_COLUMN = "number";
/** Pixels. */
const USUAL_LETTER = 7;
/** Rows that can be scrolled to beyond those that were seen, while their number is not known. */
const BEYOND = 500;
/** Up to so many columns are fetched whole; of more only those in sight. */
const FEW_COLUMNS = 60;
const NEIGHBOURS = 8;
/** Headers that are drawn at a time when statistics come: with all at once, scrolling would stumble. */
const HEADERS_AT_ONCE = 4;
/** Milliseconds that are free in a frame of the screen before a header is drawn in it, and that one waits for such a frame. */
const FREE = 4;
const PATIENCE = 200;

export class Grid {
  #api: GridApi;
  #client: Client;
  #actions: Actions;
  #shared: HeaderContext;
  #picking: Picking;
  #ids = new Map<string, string>();
  #names = new Map<string, string>();
  #schema: readonly ColumnSchema[] = [];
  #generation = 0;
  #length = -1;
  #looking = false;
  /** Columns whose statistics changed, and whose headers are still to be drawn. */
  #stale = new Set<string>();

  constructor(host: HTMLElement, client: Client, actions: Actions, nonce: string | undefined) {
    ModuleRegistry.registerModules([
      InfiniteRowModelModule,
      ColumnApiModule,
      RowApiModule,
      RenderApiModule,
      ScrollApiModule,
      CellApiModule,
      EventApiModule,
    ]);
    this.#client = client;
    this.#actions = actions;
    this.#shared = { store: client.store, actions, headers: new Map() };
    this.#picking = new Picking(host, client.store, actions, {
      shown: () => this.columns().flatMap(({ name, visible }) => (visible ? [name] : [])),
      nameOf: (id) => this.#names.get(id),
      changed: () => this.#api.refreshCells({ force: true, suppressFlash: true }),
      reveal: ({ row, column }) => {
        this.#api.ensureIndexVisible(row);
        this.reveal(column);
      },
    });
    this.#api = createGrid(host, {
      theme: THEME,
      ...(nonce ? { styleNonce: nonce } : {}),
      rowModelType: "infinite",
      datasource: { getRows: ({ startRow, endRow, successCallback }) => give(successCallback, endRow - startRow) },
      cacheBlockSize: 500,
      maxBlocksInCache: 10,
      infiniteInitialRowCount: 0,
      rowHeight: ROW_HEIGHT,
      headerHeight: HEADER_HEIGHT,
      suppressNoRowsOverlay: true,
      suppressColumnMoveAnimation: true,
      suppressDragLeaveHidesColumns: true,
      animateRows: false,
      icons: ICONS,
      ensureDomOrder: true,
      columnDefs: [],
      defaultColDef: {
        sortable: false,
        minWidth: 72,
        headerComponent: Header,
        cellRenderer: ValueCell,
        suppressKeyboardEvent: ({ event }) => this.#picking.key(event),
        suppressHeaderKeyboardEvent: ({ event, column }) => this.#headerKey(event, (column as Column).getColId()),
      },
      onViewportChanged: () => this.#look(),
      onVirtualColumnsChanged: () => this.#look(),
      onColumnResized: ({ columns }) =>
        this.#api.refreshCells({ columns: columns ?? [], force: true, suppressFlash: true }),
      onCellFocused: ({ rowIndex, column }) => this.#focused(rowIndex, column),
      onCellKeyDown: (event) => this.#cellKey(event as CellKeyDownEvent),
      onCellDoubleClicked: ({ column, rowIndex }) => this.#whole(column.getColId(), rowIndex),
    });
  }

  destroy(): void {
    this.#api.destroy();
  }

  /** Show what changed. */
  apply(changes: Changes): void {
    const { view } = this.#client.store;
    if (!view) return;
    if (changes.view) this.#showView();
    else if (changes.statistics) this.#showStatistics(changes.statistics);
    if (changes.count) for (const header of this.#shared.headers.values()) header.update();
    if (changes.view || changes.count || changes.rows) this.#showLength();
    if (changes.view || changes.rows) {
      this.#api.refreshCells({ force: true, suppressFlash: true });
      this.#look();
    }
  }

  #showStatistics(columns: ReadonlySet<string>): void {
    const drawing = this.#stale.size > 0;
    for (const column of columns) if (this.#shared.headers.has(column)) this.#stale.add(column);
    if (!drawing && this.#stale.size > 0) this.#drawSoon();
  }

  #drawSoon(): void {
    // Safari has no idle callbacks.
    if (typeof requestIdleCallback === "undefined") requestAnimationFrame(() => this.#drawStale(() => true));
    else {
      requestIdleCallback(
        (deadline) => this.#drawStale(() => deadline.didTimeout || deadline.timeRemaining() >= FREE),
        { timeout: PATIENCE },
      );
    }
  }

  #drawStale(free: () => boolean): void {
    for (const column of [...this.#stale].slice(0, HEADERS_AT_ONCE)) {
      if (!free()) break;
      this.#stale.delete(column);
      this.#shared.headers.get(column)?.update();
    }
    if (this.#stale.size > 0) this.#drawSoon();
  }

  /** The columns, in the order in which they are shown, hidden ones too. */
  columns(): { name: string; visible: boolean; pinned: boolean }[] {
    return (this.#api.getAllGridColumns() ?? []).flatMap((column) => {
      const name = this.#names.get(column.getColId());
      return name === undefined ? [] : [{ name, visible: column.isVisible(), pinned: column.isPinned() }];
    });
  }

  setVisible(name: string, visible: boolean): void {
    const id = this.#ids.get(name);
    if (id) this.#api.setColumnsVisible([id], visible);
    this.#look();
  }

  setPinned(name: string, pinned: boolean): void {
    const id = this.#ids.get(name);
    if (id) this.#api.setColumnsPinned([id], pinned ? "left" : null);
  }

  reveal(name: string): void {
    const id = this.#ids.get(name);
    if (id) this.#api.ensureColumnVisible(id);
  }

  /** Give the focus to the first row in sight, or back to the cell that had it. */
  focus(): void {
    const focused = this.#api.getFocusedCell();
    const column =
      focused?.column ?? this.#api.getAllDisplayedVirtualColumns().find((each) => this.#names.has(each.getColId()));
    if (column) this.#api.setFocusedCell(focused?.rowIndex ?? this.#api.getFirstDisplayedRowIndex(), column);
  }

  #showView(): void {
    const view = this.#client.store.view!;
    const isNew = view.generation !== this.#generation;
    this.#generation = view.generation;
    if (!sameSchema(this.#schema, view.schema)) {
      this.#schema = view.schema;
      this.#api.setGridOption("columnDefs", this.#columnDefs());
    }
    for (const header of this.#shared.headers.values()) header.update();
    if (isNew && this.#client.atTop && this.#length > 0) this.#api.ensureIndexVisible(0, "top");
  }

  #columnDefs(): ColDef[] {
    this.#names.clear();
    const number: ColDef = {
      colId: NUMBER_COLUMN,
      headerName: "Row",
      headerComponent: RowHeader,
      cellRenderer: NumberCell,
      pinned: "left",
      width: 74,
      minWidth: 50,
      lockPosition: true,
      resizable: false,
    };
    return [number, ...this.#schema.map((schema) => this.#columnDef(schema))];
  }

  #columnDef(schema: ColumnSchema): ColDef {
    const id = this.#ids.get(schema.name) ?? `column-${this.#ids.size}`;
    this.#ids.set(schema.name, id);
    this.#names.set(id, schema.name);
    return {
      colId: id,
      headerName: schema.name === "" ? '""' : schema.name,
      initialWidth: this.#width(schema),
      headerComponentParams: { schema, shared: this.#shared },
      cellRendererParams: { schema, store: this.#client.store, isPicked: this.#picking.has },
    };
  }

  /** A width that fits the first values and the header. */
  #width({ name, type, kind }: ColumnSchema): number {
    let longest = 0;
    for (let row = 0; row < 30; row += 1) {
      const place = this.#client.store.view?.rows.find(name, row);
      if (place) longest = Math.max(longest, formatValue(place.values.at(place.index), place.values.type, 60).length);
    }
    const header = Math.max(name.length + 3, Math.min(typeName(type).length, 16) + 11, 15);
    return Math.round(
      Math.min(340, Math.max(header * USUAL_LETTER, longest * (isNumber(kind) ? DIGIT : USUAL_LETTER)) + 24),
    );
  }

  #showLength(): void {
    const { store } = this.#client;
    const guess = Math.max(store.view?.rows.seen ?? 0, this.#api.getLastDisplayedRowIndex()) + BEYOND;
    const length = store.length ?? Math.min(guess, store.view?.rows.limit ?? 0);
    if (length === this.#length) return;
    this.#length = length;
    this.#api.setRowCount(length, true);
  }

  /** Tell the client what is in sight; at most once a frame of the screen. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      const first = Math.max(0, this.#api.getFirstDisplayedRowIndex());
      const last = Math.max(first + 1, this.#api.getLastDisplayedRowIndex() + 1);
      if (this.#client.store.view && this.#schema.length) this.#client.see([first, last], this.#inSight());
    });
  }

  #inSight(): string[] {
    const shown = this.#api.getAllDisplayedColumns().flatMap((column) => this.#names.get(column.getColId()) ?? []);
    if (shown.length <= FEW_COLUMNS) return shown;
    const seen = new Set(
      this.#api.getAllDisplayedVirtualColumns().flatMap((each) => this.#names.get(each.getColId()) ?? []),
    );
    const near = (place: number): boolean =>
      shown.slice(Math.max(0, place - NEIGHBOURS), place + NEIGHBOURS + 1).some((name) => seen.has(name));
    return shown.filter((_, place) => near(place));
  }

  #headerKey(event: KeyboardEvent, id: string): boolean {
    const name = this.#names.get(id);
    if (name === undefined || event.type !== "keydown") return false;
    if (event.key === "Enter") this.#actions.sort(name, event.shiftKey);
    else if (event.key === " ") this.#actions.details(name);
    else return false;
    event.preventDefault();
    return true;
  }

  #cellKey({ event, column, rowIndex }: CellKeyDownEvent): void {
    if (!(event instanceof KeyboardEvent) || rowIndex === null) return;
    if (event.key === "Enter" || event.key === "F2") this.#whole(column.getColId(), rowIndex);
    else if (event.key.toLowerCase() === "c" && (event.ctrlKey || event.metaKey)) this.#picking.copy(event.shiftKey);
  }

  #focused(row: number | null, column: Column | string | null): void {
    const name = column && typeof column !== "string" ? this.#names.get(column.getColId()) : undefined;
    if (row !== null && name !== undefined) this.#picking.begin({ row, column: name });
  }

  #whole(id: string, row: number | null): void {
    const name = this.#names.get(id);
    if (name !== undefined && row !== null) this.#actions.whole(name, row);
  }
}

/** The header of the rows' numbers: a name for those who do not see it. */
class RowHeader implements IHeaderComp {
  #gui = h("span", { class: "lf-hidden" }, "Row");

  getGui(): HTMLElement {
    return this.#gui;
  }

  refresh(): boolean {
    return true;
  }
}

const give = (callback: IGetRowsParams["successCallback"], count: number): void =>
  callback(Array.from({ length: count }, () => ({})));

const sameSchema = (some: readonly ColumnSchema[], others: readonly ColumnSchema[]): boolean =>
  some.length === others.length &&
  some.every((column, place) => column.name === others[place]!.name && column.type === others[place]!.type);
