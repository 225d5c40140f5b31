// The editor of one condition: column, operator, and a field that fits the type of the column.

import { isNumber, operatorsFor, parseValue, writeValue } from "../filters.ts";
import type { ColumnSchema, Filter, Scalar } from "../protocol.ts";
import { h, setText } from "./dom.ts";

const LISTS = new Set(["in", "not in"]);
/** A half-open range, as dragging across bars makes it: two filters that a person sees as one. */
const RANGE = "from, below";

export interface EditorOptions {
  readonly schema: readonly ColumnSchema[];
  readonly operators: readonly string[];
  /** What is edited: nothing, a filter, or the two of a range. */
  readonly filters: readonly Filter[];
  readonly column: string | null;
  /** Whether what is made must be one filter, as it is one of a group. */
  readonly alone: boolean;
  /** Fails with the reason where what was made is refused. */
  apply(filters: readonly Filter[]): Promise<void>;
  remove: (() => void) | null;
  /** Begins another filter, either of which is then enough. */
  either: (() => void) | null;
  done(): void;
}

export function filterEditor(options: EditorOptions): HTMLElement {
  const { schema } = options;
  const filter = asOne(options.filters);
  const byName = new Map(schema.map((column) => [column.name, column]));
  const first = filter?.column ?? options.column ?? schema[0]?.name ?? "";
  const names = byName.has(first) ? schema.map(({ name }) => name) : [first, ...schema.map(({ name }) => name)];
  const column = h(
    "select",
    { "aria-label": "Column" },
    ...names.map((name) => h("option", { value: name }, name || '""')),
  );
  column.value = first;
  const operator = h("select", { "aria-label": "Operator" });
  const fields = h("div", { class: "lf-fields" });
  const error = h("p", { class: "lf-error", role: "alert" });
  const kind = (): string => byName.get(column.value)?.kind ?? "text";

  const showOperators = (): void => {
    const known = operatorsFor(kind()).filter((name) => options.operators.includes(name));
    const offered = known.includes("between") && !options.alone ? [...known, RANGE] : known;
    const before = operator.value || filter?.operator;
    operator.replaceChildren(...offered.map((name) => h("option", { value: name }, name)));
    if (before && offered.includes(before)) operator.value = before;
    showFields();
  };
  const showFields = (): void => {
    const value =
      filter && filter.column === column.value && filter.operator === operator.value ? filter.value : undefined;
    fields.replaceChildren(...fieldsFor(kind(), operator.value, value));
  };
  const apply = async (event: Event): Promise<void> => {
    event.preventDefault();
    setText(error, "");
    try {
      await options.apply(readFilters(column.value, operator.value, kind(), fields));
      options.done();
    } catch (reason) {
      setText(error, (reason as Error).message);
    }
  };
  column.addEventListener("change", showOperators);
  operator.addEventListener("change", showFields);
  const remove = options.remove;
  const removeButton = remove
    ? h("button", { type: "button", click: () => (remove(), options.done()) }, "Remove")
    : null;
  const either = options.either;
  const eitherButton = either ? h("button", { type: "button", click: () => either() }, "Or …") : null;
  const form = h(
    "form",
    { class: "lf-editor", submit: (event: Event) => void apply(event) },
    h("div", { class: "lf-fields" }, column, operator),
    fields,
    error,
    h(
      "div",
      { class: "lf-buttons" },
      removeButton,
      eitherButton,
      h("button", { type: "submit", class: "lf-primary" }, "Apply"),
    ),
  );
  showOperators();
  return form;
}

function fieldsFor(kind: string, operator: string, value: Filter["value"]): HTMLElement[] {
  if (operator.endsWith("missing")) return [];
  const values = (Array.isArray(value) ? value : value === undefined ? [] : [value]) as readonly Scalar[];
  if (LISTS.has(operator)) {
    const area = h("textarea", {
      rows: 5,
      "aria-label": "Values, one a line",
      placeholder: "one value a line",
      autofocus: true,
    });
    area.value = values.map(writeValue).join("\n");
    return [area];
  }
  if (operator === "between") {
    return [field(kind, values[0], "From"), h("span", {}, "to"), field(kind, values[1], "To")];
  }
  if (operator === RANGE) {
    return [field(kind, values[0], "From"), h("span", {}, "to below"), field(kind, values[1], "Below")];
  }
  return [field(kind, values[0], "Value")];
}

function field(kind: string, value: Scalar | undefined, label: string): HTMLElement {
  if (kind === "boolean") {
    const choice = h(
      "select",
      { "aria-label": label, autofocus: true },
      h("option", {}, "true"),
      h("option", {}, "false"),
    );
    choice.value = String(value ?? true);
    return choice;
  }
  const type = kind === "date" ? "date" : kind === "time" ? "time" : "text";
  const hint = { timestamp: "2013-01-31 12:00", duration: "PT1H30M", binary: "0x00ff" }[kind] ?? "";
  const input = h("input", {
    type,
    step: type === "time" ? "any" : null,
    inputmode: isNumber(kind) ? "decimal" : null,
    "aria-label": label,
    placeholder: hint,
    autocomplete: "off",
    spellcheck: "false",
    autofocus: label === "From" || label === "Value",
  });
  input.value = writeValue(value);
  return input;
}

/** The filters of a chip as the one that the editor shows. */
function asOne([low, high]: readonly Filter[]): Filter | null {
  if (!low || !high) return low ?? null;
  const operator = high.operator === "<=" ? "between" : RANGE;
  return { column: low.column, operator, value: [low.value as Scalar, high.value as Scalar] };
}

function readFilters(column: string, operator: string, kind: string, fields: HTMLElement): Filter[] {
  if (operator.endsWith("missing")) return [{ column, operator }];
  const typed = fields.querySelectorAll<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>(
    "input, select, textarea",
  );
  const texts = [...typed].map((each) => each.value);
  if (LISTS.has(operator)) {
    const lines = (texts[0] ?? "").split("\n").filter((line) => line !== "");
    return [{ column, operator, value: lines.map((line) => parseValue(line, kind)) }];
  }
  const [value = null, high = null] = texts.map((text) => parseValue(text, kind));
  if (operator === "between") return [{ column, operator, value: [value, high] }];
  if (operator !== RANGE) return [{ column, operator, value }];
  return [
    { column, operator: ">=", value },
    { column, operator: "<", value: high },
  ];
}
