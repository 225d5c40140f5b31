// What carries the messages: a websocket for the page, something else for another home.

import type { Join } from "./protocol.ts";

export type FileFormat = "csv" | "parquet" | "arrow";

export interface Connection {
  send(message: string): void;
  close(): void;
}

export interface Listener {
  /** Bytes of one frame. */
  frame(data: ArrayBuffer): void;
  /** The connection has ended, with a code of docs/protocol.md or one of the websocket's own. */
  closed(code: number, reason: string): void;
}

export interface Transport {
  connect(join: Join, listener: Listener): Connection;
  /** Names of the tables that can be opened. */
  sources(): Promise<readonly string[]>;
  /** Where the view of a session is had as a file; absent where there is no such place. */
  download?(session: string, format: FileFormat): string;
}
