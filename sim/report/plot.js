// One plot: lines over time or over another number, with the faults shaded behind them.

import uPlot from "uplot";
import { css, h } from "./dom.js";
import { clock, duration, formatOf, preciseFormatOf } from "./format.js";

const kSeriesColours = 8;
const kFaultColours = 6;

const kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
const kTimeSteps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, kSecond, 2 * kSecond, 5 * kSecond, 10 * kSecond,
  15 * kSecond, 30 * kSecond, kMinute, 2 * kMinute, 5 * kMinute, 10 * kMinute, 15 * kMinute,
  30 * kMinute, kHour, 2 * kHour, 3 * kHour, 4 * kHour, 6 * kHour, 12 * kHour, kDay, 2 * kDay,
  7 * kDay, 14 * kDay, 28 * kDay, 91 * kDay, 364 * kDay];
// Where a logarithmic axis of durations has its lines.
const kDurations = [1, 10, 100, kSecond, 10 * kSecond, kMinute, 10 * kMinute, kHour, 10 * kHour,
  4 * kDay, 40 * kDay, 400 * kDay];

export const seriesColour = (i) => css(`--s${i % kSeriesColours}`);
export const seriesDash = (i) => [undefined, [6, 3], [2, 3]][Math.floor(i / kSeriesColours) % 3];
export const faultColour = (kindIndex) => css(`--f${kindIndex % kFaultColours}`);

const known = (values) => values.filter((value) => value != null);

// Durations of very different sizes are read on an axis that is linear up to the result and
// logarithmic above; null: all of it linear.
function logarithmicFrom(plot) {
  const positive = known(plot.lines.flatMap((line) => line.y)).filter((value) => value > 0);
  if (plot.unit !== "ms" || positive.length === 0) return null;
  const most = positive.reduce((a, b) => Math.max(a, b));
  const least = positive.reduce((a, b) => Math.min(a, b));
  const from = kDurations.findLast((value) => value <= least) ?? kDurations[0];
  return most > 50 * from ? from : null;
}

// For those who don't see the picture.
export function spoken(plot) {
  const format = preciseFormatOf(plot.unit);
  const parts = plot.lines.map((line) => {
    const y = known(line.y);
    if (y.length === 0) return `${line.name}: no values`;
    const least = y.reduce((a, b) => Math.min(a, b)), most = y.reduce((a, b) => Math.max(a, b));
    return `${line.name}: ${format(least)} to ${format(most)}, at the end ${format(y.at(-1))}`;
  });
  return `${plot.title}. ${parts.join("; ")}.`;
}

function drawBands(u, faults) {
  const { left, top, width, height } = u.bbox;
  const { ctx } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  for (const fault of faults) {
    const from = u.valToPos(fault.from_ms, "x", true), to = u.valToPos(fault.to_ms, "x", true);
    const colour = faultColour(fault.kindIndex);
    ctx.fillStyle = colour;
    ctx.globalAlpha = 0.13;
    ctx.fillRect(from, top, to - from, height);
    ctx.globalAlpha = 0.75;
    ctx.fillRect(from, top, uPlot.pxRatio, height);
  }
  ctx.restore();
}

// The faults' numbers along the upper edge, in a second and third row where they would overlap.
function drawBandNumbers(u, faults) {
  const { left, top, width } = u.bbox;
  const { ctx } = u;
  const ratio = uPlot.pxRatio;
  const rowEnds = [];
  ctx.save();
  ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  for (const fault of faults) {
    const from = u.valToPos(fault.from_ms, "x", true), to = u.valToPos(fault.to_ms, "x", true);
    const at = Math.max(from, left) + 4 * ratio;
    if (to < left || at > left + width - 8 * ratio) continue;
    let row = rowEnds.findIndex((end) => end < at);
    if (row < 0) row = rowEnds.length;
    rowEnds[row] = at + ctx.measureText(String(fault.number)).width + 2 * ratio;
    if (row > 2) continue;
    ctx.fillStyle = faultColour(fault.kindIndex);
    ctx.fillText(String(fault.number), at, top + (2 + 12 * row) * ratio);
  }
  ctx.restore();
}

function logarithmicScale(from, most) {
  const end = kDurations.find((value) => value >= most) ?? most;
  const lines = [0, ...kDurations.filter((value) => value > from && value <= end)];
  return {
    scale: { distr: 4, asinh: from, range: [0, end * 2.5] },
    axis: { splits: lines, filter: (u, splits) => splits },
  };
}

function linearScale(least, most, unit) {
  const span = most - Math.min(0, least);
  const range = [least < 0 ? least - span * 0.08 : 0, span > 0 ? most + span * 0.14 : 1];
  return { scale: { range }, axis: unit === "units" ? { incrs: wholeSteps() } : {} };
}

function wholeSteps() {
  const steps = [];
  for (let power = 1; power < 1e16; power *= 10) steps.push(power, 2 * power, 5 * power);
  return steps;
}

function timeAxis(length) {
  return {
    incrs: kTimeSteps,
    space: 64,
    values: (u, splits, axis, space, step) => splits.map((ms) => clock(ms, step, length)),
  };
}

// plot: {title, about, unit, x, lines: [{name, y, colour}], over: "time" | label, length, steps}.
// Returns {figure, draw(width and height of the plot), zoom(from, to), show(line name, visible)}.
export function makePlot(plot, faults, sync) {
  const logarithmic = logarithmicFrom(plot);
  const place = h("div");
  const scaleNote = logarithmic ? `Logarithmic above ${duration(logarithmic)}.` : null;
  const about = [plot.about, scaleNote].filter(Boolean).join(" ");
  const figure = h("figure", null,
    h("figcaption", null, h("b", null, plot.title), h("span.about", null, about)), place);
  const hidden = new Set();
  let drawn = null;

  function options(width, height) {
    const all = known(plot.lines.flatMap((line) => line.y));
    const most = all.reduce((a, b) => Math.max(a, b), 0);
    const least = all.reduce((a, b) => Math.min(a, b), 0);
    const y = logarithmic ? logarithmicScale(logarithmic, most)
      : linearScale(least, most, plot.unit);
    const overTime = plot.over === "time";
    const format = formatOf(plot.unit), precise = preciseFormatOf(plot.unit);
    const axis = {
      stroke: css("--dim"), font: "12px system-ui, sans-serif",
      grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--grid"), size: 4 },
    };
    const xRange = overTime ? [0, plot.length] : paddedRange(plot.x);
    return {
      width, height,
      scales: {
        x: { time: false, range: (u, from, to) => (u.zoomed ? [from, to] : xRange) },
        y: y.scale,
      },
      axes: [
        { ...axis, size: 28, ...(overTime ? timeAxis(plot.length)
          : { label: plot.over, labelSize: 20, labelFont: axis.font, labelGap: 0,
            values: (u, splits) => splits.map((value) => formatOf("")(value)) }) },
        { ...axis, size: 66, ...y.axis, values: (u, splits) => splits.map(format) },
      ],
      series: [
        {
          label: overTime ? "at" : plot.over,
          value: (u, value) => (value == null ? ""
            : overTime ? clock(value, precision(plot), plot.length) : formatOf("")(value)),
        },
        ...plot.lines.map((line) => ({
          label: line.name, stroke: seriesColour(line.colour), dash: seriesDash(line.colour),
          width: 1.5, show: !hidden.has(line.name),
          points: { show: !overTime || plot.x.length < 3, size: 6 },
          paths: plot.steps ? uPlot.paths.stepped({ align: -1 }) : undefined,
          value: (u, value, i, at) => (at == null ? "" : precise(value)),
        })),
      ],
      cursor: {
        sync: overTime ? { key: sync.key } : undefined,
        drag: { x: overTime, y: false, setScale: false },
        focus: { prox: 24 },
        points: { size: 7 },
      },
      focus: { alpha: 0.35 },
      hooks: {
        drawClear: [(u) => drawBands(u, overTime ? faults : [])],
        draw: [(u) => drawBandNumbers(u, overTime ? faults : [])],
        setSelect: [(u) => overTime && u.select.width > 4 && sync.zoom(
          u.posToVal(u.select.left, "x"),
          u.posToVal(u.select.left + u.select.width, "x"))],
      },
    };
  }

  function draw(width, height) {
    drawn?.destroy();
    drawn = new uPlot(options(width, height), [plot.x, ...plot.lines.map((line) => line.y)], place);
    const area = drawn.root.querySelector(".u-wrap");
    area.setAttribute("role", "img");
    area.setAttribute("aria-label", spoken(plot));
    area.addEventListener("dblclick", () => sync.zoom(null, null));
    zoom(sync.from, sync.to);
  }

  function zoom(from, to) {
    if (plot.over !== "time") return;
    drawn.zoomed = from != null;
    drawn.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    drawn.setScale("x", { min: from ?? 0, max: to ?? plot.length });
  }

  function show(name, visible) {
    if (visible) hidden.delete(name);
    else hidden.add(name);
    const index = plot.lines.findIndex((line) => line.name === name);
    if (index >= 0) drawn?.setSeries(index + 1, { show: visible });
  }

  return { figure, draw, zoom, show };
}

function paddedRange(x) {
  const from = x[0] ?? 0, to = x.at(-1) ?? 1;
  const margin = (to - from) * 0.04 || 1;
  return [Math.max(0, from - margin), to + margin];
}

// The interval between samples: how exactly a sample's time is told.
function precision(plot) {
  return plot.x.length > 1 ? plot.x[1] - plot.x[0] : kMinute;
}
