// The transport of the page: a websocket beside the page's own address.

import { writeJson } from "./protocol.ts";
import type { Join } from "./protocol.ts";
import type { Connection, Listener, Transport } from "./transport.ts";

export function webSocketTransport(base: string): Transport {
  return {
    connect(join: Join, listener: Listener): Connection {
      const address = new URL(`ws?${new URLSearchParams({ join: writeJson(join) })}`, base);
      address.protocol = address.protocol.replace("http", "ws");
      const socket = new WebSocket(address);
      socket.binaryType = "arraybuffer";
      socket.onmessage = (event: MessageEvent<ArrayBuffer>) => listener.frame(event.data);
      socket.onclose = (event) => listener.closed(event.code, event.reason);
      return {
        send: (message) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(message);
        },
        close: () => {
          socket.onmessage = socket.onclose = null;
          socket.close();
        },
      };
    },
    async sources() {
      const answer = await fetch(new URL("tables", base));
      return ((await answer.json()) as { sources: string[] }).sources;
    },
  };
}
