// Makes bundle.html: page.html with all styles and scripts in it. With --check it makes the same
// in memory and fails if the committed file differs.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = (name) => new URL(name, import.meta.url);
const read = (name) => readFileSync(here(name), "utf8");
const kTarget = "bundle.html";
const kPlaceholder = '"HOLDFAST-REPORT-DATA"';  // sim/page.h

function need(condition, message) {
  if (!condition) throw new Error(message);
}

async function compiled() {
  const result = await build({
    entryPoints: [here("page.js").pathname], bundle: true, minify: true, write: false,
    outdir: "out", format: "iife", target: ["es2022"], charset: "ascii",
  });
  const text = (ending) =>
    result.outputFiles.find((file) => file.path.endsWith(ending)).text.trim();
  return { script: text(".js"), style: text(".css") };
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

function notice() {
  const { version } = JSON.parse(read("node_modules/uplot/package.json"));
  const text = `This page contains uPlot ${version}, https://github.com/leeoniya/uPlot\n\n` +
    read("node_modules/uplot/LICENSE").trim();
  need(!text.includes("--"), "uPlot's licence cannot stand in a comment: it contains --");
  return text;
}

async function bundle() {
  const { script, style } = await compiled();
  need(!/<\/script|<!--/i.test(script), "the script contains </script or <!--");
  need(!/<\/style/i.test(style), "the style contains </style");
  const parts = {
    POLICY: `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}`,
    NOTICE: notice(), STYLE: style, SCRIPT: script,
  };
  const html = read("page.html").replace(/@([A-Z]+)@/g, (all, name) => parts[name] ?? all);
  need(html.split(kPlaceholder).length === 2, `${kPlaceholder} must occur exactly once`);
  return html;
}

const html = await bundle();
if (process.argv.includes("--check")) {
  if (read(kTarget) !== html) {
    console.error("sim/report/bundle.html is not what its sources make: run npm run build there");
    process.exit(1);
  }
  console.log("bundle.html is up to date");
} else {
  writeFileSync(here(kTarget), html);
  console.log(`bundle.html: ${html.length} bytes`);
}
