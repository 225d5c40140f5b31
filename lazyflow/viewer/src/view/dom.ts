// Making elements. All text is set as text: data is never read as HTML.

type Value = string | number | boolean | null | undefined;
type Child = Node | string | null | undefined;

export interface Attributes {
  readonly [name: string]: Value | ((event: never) => void);
}

/** An element; attributes that are functions listen to the event of their name, false and null ones are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value as unknown as EventListener);
    else setAttribute(made, key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(name: string, attributes: Readonly<Record<string, Value>> = {}, ...children: Node[]): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(made, key, value);
  made.append(...children);
  return made;
}

/** Set an attribute if that changes it; true is an empty one, false and null none. */
export function setAttribute(element: Element, name: string, value: Value): void {
  if (value == null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Set the text of an element if that changes it. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The text, with each place where the term is found marked; whatever the case, as the search is. */
export function markMatches(element: Element, text: string, term: string): void {
  const places = term ? findAll(text, term) : [];
  if (!places.length) {
    element.textContent = text;
    return;
  }
  const parts: Child[] = [];
  let from = 0;
  for (const place of places) {
    parts.push(text.slice(from, place), h("mark", {}, text.slice(place, place + term.length)));
    from = place + term.length;
  }
  element.replaceChildren(...parts.filter((part) => part != null), text.slice(from));
}

function findAll(text: string, term: string): number[] {
  const [folded, wanted] = [fold(text), fold(term)];
  const places: number[] = [];
  for (
    let at = folded.indexOf(wanted);
    at >= 0 && places.length < 50;
    at = folded.indexOf(wanted, at + wanted.length)
  ) {
    places.push(at);
  }
  return places;
}

/** Lower case by code point, so that places stay where they are; the final sigma is a sigma. */
function fold(text: string): string {
  const lower = text.toLowerCase();
  const same = lower.length === text.length ? lower : Array.from(text, foldOne).join("");
  return same.replaceAll("ς", "σ");
}

function foldOne(character: string): string {
  const lower = character.toLowerCase();
  return lower.length === character.length ? lower : character;
}
