// The rows of one view that are at hand, as the blocks in which they came.

import type { Block, Values } from "./arrow.ts";
import type { Window } from "./protocol.ts";

const MOST_BLOCKS = 24;

/** Where a value lies; null while its row is not there. */
export interface Place {
  readonly values: Values;
  readonly index: number;
}

export class Rows {
  #blocks: Block[] = [];
  #end: number | null = null;
  #limit = Infinity;

  /** The number of rows, if a block has shown where they end. */
  get end(): number | null {
    return this.#end;
  }

  /** From where on there are certainly no rows. */
  get limit(): number {
    return this.#limit;
  }

  /** How far down rows were seen. */
  get seen(): number {
    return this.#blocks.reduce((most, block) => Math.max(most, block.start + block.count), 0);
  }

  add(block: Block, window: Window): void {
    const covered = (other: Block): boolean =>
      block.start <= other.start &&
      other.start + other.count <= block.start + block.count &&
      [...other.columns.keys()].every((name) => block.columns.has(name));
    this.#blocks = [block, ...this.#blocks.filter((other) => !covered(other))].slice(0, MOST_BLOCKS);
    if (block.count >= window[1] - window[0]) return;
    this.#limit = Math.min(this.#limit, block.start + block.count);
    if (block.count > 0 || block.start === 0) this.#end = this.#limit;
  }

  find(column: string, row: number): Place | null {
    for (const block of this.#blocks) {
      const index = row - block.start;
      if (index < 0 || index >= block.count) continue;
      const values = block.columns.get(column);
      if (values) return { values, index };
    }
    return null;
  }

  /** Whether all of these rows and columns are at hand, or do not exist. */
  covers([start, stop]: Window, columns: readonly string[]): boolean {
    const last = Math.min(stop, this.#limit);
    return columns.every((column) => {
      let row = start;
      while (row < last) {
        const next = this.#reach(column, row);
        if (next === row) return false;
        row = next;
      }
      return true;
    });
  }

  #reach(column: string, row: number): number {
    let reached = row;
    for (const block of this.#blocks) {
      const inside = block.start <= row && row < block.start + block.count && block.columns.has(column);
      if (inside) reached = Math.max(reached, block.start + block.count);
    }
    return reached;
  }
}
