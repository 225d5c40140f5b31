// What one person did, so that it can be undone. Undoing is a new change, like any other.

import { writeJson } from "./protocol.ts";
import type { State } from "./protocol.ts";

export class History {
  #past: State[] = [];
  #future: State[] = [];
  #merging: string | null = null;

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  /** A change is made from this state; changes in a row with the same name (typing) are one. */
  record(before: State, merge: string | null = null): void {
    if (merge === null || merge !== this.#merging) this.#past.push(before);
    this.#merging = merge;
    this.#future = [];
  }

  undo(now: State): State | null {
    this.#merging = null;
    const before = this.#past.pop();
    if (before) this.#future.push(now);
    return before ?? null;
  }

  redo(now: State): State | null {
    this.#merging = null;
    const after = this.#future.pop();
    if (after) this.#past.push(now);
    return after ?? null;
  }

  /** A change was refused, so that the view is still this one: there is nothing to take back to get there. */
  refused(now: State): void {
    this.#merging = null;
    while (this.#past.length && writeJson(this.#past.at(-1)) === writeJson(now)) this.#past.pop();
  }

  /** What was typed until now is one change; what follows is another. */
  pause(): void {
    this.#merging = null;
  }
}
