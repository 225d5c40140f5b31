// The transport of a notebook: messages of the widget's model. Each view of it is a client of its own.

import { writeJson } from "./protocol.ts";
import type { Join } from "./protocol.ts";
import type { Connection, Listener, Transport } from "./transport.ts";

/** As much of a widget's model as is used. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...said: never[]) => void): void;
  off(event: string, callback: (...said: never[]) => void): void;
  send(content: unknown): void;
}

/** What the kernel says; docs are in `lazyflow/widget/channel.py`. */
type Said =
  | { readonly type: "frame"; readonly view: string }
  | { readonly type: "closed"; readonly view: string; readonly code: number; readonly reason: string };

export function channelTransport(model: Model): Transport {
  return {
    connect(join: Join, listener: Listener): Connection {
      const view = newName();
      const take = (said: Said, buffers: readonly DataView[]): void => {
        if (said.view !== view) return; // another view's
        if (said.type === "closed") {
          model.off("msg:custom", take);
          listener.closed(said.code, said.reason);
          return;
        }
        const [{ buffer, byteOffset, byteLength }] = buffers as readonly [DataView];
        try {
          listener.frame(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
        } finally {
          model.send({ type: "taken", view });
        }
      };
      model.on("msg:custom", take);
      model.send({ type: "join", view, join: writeJson(join) });
      return {
        send: (message) => model.send({ type: "message", view, message }),
        close: () => {
          model.off("msg:custom", take);
          model.send({ type: "leave", view });
        },
      };
    },
    sources: () => Promise.resolve([]),
  };
}

/** A name that no other view has; `crypto.randomUUID` is not everywhere where notebooks are. */
function newName(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
}
