// What is known of the view, from the frames that came. Frames of an older generation are refused.

import { decodeRows } from "./arrow.ts";
import type {
  Cell,
  Cells,
  ColumnCells,
  ColumnSchema,
  Frame,
  Header,
  InitialHeader,
  Options,
  Progress,
  RowCount,
  State,
  StateHeader,
} from "./protocol.ts";
import { Rows } from "./rows.ts";

/** The part of what is shown that a frame changes. */
export interface Changes {
  /** Another view: everything is to be shown anew. */
  view?: boolean;
  rows?: boolean;
  count?: boolean;
  /** Columns whose statistics changed. */
  statistics?: ReadonlySet<string>;
  progress?: boolean;
  error?: boolean;
}

export interface Session {
  readonly name: string;
  readonly source: string;
  readonly options: Options;
}

export interface View {
  readonly generation: number;
  readonly state: State;
  readonly schema: readonly ColumnSchema[];
  readonly byName: ReadonlyMap<string, ColumnSchema>;
  readonly rows: Rows;
  rowCount: RowCount;
  statistics: Map<string, Map<string, ColumnCells>>;
  scopeRows: Map<string, Cell>;
  progress: Progress;
  complete: boolean;
  /** Whether somebody stopped the statistics, so that no more of them come. */
  stopped: boolean;
  /** Why the rows or statistics of the view do not come. */
  failure: string | null;
}

export type Taken = "refused" | Changes;

export class Store {
  session: Session | null = null;
  view: View | null = null;
  #listeners: ((changes: Changes) => void)[] = [];

  subscribe(listener: (changes: Changes) => void): void {
    this.#listeners.push(listener);
  }

  /** Take a frame; what it changed, or "refused" where it is of another generation than the view. */
  take(frame: Frame): Taken {
    const { header } = frame;
    if (this.#refuses(header)) return "refused";
    const changes = this.#apply(frame);
    for (const listener of this.#listeners) listener(changes);
    return changes;
  }

  /** One statistic of a column in a scope; undefined while it is not known. */
  cell(scope: string, column: string, statistic: string): Cell | undefined {
    return this.view?.statistics.get(scope)?.get(column)?.[statistic];
  }

  /** The scopes of the view, in the order of the stages; clean only where there is a cleaning. */
  get scopes(): string[] {
    const state = this.view?.state;
    const scopes = ["raw"];
    if (state?.cleaning != null) scopes.push("clean");
    scopes.push("filtered");
    if (state?.post_processing != null) scopes.push("shown");
    return scopes;
  }

  /** The scope whose rows are shown. */
  get shown(): string {
    return this.view?.state.post_processing != null ? "shown" : "filtered";
  }

  /** The number of rows that are shown, or null while it is not known. */
  get length(): number | null {
    if (!this.view) return null;
    return this.view.rowCount[this.shown] ?? this.view.rows.end;
  }

  #refuses(header: Header): boolean {
    const now = this.view?.generation;
    if (header.type === "initial_state") return header.session === this.session?.name && header.generation < (now ?? 0);
    if (header.type === "error" && header.generation == null) return false;
    if (now === undefined) return header.type !== "error";
    return header.type === "state" ? header.generation < now : header.generation !== now;
  }

  #apply({ header, body }: Frame): Changes {
    switch (header.type) {
      case "initial_state":
      case "state":
        return this.#takeState(header, body);
      case "rows":
        this.view!.rows.add(decodeRows(body, header.window[0], header.columns), header.window);
        return { rows: true };
      case "row_count":
        this.view!.rowCount = header.row_count;
        return { count: true };
      case "stats_update": {
        const statistics = merge(this.view!, header.statistics);
        this.view!.progress = header.progress;
        this.view!.complete = header.final;
        // What is on its way is marked otherwise where it does not come.
        const columns = this.view!.stopped === header.stopped ? statistics : new Set(this.view!.byName.keys());
        this.view!.stopped = header.stopped;
        return { statistics: columns, progress: true };
      }
      case "sql":
        return {};
      case "error":
        if (header.generation != null && this.view) this.view.failure = header.message;
        return { error: true };
    }
  }

  #takeState(header: StateHeader | InitialHeader, body: Uint8Array): Changes {
    if (header.type === "initial_state") {
      this.session = { name: header.session, source: header.source, options: header.options };
    }
    const rows = this.view?.generation === header.generation && header.type === "state" ? this.view.rows : new Rows();
    const view: View = {
      generation: header.generation,
      state: header.state,
      schema: header.schema,
      byName: new Map(header.schema.map((column) => [column.name, column])),
      rows,
      rowCount: header.row_count,
      statistics: new Map(),
      scopeRows: new Map(),
      progress: header.progress,
      complete: header.complete,
      stopped: header.stopped,
      failure: null,
    };
    merge(view, header.statistics);
    if (header.window) rows.add(decodeRows(body, header.window[0], header.columns), header.window);
    this.view = view;
    return { view: true };
  }
}

function merge(view: View, news: Cells): Set<string> {
  const changed = new Set<string>();
  for (const [scope, { rows, columns }] of Object.entries(news)) {
    if (rows) view.scopeRows.set(scope, rows);
    let known = view.statistics.get(scope);
    if (!known) view.statistics.set(scope, (known = new Map()));
    for (const [column, cells] of Object.entries(columns ?? {})) {
      known.set(column, { ...known.get(column), ...cells });
      changed.add(column);
    }
  }
  return changed;
}
