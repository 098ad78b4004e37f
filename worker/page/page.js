// The status page: shows the figures that the worker streams (worker/ops/page_figures.h says what they are).
// All addresses are relative, so that it works behind a proxy that adds a prefix.
import {Chart, growth, share, short} from "./charts.js";

const SILENCE = 15000; // figures come every two seconds: after this the connection is taken for dead
const OLD = 30000; // shared figures older than this are said to be old
const AGAIN = 5000; // until a refused stream is asked for again
const RECENT = 60000; // what "last minute" is
const HOUR = 3600000;

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

// ---- text and elements, changed only where something is new, so that focus and selection stay ----

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

const sentence = (text) => (text.endsWith(".") ? text : `${text}.`);
const whole = (value) => (value ?? 0).toLocaleString("en");
const percent = (value) => (value === null ? "none yet" : `${short(value)} %`);
const megabytes = (value) => `${whole(Math.round(value ?? 0))} MB`;

function age(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

function bytes(value) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${short(value)} ${units[unit]}`;
}

// Parts of a whole as a bar: the figures beside it say the same, so that it is hidden from screen readers.
function drawBar(cell, {parts, mark}) {
  const sum = parts.reduce((all, [, value]) => all + value, 0), scale = 100 / Math.max(1, sum, mark);
  const key = JSON.stringify([parts, mark]);
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  const svg = document.createElementNS(SVG, "svg");
  const add = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
    svg.append(element);
  };
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 101 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  let x = 0;
  for (const [name, value] of parts) {
    if (value > 0) add("rect", {class: name, x, width: value * scale, y: 1, height: 8});
    x += value * scale;
  }
  if (mark > 0) add("line", {class: "size", x1: mark * scale, x2: mark * scale, y1: 0, y2: 10});
  cell.replaceChildren(svg);
}

function fillCell(cell, value) {
  if (value !== null && typeof value === "object") {
    if (value.parts) {
      cell.className = "wide";
      drawBar(cell, value);
    } else {
      cell.className = value.bad ? "text bad" : "text";
      setText(cell, value.text);
    }
  } else {
    setText(cell, String(value));
  }
}

// rows: [[name, cell, ...], ...]; a row keeps its element as long as its name is there.
function fillTable(body, rows) {
  const known = new Map([...body.rows].map((row) => [row.dataset.name, row]));
  rows.forEach(([name, ...cells], i) => {
    let row = known.get(name);
    known.delete(name);
    if (!row) {
      row = document.createElement("tr");
      row.dataset.name = name;
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head, ...cells.map(() => document.createElement("td")));
    }
    cells.forEach((cell, k) => fillCell(row.cells[k + 1], cell));
    if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
  });
  for (const row of known.values()) row.remove();
}

function fillFacts(list, facts) {
  const known = new Map([...list.children].map((item) => [item.dataset.name, item]));
  for (const [name, value, bad] of facts) {
    let item = known.get(name);
    if (!item) {
      item = document.createElement("div");
      item.dataset.name = name;
      item.append(document.createElement("dt"), document.createElement("dd"));
      item.firstChild.textContent = name;
      list.append(item);
    }
    item.lastChild.className = bad ? "bad" : "";
    setText(item.lastChild, value);
  }
}

// ---- what is shown ----

const arrived = (of) => of.warm_starts + of.cold_starts + of.rejected + of.waiting;

const charts = [
  {title: "Arrivals a second", lines: [{name: "arrivals", of: growth(arrived)}]},
  {title: "Warm share of starts", unit: "%", most: 100, target: 90, lines: [{name: "warm", of: share("warm_starts", "cold_starts")}]},
  {title: "Containers", lines: [{name: "idle", of: (s) => s.available}, {name: "leased", of: (s) => s.leased},
    {name: "creating", of: (s) => s.creating}]},
  {title: "Waiting requests", lines: [{name: "waiting", of: (s) => s.waiting}]},
  {title: "Cache hits of lookups", unit: "%", most: 100, target: 90, lines: [{name: "hits", of: share("hits", "misses")}]},
  {title: "Lag of this worker, events", lines: [{name: "lag", of: (s) => s.lag}]},
].map((about) => new Chart(about));

let samples = []; // of the last hour, oldest first
let recent = []; // of the last minute: what the overview's rates are from
let columns = [];
let figures = null; // the latest
let paused = false, waitsToDraw = false;

// The totals now and a minute ago (or as far back as is known).
function lastMinute() {
  return [recent.at(-1), recent[0]];
}

function rememberRecent(of) {
  const one = {time_ms: of.shared_ms, ...of.total};
  if (recent.length > 0 && recent.at(-1).time_ms === one.time_ms) return;
  recent.push(one);
  recent = recent.filter((each) => each.time_ms > one.time_ms - RECENT && each.time_ms <= one.time_ms);
}

function showOverview(of) {
  const [now, before] = lastMinute(), isOne = now === before;
  const rate = isOne ? null : growth(arrived)(now, before);
  const warm = isOne ? null : share("warm_starts", "cold_starts")(now, before);
  const lag = Object.values(of.worker.lag).reduce((all, each) => all + each, 0);
  const longest = Math.max(0, ...of.pools.map((pool) => pool.waiting_seconds));
  fillFacts(at("overview"), [
    ["Idle", whole(of.total.available)],
    ["Leased", whole(of.total.leased)],
    ["Creating", whole(of.total.creating)],
    ["Waiting", of.total.waiting > 0 ? `${whole(of.total.waiting)}, up to ${age(longest)}` : "0", of.total.waiting > 0],
    ["Arrivals a second", rate === null ? "none yet" : short(rate)],
    ["Warm, last minute", percent(warm)],
    ["Warm, of all", percent(of.total.warm_starts + of.total.cold_starts > 0 ? of.total.warm_start_rate_percent : null)],
    ["Cache hits", percent(of.cache.hits + of.cache.misses > 0 ? of.cache.hit_rate_percent : null)],
    ["Rejected", whole(of.total.rejected)],
    ["Lost", whole(of.total.lost)],
    ["Lag", whole(lag)],
    ["Agents", whole(of.tracked_agents)],
  ]);
}

function stateOf(pool) {
  if (pool.unavailable) return {text: `unavailable: ${pool.unavailable}`, bad: true};
  const words = [];
  if (pool.draining) words.push("draining");
  if (pool.outdated > 0) words.push(`${pool.outdated} outdated`);
  if (pool.paused > 0) words.push(`${pool.paused} paused`);
  if (pool.resetting > 0) words.push(`${pool.resetting} being cleaned`);
  return {text: words.join(", ") || (pool.active ? "in use" : "not in use")};
}

function showPools(of) {
  fillTable(at("pool-rows"), of.pools.map((pool) => [pool.name,
    {parts: [["idle", pool.available], ["leased", pool.leased], ["creating", pool.creating]], mark: pool.pool_size},
    whole(pool.available), whole(pool.ready), whole(pool.leased), whole(pool.creating), whole(pool.waiting),
    pool.waiting > 0 ? age(pool.waiting_seconds) : "", whole(pool.pool_size),
    pool.warm_starts + pool.cold_starts > 0 ? percent(pool.warm_start_rate_percent) : "", stateOf(pool)]));
  const more = of.pools_more > 0 ? `${whole(of.pools_more)} pools with less to do are not shown: warmpool status has all.` : "";
  setText(at("pools-more"), of.pools.length > 0 ? more : "None yet: a pool begins with its first request, or by pool.prewarm.");
}

function showHosts(of) {
  const hosts = Object.entries(of.hosts).sort(([a], [b]) => (a < b ? -1 : 1));
  fillTable(at("host-rows"), hosts.map(([name, host]) => [name, {parts: [["leased", host.used]], mark: host.capacity},
    {text: host.state, bad: host.state !== "up"}, whole(host.used), whole(host.capacity), megabytes(host.memory_used_mb),
    megabytes(host.memory_mb)]));
  setHidden(at("no-hosts"), hosts.length > 0);
}

function showTenants(of) {
  const tenants = Object.entries(of.tenants).sort(([a], [b]) => (a < b ? -1 : 1));
  const against = (tenant, name) => {
    const most = tenant[`max_${name}`];
    return most === undefined ? whole(tenant[name]) : `${whole(tenant[name])} of ${whole(most)}`;
  };
  fillTable(at("tenant-rows"), tenants.map(([name, tenant]) =>
    [name, ...["leases", "waiting", "creating"].map((kind) => against(tenant, kind))]));
  setHidden(at("no-tenants"), tenants.length > 0);
  setHidden(at("tenant-rows").closest(".scroll"), tenants.length === 0);
}

function showCache(of) {
  const line = (name, each) => [name, whole(each.size), whole(each.hits), whole(each.misses),
    each.hits + each.misses > 0 ? percent(each.hit_rate_percent) : ""];
  const names = Object.keys(of.cache.namespaces).sort();
  fillTable(at("cache-rows"), [...names.map((name) => line(name, of.cache.namespaces[name])), line("all", of.cache)]);
  setText(at("cache-bounds"), `${whole(of.cache.size)} of at most ${whole(of.cache.max_size)} entries, ` +
    `${bytes(of.cache.bytes)} of at most ${bytes(of.cache.max_bytes)}.`);
}

function showWorker(of) {
  const worker = of.worker, took = worker.acquire_to_assignment;
  setText(at("worker-name"), `${worker.id}, version ${worker.version}`);
  fillFacts(at("worker-facts"), [
    ["Machine or host", worker.host],
    ["Running for", age(worker.uptime_seconds)],
    ["Partitions", whole(worker.partitions)],
    ["Memory", megabytes(worker.rss_mb)],
    ["Acquire to answer, p50", `${short(took.p50_ms)} ms`],
    ["Acquire to answer, p99", `${short(took.p99_ms)} ms`],
    ["Redis call, p99", `${short(worker.redis.call_p99_ms)} ms`],
    ["Answers", `${whole(worker.assigned)} assigned, ${whole(worker.rejected)} rejected, ${whole(worker.lost)} lost`],
  ]);
  fillTable(at("topic-rows"), worker.events.map(({topic, ok, dead_letter}) =>
    [topic, whole(worker.lag[topic]), whole(ok), whole(dead_letter)]));
}

// A new warning is announced once; figures in it may change without a word.
let announced = new Set();

function showWarnings(of) {
  const keyOf = (warning) => `${warning.code} ${warning.subject}`;
  const list = at("warning-list"), known = new Map([...list.children].map((item) => [item.dataset.name, item]));
  const fresh = of.warnings.filter((warning) => !announced.has(keyOf(warning)));
  of.warnings.forEach((warning, i) => {
    let item = known.get(keyOf(warning));
    known.delete(keyOf(warning));
    if (!item) {
      item = document.createElement("li");
      item.dataset.name = keyOf(warning);
      item.append(document.createElement("p"), document.createElement("p"));
    }
    setText(item.firstChild, sentence(warning.message));
    setText(item.lastChild, sentence(warning.advice));
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  });
  for (const item of known.values()) item.remove();
  setHidden(at("no-warnings"), of.warnings.length > 0);
  announced = new Set(of.warnings.map(keyOf));
  if (fresh.length > 0) setText(at("announce"), `New warning: ${fresh.map((warning) => warning.message).join(". ")}`);
  else if (of.warnings.length === 0) setText(at("announce"), "");
  document.title = of.warnings.length > 0 ? `(${of.warnings.length}) warmpool` : "warmpool";
}

let connection = {text: "Connecting", bad: false};

// The state line is a live region: it changes when the state does, not with each figure.
function showState() {
  const line = at("state");
  const old = figures && figures.shared_ms > 0 && figures.time_ms - figures.shared_ms > OLD;
  let text = connection.text, bad = connection.bad;
  if (!bad && figures && !figures.ready) [text, bad] = [`Not ready. ${figures.reasons.join(". ")}`, true];
  else if (!bad && old) [text, bad] = [`The figures are from ${new Date(figures.shared_ms).toLocaleTimeString("en-GB")}: Redis is not answering`, true];
  else if (!bad && figures && figures.shared_ms === 0) [text, bad] = ["Redis has not answered yet: the shared figures are missing", true];
  if (paused) text = `Paused. ${text}`;
  line.classList.toggle("bad", bad);
  setText(line, text);
}

function show() {
  showState();
  if (!figures || paused) return;
  for (const part of [showOverview, showWarnings, showPools, showHosts, showTenants, showCache, showWorker]) part(figures);
  if (waitsToDraw) for (const chart of charts) chart.draw(samples);
  waitsToDraw = false;
}

// ---- what comes ----

function addSamples(rows) {
  for (const row of rows) {
    const sample = Object.fromEntries(columns.map((name, i) => [name, row[i]]));
    if (samples.length > 0 && sample.number <= samples.at(-1).number) continue;
    samples.push(sample);
    waitsToDraw = true;
  }
  const end = samples.at(-1)?.time_ms ?? 0;
  samples = samples.filter((sample) => sample.time_ms > end - HOUR);
}

let source = null, silence = 0;

function say(text, bad) {
  connection = {text, bad};
  showState();
}

function heard() {
  clearTimeout(silence);
  silence = setTimeout(() => connect("No figures have come for a while: connecting again"), SILENCE);
}

function connect(why) {
  if (why) say(why, true);
  source?.close();
  source = new EventSource("figures");
  heard();
  source.addEventListener("open", () => say("Live", false));
  source.addEventListener("history", (event) => {
    const history = JSON.parse(event.data);
    if (history.after === 0) samples = [];
    columns = history.columns;
    waitsToDraw = true;
    addSamples(history.samples);
  });
  source.addEventListener("samples", (event) => {
    addSamples(JSON.parse(event.data));
    show();
  });
  source.addEventListener("figures", (event) => {
    heard();
    figures = JSON.parse(event.data);
    rememberRecent(figures);
    show();
  });
  source.addEventListener("error", () => {
    const refused = source.readyState === EventSource.CLOSED;
    say(refused ? "The worker gives no figures: as many pages as it serves are open, or it is stopping. Trying again"
      : "The connection is lost. Trying again", true);
    if (!refused) return;
    clearTimeout(silence);
    silence = setTimeout(connect, AGAIN);
  });
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  show();
});
at("chart-list").append(...charts.map((chart) => chart.element));
connect();
