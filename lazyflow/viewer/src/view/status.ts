// The line below the table: how many rows, what is being computed and for how long, how the connection is.

import type { Client } from "../client.ts";
import { grouped } from "../format.ts";
import { h, setAttribute, setText } from "./dom.ts";

/** Milliseconds after which something that is under way is said to be slow. */
const SLOW = 1500;
const TICK = 250;

export class Status {
  readonly element: HTMLElement;
  #client: Client;
  #count = h("output", { class: "lf-count", "aria-label": "Rows" });
  #work = h("span", { class: "lf-work" });
  #back: HTMLButtonElement;
  #stop: HTMLButtonElement;
  #told = h("span", { class: "lf-told" });
  #link = h("span", { class: "lf-link" });
  #live = h("div", { class: "lf-hidden", role: "status", "aria-live": "polite" });
  #left: () => void;
  #since: number | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `left` is called when what somebody pressed goes. */
  constructor(client: Client, left: () => void) {
    this.#client = client;
    this.#left = left;
    this.#back = h("button", { type: "button", hidden: true, click: () => (client.undo(), left()) }, "Go back");
    this.#stop = h("button", { type: "button", hidden: true, click: () => this.#toggle() });
    this.element = h(
      "div",
      { class: "lf-status", role: "group", "aria-label": "Status" },
      this.#count,
      this.#work,
      this.#stop,
      this.#back,
      this.#told,
      this.#link,
      this.#live,
    );
  }

  tell(text: string | null): void {
    setText(this.#told, text ?? "");
  }

  destroy(): void {
    clearInterval(this.#timer);
  }

  update(): void {
    const { store, status, reason } = this.#client;
    setText(this.#count, this.#rows());
    const texts = {
      connecting: "connecting",
      connected: "",
      lost: `connection lost${reason ? ` (${reason})` : ""}, reconnecting`,
      refused: reason || "the server refused the connection",
    };
    setText(this.#link, texts[status]);
    setAttribute(this.#link, "data-status", status);
    const { changing } = this.#client;
    const { view } = store;
    const pending = view?.complete === false && !view.stopped;
    const busy = status === "connected" && (changing || pending) && !view?.failure;
    if (busy && this.#since === null) {
      this.#since = performance.now();
      this.#timer = setInterval(() => this.#showWork(), TICK);
    } else if (!busy && this.#since !== null) {
      this.#since = null;
      clearInterval(this.#timer);
      this.#announce();
    }
    this.#showWork();
  }

  /** Once a view is settled, those who do not see it are told. */
  #announce(): void {
    const stopped = this.#client.store.view?.stopped ? ", statistics stopped" : "";
    setText(this.#live, this.#rows() + stopped);
  }

  #rows(): string {
    const { store } = this.#client;
    const { view } = store;
    if (!view) return "";
    const raw = view.rowCount["raw"];
    const shown = store.length;
    const all = raw === undefined ? "counting" : grouped(raw);
    if (shown === null && view.stopped) return raw === undefined ? "rows not counted" : `some of ${all} rows`;
    if (shown === null) return `counting${raw === undefined ? "" : ` of ${all}`} rows`;
    if (raw === undefined || shown === raw) return `${grouped(shown)} ${shown === 1 ? "row" : "rows"}`;
    return `${grouped(shown)} of ${all} rows`;
  }

  /** Stop the statistics, or let them go on. */
  #toggle(): void {
    const { view } = this.#client.store;
    if (view) this.#client.wantStatistics(view.stopped);
  }

  /** One button that stops the statistics, or lets them go on: it has the focus for as long as there are any to come. */
  #showStop(shown: boolean, stopped: boolean): void {
    setText(this.#stop, stopped ? "Go on" : "Stop statistics");
    const focused = this.#stop.matches(":focus");
    this.#stop.hidden = !shown && !(focused && this.#since !== null);
    if (focused && this.#stop.hidden) this.#left();
  }

  #showWork(): void {
    const { store, status } = this.#client;
    const stopped = store.view?.stopped === true && status === "connected";
    if (this.#since === null) {
      setText(this.#work, stopped ? "statistics stopped" : "");
      this.#showStop(stopped, stopped);
      this.#back.hidden = true;
      return;
    }
    const lasted = performance.now() - this.#since;
    const seconds = lasted < SLOW ? "" : ` · ${(lasted / 1000).toFixed(0)} s`;
    setText(
      this.#work,
      (this.#client.changing ? "fetching rows" : this.#progress(store.view?.progress ?? {})) + seconds,
    );
    this.#showStop(lasted >= SLOW && !this.#client.changing, false);
    this.#back.hidden = lasted < SLOW || !this.#client.history.canUndo;
  }

  #progress(progress: Readonly<Record<string, { known: number; wanted: number }>>): string {
    const groups = Object.values(progress);
    const [known, wanted] = groups.reduce<[number, number]>(
      (sum, each) => [sum[0] + each.known, sum[1] + each.wanted],
      [0, 0],
    );
    return wanted ? `computing statistics, ${Math.floor((100 * known) / wanted)} %` : "computing statistics";
  }
}
