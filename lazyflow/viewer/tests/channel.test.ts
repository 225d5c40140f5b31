import assert from "node:assert/strict";
import { test } from "node:test";
import { channelTransport } from "../src/channel.ts";
import type { Model } from "../src/channel.ts";
import type { Join } from "../src/protocol.ts";

type Callback = (...said: never[]) => void;
type Message = { type: string; view: string; [name: string]: unknown };

/** A widget's model: what was sent to the kernel, and a way for it to answer. */
class Notebook implements Model {
  sent: Message[] = [];
  callbacks = new Set<Callback>();

  get(): unknown {
    return undefined;
  }

  on(event: string, callback: Callback): void {
    assert.equal(event, "msg:custom");
    this.callbacks.add(callback);
  }

  off(_event: string, callback: Callback): void {
    this.callbacks.delete(callback);
  }

  send(content: unknown): void {
    this.sent.push(content as Message);
  }

  say(content: object, ...buffers: DataView[]): void {
    for (const callback of [...this.callbacks]) (callback as (...said: unknown[]) => void)(content, buffers);
  }
}

const JOIN: Join = { version: 1, window: [0, 100], columns: [] };

/** A view, its name, and what it was told. */
function joined(notebook: Notebook) {
  const frames: number[][] = [];
  const ends: [number, string][] = [];
  const connection = channelTransport(notebook).connect(JOIN, {
    frame: (data) => frames.push([...new Uint8Array(data)]),
    closed: (code, reason) => ends.push([code, reason]),
  });
  return { connection, view: notebook.sent.at(-1)!.view, frames, ends };
}

/** Bytes that lie in the middle of others, as those of a notebook do. */
function inside(...bytes: number[]): DataView {
  return new DataView(Uint8Array.of(9, 9, 9, ...bytes, 9).buffer, 3, bytes.length);
}

test("a view joins under a name of its own, and says what a client says", () => {
  const notebook = new Notebook();
  const { connection, view } = joined(notebook);
  const other = joined(notebook);
  connection.send('{"type":"rows_request"}');
  assert.notEqual(view, other.view);
  assert.deepEqual(notebook.sent, [
    { type: "join", view, join: '{"version":1,"window":[0,100],"columns":[]}' },
    { type: "join", view: other.view, join: '{"version":1,"window":[0,100],"columns":[]}' },
    { type: "message", view, message: '{"type":"rows_request"}' },
  ]);
});

test("a frame is the bytes beside the message, for its view alone, and is acknowledged once", () => {
  const notebook = new Notebook();
  const [one, other] = [joined(notebook), joined(notebook)];
  notebook.sent = [];
  notebook.say({ type: "frame", view: one.view }, inside(1, 2, 3));
  assert.deepEqual([one.frames, other.frames], [[[1, 2, 3]], []]);
  assert.deepEqual(notebook.sent, [{ type: "taken", view: one.view }]);
});

test("a frame that cannot be shown is acknowledged too, or nothing would follow it", () => {
  const notebook = new Notebook();
  channelTransport(notebook).connect(JOIN, {
    frame: () => {
      throw new Error("broken");
    },
    closed: () => undefined,
  });
  const { view } = notebook.sent[0]!;
  assert.throws(() => notebook.say({ type: "frame", view }, inside(1)), /broken/);
  assert.deepEqual(notebook.sent.at(-1), { type: "taken", view });
});

test("the end is told with its code, and nothing after it", () => {
  const notebook = new Notebook();
  const { view, ends, frames } = joined(notebook);
  notebook.say({ type: "closed", view, code: 1001, reason: "over" });
  notebook.say({ type: "frame", view }, inside(1));
  assert.deepEqual([ends, frames, notebook.callbacks.size], [[[1001, "over"]], [], 0]);
});

test("a view that is closed leaves, and listens no more", () => {
  const notebook = new Notebook();
  const { connection, view } = joined(notebook);
  connection.close();
  assert.deepEqual(notebook.sent.at(-1), { type: "leave", view });
  assert.equal(notebook.callbacks.size, 0);
});

test("it has no files to give, and no tables to choose from", async () => {
  const transport = channelTransport(new Notebook());
  assert.equal(transport.download, undefined);
  assert.deepEqual(await transport.sources(), []);
});
