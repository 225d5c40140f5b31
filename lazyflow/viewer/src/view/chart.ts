// Bars of a distribution, filtered over raw, and choosing among them by pointer or keyboard.

import { describeBar } from "../distribution.ts";
import type { Distribution } from "../distribution.ts";
import { h, setAttribute, svg } from "./dom.ts";
import { BASES } from "./marks.ts";

const WIDTH = 200;
const GAP = 0.14;

export interface ChartOptions {
  readonly height: number;
  /** Whether it can have the focus; small ones are for the pointer alone. */
  readonly focusable: boolean;
  readonly label: string;
  /** Bars from `first` to `last` are chosen; null takes the choice back. */
  choose(range: [number, number] | null): void;
  /** What the bar under the pointer or the cursor says; null for none. */
  tell(text: string | null): void;
}

export class Chart {
  readonly element: HTMLElement;
  #options: ChartOptions;
  #raw = svg("path", { class: "lf-raw" });
  #filtered = svg("path", { class: "lf-filtered" });
  #band = svg("rect", { class: "lf-band", y: 0, width: 0 });
  #cursor = svg("rect", { class: "lf-cursor", y: 0, width: 0 });
  #distribution: Distribution | null = null;
  #chosen: [number, number] | null = null;
  #from: number | null = null;
  #at = 0;
  #anchor = 0;

  constructor(options: ChartOptions) {
    this.#options = options;
    const box = { viewBox: `0 0 ${WIDTH} ${options.height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    for (const band of [this.#band, this.#cursor]) setAttribute(band, "height", options.height);
    const role = options.focusable
      ? {
          role: "slider",
          tabindex: 0,
          "aria-label": options.label,
          "aria-valuemin": 1,
          "aria-valuemax": 1,
          "aria-valuenow": 1,
        }
      : {};
    this.element = h("div", { class: "lf-chart", ...role });
    this.element.append(svg("svg", box, this.#band, this.#raw, this.#filtered, this.#cursor));
    this.#listen();
  }

  update(distribution: Distribution | null, chosen: [number, number] | null): void {
    this.#distribution = distribution;
    this.#chosen = chosen;
    setAttribute(this.element, "hidden", distribution === null);
    if (!distribution) return;
    const { bars, rawTotal, filteredTotal, pending, basis } = distribution;
    setAttribute(this.element, "data-pending", pending);
    setAttribute(this.element, "data-basis", basis === "exact" ? null : basis);
    setAttribute(this.element, "title", basis === "exact" ? null : BASES[basis]);
    const raw = bars.map((bar) => share(bar.raw, rawTotal));
    const filtered = bars.map((bar) => share(bar.filtered, filteredTotal));
    const most = Math.max(...raw, ...filtered, Number.MIN_VALUE);
    setAttribute(this.#raw, "d", this.#path(raw, most, GAP / 2));
    setAttribute(this.#filtered, "d", this.#path(filtered, most, GAP * 1.6));
    this.#showBand(this.#band, chosen);
    this.#at = Math.min(this.#at, bars.length - 1);
    this.#describe(false);
  }

  #path(shares: readonly number[], most: number, inset: number): string {
    const { height } = this.#options;
    const step = WIDTH / shares.length;
    return shares
      .map((value, place) => {
        if (value === 0) return "";
        const top = height - Math.max(1, (value / most) * (height - 1));
        return `M${fixed((place + inset) * step)} ${height}V${fixed(top)}H${fixed((place + 1 - inset) * step)}V${height}Z`;
      })
      .join("");
  }

  #showBand(band: SVGElement, range: [number, number] | null): void {
    const step = WIDTH / (this.#distribution?.bars.length || 1);
    setAttribute(band, "x", range ? fixed(range[0] * step) : 0);
    setAttribute(band, "width", range ? fixed((range[1] - range[0] + 1) * step) : 0);
  }

  #place(event: PointerEvent): number {
    const { left, width } = this.element.getBoundingClientRect();
    const count = this.#distribution?.bars.length ?? 1;
    return Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * count)));
  }

  #listen(): void {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#distribution) return;
      element.setPointerCapture(event.pointerId);
      this.#from = this.#at = this.#anchor = this.#place(event);
      this.#showBand(this.#band, [this.#from, this.#from]);
      event.stopPropagation();
    });
    element.addEventListener("pointermove", (event) => {
      if (!this.#distribution) return;
      this.#at = this.#place(event);
      if (this.#from !== null) this.#showBand(this.#band, ordered(this.#from, this.#at));
      this.#options.tell(this.#text());
    });
    element.addEventListener("pointerup", (event) => {
      if (this.#from === null) return;
      const range = ordered(this.#from, this.#place(event));
      this.#from = null;
      this.#choose(range);
    });
    element.addEventListener("pointercancel", () => this.#release());
    element.addEventListener("pointerleave", () => {
      if (this.#from === null) this.#options.tell(null);
    });
    // Neither a click nor a drag is meant for the header that the bars lie in.
    for (const name of ["click", "mousedown", "touchstart"] as const) {
      element.addEventListener(name, (event) => event.stopPropagation(), { passive: true });
    }
    if (!this.#options.focusable) return;
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focus", () => this.#describe(true));
    element.addEventListener("blur", () => {
      this.#showBand(this.#cursor, null);
      this.#options.tell(null);
    });
  }

  #release(): void {
    this.#from = null;
    this.#showBand(this.#band, this.#chosen);
  }

  #choose(range: [number, number]): void {
    const chosen = this.#chosen;
    this.#options.choose(chosen && chosen[0] === range[0] && chosen[1] === range[1] ? null : range);
  }

  #key(event: KeyboardEvent): void {
    const last = (this.#distribution?.bars.length ?? 1) - 1;
    const to = { ArrowLeft: this.#at - 1, ArrowRight: this.#at + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      this.#at = Math.min(last, Math.max(0, to));
      if (!event.shiftKey) this.#anchor = this.#at;
      this.#describe(true);
    } else if (event.key === "Enter" || event.key === " ") {
      this.#choose(ordered(this.#anchor, this.#at));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#options.choose(null);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #describe(cursor: boolean): void {
    if (!this.#options.focusable || !this.#distribution) return;
    setAttribute(this.element, "aria-valuemax", this.#distribution.bars.length);
    setAttribute(this.element, "aria-valuenow", this.#at + 1);
    setAttribute(this.element, "aria-valuetext", this.#text());
    const { activeElement } = this.element.getRootNode() as Document | ShadowRoot;
    if (!cursor && activeElement !== this.element) return;
    this.#showBand(this.#cursor, ordered(this.#anchor, this.#at));
    this.#options.tell(this.#text());
  }

  #text(): string | null {
    const bar = this.#distribution?.bars[this.#at];
    return bar && this.#distribution ? describeBar(bar, this.#distribution) : null;
  }
}

const share = (count: number | null, total: number): number => (count && total ? count / total : 0);
const fixed = (number: number): number => Math.round(number * 100) / 100;
const ordered = (one: number, other: number): [number, number] => (one < other ? [one, other] : [other, one]);
