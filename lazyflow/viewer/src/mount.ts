// The viewer in an element: its parts put together, and what a person does passed on.

import type { Address } from "./address.ts";
import { Client } from "./client.ts";
import { distributionOf } from "./distribution.ts";
import { chooseValues, chosenValues, nextSort, replaceConditions, valueFilters } from "./filters.ts";
import type { Chip } from "./filters.ts";
import { EMPTY_STATE } from "./protocol.ts";
import type { ColumnSchema, Filter, State } from "./protocol.ts";
import type { Changes } from "./store.ts";
import type { Transport } from "./transport.ts";
import type { Actions } from "./view/actions.ts";
import { columnList, downloads, helpText, shareLinks, viewAsSql, wholeValue } from "./view/dialogs.ts";
import { h, setAttribute, setText } from "./view/dom.ts";
import { filterEditor } from "./view/editor.ts";
import { Grid } from "./view/grid.ts";
import { groupEditor } from "./view/group.ts";
import { Notice } from "./view/notice.ts";
import { Panel } from "./view/panel.ts";
import { Popup } from "./view/popup.ts";
import { Status } from "./view/status.ts";
import { adopt } from "./view/styles.ts";
import { Toolbar } from "./view/toolbar.ts";

export interface MountOptions {
  /** Where session and state are kept; without it they are not. */
  readonly address?: Address;
  /** Nonce of the page's Content-Security-Policy for styles. */
  readonly nonce?: string;
  /** Whether the search has the focus at once. */
  readonly autofocus?: boolean;
}

/** Show the viewer in an element; what is given takes it away again. */
export function mount(element: HTMLElement, transport: Transport, options: MountOptions = {}): () => void {
  const viewer = new Viewer(element, transport, options);
  return () => viewer.destroy();
}

class Viewer {
  #root: HTMLElement;
  #options: MountOptions;
  #transport: Transport;
  #client: Client;
  #toolbar: Toolbar;
  #grid: Grid;
  #panel: Panel;
  #status: Status;
  #popup: Popup;
  #notice = new Notice((state) => this.#client.attempt(state));
  #shown = 1;
  #message = h("div", { class: "lf-message", role: "alert", hidden: true });
  #gridElement = h("div", { class: "lf-grid" });

  constructor(element: HTMLElement, transport: Transport, options: MountOptions) {
    this.#options = options;
    this.#transport = transport;
    adopt(element);
    const opening = options.address?.read() ?? { source: null, session: null, state: null };
    this.#client = new Client(transport, opening, {
      status: () => this.#showStatus(),
      notice: (message, asked) => this.#notice.show(message, asked),
    });
    const { store } = this.#client;
    const actions = this.#actions();
    this.#toolbar = new Toolbar(this.#client, {
      sharing: this.#sharing,
      addFilter: (anchor) => this.#edit(null, null, anchor),
      editFilter: (chip, anchor) => this.#edit(chip, null, anchor),
      removeFilter: (chip) => this.#client.attempt(replaceConditions(this.#client.asked, chip.places, [])),
      clear: () => this.#client.attempt({ ...this.#client.asked, filters: [] }),
      columns: (anchor) => this.#popup.open("Columns", anchor, columnList(this.#grid)),
      share: (anchor) => this.#share(anchor, actions),
      help: (anchor) => this.#popup.open("Keys and marks", anchor, helpText()),
    });
    this.#panel = new Panel(store, actions, {
      isPinned: (name) => this.#grid.columns().some((column) => column.name === name && column.pinned),
      pin: (name, pinned) => this.#grid.setPinned(name, pinned),
      hide: (name) => this.#grid.setVisible(name, false),
      filter: (name, anchor) => this.#edit(null, name, anchor),
      closed: () => this.#grid.focus(),
    });
    this.#status = new Status(this.#client, () => this.#toolbar.search.focus());
    const body = h(
      "div",
      { class: "lf-body" },
      h("div", { class: "lf-table" }, this.#gridElement, this.#message),
      this.#panel.element,
    );
    this.#root = h(
      "div",
      { class: "lazyflow", tabindex: -1 },
      this.#toolbar.element,
      this.#notice.element,
      body,
      this.#status.element,
    );
    this.#popup = new Popup(this.#root, () => this.#toolbar.search.focus());
    element.replaceChildren(this.#root);
    this.#grid = new Grid(this.#gridElement, this.#client, actions, options.nonce);
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    store.subscribe((changes) => this.#apply(changes));
    this.#showStatus();
    void this.#open(transport);
  }

  destroy(): void {
    this.#client.close();
    this.#status.destroy();
    this.#grid.destroy();
    this.#root.remove();
  }

  /** The tables to choose from; where no one is named, the first is opened. */
  async #open(transport: Transport): Promise<void> {
    if (this.#options.autofocus) this.#toolbar.search.focus({ preventScroll: true });
    const sources = await transport.sources().catch(() => []); // the connection says what is wrong, and tries again
    this.#client.choose(sources[0] ?? null);
    this.#toolbar.showSources(sources);
    this.#client.connect();
  }

  #actions(): Actions {
    const client = (): Client => this.#client;
    return {
      sort: (column, also) => this.#client.attempt(nextSort(client().asked, column, also)),
      choose: (column, range) => this.#choose(column, range),
      keep: (column, value) => {
        const already = chosenValues(client().asked, column);
        const same = already.length === 1 && String(already[0]) === String(value);
        this.#client.attempt(chooseValues(client().asked, column, same ? [] : valueFilters(column, [value])));
      },
      details: (column) => this.#panel.open(column),
      whole: (column, row) => this.#whole(column, row),
      compute: (scope, column, statistic) => client().compute(scope, column, statistic),
      tell: (text) => this.#status.tell(text),
      copy: (text, what) => void this.#copy(text, what),
    };
  }

  #choose(column: ColumnSchema, range: [number, number] | null): void {
    const distribution = distributionOf(this.#client.store, column);
    const filters = range && distribution ? distribution.filters(...range) : [];
    this.#client.attempt(chooseValues(this.#client.asked, column.name, filters));
  }

  #edit(chip: Chip | null, column: string | null, anchor: HTMLElement): void {
    const { store } = this.#client;
    if (!store.view || !store.session) return;
    const replace = (by: readonly Filter[]): State => replaceConditions(this.#client.asked, chip?.places ?? [], by);
    if (chip?.any) {
      this.#editGroup(chip, false, anchor);
      return;
    }
    let close = (): void => undefined;
    const editor = filterEditor({
      schema: store.view.schema,
      operators: store.session.options.operators,
      filters: chip?.filters ?? [],
      column,
      alone: false,
      apply: (made) => this.#tryState(replace(made), () => editor.isConnected),
      remove: chip && (() => this.#client.attempt(replace([]))),
      either: chip?.filters.length === 1 ? () => this.#editGroup(chip, true, anchor) : null,
      done: () => close(),
    });
    close = this.#popup.open(chip ? "Edit filter" : "Add filter", anchor, editor);
  }

  /** Edit filters any of which is enough; of one that is left nothing but itself remains. */
  #editGroup(chip: Chip, further: boolean, anchor: HTMLElement): void {
    const { store } = this.#client;
    if (!store.view || !store.session) return;
    const replace = (by: readonly Filter[]): State =>
      replaceConditions(this.#client.asked, chip.places, by.length > 1 ? [by] : by);
    let close = (): void => undefined;
    const editor = groupEditor({
      schema: store.view.schema,
      operators: store.session.options.operators,
      filters: chip.filters,
      further,
      apply: (filters) => this.#tryState(replace(filters), () => editor.isConnected),
      done: () => close(),
    });
    close = this.#popup.open("Any of", anchor, editor);
    if (further) editor.querySelector("select")?.focus();
  }

  /** Ask for a state; why it is refused is told by whoever asks, or where nobody looks there any more by a notice. */
  async #tryState(state: State, looks: () => boolean): Promise<void> {
    try {
      await this.#client.change(state);
    } catch (error) {
      if (!looks()) this.#notice.show((error as Error).message, state);
      throw error;
    }
  }

  #whole(column: string, row: number): void {
    const place = this.#client.store.view?.rows.find(column, row);
    if (!place) return;
    const value = wholeValue(column, place, (text) => void this.#copy(text, "value"));
    this.#popup.open(`Value of ${column}`, null, value);
  }

  #share(anchor: HTMLElement, actions: Actions): void {
    const { address } = this.#options;
    const session = this.#client.store.session?.name;
    const { download } = this.#transport;
    const content = h(
      "div",
      { class: "lf-dialog lf-keep" },
      address ? shareLinks(address, (text) => actions.copy(text, "link")) : null,
      download && session !== undefined ? downloads((format) => download(session, format)) : null,
      viewAsSql(
        () => this.#client.sql(),
        (text) => actions.copy(text, "SQL"),
      ),
    );
    this.#popup.open(this.#sharing, anchor, content);
  }

  /** Where there are neither links nor files, it is the view as SQL alone. */
  get #sharing(): string {
    return this.#options.address || this.#transport.download ? "Share" : "SQL";
  }

  async #copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.#status.tell(`${what} copied`);
    } catch (error) {
      this.#status.tell(`the browser does not let this page copy: ${(error as Error).message}`);
    }
  }

  #key(event: KeyboardEvent): void {
    const inField = event.target instanceof Element && event.target.closest("input, select, textarea") !== null;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "z" && !inField) {
      if (event.shiftKey) this.#client.redo();
      else this.#client.undo();
    } else if (event.key === "/" && !inField) {
      this.#toolbar.search.focus();
      this.#toolbar.search.select();
    } else if (event.key === "F1") {
      this.#popup.open("Keys and marks", null, helpText());
    } else if (event.key === "ArrowDown" && event.target === this.#toolbar.search) {
      this.#grid.focus();
    } else {
      return;
    }
    event.preventDefault();
  }

  #apply(changes: Changes): void {
    const { store } = this.#client;
    const { view, session } = store;
    this.#grid.apply(changes);
    if (this.#panel.column !== null && (changes.view || changes.count || changes.statistics?.has(this.#panel.column))) {
      this.#panel.update();
    }
    if (changes.view && view && session) {
      if (view.generation !== this.#shown) this.#notice.hide();
      this.#shown = view.generation;
      this.#options.address?.write(session.name, session.source, view.state);
    }
    this.#showMessage();
  }

  /** What stands in place of rows where there are none. */
  #showMessage(): void {
    const { view, length } = this.#client.store;
    const missing = view?.failure && !view.rows.seen;
    this.#message.hidden = !(missing || length === 0 || view?.schema.length === 0);
    if (this.#message.hidden || !view) return;
    if (missing) {
      const retry = h("button", { type: "button", click: () => this.#client.retry() }, "Try again");
      this.#message.replaceChildren(h("p", {}, view.failure), retry);
      return;
    }
    const filtered = view.state.search !== "" || view.state.filters.length > 0;
    const text =
      view.schema.length === 0 ? "The table has no columns." : filtered ? "No row matches." : "The table has no rows.";
    const all = (): void =>
      this.#client.attempt({
        ...EMPTY_STATE,
        cleaning: view.state.cleaning,
        post_processing: view.state.post_processing,
      });
    const button = filtered ? h("button", { type: "button", click: all }, "Show all rows") : null;
    if (this.#message.firstChild?.textContent !== text) {
      this.#message.replaceChildren(h("p", {}, text), ...(button ? [button] : []));
    }
  }

  #showStatus(): void {
    this.#toolbar.update();
    this.#status.update();
    setAttribute(this.#root, "data-status", this.#client.status);
    setAttribute(this.#root, "data-complete", String(this.#client.store.view?.complete ?? false));
    setAttribute(this.#gridElement, "data-changing", String(this.#client.changing));
    if (this.#client.status === "refused" && !this.#client.store.view) {
      this.#message.hidden = false;
      setText(this.#message, this.#client.reason || "The server refused the connection.");
    }
  }
}
