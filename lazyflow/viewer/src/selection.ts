// A rectangle of cells: rows by number, columns by place among those that are shown.

export interface Corner {
  readonly row: number;
  readonly column: string;
}

export interface Rectangle {
  readonly rows: readonly [first: number, last: number];
  readonly columns: readonly string[];
}

export class Selection {
  #anchor: Corner | null = null;
  #to: Corner | null = null;

  /** Begin anew at a cell, which by itself is no rectangle. */
  begin(corner: Corner): void {
    this.#anchor = this.#to = corner;
  }

  /** The corner that moves. */
  get corner(): Corner | null {
    return this.#to;
  }

  extend(to: Corner): void {
    this.#anchor ??= to;
    this.#to = to;
  }

  /** Move the corner that is not the anchor, within the rows and columns that there are; where it is then. */
  move(rows: number, columns: number, shown: readonly string[], length: number): Corner | null {
    if (!this.#to) return null;
    const row = Math.min(length - 1, Math.max(0, this.#to.row + rows));
    const place = Math.min(shown.length - 1, Math.max(0, shown.indexOf(this.#to.column) + columns));
    this.#to = { row, column: shown[place] ?? this.#to.column };
    return this.#to;
  }

  /** What is selected, or null where it is a single cell or none. */
  rectangle(shown: readonly string[]): Rectangle | null {
    const [anchor, to] = [this.#anchor, this.#to];
    if (!anchor || !to || (anchor.row === to.row && anchor.column === to.column)) return null;
    const [from, until] = [shown.indexOf(anchor.column), shown.indexOf(to.column)];
    if (from < 0 || until < 0) return null;
    return {
      rows: [Math.min(anchor.row, to.row), Math.max(anchor.row, to.row)],
      columns: shown.slice(Math.min(from, until), Math.max(from, until) + 1),
    };
  }
}

/** Cells as tab-separated text, as spreadsheets read it. */
export function tabSeparated(rows: readonly (readonly string[])[]): string {
  return rows.map((cells) => cells.map(quoted).join("\t")).join("\n");
}

const quoted = (text: string): string => (/[\t\n\r"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
