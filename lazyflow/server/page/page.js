"use strict";

// A small client of the protocol (docs/protocol.md): what a person does goes out at once, what comes back is shown.

const PAGE_ROWS = 100;
const STATISTICS = ["missing", "distinct", "mean", "min", "max"];
const NUMBERS = ["integer", "float", "decimal"];
const RETRY = { first: 250, most: 5000 };

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

let socket = null;
let retryAfter = RETRY.first;
let session = query.get("session");
let source = query.get("source");
let state = { search: "", filters: [], sort: [] };
let view = null; // the latest state frame, with the statistics and row counts that came after it
let options = null; // what the service offers
let first = 0; // of the rows shown
let request = 0; // number of the latest message that was sent
let answered = 0; // number of the latest one that was answered
let unsent = false; // whether the state was changed without a connection

// Connection

function connect() {
  const join = { version: 1, body: "json", window: [first, first + PAGE_ROWS] };
  if (session) join.session = session;
  else Object.assign(join, { state }, source && { source });
  const address = new URL("ws?" + new URLSearchParams({ join: JSON.stringify(join) }), location.href);
  address.protocol = location.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => receive(event.data);
  socket.onclose = (event) => {
    if (event.code === 4404 && session) {
      session = null; // it ended while nobody looked: go on in a new one, with the same view
      connect();
    } else if (event.code >= 4400 && event.code !== 4408 && event.code !== 4429) {
      complain(event.reason || "the server refused the connection");
    } else {
      complain((event.code === 4429 && event.reason) || "connection lost, reconnecting");
      setTimeout(connect, retryAfter);
      retryAfter = Math.min(2 * retryAfter, RETRY.most);
    }
  };
}

function send(message) {
  if (socket.readyState !== WebSocket.OPEN) {
    unsent ||= message.type === "state_change"; // it follows when the connection is there again
    return;
  }
  socket.send(JSON.stringify({ ...message, request: ++request }));
  document.body.classList.add("waiting");
}

function changeState(change) {
  state = { ...state, ...change };
  first = 0;
  send({ type: "state_change", state, window: [0, PAGE_ROWS] });
}

function turnPage(by) {
  first = Math.max(0, first + by * PAGE_ROWS);
  send({ type: "rows_request", generation: view.generation, window: [first, first + PAGE_ROWS] });
}

// Frames: the header's length in four bytes, four bytes of zero, the header as JSON, the body.

function receive(data) {
  const end = 8 + new DataView(data).getUint32(0, true);
  const decoder = new TextDecoder();
  const header = parse(decoder.decode(new Uint8Array(data, 8, end - 8)));
  const body = data.byteLength > end ? parse(decoder.decode(new Uint8Array(data, end))) : null;
  const isState = header.type === "state" || header.type === "initial_state";
  if (view && !isState && header.generation != null && header.generation !== view.generation) return;
  answered = Math.max(answered, header.request ?? 0, ...(header.answered ?? []));
  if (isState) takeState(header, body);
  else if (header.type === "rows") showRows(header, body);
  else if (header.type === "row_count") Object.assign(view.row_count, header.row_count);
  else if (header.type === "stats_update") merge(view.statistics, header.statistics);
  else if (header.type === "error") complain(header.message);
  if (answered >= request) document.body.classList.remove("waiting");
  if (view) showSummary();
}

// Integers beyond 2^53 as their text, since a number of JavaScript would be another one.
function parse(json) {
  return JSON.parse(json, (_, value, written) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) ? (written?.source ?? value) : value,
  );
}

function takeState(header, body) {
  if (header.type === "initial_state") {
    ({ session, source, options } = header);
    request = answered = 0;
    retryAfter = RETRY.first;
    history.replaceState(null, "", "?" + new URLSearchParams({ session }));
    $("source").value = source;
    document.title = `${source} - lazyflow`;
  } else if (view && header.generation < view.generation) return;
  complain("");
  view = header;
  if (unsent) {
    unsent = false;
    changeState({});
  } else if (answered >= request) {
    // Nothing of this person's is under way, so what others changed is shown; else their typing would be overwritten.
    state = header.state;
    if ($("search").value !== state.search) $("search").value = state.search;
  }
  showHead();
  if (body) showRows(header, body);
}

function merge(statistics, news) {
  for (const [scope, { rows, columns }] of Object.entries(news)) {
    const known = (statistics[scope] ??= {});
    if (rows) known.rows = rows;
    known.columns ??= {};
    for (const [column, cells] of Object.entries(columns ?? {})) {
      known.columns[column] = { ...known.columns[column], ...cells };
    }
  }
}

// What is shown. All text is set as text: data is never read as HTML.

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const statisticsShown = () => [...STATISTICS, ...options.statistics.filter(({ own }) => own).map(({ name }) => name)];
const columns = () => view.columns.map((name) => view.schema.find((column) => column.name === name));
const alignment = (column) => (NUMBERS.includes(column.kind) ? "number" : "text");

function showHead() {
  const names = element("tr", "");
  for (const column of columns()) {
    const order = orderOf(view.state, column.name);
    const cell = element("th", "", { scope: "col", "aria-sort": order, class: alignment(column) });
    const mark = { none: "", ascending: " ▴", descending: " ▾" }[order];
    const button = cell.appendChild(element("button", column.name + mark, { title: column.type }));
    button.onclick = () => changeState({ sort: nextSort(column.name) });
    names.append(cell);
  }
  const lines = statisticsShown().map(() => element("tr", ""));
  $("head").replaceChildren(names, ...lines);
}

function orderOf({ sort }, column) {
  const key = sort.find((item) => item.column === column);
  return !key ? "none" : key.descending ? "descending" : "ascending";
}

function nextSort(column) {
  const order = orderOf(state, column); // what was asked for last, which may not be shown yet
  return order === "descending" ? [] : [{ column, descending: order === "ascending" }];
}

function showRows(header, body) {
  const shown = columns();
  first = header.window[0];
  const count = body.length ? body[0].length : 0;
  const rows = Array.from({ length: count }, (_, index) => {
    const row = element("tr", "");
    body.forEach((values, place) => {
      const missing = values[index] === null;
      const kind = shown[place] ? alignment(shown[place]) : "text";
      row.append(element("td", missing ? "—" : text(values[index]), { class: missing ? `${kind} missing` : kind }));
    });
    return row;
  });
  $("rows").replaceChildren(...rows);
  $("window").textContent = count ? `${grouped(first + 1)}–${grouped(first + count)}` : "no rows";
}

function showSummary() {
  const { raw, filtered } = view.row_count;
  const all = raw == null ? "…" : grouped(raw);
  $("count").textContent = filtered === raw ? `${all} rows` : `${filtered == null ? "…" : grouped(filtered)} of ${all} rows`;
  $("previous").disabled = first === 0;
  $("next").disabled = filtered != null ? first + PAGE_ROWS >= filtered : $("rows").childElementCount < PAGE_ROWS;
  const known = view.statistics.filtered?.columns ?? {};
  statisticsShown().forEach((name, line) => {
    const kinds = options.statistics.find((statistic) => statistic.name === name)?.kinds ?? [];
    const cells = columns().map((column) => {
      if (!kinds.includes(column.kind)) return element("td", "");
      const cell = known[column.name]?.[name];
      const kind = cell?.error ? `${alignment(column)} error` : alignment(column);
      const slow = cell?.error?.code === "out_of_time";
      const made = element("td", slow ? "" : statisticText(cell), { "data-name": name, class: kind, title: cell?.error?.message ?? "" });
      if (slow) made.append(slowButton(column.name, name));
      return made;
    });
    $("head").children[line + 1].replaceChildren(...cells);
  });
}

function slowButton(column, statistic) {
  const button = element("button", "slow", { title: "It took too long. Compute it now" });
  button.onclick = () => send({ type: "statistic_request", generation: view.generation, scope: "filtered", column, statistic });
  return button;
}

function statisticText(cell) {
  if (!cell) return "…";
  if (cell.error) return "failed";
  if (cell.value == null) return "—";
  const { value, basis = "exact" } = cell;
  const isFraction = typeof value === "number" && !Number.isInteger(value);
  return (basis === "exact" ? "" : "~") + (isFraction ? String(Number(value.toPrecision(6))) : text(value));
}

function text(value) {
  const whole = typeof value === "object" ? JSON.stringify(value) : String(value);
  return whole.length > 200 ? whole.slice(0, 200) + "…" : whole;
}

const grouped = (number) => number.toLocaleString("en");

function complain(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

// What a person does

$("search").oninput = () => changeState({ search: $("search").value });
$("previous").onclick = () => turnPage(-1);
$("next").onclick = () => turnPage(1);
$("source").onchange = () => location.assign("?" + new URLSearchParams({ source: $("source").value }));

async function start() {
  try {
    const { sources } = await (await fetch("tables")).json();
    $("source").replaceChildren(...sources.map((name) => element("option", name, { value: name })));
    $("source").hidden = sources.length < 2;
    if (!session && !source) source = sources[0];
  } finally {
    connect();
  }
}

start();
