/** A graph as an SVG picture that stands alone: no scripts, nothing to be fetched. */
import { autoLayout } from "./arrange";
import { colorOf } from "./compat";
import { outputType } from "./flow";
import { edgesOf } from "./graph";
import { ExactNumber, isObject, type Json, writeJson } from "./json";
import { type Box, type Layout, layoutOf, type Point, type Size } from "./layout";
import { isLink, literalOf } from "./links";
import { nodesOf, type Scope } from "./scope";
import { around, type Extent } from "./sizes";
import { labelOf, type NodeSpec, type NodeTypes, typeOf } from "./spec";
import { ANY } from "./types";
import type { NodeEntry, Workflow } from "./workflow";

const HEAD = 44;
const ROW = 22;
const PADDING = 12;
const LETTER = 6.7;
const NARROWEST = 180;
const WIDEST = 340;
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
  const layout = layoutOf(workflow, scope);
  const cards = cardsOf(workflow, scope, types, layout);
  const boxes = [...cards.values()].map((card) => card.box);
  const extra = [...layout.groups, ...layout.notes].map((item) => item.box);
  const all = around([...boxes, ...extra], MARGIN) ?? { x: 0, y: 0, width: 240, height: 80 };
  const title = scope ?? workflow.title;
  const head = title === "" ? 0 : TITLE;
  const [width, height] = [Math.ceil(all.width), Math.ceil(all.height + head)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title || "Workflow")}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    title === "" ? "" : text("title heading", MARGIN, 34, title),
    `<g transform="translate(${-Math.floor(all.x)} ${head - Math.floor(all.y)})">`,
    ...layout.groups.map((group) => groupSvg(group.title, group.box, safeColor(group.color))),
    ...linksSvg(workflow, scope, types, layout, cards),
    ...[...cards.values()].map(cardSvg),
    ...layout.notes.map((note) => noteSvg(note.text, note.box)),
    "</g>",
    "</svg>",
    "",
  ]
    .filter((line) => line !== "")
    .join("\n")
    .concat("\n");
}

interface Port {
  readonly name: string;
  readonly color: string;
  readonly y: number;
}

interface Card {
  readonly box: Box;
  readonly title: string;
  readonly kind: string;
  readonly color: string | null;
  readonly isOff: boolean;
  readonly inputs: ReadonlyMap<string, Port>;
  readonly outputs: ReadonlyMap<string, Port>;
  readonly values: readonly (readonly [name: string, value: string])[];
}

function cardsOf(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  layout: Layout,
): ReadonlyMap<string, Card> {
  const drafts = new Map<string, Omit<Card, "box"> & { readonly size: Extent }>();
  for (const [name, entry] of nodesOf(workflow, scope)) {
    const spec = types && typeOf(types, workflow, entry);
    drafts.set(name, draft(name, entry, spec, types, layout.colors.get(name) ?? ""));
  }
  const places = placesOf(workflow, scope, types, layout, drafts);
  return new Map(
    [...drafts].map(([name, { size, ...card }]) => {
      const at = places.get(name) ?? { x: 0, y: 0 };
      return [name, { ...card, box: { ...at, ...size } }];
    }),
  );
}

/** Nodes that have no place yet are all placed anew: a half-placed graph would overlap. */
function placesOf(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  layout: Layout,
  drafts: ReadonlyMap<string, { readonly size: Size }>,
): ReadonlyMap<string, Point> {
  if ([...drafts.keys()].every((name) => layout.positions.has(name))) return layout.positions;
  const sizes = new Map([...drafts].map(([name, { size }]) => [name, size]));
  return autoLayout(workflow, scope, types, sizes);
}

function draft(
  name: string,
  entry: NodeEntry,
  spec: NodeSpec | null,
  types: NodeTypes | null,
  color: string,
): Omit<Card, "box"> & { readonly size: Extent } {
  const linked = [...entry.inputs].filter(([, value]) => isLink(value)).map(([port]) => port);
  const needed = (spec?.inputs ?? [])
    .filter((port) => linked.includes(port.name) || (port.required && port.json_schema === null))
    .map((port) => port.name);
  const inputs = ports([...new Set([...needed, ...linked])], spec?.inputs ?? [], types);
  const outputs = ports(
    (spec?.outputs ?? []).map((port) => port.name),
    spec?.outputs ?? [],
    types,
  );
  const values = [...entry.inputs]
    .filter(([, value]) => !isLink(value))
    .map(([port, value]) => [port, shown(literalOf(value))] as const);
  const title = entry.label || name;
  const kind = spec ? labelOf(spec) : entry.type;
  const rows = Math.max(inputs.size, outputs.size) + values.length;
  const longest = Math.max(
    title.length * 1.1,
    kind.length,
    ...values.map(([port, value]) => port.length + Math.min(value.length, 32) + 4),
  );
  const width = Math.min(WIDEST, Math.max(NARROWEST, longest * LETTER + 2 * PADDING));
  const size = { width: Math.round(width), height: HEAD + ROW * rows + PADDING };
  return {
    title,
    kind,
    color: safeColor(color),
    isOff: entry.mode !== null,
    inputs,
    outputs,
    values,
    size,
  };
}

function ports(
  names: readonly string[],
  specs: readonly { readonly name: string; readonly type: string }[],
  types: NodeTypes | null,
): ReadonlyMap<string, Port> {
  const colorBy = new Map(specs.map((port) => [port.name, port.type]));
  return new Map(
    names.map((name, index) => {
      const color = types ? colorOf(types, colorBy.get(name) ?? ANY) : GREY;
      return [name, { name, color, y: HEAD + ROW * (index + 0.5) + 4 }];
    }),
  );
}

const GREY = "#9aa0a6";

function safeColor(color: string): string | null {
  return /^#[0-9a-f]{3,8}$/i.test(color) ? color : null;
}

function shown(value: Json | undefined): string {
  if (typeof value === "string") return value.replace(/\s+/g, " ");
  if (value instanceof ExactNumber) return value.text;
  return value === undefined
    ? ""
    : writeJson(isObject(value) ? value : value)
        .trim()
        .replace(/\s+/g, " ");
}

function linksSvg(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  layout: Layout,
  cards: ReadonlyMap<string, Card>,
): readonly string[] {
  return edgesOf(nodesOf(workflow, scope)).flatMap((edge) => {
    const [from, to] = [cards.get(edge.from.node), cards.get(edge.to.node)];
    if (!from || !to) return [];
    const start = from.outputs.get(edge.from.port) ?? [...from.outputs.values()][0];
    const end = to.inputs.get(edge.to.port);
    const type = types && outputType(types, workflow, scope, edge.from);
    const color = types && type ? colorOf(types, type) : GREY;
    const points = [
      { x: from.box.x + from.box.width, y: from.box.y + (start?.y ?? HEAD / 2) },
      ...(layout.reroutes.get(edge.id) ?? []),
      { x: to.box.x, y: to.box.y + (end?.y ?? HEAD / 2) },
    ];
    return [`<path class="link" stroke="${color}" d="${curve(points)}"/>`];
  });
}

function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let from = first;
  const parts = [`M${at(from)}`];
  for (const to of rest) {
    const bend = Math.max(24, Math.abs(to.x - from.x) / 2);
    parts.push(
      `C${at({ x: from.x + bend, y: from.y })} ${at({ x: to.x - bend, y: to.y })} ${at(to)}`,
    );
    from = to;
  }
  return parts.join(" ");
}

function at({ x, y }: Point): string {
  return `${Math.round(x)} ${Math.round(y)}`;
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

function wrapped(words: string, letters: number): readonly string[] {
  return words.split("\n").flatMap((line) => {
    const found: string[] = [];
    let now = "";
    for (const word of line.split(" ")) {
      if (now !== "" && now.length + word.length + 1 > letters) {
        found.push(now);
        now = "";
      }
      now = now === "" ? word : `${now} ${word}`;
    }
    return [...found, now].map((part) => cut(part, letters));
  });
}

function cut(words: string, letters: number): string {
  const all = [...words];
  return all.length <= letters ? words : `${all.slice(0, Math.max(1, letters - 1)).join("")}…`;
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
