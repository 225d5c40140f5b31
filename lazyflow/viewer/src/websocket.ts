// The transport of the page: a websocket beside the page's own address.

import { writeJson } from "./protocol.ts";
import type { Join } from "./protocol.ts";
import type { Connection, Listener, Transport } from "./transport.ts";

/** What a browser says of a connection that never was, whatever the reason. */
const ABNORMAL = 1006;
/** The code for it where the server does not let this browser in. */
const NOT_ADMITTED = 4401;

export function webSocketTransport(base: string): Transport {
  return {
    connect(join: Join, listener: Listener): Connection {
      const address = new URL(`ws?${new URLSearchParams({ join: writeJson(join) })}`, base);
      address.protocol = address.protocol.replace("http", "ws");
      const socket = new WebSocket(address);
      socket.binaryType = "arraybuffer";
      socket.onmessage = (event: MessageEvent<ArrayBuffer>) => listener.frame(event.data);
      let opened = false;
      socket.onopen = () => (opened = true);
      socket.onclose = async ({ code, reason }) => {
        const refusal = code === ABNORMAL && !opened ? await whyNot(base) : null;
        listener.closed(refusal ? NOT_ADMITTED : code, refusal ?? reason);
      };
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
    download: (session, format) => new URL(`download?${new URLSearchParams({ session, format })}`, base).href,
  };
}

/** Why the server does not let this browser in, as it says over HTTP; null where it does, or does not answer. */
async function whyNot(base: string): Promise<string | null> {
  const answer = await fetch(new URL("tables", base)).catch(() => null);
  return answer && [401, 403].includes(answer.status) ? (await answer.text()).trim() : null;
}
