import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../src/client.ts";
import { EMPTY_STATE, parseJson } from "../src/protocol.ts";
import type { Frame, Join, State } from "../src/protocol.ts";
import type { Listener, Transport } from "../src/transport.ts";
import { encode, initial, rows, sql, state } from "./frames.ts";

/** The other end: what was said to it, and a way to answer. */
class Service implements Transport {
  joins: Join[] = [];
  messages: Record<string, unknown>[] = [];
  #listener: Listener | null = null;

  connect(join: Join, listener: Listener): { send(message: string): void; close(): void } {
    this.joins.push(join);
    this.#listener = listener;
    return {
      send: (message) => this.messages.push(parseJson(message) as Record<string, unknown>),
      close: () => (this.#listener = null),
    };
  }

  sources(): Promise<readonly string[]> {
    return Promise.resolve(["sizes"]);
  }

  answer(frame: Frame): void {
    this.#listener!.frame(encode(frame));
  }

  end(code: number): void {
    this.#listener!.closed(code, "");
  }

  get last(): Record<string, unknown> {
    return this.messages.at(-1)!;
  }
}

function joined(): { client: Client; service: Service; notices: unknown[] } {
  const service = new Service();
  const notices: unknown[] = [];
  const client = new Client(
    service,
    { source: "sizes", session: null, state: null },
    {
      status: () => undefined,
      notice: (...said) => notices.push(said),
    },
  );
  client.connect();
  service.answer(initial({ generation: 1 }));
  return { client, service, notices };
}

const searching = (search: string): State => ({ ...EMPTY_STATE, search });

test("each change is sent at once, the newest answer is what counts", async () => {
  const { client, service } = joined();
  const first = client.change(searching("a"));
  const second = client.change(searching("ab"));
  assert.deepEqual(
    service.messages.map((message) => (message["state"] as State).search),
    ["a", "ab"],
  );
  assert.equal(client.changing, true);
  service.answer(state({ generation: 2, state: { search: "ab" }, request: service.last["request"] as number }));
  await Promise.all([first, second]);
  assert.equal(client.changing, false);
  assert.equal(client.asked.search, "ab");
});

test("what is typed stays while an older answer comes; what others changed is taken when nothing is under way", () => {
  const { client, service } = joined();
  void client.change(searching("a"));
  const request = service.last["request"] as number;
  void client.change(searching("ab"));
  service.answer(state({ generation: 2, state: { search: "a" }, request }));
  assert.equal(client.asked.search, "ab");
  service.answer(state({ generation: 3, state: { search: "ab" }, request: service.last["request"] as number }));
  service.answer(state({ generation: 4, state: { search: "of another" } }));
  assert.equal(client.asked.search, "of another");
});

test("an older state that comes late is not what was asked for", () => {
  const { client, service } = joined();
  void client.change(searching("a"));
  service.answer(state({ generation: 3, state: { search: "a" }, request: service.last["request"] as number }));
  service.answer(state({ generation: 2, state: { search: "older" } }));
  assert.equal(client.asked.search, "a");
});

test("a change that is refused fails with the reason, and the view stays", async () => {
  const { client, service } = joined();
  const change = client.change({ ...searching("a"), sort: [{ column: "size" }] });
  const header = {
    type: "error",
    code: "invalid_value",
    message: "not so",
    request: service.last["request"] as number,
  } as const;
  service.answer({ header, body: new Uint8Array() });
  await assert.rejects(change, /not so/);
  assert.deepEqual(client.asked, searching("a"), "what was typed stays, the rest is the view's");
  assert.equal(client.history.canUndo, false);
  assert.equal(client.changing, false);
});

test("of changes in a row that fail, the newest is what is told and can be tried again", () => {
  const { client, service, notices } = joined();
  client.attempt(searching("a"), "search");
  client.attempt(searching("ab"), "search");
  for (const request of service.messages.map((message) => message["request"] as number).reverse()) {
    service.answer({
      header: { type: "error", code: "engine_failed", message: `no ${request}`, request },
      body: new Uint8Array(),
    });
  }
  return Promise.resolve().then(() => {
    assert.deepEqual(notices, [[`no ${service.last["request"]}`, searching("ab")]]);
    assert.equal(client.history.canUndo, false);
  });
});

test("rows are asked for once, and not at all where they are there or a change is under way", () => {
  const { client, service } = joined();
  client.see([0, 2], ["size"]);
  assert.equal(service.messages.length, 0);
  client.see([100, 130], ["size"]);
  client.see([110, 140], ["size"]);
  assert.equal(service.messages.length, 1);
  assert.deepEqual(service.last["window"], [50, 200]);
  service.answer(
    rows(
      1,
      [50, 200],
      Array.from({ length: 150 }, () => 1),
      service.last["request"] as number,
    ),
  );
  client.see([120, 150], ["size"]);
  assert.equal(service.messages.length, 1);
  void client.change(searching("a"));
  client.see([500, 530], ["size"]);
  assert.equal(service.messages.length, 2);
});

test("a lost connection is made again, to the same session, and what was not answered is sent again", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, service } = joined();
  void client.change(searching("a"));
  const sent = service.messages.length;
  service.end(1006);
  assert.equal(client.status, "lost");
  context.mock.timers.tick(250);
  assert.equal(service.joins.at(-1)!.session, "one");
  service.answer(initial({ generation: 1 }));
  assert.equal(client.status, "connected");
  assert.equal(service.messages.length, sent + 1);
  assert.equal((service.last["state"] as State).search, "a");
  service.end(1006);
  void client.change(searching("ab"));
  context.mock.timers.tick(500);
  service.answer(initial({ generation: 2, state: { search: "a" } }));
  assert.equal((service.last["state"] as State).search, "ab");
  assert.equal(service.last["type"], "state_change");
});

test("where the session is gone, a new one begins with the same view", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { client, service } = joined();
  void client.change(searching("a"));
  service.answer(state({ generation: 2, state: { search: "a" }, request: service.last["request"] as number }));
  service.end(1001);
  context.mock.timers.tick(250);
  service.end(4404);
  assert.equal(service.joins.at(-1)!.session, undefined);
  assert.equal(service.joins.at(-1)!.state!.search, "a");
  assert.equal(service.joins.at(-1)!.source, "sizes");
  assert.equal(client.status, "lost");
});

test("who is refused does not try again", () => {
  const { client, service } = joined();
  service.end(4400);
  assert.equal(client.status, "refused");
  assert.equal(service.joins.length, 1);
});

test("typing is undone as one, and undoing is a change", () => {
  const { client, service } = joined();
  for (const search of ["a", "ab", "abc"]) void client.change(searching(search), "search");
  client.history.pause();
  void client.change({ ...searching("abc"), sort: [{ column: "size" }] });
  client.undo();
  assert.deepEqual([(service.last["state"] as State).search, (service.last["state"] as State).sort], ["abc", []]);
  client.undo();
  assert.equal((service.last["state"] as State).search, "");
  assert.equal(client.history.canUndo, false);
  client.redo();
  assert.equal((service.last["state"] as State).search, "abc");
});

test("the view as SQL is the answer to who asked, and says nothing about changes under way", async () => {
  const { client, service, notices } = joined();
  client.attempt(searching("a"));
  const text = client.sql();
  const { type, request, generation } = service.last;
  assert.deepEqual([type, generation], ["sql_request", 1]);
  service.answer(sql(1, request as number));
  assert.equal(await text, "SELECT 1");
  assert.equal(client.changing, true);
  assert.deepEqual(notices, []);
});

test("SQL that does not come is a reason for who asked: refused, another view, no connection", async () => {
  const { client, service, notices } = joined();
  const refused = client.sql();
  const header = { type: "error", code: "not_for_this_engine", message: "no SQL", request: service.last["request"] };
  service.answer({ header: header as Frame["header"], body: new Uint8Array() });
  await assert.rejects(refused, /no SQL/);
  const changed = client.sql();
  service.answer(state({ generation: 2 }));
  await assert.rejects(changed, /changed meanwhile/);
  const lost = client.sql();
  service.end(1006);
  await assert.rejects(lost, /connection is lost/);
  await assert.rejects(client.sql(), /no connection/);
  assert.deepEqual(notices, []);
  client.close();
});
