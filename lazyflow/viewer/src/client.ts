// One client of a session: joins, asks, comes back after a lost connection. What comes goes into the store.

import { History } from "./history.ts";
import { decodeFrame, EMPTY_STATE, VERSION, writeJson } from "./protocol.ts";
import type { Header, Join, Message, State, Window } from "./protocol.ts";
import { Store } from "./store.ts";
import type { Connection, Transport } from "./transport.ts";

const FIRST_RETRY = 250;
const LAST_RETRY = 5000;
/** Rows that are fetched above and below those in sight, and the steps of a window's ends. */
const MARGIN = 50;
/** Columns whose statistics are computed in one go: where there are more, those in sight come first. */
const NARROW = 64;

const NO_SUCH = 4404;
const DID_NOT_READ = 4408;
const TOO_MANY = 4429;

export type Status = "connecting" | "connected" | "lost" | "refused";

export interface Opening {
  readonly source: string | null;
  readonly session: string | null;
  readonly state: State | null;
}

/** What a client tells the view of, beside what is in the store. */
export interface Events {
  /** Connection, or what was asked for, is other than before. */
  status(): void;
  /** Something was refused, or failed; the state, if it was one that was asked for. */
  notice(message: string, asked: State | null): void;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/** Who waits for the SQL of a view. */
interface Asking {
  readonly generation: number;
  resolve(sql: string): void;
  reject(error: Error): void;
}

/** Leaves out what every message is given. */
type Asked<T> = T extends Message ? Omit<T, "request"> : never;

export class Client {
  readonly store = new Store();
  history = new History();
  status: Status = "connecting";
  /** Why the connection was refused or lost, as the server said it. */
  reason = "";
  /** The state that was asked for last; the view's own once that is answered. */
  asked: State;
  #opening: Opening;
  #transport: Transport;
  #connection: Connection | null = null;
  #request = 0;
  #answered = 0;
  #change = 0;
  #unsent = false;
  #refusedLast = false;
  #retry = FIRST_RETRY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #window: Window = [0, 2 * MARGIN];
  #columns: readonly string[] = [];
  #told: readonly string[] = [];
  #asking: { window: Window; columns: readonly string[]; generation: number } | null = null;
  #waiting = new Map<number, Waiting>();
  #asked = new Map<number, Asking>();
  #events: Events;

  constructor(transport: Transport, opening: Opening, events: Events) {
    this.#transport = transport;
    this.#opening = opening;
    this.asked = opening.state ?? EMPTY_STATE;
    this.#events = events;
  }

  /** What a change is made from: what was asked for last, unless that was refused. */
  get #before(): State {
    return this.#refusedLast && this.store.view ? this.store.view.state : this.asked;
  }

  /** Whether a change of this client has not been answered. */
  get changing(): boolean {
    return this.#unsent || this.#answered < this.#change;
  }

  /** Whether the first rows are those in sight, as after a change of one's own. */
  get atTop(): boolean {
    return this.#window[0] === 0;
  }

  connect(): void {
    const { source, session } = this.#opening;
    const seen = { version: VERSION, window: this.#window, columns: this.#columns, most_columns: NARROW };
    const join: Join = session ? { ...seen, session } : { ...seen, state: this.asked, ...(source ? { source } : {}) };
    this.#connection = this.#transport.connect(join, {
      frame: (data) => this.#take(data),
      closed: (code, reason) => this.#lost(code, reason),
    });
  }

  /** The table to open where neither one nor a session is named. */
  choose(source: string | null): void {
    if (!this.#opening.source && !this.#opening.session) this.#opening = { ...this.#opening, source };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#connection?.close();
  }

  /** Go to another table, in a session of its own. */
  open(source: string): void {
    this.#connection?.close();
    this.#opening = { source, session: null, state: null };
    this.#window = [0, 2 * MARGIN];
    this.#columns = [];
    this.asked = EMPTY_STATE;
    this.history = new History();
    this.connect();
  }

  /**
   * Ask for another view; changes in a row of the same `merge` are undone at once.
   * What is given is fulfilled when the change is accepted or passed over, and fails with the reason if it is refused.
   */
  change(state: State, merge: string | null = null): Promise<void> {
    this.history.record(this.#before, merge);
    return this.#ask(state);
  }

  /** Ask for another view; if it is refused, that is a notice. */
  attempt(state: State, merge: string | null = null): void {
    this.history.record(this.#before, merge);
    this.#attempt(state);
  }

  undo(): void {
    const before = this.history.undo(this.asked);
    if (before) this.#attempt(before);
  }

  redo(): void {
    const after = this.history.redo(this.asked);
    if (after) this.#attempt(after);
  }

  /** These rows and columns are in sight: fetch them, unless they are there or on their way. */
  see([first, last]: Window, columns: readonly string[]): void {
    const { view } = this.store;
    const options = this.store.session?.options;
    if (!view || !options) return;
    const start = Math.max(0, Math.floor(first / MARGIN) * MARGIN - MARGIN);
    const stop = Math.min(Math.ceil(last / MARGIN) * MARGIN + MARGIN, start + options.max_window_rows);
    this.#columns = columns;
    if (this.changing) return; // its answer begins at the top
    this.#window = [start, stop];
    const told = columns.every((name) => this.#told.includes(name));
    const isFirst = !told && view.schema.length > NARROW && !view.complete; // their statistics are to come first
    if (view.rows.covers([first, last], columns) && !isFirst) return;
    this.#told = columns;
    const asking = this.#asking;
    const same = asking?.generation === view.generation && columns.every((name) => asking.columns.includes(name));
    if (same && asking.window[0] <= first && last <= asking.window[1]) return;
    this.#asking = { window: this.#window, columns, generation: view.generation };
    this.#send({ type: "rows_request", generation: view.generation, window: this.#window, columns });
  }

  /** Try again what failed. */
  retry(): void {
    const { view } = this.store;
    if (!view) return;
    view.failure = null;
    this.#send({ type: "rows_request", generation: view.generation, window: this.#window, columns: this.#columns });
  }

  /** Compute one statistic of the view alone, such as one that ran out of time. */
  compute(scope: string, column: string, statistic: string): void {
    const { view } = this.store;
    if (view) this.#send({ type: "statistic_request", generation: view.generation, scope, column, statistic });
  }

  /** Stop the statistics of the view, for all who look at it, or let them go on. */
  wantStatistics(wanted: boolean): void {
    const { view } = this.store;
    if (view) this.#send({ type: "statistics_wanted", generation: view.generation, wanted });
  }

  /** The view as SQL; fails with the reason where the engine speaks none, or where the view is soon another. */
  sql(): Promise<string> {
    const { view } = this.store;
    if (!view || this.status !== "connected") return Promise.reject(new Error("There is no connection."));
    const { generation } = view;
    const request = this.#send({ type: "sql_request", generation });
    return new Promise((resolve, reject) => this.#asked.set(request, { generation, resolve, reject }));
  }

  #attempt(state: State): void {
    this.#ask(state).catch((error: Error) => this.#events.notice(error.message, state));
  }

  #ask(state: State): Promise<void> {
    this.asked = state;
    this.#refusedLast = false;
    this.#window = [0, Math.max(2 * MARGIN, this.#window[1] - this.#window[0])];
    const request = this.#sendChange();
    return new Promise((resolve, reject) => this.#waiting.set(request, { resolve, reject }));
  }

  #sendChange(): number {
    const session = this.store.session?.name;
    const change: Asked<Message> = {
      type: "state_change",
      state: this.asked,
      window: this.#window,
      columns: this.#columns,
      ...(session ? { session } : {}),
    };
    this.#unsent = this.status !== "connected";
    this.#change = this.#send(change);
    this.#events.status();
    return this.#change;
  }

  #send(message: Asked<Message>): number {
    this.#request += 1;
    if (this.status === "connected") this.#connection?.send(writeJson({ ...message, request: this.#request }));
    return this.#request;
  }

  #take(data: ArrayBuffer): void {
    const frame = decodeFrame(data);
    const { header } = frame;
    if (this.#tellsSql(header)) return;
    if (header.type === "initial_state") this.#joined(header.session, header.source);
    if (header.type === "error") {
      if (header.request != null) this.#refused(header.request, header.message);
      else if (header.generation == null) this.#events.notice(header.message, null);
    }
    if ("request" in header && header.request != null) this.#answer(header.request);
    if (this.store.take(frame) !== "refused") {
      const isState = header.type === "state" || header.type === "initial_state";
      // Where nothing of this person's is under way, what others changed is shown; else their typing would be undone.
      if (isState && !this.changing) this.asked = header.state;
      // Rows without a request are on the way to those that were asked for, which still come.
      if (isState || (header.type === "rows" && header.request != null)) this.#asking = null;
    }
    if (header.type === "initial_state" && this.#unsent) this.#sendChange();
    else this.#events.status();
  }

  #joined(session: string, source: string): void {
    this.status = "connected";
    this.reason = "";
    this.#retry = FIRST_RETRY;
    this.#opening = { source, session, state: null };
    this.#answered = this.#request;
  }

  /** Whether a frame is about nothing but the SQL of a view; then who waits for it is told. */
  #tellsSql(header: Header): boolean {
    if (header.type === "initial_state" || header.type === "state") this.#endSql(header.generation);
    if (header.type !== "sql" && header.type !== "error") return false;
    const asked = header.request == null ? undefined : this.#asked.get(header.request);
    if (!asked) return header.type === "sql";
    this.#asked.delete(header.request!);
    if (header.type === "sql") asked.resolve(header.sql);
    else asked.reject(new Error(header.message));
    return true;
  }

  /** Of views other than this one nothing more comes. */
  #endSql(generation: number | null): void {
    for (const [request, asked] of this.#asked) {
      if (asked.generation === generation) continue;
      this.#asked.delete(request);
      asked.reject(new Error(generation === null ? "The connection is lost." : "The view changed meanwhile."));
    }
  }

  #answer(request: number): void {
    this.#answered = Math.max(this.#answered, request);
    for (const [number, waiting] of this.#waiting) {
      if (number > request) continue;
      this.#waiting.delete(number);
      waiting.resolve();
    }
  }

  #refused(request: number, message: string): void {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    this.#asking = null;
    if (!waiting) {
      // Of changes in a row the newest is tried first; what is said of those before it is of no more use.
      if (request > this.#change) this.#events.notice(message, null);
      return;
    }
    waiting.reject(new Error(message));
    if (request !== this.#change || !this.store.view) return;
    const { state } = this.store.view;
    this.asked = { ...state, search: this.asked.search }; // what somebody is typing is not taken from under their hands
    this.history.refused(state);
    this.#refusedLast = true;
  }

  #lost(code: number, reason: string): void {
    this.#connection = null;
    this.#asking = null;
    this.#endSql(null);
    if (this.#closed) return;
    this.#unsent ||= this.changing; // whether it was taken is not known; taken twice it is the same
    if (code === NO_SUCH && this.#opening.session) {
      // The session ended while nobody looked: go on in a new one, with the same view.
      this.#opening = { ...this.#opening, session: null };
      this.connect();
      return;
    }
    this.reason = reason;
    if (code >= 4400 && code !== DID_NOT_READ && code !== TOO_MANY) {
      this.status = "refused";
    } else {
      this.status = "lost";
      this.#timer = setTimeout(() => this.connect(), this.#retry);
      this.#retry = Math.min(2 * this.#retry, LAST_RETRY);
    }
    this.#events.status();
  }
}
