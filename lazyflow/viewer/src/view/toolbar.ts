// The bar above the table: which table, search, what the app offers, undo; below it the filters as chips.

import type { Client } from "../client.ts";
import { chipsOf } from "../filters.ts";
import type { Chip } from "../filters.ts";
import type { State } from "../protocol.ts";
import { h, setAttribute, setText } from "./dom.ts";

export interface ToolbarActions {
  /** What can be kept and shared here, in a word. */
  readonly sharing: string;
  addFilter(anchor: HTMLElement): void;
  editFilter(chip: Chip, anchor: HTMLElement): void;
  removeFilter(chip: Chip): void;
  clear(): void;
  columns(anchor: HTMLElement): void;
  share(anchor: HTMLElement): void;
  help(anchor: HTMLElement): void;
}

type Offer = "cleaning" | "post_processing";

export class Toolbar {
  readonly element: HTMLElement;
  readonly search: HTMLInputElement;
  #client: Client;
  #actions: ToolbarActions;
  #source = h("select", { "aria-label": "Table", hidden: true });
  #undo: HTMLButtonElement;
  #redo: HTMLButtonElement;
  #offers: Record<Offer, HTMLSelectElement>;
  #chips = h("div", { class: "lf-chips", role: "group", "aria-label": "Filters", hidden: true });
  #shownChips = "";

  constructor(client: Client, actions: ToolbarActions) {
    this.#client = client;
    this.#actions = actions;
    const button = (text: string, label: string, click: (event: MouseEvent) => void): HTMLButtonElement =>
      h("button", { type: "button", title: label, "aria-label": label, click }, text);
    const at = (open: (anchor: HTMLElement) => void) => (event: MouseEvent) => open(event.currentTarget as HTMLElement);
    this.search = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search all text columns",
      autocomplete: "off",
      spellcheck: "false",
      input: () => this.#change({ search: this.search.value }, "search"),
      blur: () => client.history.pause(),
    });
    this.#undo = button("↶", "Undo (Ctrl+Z)", () => client.undo());
    this.#redo = button("↷", "Redo (Ctrl+Shift+Z)", () => client.redo());
    this.#offers = {
      cleaning: this.#offer("cleaning", "Cleaning"),
      post_processing: this.#offer("post_processing", "Post-processing"),
    };
    this.#source.addEventListener("change", () => client.open(this.#source.value));
    const bar = h(
      "div",
      { class: "lf-bar", role: "group", "aria-label": "View" },
      this.#source,
      this.search,
      h("button", { type: "button", class: "lf-add", click: at(actions.addFilter) }, "+ Filter"),
      this.#offers.cleaning,
      this.#offers.post_processing,
      h("span", { class: "lf-space" }),
      this.#undo,
      this.#redo,
      h("button", { type: "button", click: at(actions.columns) }, "Columns"),
      h("button", { type: "button", click: at(actions.share) }, actions.sharing),
      button("?", "Keys and marks (F1)", at(actions.help)),
    );
    this.element = h("div", { class: "lf-top-bars" }, bar, this.#chips);
  }

  showSources(names: readonly string[]): void {
    this.#source.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    this.#source.hidden = names.length < 2;
    this.update();
  }

  /** Show the state that was asked for last. */
  update(): void {
    const { asked, history, store } = this.#client;
    if (this.search.value !== asked.search) this.search.value = asked.search;
    this.#undo.disabled = !history.canUndo;
    this.#redo.disabled = !history.canRedo;
    if (store.session) this.#source.value = store.session.source;
    this.#showOffer("cleaning", store.session?.options.cleanings ?? [], asked);
    this.#showOffer("post_processing", store.session?.options.post_processings ?? [], asked);
    this.#showChips(asked);
  }

  #change(change: Partial<State>, merge: string | null = null): void {
    this.#client.attempt({ ...this.#client.asked, ...change }, merge);
  }

  #offer(name: Offer, label: string): HTMLSelectElement {
    const select = h("select", { "aria-label": label, hidden: true });
    select.addEventListener("change", () => this.#change({ [name]: select.value || null }));
    return select;
  }

  #showOffer(name: Offer, names: readonly string[], asked: State): void {
    const select = this.#offers[name];
    const label = select.getAttribute("aria-label")!;
    if (select.options.length !== names.length + 1) {
      select.replaceChildren(
        h("option", { value: "" }, `${label}: none`),
        ...names.map((each) => h("option", { value: each }, each)),
      );
      select.hidden = names.length === 0;
    }
    select.value = asked[name] ?? "";
  }

  #showChips(asked: State): void {
    const chips = chipsOf(asked);
    const written = chips.map(({ text }) => text).join("\n");
    setAttribute(this.#chips, "hidden", chips.length === 0);
    if (written === this.#shownChips) return;
    this.#shownChips = written;
    const focused = [...this.#chips.querySelectorAll("button")].indexOf(
      this.#chips.querySelector(":focus") as HTMLButtonElement,
    );
    const clear =
      chips.length > 1
        ? [h("button", { type: "button", class: "lf-quiet", click: () => this.#actions.clear() }, "Clear all")]
        : [];
    this.#chips.replaceChildren(...chips.map((chip) => this.#chip(chip)), ...clear);
    if (focused >= 0) {
      const buttons = this.#chips.querySelectorAll("button");
      (buttons[Math.min(focused, buttons.length - 1)] ?? this.search).focus();
    }
  }

  #chip(chip: Chip): HTMLElement {
    const edit = h("button", {
      type: "button",
      class: "lf-chip-text",
      title: `Edit ${chip.text}`,
      click: (event: MouseEvent) => this.#actions.editFilter(chip, event.currentTarget as HTMLElement),
    });
    setText(edit, chip.text);
    const remove = h(
      "button",
      { type: "button", "aria-label": `Remove ${chip.text}`, click: () => this.#actions.removeFilter(chip) },
      "×",
    );
    return h("span", { class: "lf-chip" }, edit, remove);
  }
}
