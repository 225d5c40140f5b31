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
  #stop: HTMLButtonElement;
  #told = h("span", { class: "lf-told" });
  #link = h("span", { class: "lf-link" });
  #live = h("div", { class: "lf-hidden", role: "status", "aria-live": "polite" });
  #since: number | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `left` is called when somebody goes back from what takes too long. */
  constructor(client: Client, left: () => void) {
    this.#client = client;
    this.#stop = h("button", { type: "button", hidden: true, click: () => (client.undo(), left()) }, "Go back");
    this.element = h(
      "footer",
      { class: "lf-status" },
      this.#count,
      this.#work,
      this.#stop,
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
    const busy =
      status === "connected" && (this.#client.changing || store.view?.complete === false) && !store.view?.failure;
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
    setText(this.#live, this.#rows());
  }

  #rows(): string {
    const { store } = this.#client;
    const { view } = store;
    if (!view) return "";
    const raw = view.rowCount["raw"];
    const shown = store.length;
    const all = raw === undefined ? "counting" : grouped(raw);
    if (shown === null) return `counting${raw === undefined ? "" : ` of ${all}`} rows`;
    if (raw === undefined || shown === raw) return `${grouped(shown)} ${shown === 1 ? "row" : "rows"}`;
    return `${grouped(shown)} of ${all} rows`;
  }

  #showWork(): void {
    const { store } = this.#client;
    if (this.#since === null) {
      setText(this.#work, "");
      this.#stop.hidden = true;
      return;
    }
    const lasted = performance.now() - this.#since;
    const seconds = lasted < SLOW ? "" : ` · ${(lasted / 1000).toFixed(0)} s`;
    setText(
      this.#work,
      (this.#client.changing ? "fetching rows" : this.#progress(store.view?.progress ?? {})) + seconds,
    );
    this.#stop.hidden = lasted < SLOW || !this.#client.history.canUndo;
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
