// Numbers and times for people.

const none = "–";

export const whole = (value) =>
  value == null ? none : Math.round(value).toLocaleString("en-US");

function digits(value) {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(size >= 10 ? 1 : 2).replace(/\.?0+$/, "");
}

function prefixed(value, units) {
  if (value == null) return none;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < units.length - 1) {
    value /= 1000;
    ++unit;
  }
  return digits(value) + units[unit];
}

export const compact = (value) => prefixed(value, ["", "k", "M", "G", "T"]);
export const bytes = (value) => prefixed(value, [" B", " kB", " MB", " GB", " TB"]);

export function duration(ms) {
  if (ms == null) return none;
  const size = Math.abs(ms);
  if (size < 1000) return digits(ms) + " ms";
  if (size < 60e3) return digits(ms / 1000) + " s";
  if (size < 3600e3) return digits(ms / 60e3) + " min";
  return digits(ms / 3600e3) + " h";
}

// Nothing short of all is 100 %, and nothing above none is 0 %.
export function percent(share) {
  if (share == null) return none;
  const rounded = Math.round(share * 10000) / 100;
  if (share < 1 && rounded === 100) return "> 99.99 %";
  if (share > 0 && rounded === 0) return "< 0.01 %";
  return rounded.toFixed(2).replace(/\.00$/, "") + " %";
}

// A point of virtual time as fine as `step` needs it, in a run of that length.
export function clock(ms, step, length) {
  const two = (n) => String(n).padStart(2, "0");
  const s = Math.floor(ms / 1000);
  const fraction = step < 1000 ? "." + String(Math.floor(ms % 1000)).padStart(3, "0") : "";
  if (length < 60e3) return s + fraction + " s";
  const seconds = step < 60e3 ? ":" + two(s % 60) + fraction : "";
  if (length < 3600e3) return Math.floor(s / 60) + (seconds || ":00");
  const day = length > 24 * 3600e3 ? "d" + (Math.floor(s / 86400) + 1) + " " : "";
  const hour = length > 24 * 3600e3 ? Math.floor(s / 3600) % 24 : Math.floor(s / 3600);
  return day + two(hour) + ":" + two(Math.floor(s / 60) % 60) + seconds;
}

export function formatOf(unit) {
  return unit === "ms" ? duration : unit === "bytes" ? bytes : compact;
}
export function preciseFormatOf(unit) {
  return unit === "ms" ? duration : unit === "bytes" ? bytes
    : (value) => (value == null ? none : Number.isInteger(value) ? whole(value) : digits(value));
}
