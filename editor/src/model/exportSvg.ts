/** A graph as an SVG picture that stands alone: no scripts, nothing to be fetched. */
import {
  at,
  type Card,
  cut,
  drawingOf,
  HEAD,
  LETTER,
  PADDING,
  type Port,
  ROW,
  wrapped,
} from "./drawing";
import type { Box } from "./layout";
import type { Scope } from "./scope";
import type { NodeTypes } from "./spec";
import type { Workflow } from "./workflow";

const MARGIN = 32;
const TITLE = 40;

const STYLE = `
svg { font: 12px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.paper { fill: #f4f5f8; } .card { fill: #ffffff; stroke: #ccd1db; } .head { fill: #eceef3; }
.title { font-weight: 600; fill: #1b1f28; } .kind { font-size: 11px; fill: #666f80; }
.port { fill: #333c4c; } .value { fill: #31508f; } .heading { font-size: 16px; }
.link { fill: none; stroke-width: 2; } .group { fill: #8890a0; fill-opacity: .1; stroke: #8890a0; }
.note { fill: #fff6d8; stroke: #e2cd83; } .words { fill: #57491a; } .off { opacity: .5; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #121317; } .card { fill: #1e2026; stroke: #3a3e48; } .head { fill: #2a2d35; }
  .title { fill: #eef0f4; } .kind { fill: #99a1b0; } .port { fill: #ccd2dd; } .value { fill: #9db9f2; }
  .note { fill: #332c14; stroke: #5f5326; } .words { fill: #e8d9a2; }
}`;

/** The picture of one of a workflow's graphs, as it stands on the canvas. */
export function exportSvg(workflow: Workflow, scope: Scope, types: NodeTypes | null): string {
  const { cards, links, groups, notes, title, box: all } = drawingOf(workflow, scope, types);
  const head = title === "" ? 0 : TITLE;
  const [width, height] = [Math.ceil(all.width), Math.ceil(all.height + head)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title || "Workflow")}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    title === "" ? "" : text("title heading", MARGIN, 34, title),
    `<g transform="translate(${-Math.floor(all.x)} ${head - Math.floor(all.y)})">`,
    ...groups.map((group) => groupSvg(group.title, group.box, group.color)),
    ...links.map((link) => `<path class="link" stroke="${link.color}" d="${link.path}"/>`),
    ...[...cards.values()].map(cardSvg),
    ...notes.map((note) => noteSvg(note.text, note.box)),
    "</g>",
    "</svg>",
    "",
  ]
    .filter((line) => line !== "")
    .join("\n")
    .concat("\n");
}

function cardSvg(card: Card): string {
  const { x, y, width, height } = card.box;
  const rows = Math.max(card.inputs.size, card.outputs.size);
  const letters = Math.floor((width - 2 * PADDING) / LETTER);
  // Names share a row with what stands opposite.
  const room = (row: number, others: ReadonlyMap<string, Port>) =>
    letters - 2 - (([...others.keys()][row]?.length ?? 0) > 0 ? Math.ceil(letters / 2) - 1 : 0);
  return [
    `<g transform="translate(${at({ x, y })})"${card.isOff ? ' class="off"' : ""}>`,
    `<rect class="card" width="${width}" height="${height}" rx="8"/>`,
    `<path class="head" d="M8 0H${width - 8}a8 8 0 0 1 8 8V${HEAD - 6}H0V8a8 8 0 0 1 8 -8z"/>`,
    card.color === null ? "" : `<rect width="4" height="${HEAD - 6}" fill="${card.color}"/>`,
    text("title", PADDING, 17, cut(card.title, letters)),
    text("kind", PADDING, 31, cut(card.kind, letters)),
    ...[...card.inputs.values()].flatMap((port, row) => [
      dot(0, port),
      text("port", PADDING, port.y + 4, cut(port.name, room(row, card.outputs))),
    ]),
    ...[...card.outputs.values()].flatMap((port, row) => [
      dot(width, port),
      text("port", width - PADDING, port.y + 4, cut(port.name, room(row, card.inputs)), "end"),
    ]),
    ...card.values.map(([name, value], index) => {
      const line = HEAD + ROW * (rows + index + 0.5) + 8;
      const words = `<tspan class="value">${escaped(cut(value, letters - name.length - 2))}</tspan>`;
      return `<text class="port" x="${PADDING}" y="${line}">${escaped(name)} ${words}</text>`;
    }),
    "</g>",
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function dot(x: number, port: Port): string {
  return `<circle cx="${x}" cy="${port.y}" r="5" fill="${port.color}"/>`;
}

function groupSvg(title: string, box: Box, color: string | null): string {
  const own = color === null ? "" : ` style="fill:${color};stroke:${color}"`;
  const { x, y, width, height } = box;
  return `<rect class="group" x="${x}" y="${y}" width="${width}" height="${height}" rx="10"${own}/>\n${text("title", x + PADDING, y + 20, title)}`;
}

function noteSvg(words: string, box: Box): string {
  const { x, y, width, height } = box;
  const letters = Math.max(4, Math.floor((width - 2 * PADDING) / LETTER));
  const most = Math.max(1, Math.floor((height - PADDING) / 16));
  const lines = wrapped(words, letters).slice(0, most);
  return [
    `<rect class="note" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`,
    ...lines.map((line, index) => text("words", x + PADDING, y + 20 + 16 * index, line)),
  ].join("\n");
}

function text(kind: string, x: number, y: number, words: string, anchor = ""): string {
  const side = anchor === "" ? "" : ` text-anchor="${anchor}"`;
  return `<text class="${kind}" x="${x}" y="${y}"${side}>${escaped(words)}</text>`;
}

const SIGNS: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** Text for SVG: without markup, and without the characters that XML forbids. */
function escaped(words: string): string {
  return words
    .replace(/[&<>"]/g, (sign) => SIGNS[sign] ?? "")
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
}
