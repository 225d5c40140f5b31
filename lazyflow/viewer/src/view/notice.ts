// What went wrong, in a line of its own, until it is put away or the view changes.

import type { State } from "../protocol.ts";
import { h } from "./dom.ts";

export class Notice {
  readonly element = h("div", { class: "lf-notice", role: "alert", hidden: true });
  #retry: (state: State) => void;

  constructor(retry: (state: State) => void) {
    this.#retry = retry;
  }

  show(message: string, asked: State | null): void {
    const again = (): void => {
      this.hide();
      if (asked) this.#retry(asked);
    };
    this.element.replaceChildren(
      h("span", {}, message),
      ...(asked ? [h("button", { type: "button", click: again }, "Try again")] : []),
      h("button", { type: "button", class: "lf-quiet", "aria-label": "Put away", click: () => this.hide() }, "×"),
    );
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
