// A small dialog at an element: Escape or a press outside closes it, and the focus goes back to where it was.

import { h } from "./dom.ts";

export class Popup {
  #element: HTMLElement | null = null;
  #before: Element | null = null;
  #root: HTMLElement;
  #left: () => void;
  #grown: ResizeObserver | null = null;

  /** `left` takes the focus where what had it before is gone. */
  constructor(root: HTMLElement, left: () => void) {
    this.#root = root;
    this.#left = left;
    root.addEventListener("pointerdown", (event) => {
      if (this.#element && !this.#element.contains(event.target as Node)) this.close(false);
    });
  }

  /** Open one in place of another; what is given closes it, and none that was opened since. */
  open(label: string, anchor: Element | null, ...content: Node[]): () => void {
    const active = this.#active();
    const before = this.#element?.contains(active) ? this.#before : active; // one opened in another gives back for both
    this.close(false);
    this.#before = before;
    const element = h("div", { class: "lf-popup", role: "dialog", "aria-label": label }, ...content);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
      event.stopPropagation();
    });
    this.#element = element;
    this.#root.append(element);
    const at = anchor?.getBoundingClientRect();
    this.#place(element, at);
    this.#grown = new ResizeObserver(() => this.#place(element, at)); // what it has in it may be more, later
    this.#grown.observe(element);
    element.querySelector<HTMLElement>("[autofocus], input, select, textarea, button, a")?.focus();
    return () => {
      if (this.#element === element) this.close();
    };
  }

  close(giveBack = true): void {
    if (!this.#element) return;
    this.#grown?.disconnect();
    this.#element.remove();
    this.#element = null;
    if (!giveBack) return;
    if (this.#before instanceof HTMLElement && this.#before.isConnected) this.#before.focus();
    else this.#left();
  }

  #active(): Element | null {
    return (this.#root.getRootNode() as Document | ShadowRoot).activeElement;
  }

  #place(element: HTMLElement, at: DOMRect | undefined): void {
    const root = this.#root.getBoundingClientRect();
    const size = element.getBoundingClientRect();
    const left = at ? at.left - root.left : (root.width - size.width) / 2;
    const top = at ? at.bottom - root.top + 4 : (root.height - size.height) / 3;
    element.style.left = `${Math.max(8, Math.min(left, root.width - size.width - 8))}px`;
    element.style.top = `${Math.max(8, Math.min(top, root.height - size.height - 8))}px`;
  }
}
