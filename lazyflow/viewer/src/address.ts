// The page's address: the session that others may join, and the state, from which it begins anew when that is gone.

import type { Opening } from "./client.ts";
import { EMPTY_STATE, parseJson, writeJson } from "./protocol.ts";
import type { State } from "./protocol.ts";

/** Where the viewer keeps what it shows; a notebook has none. */
export interface Address {
  read(): Opening;
  write(session: string, source: string, state: State): void;
  /** A link for others: to the session where all see the same, or to the state alone. */
  link(to: "session" | "state"): string;
}

export function pageAddress(): Address {
  let unwritten: string | null = null;
  const write = (): void => {
    if (unwritten !== null && unwritten !== location.search + location.hash) history.replaceState(null, "", unwritten);
    unwritten = null;
  };
  return {
    read() {
      const query = new URLSearchParams(location.search);
      return { source: query.get("source"), session: query.get("session"), state: readState(location.hash) };
    },
    write(session, source, state) {
      const query = new URLSearchParams({ source, session });
      // The browser takes its time for it, 15 ms: the rows are painted first.
      if (unwritten === null) requestAnimationFrame(() => setTimeout(write));
      unwritten = `?${query}${writeState(state)}`;
      document.title = `${source} - lazyflow`;
    },
    link(to) {
      write();
      const address = new URL(location.href);
      if (to === "state") address.searchParams.delete("session");
      return address.href;
    },
  };
}

/** A state as the part of an address after the `#`, which browsers do not send; empty for the whole table. */
export function writeState(state: State): string {
  const known = Object.entries(state).filter(([, value]) => value != null && value.length > 0);
  return known.length ? `#${encodeURIComponent(writeJson(Object.fromEntries(known)))}` : "";
}

/** The state of an address, or null where there is none that can be read; the server checks it. */
export function readState(hash: string): State | null {
  if (hash.length < 2) return null;
  try {
    const found = parseJson(decodeURIComponent(hash.slice(1)));
    return typeof found === "object" && found !== null && !Array.isArray(found) ? { ...EMPTY_STATE, ...found } : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof URIError) return null;
    throw error;
  }
}
