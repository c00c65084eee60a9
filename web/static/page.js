// Asks /v1/status each second and shows what it says. Text from the cluster is
// only ever set as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const tones = {
  good: "good", told: "soft", working: "warn", waiting: "warn", stopped: "bad", // severities of reason codes
  alive: "good", leaving: "soft", silent: "bad", // states of nodes
  healthy: "good", unhealthy: "bad",
};

const tone = (word) => tones[word] || "bad";

function age(ms) {
  if (ms === null || ms === undefined) return "–";
  const s = Math.max(0, ms / 1000);
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.floor(s) + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  if (s < 172800) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

const number = (n) => (n === null ? "–" : n.toLocaleString("en"));

function rate(b) {
  if (b === null) return "–";
  for (const [size, unit] of [[1e9, "GB/s"], [1e6, "MB/s"], [1e3, "kB/s"]]) {
    if (b >= size) return (b / size).toFixed(b >= 10 * size ? 1 : 2) + " " + unit;
  }
  return Math.round(b) + " B/s";
}

function cell(tag, text, cls) {
  const e = document.createElement(tag);
  e.textContent = text;
  if (cls) e.className = cls;
  return e;
}

// table fills a table; a column is [head, value of a row, class, tone of a row].
function table(id, columns, rows, empty) {
  const head = document.createElement("tr");
  for (const [name, , cls] of columns) head.append(cell("th", name, cls));
  const body = rows.map((row) => {
    const tr = document.createElement("tr");
    for (const [, value, cls, color] of columns) {
      tr.append(cell("td", value(row), [cls || "", color ? tone(color(row)) : ""].join(" ").trim()));
    }
    return tr;
  });
  if (body.length === 0) {
    const tr = document.createElement("tr");
    const td = cell("td", empty, "empty");
    td.colSpan = columns.length;
    tr.append(td);
    body.push(tr);
  }
  $(id).replaceChildren(head, ...body);
}

const lag = [["Lag", (t) => number(t.lagRecords), "n"], ["Behind", (t) => (t.lagSeconds === null ? "–" : age(t.lagSeconds * 1000)), "n"], ["Rate", (t) => rate(t.bytesPerSecond), "n"]];
const linkLag = lag.map(([h, f, c]) => [h, (l) => f(l.totals), c]);

function show(s) {
  document.title = (s.health === "healthy" ? "" : s.health + " – ") + "Sluice";
  pill(s.health, tone(s.health));
  $("facts").textContent = (s.leader ? "leader " + s.leader : "no leader") + " · index " + s.index + " of " + s.node +
    (s.ageMillis === null ? ", never confirmed" : ", " + age(s.ageMillis) + " old") + " · " + s.asOf.slice(0, 19).replace("T", " ") + " UTC";
  $("problems").replaceChildren(...s.problems.map((p) => cell("li", p)));
  $("warnings").replaceChildren(...s.warnings.map((p) => cell("li", p)));
  const t = s.totals;
  $("totals").replaceChildren(...[
    [rate(t.bytesPerSecond), "copied"], [number(t.lagRecords), "records behind"], [t.lagSeconds === null ? "–" : age(t.lagSeconds * 1000), "behind at most"],
    [number(t.streams), "streams"], [number(t.stopped), "stopped"], [number(t.paused), "streams paused"], [number(t.records), "records copied"],
  ].map(([value, what]) => {
    const div = document.createElement("div");
    div.append(cell("b", value), cell("span", what));
    return div;
  }));
  table("nodes", [
    ["Node", (n) => n.name], ["State", (n) => n.state, "", (n) => n.state], ["Role", (n) => n.role], ["Datacenter", (n) => n.datacenter || "–"],
    ["Tasks", (n) => number(n.tasks), "n"], ["Heard", (n) => age(n.ageMillis), "n"], ["Index", (n) => n.index, "n"],
    ["Disk", (n) => (n.disk === null ? "–" : n.disk === "" ? "ok" : "fails since " + n.diskSince.slice(0, 19).replace("T", " ")), "", (n) => (n.disk === null ? "told" : n.disk === "" ? "good" : "stopped")],
  ], s.nodes, "no node has joined yet");
  table("links", [
    ["Link", (l) => l.name], ["State", (l) => l.condition, "", (l) => l.severity], ["From", (l) => l.source], ["To", (l) => l.target],
    ["Streams", (l) => number(l.totals.streams), "n"], ["Stopped", (l) => number(l.totals.stopped), "n"], ...linkLag,
    ["Not confirmed", (l) => (l.state === "running" ? "" : l.unconfirmed.join(", "))],
  ], s.links, "no link yet: sluice apply -f links.yaml");
  table("tasks", [
    ["Stream", (x) => (x.topic ? x.topic + "/" + x.partition : "(" + x.kind + ")")], ["Link", (x) => x.link], ["Node", (x) => x.owner || "–"],
    ["State", (x) => x.state, "", (x) => x.severity], ...lag, ["", (x) => x.message, "text"],
  ], s.tasks, "nothing to copy yet");
  const hidden = s.taskCount - s.tasks.length;
  $("more").textContent = "worst first" + (hidden > 0 ? ", " + number(hidden) + " more are not worse" : "");
  table("events", [
    ["When", (e) => e.last.slice(0, 19).replace("T", " ")], ["Event", (e) => e.code], ["Link", (e) => e.link || "–"],
    ["Stream", (e) => (e.topic ? e.topic + (e.partition === null ? "" : "/" + e.partition) : "–")], ["Node", (e) => e.node || "–"],
    ["", (e) => e.message + (e.count > 1 ? " (" + e.count + " times)" : ""), "text"],
  ], s.events, "nothing has happened yet");
}

function pill(text, cls) {
  const p = $("health");
  if (p.textContent !== text) p.textContent = text;
  p.className = "pill " + cls;
}

let token = sessionStorage.getItem("token") || "";
let heard = Date.now();

async function poll() {
  try {
    const headers = token ? { Authorization: "Bearer " + token } : {};
    const answer = await fetch("v1/status?tasks=50&events=20", { headers, cache: "no-store", signal: AbortSignal.timeout(5000) });
    $("login").hidden = answer.status !== 401;
    if (!answer.ok) throw new Error((await answer.json()).detail);
    show(await answer.json());
    heard = Date.now();
    document.body.className = "";
  } catch (e) {
    pill("no answer for " + age(Date.now() - heard), "bad");
    $("facts").textContent = e.message;
    document.body.className = "old";
  }
  setTimeout(poll, document.hidden ? 10000 : 1000);
}

$("login").addEventListener("submit", (e) => {
  e.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
});

poll();
