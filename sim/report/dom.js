// Elements. Text of a report becomes text nodes, never markup.

// h("p.dim", {title: "…"}, "text", element, …); null and undefined children are left out.
export function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(element.style, value);
    else element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// rows: arrays of cells, the first of which is the row's head; a cell is text or an element.
export function values(caption, titles, rows, { numeric = true, allLast = false } = {}) {
  const align = (i) => (numeric && i > 0 ? "n" : "");
  const head = titles.map((title, i) => h("th", { scope: "col", class: align(i) }, title));
  const body = rows.map((row) => {
    const cells = row.cells.map((cell, i) => {
      const last = allLast && i === row.cells.length - 1;
      const attributes = { class: [align(i), last && "all", row.sub && !i && "sub"]
        .filter(Boolean).join(" ") };
      return i === 0 ? h("th", { scope: "row", ...attributes }, cell) : h("td", attributes, cell);
    });
    return h("tr", null, cells);
  });
  const table = numeric ? "table.values.numeric" : "table.values";
  return h("div.scroll", null, h(table, { "aria-label": caption },
    h("thead", null, h("tr", null, head)), h("tbody", null, body)));
}
