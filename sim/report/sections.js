// The parts of the page that are not plots.

import { h, values } from "./dom.js";
import { bytes, clock, duration, percent, whole } from "./format.js";
import { faultColour } from "./plot.js";

export function heading(report) {
  const failed = report.checks.filter((check) => !check.passed);
  const verdict = report.checks.length === 0 ? null
    : h(`p.verdict.${report.passed ? "good" : "bad"}`, null, report.passed
      ? `✓ Passed: ${report.checks.length} of ${report.checks.length} checks`
      : `✗ Failed: ${failed.length} of ${report.checks.length} checks`);
  const facts = [
    ["Policy", report.policy], ["Seed", report.seed],
    ["Simulated", `${duration(report.virtual_ms)} in ${duration(report.real_ms)}`],
    ["Trace hash", report.hash], ["Version", report.version],
    ["Commit", report.commit],
    ["Order lines left out", report.order_lines_left_out]].filter(([, value]) => value);
  return h("header", null, h("h1", null, report.title), h("p.dim", null, report.teaches), verdict,
    h("dl", null, facts.map(([name, value]) =>
      h("div", null, h("dt", null, name), h("dd", null, value)))));
}

export function checks(report) {
  if (report.checks.length === 0) return null;
  const ordered = [...report.checks].sort((a, b) => a.passed - b.passed);
  const rows = ordered.map((check) => ({
    cells: [check.passed ? h("span.good", null, "✓ ok") : h("span.bad", null, "✗ failed"),
      check.name, check.detail],
  }));
  return h("section", null, h("h2", null, "Checks"),
    values("Checks", ["", "check", "found"], rows, { numeric: false }));
}

export function decrees(report) {
  const found = report.decrees;
  if (!found) return null;
  const rows = [
    ["Dry runs: to be seized", whole(found.seize)],
    ["and in open holds", whole(found.open_holds), "sub"],
    ["Seized", whole(found.seized)],
    ["Oversold beyond the allowance, at most", whole(found.beyond_allowance)],
    ["of one SKU, beyond what dry runs said", whole(found.beyond_bound), "sub"],
    ["Sold by the lost before it knew", whole(found.spent_unseen)],
    ["beyond stock and allowance", whole(found.realized), "sub"],
    ["repaid", whole(found.repaid), "sub"],
    ["Decrees open at the end", `${whole(found.open)} of ${whole(found.issued)}`],
    ["Replicas retired", whole(found.retirements)],
  ].map(([name, value, sub]) => ({ cells: [name, value], sub }));
  return h("section", null, h("h2", null, "Decrees"),
    values("Decrees", ["", "units, all SKUs"], rows));
}

function tile(name, value, note, mood = "") {
  return h("div.tile", null, h("div.name", null, name), h(`div.value${mood}`, null, value),
    h("div.note", null, note));
}

export function tiles(report) {
  const all = report.totals;
  const oversold = all.oversold == null ? null
    : tile("Oversold at most", whole(all.oversold), `bound: ${whole(all.oversold_bound)} units`,
      all.oversold > (all.oversold_bound ?? 0) ? ".bad" : "");
  return h("section.tiles", { "aria-label": "Summary" },
    tile("Carts answered", percent(all.availability),
      `${whole(all.carts_failed)} of ${whole(all.carts)}: no answer, or an error`),
    tile("Carts reserved", whole(all.carts_accepted), `${whole(all.carts_refused)} refused`),
    tile("Refused, stock elsewhere", whole(all.refused_with_stock_elsewhere),
      "carts that other regions' rights would have covered"),
    oversold,
    tile("Latency, 99th percentile", duration(all.latency?.p99_ms),
      `median ${duration(all.latency?.p50_ms)}, longest ${duration(all.latency?.max_ms)}`),
    tile("Sent between regions", bytes(all.wan_bytes),
      `${bytes(all.wan_bytes_per_reservation)} for each reserved cart`));
}

export function faultList(faults, length) {
  if (faults.length === 0) return null;
  // Faults answer nothing: the column is there for operators' commands.
  const answered = faults.some((fault) => fault.answer);
  const rows = faults.map((fault) => {
    const colour = faultColour(fault.kindIndex);
    const to = fault.to_ms === fault.from_ms ? "" : fault.to_ms >= length ? "end"
      : clock(fault.to_ms, 1000, length);
    const share = (ms) => `${(100 * Math.min(ms, length)) / length}%`;
    const left = share(fault.from_ms);
    const width = share(Math.min(fault.to_ms, length) - fault.from_ms);
    const bar = h("div.track", { "aria-hidden": "true" },
      h("i", { style: { left, width, background: colour } }));
    const number = h("span.swatch", { style: { color: colour, borderColor: colour } },
      String(fault.number));
    return h("tr", null, h("td", null, number), h("th", { scope: "row" }, fault.label),
      h("td", null, fault.kind), h("td", null, fault.regions.join(", ")),
      answered ? h("td", null, fault.answer ?? "") : null,
      h("td", null, clock(fault.from_ms, 1000, length)), h("td", null, to),
      h("td.wide", null, bar));
  });
  const titles = ["", "fault", "kind", "regions", ...(answered ? ["answer"] : []), "from", "to",
    ""];
  return h("section", null, h("h2", null, "Faults"), h("div.scroll", null,
    h("table.values", { "aria-label": "Faults", style: { width: "100%" } },
      h("thead", null, h("tr", null, titles.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", null, rows))));
}

const kMeasures = [
  ["Carts", (t) => whole(t.carts)],
  ["reserved", (t) => whole(t.carts_accepted), "sub"],
  ["refused", (t) => whole(t.carts_refused), "sub"],
  ["no answer, or an error", (t) => whole(t.carts_failed), "sub"],
  ["Carts answered", (t) => percent(t.availability)],
  ["Refused with stock elsewhere", (t) => whole(t.refused_with_stock_elsewhere)],
  ["Waited for rights of other nodes", (t) => whole(t.carts_fetched)],
  ["Lines", (t) => whole(t.lines)],
  ["Units reserved", (t) => whole(t.units_reserved)],
  ["committed", (t) => whole(t.units_committed), "sub"],
  ["released", (t) => whole(t.units_released), "sub"],
  ["expired", (t) => whole(t.units_expired), "sub"],
  ["Oversold at most", (t) => whole(t.oversold)],
  ["its bound", (t) => whole(t.oversold_bound), "sub"],
  ["Latency, median", (t) => duration(t.latency?.p50_ms)],
  ["99th percentile", (t) => duration(t.latency?.p99_ms), "sub"],
  ["longest", (t) => duration(t.latency?.max_ms), "sub"],
  ["Bytes sent between regions", (t) => bytes(t.wan_bytes)],
  ["for each reserved cart", (t) => bytes(t.wan_bytes_per_reservation), "sub"],
];

// columns: [{name, totals}]
export function totalsTable(columns, { allLast }) {
  const reasons = [...new Set(columns.flatMap((c) => Object.keys(c.totals.refused)))].sort();
  const rows = kMeasures.flatMap(([name, cell, sub]) => {
    const row = { cells: [name, ...columns.map((c) => cell(c.totals))], sub };
    if (name !== "refused") return [row];
    return [row, ...reasons.map((reason) => ({
      cells: [`… ${reason}`, ...columns.map((c) => whole(c.totals.refused[reason] ?? 0))],
      sub: "sub" }))];
  });
  const used = rows.filter((row) => row.cells.slice(1).some((cell) => cell !== "–"));
  return h("section", null, h("h2", null, "Totals"),
    values("Totals", ["", ...columns.map((c) => c.name)], used, { allLast }));
}

const kCompared = [
  ["Carts answered", "yes or no, in time: more is better", (t) => t.availability, percent],
  ["Carts reserved", "more is better", (t) => t.carts_accepted, whole],
  ["Refused with stock elsewhere", "less is better",
    (t) => t.refused_with_stock_elsewhere, whole],
  ["Oversold at most, units", "beyond the bound in red", (t) => t.oversold, whole,
    (t) => t.oversold > (t.oversold_bound ?? 0)],
  ["Latency, median", "less is better", (t) => t.latency?.p50_ms, duration],
  ["Latency, 99th percentile", "less is better", (t) => t.latency?.p99_ms, duration],
  ["Bytes sent between regions", "less is better", (t) => t.wan_bytes, bytes],
  ["Bytes for each reserved cart", "less is better", (t) => t.wan_bytes_per_reservation, bytes],
];

export function alternatives(columns) {
  const noted = columns.filter((column) => column.note);
  if (noted.length === 0) return null;
  const rows = noted.map((column) => ({ cells: [column.name, column.note] }));
  return h("section", null, h("h2", null, "Alternatives"),
    values("Alternatives", ["alternative", "what it is"], rows, { numeric: false }));
}

export function bars(columns) {
  const cards = kCompared.map(([title, about, value, format, isBad]) => {
    const all = columns.map((column) => value(column.totals));
    if (all.every((one) => one == null)) return null;
    const most = Math.max(...all.map((one) => one ?? 0)) || 1;
    const rows = columns.map((column, i) => h("tr", null,
      h("th", { scope: "row" }, column.name),
      h("td", { "aria-hidden": "true" }, h(isBad?.(column.totals) ? "i.bad" : "i", {
        style: { width: `${(100 * (all[i] ?? 0)) / most}%` } })),
      h("td.n", null, format(all[i]))));
    return h("div.metric", null, h("h3", null, title), h("p.dim", null, about),
      h("table", { "aria-label": title }, h("tbody", null, rows)));
  });
  return h("section", null, h("h2", null, "Side by side"), h("div.metrics", null, cards));
}

export function footer(text) {
  const save = () => {
    const link = h("a", {
      href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
      download: "holdfast-simulation.json" });
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return h("footer", null, h("button", { type: "button", onclick: save }, "Save the data (JSON)"));
}

