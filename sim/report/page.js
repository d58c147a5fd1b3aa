// Shows the report that stands in the page. What the names mean: sim/report.h.

import "uplot/dist/uPlot.min.css";
import "./page.css";
import { h, values } from "./dom.js";
import { duration, formatOf, preciseFormatOf } from "./format.js";
import { makePlot, seriesColour } from "./plot.js";
import * as sections from "./sections.js";

const kHeight = 230;
const kPrintWidth = 640, kPrintHeight = 185;

// name, title, unit, what it says; `steps`: a sum over the interval, not a state.
const kRegionPlots = [
  ["rights", "Rights", "units", "Units that a region may sell without asking another."],
  ["units_sold", "Sold", "units", "Units sold, @interval.", "steps"],
  ["carts_accepted", "Carts reserved", "units", "Reservations that were accepted, @interval.",
    "steps"],
  ["carts_refused", "Carts refused or failed", "units",
    "Reservations that were refused, or not answered, @interval.", "steps"],
  ["refused_with_stock_elsewhere", "Refused with stock elsewhere", "units",
    "Refused although all regions' rights together would have covered the cart, @interval.",
    "steps"],
  ["lag_ms", "Lag", "ms", "Age of the oldest news from another region that is missing here."],
  ["wan_bytes", "Bytes sent to other regions", "bytes", "On the wire, @interval.", "steps"],
  ["p50_ms", "Latency, median", "ms", "Of the reservations answered, @interval.", "steps"],
  ["p99_ms", "Latency, 99th percentile", "ms", "Of the reservations answered, @interval.",
    "steps"],
];
const kGlobalPlots = [
  ["Stock", "units", "All regions and products together.",
    [["on hand", "on_hand"], ["available", "available"]]],
  ["Oversold, and its bound", "units",
    "Units sold beyond what there was, against allowance and exposure: what may be oversold.",
    [["oversold", "oversold"], ["bound", "oversold_bound"]]],
];

const kUnits = ["ms", "bytes", "units"];  // told by the axis
const kGlobalColours = [7, 14];  // none of the first regions'; the second dashed

const some = (series) => series.some((value) => value != null);

function runPlots(report) {
  const x = report.times_ms;
  const common = { x, over: "time", length: report.virtual_ms };
  const even = x.length > 1 && x.every((ms, i) => i === 0 || ms - x[i - 1] === x[1] - x[0]);
  const interval = even ? `per ${duration(x[1] - x[0])}` : "per interval";
  const ofRegions = kRegionPlots.map(([name, title, unit, about, steps]) => ({
    ...common, title, unit, about: about.replace("@interval", interval), steps: !!steps,
    lines: report.regions.map((region, i) => ({
      name: region.name, y: region.series[name], colour: i })),
  }));
  const ofAll = kGlobalPlots.map(([title, unit, about, lines]) => ({
    ...common, title, unit, about,
    lines: lines.map(([name, key], i) => ({
      name, y: report.global[key], colour: kGlobalColours[i] })),
  }));
  const all = [ofRegions[0], ...ofAll, ...ofRegions.slice(1)];
  return all.map((plot) => ({ ...plot, lines: plot.lines.filter((line) => some(line.y)) }))
    .filter((plot) => plot.lines.length > 0);
}

function curvePlots(report) {
  return report.curves.map((curves) => ({
    title: curves.title, unit: curves.y_label, x: curves.x,
    about: kUnits.includes(curves.y_label) ? "" : curves.y_label,
    over: curves.x_label,
    lines: curves.lines.map((line, i) => ({ name: line.name, y: line.y, colour: i })),
  }));
}

function curveTable(plot) {
  const format = preciseFormatOf(plot.unit);
  const rows = plot.x.map((x, i) => ({
    cells: [formatOf("")(x), ...plot.lines.map((line) => format(line.y[i]))] }));
  return h("div.table", null,
    values(plot.title, [plot.over, ...plot.lines.map((line) => line.name)], rows));
}

// The plots that share a time axis, and those of curves: drawn as wide as their cards, again
// when these, the colours or the medium change.
class Board {
  constructor(plots, faults) {
    this.sync = {
      key: "time", from: null, to: null,
      zoom: (from, to) => {
        Object.assign(this.sync, { from, to });
        for (const plot of this.plots) plot.zoom(from, to);
      },
    };
    this.plots = plots.map((plot) => makePlot(plot, faults, this.sync));
    this.element = h("div.plots", null, this.plots.map((plot) => plot.figure));
    this.width = 0;
  }

  draw(width, height = kHeight) {
    this.width = width;
    for (const plot of this.plots) plot.draw(width, height);
  }

  // The room inside a card; the padding is part of clientWidth.
  fit() {
    const card = this.plots[0]?.figure;
    if (!card) return;
    const style = getComputedStyle(card);
    const room = card.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    if (Math.abs(room - this.width) >= 1) this.draw(Math.floor(room));
  }

  watch() {
    this.fit();
    new ResizeObserver(() => this.printing || this.fit()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
      () => this.draw(this.width));
    addEventListener("beforeprint", () => {
      this.printing = true;
      document.documentElement.classList.add("print");
      this.draw(kPrintWidth, kPrintHeight);
    });
    addEventListener("afterprint", () => {
      this.printing = false;
      document.documentElement.classList.remove("print");
      this.width = 0;
      this.fit();
    });
  }

  // Buttons that hide a region in all plots, and one that shows all the time again.
  tools(regions) {
    const button = (region, i) => {
      const mark = h("span", { style: { display: "inline-block", width: "10px", height: "10px",
        borderRadius: "50%", marginRight: "6px", background: seriesColour(i) } });
      const element = h("button", { type: "button", "aria-pressed": "true" }, mark, region.name);
      element.addEventListener("click", () => {
        const visible = element.getAttribute("aria-pressed") === "false";
        element.setAttribute("aria-pressed", String(visible));
        for (const plot of this.plots) plot.show(region.name, visible);
      });
      return element;
    };
    return h("div.tools", null, h("span.dim", null, "Show"), regions.map(button),
      h("button", { type: "button", onclick: () => this.sync.zoom(null, null) }, "All the time"),
      h("span.dim", null, "Drag over a plot to zoom in on a time."));
  }
}

// Numbers the faults, and their kinds in order of appearance.
function numbered(faults) {
  const kinds = [...new Set(faults.map((fault) => fault.kind))];
  return faults.map((fault, i) => ({
    ...fault, number: i + 1, kindIndex: kinds.indexOf(fault.kind) }));
}

function curvesSection(report) {
  const plots = curvePlots(report);
  if (plots.length === 0) return null;
  const board = new Board(plots, []);
  board.plots.forEach((plot, i) => plot.figure.append(curveTable(plots[i])));
  return { board, element: h("section", null, h("h2", null, "Measured"), board.element) };
}

function show(report, text) {
  document.title = report.title ? `${report.title} · Holdfast simulation` : "Holdfast simulation";
  const faults = numbered(report.faults ?? []);
  const parts = [sections.heading(report)];
  const boards = [];
  if (report.kind === "run") {
    parts.push(h("h2", null, "In short"), sections.tiles(report), sections.checks(report),
      sections.faultList(faults, report.virtual_ms), sections.decrees(report));
    const plots = runPlots(report);
    if (plots.length > 0) {
      const board = new Board(plots, faults);
      boards.push(board);
      parts.push(h("section", null, h("h2", null, "Over time"), board.tools(report.regions),
        board.element));
    }
    parts.push(sections.totalsTable(
      [...report.regions, { name: "all", totals: report.totals }], { allLast: true }));
  } else if (report.kind === "comparison") {
    parts.push(sections.checks(report), sections.alternatives(report.columns),
      sections.faultList(faults, report.virtual_ms), sections.bars(report.columns),
      sections.totalsTable(report.columns, { allLast: false }));
  } else {
    parts.push(sections.checks(report));
  }
  const curves = curvesSection(report);
  if (curves) {
    boards.push(curves.board);
    parts.push(curves.element);
  }
  parts.push(sections.footer(text));
  document.getElementById("report").replaceChildren(...parts.filter(Boolean));
  for (const board of boards) board.watch();
}

const text = document.getElementById("data").textContent;
show(JSON.parse(text), text);
