/** A graph as it is drawn: cards, links, groups and notes with their places, without a canvas. */
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

/** Height of a card's head and of a row; lengths are pixels at zoom 1. */
export const HEAD = 44;
export const ROW = 22;
export const PADDING = 12;
/** Mean width of a letter of the port names. */
export const LETTER = 6.7;
const NARROWEST = 180;
const WIDEST = 340;
const MARGIN = 32;

export interface DrawnLink {
  /** The input that it feeds, "node.port". */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly color: string;
  /** Of an SVG path. */
  readonly path: string;
  readonly middle: Point;
}

export interface Drawing {
  readonly cards: ReadonlyMap<string, Card>;
  readonly links: readonly DrawnLink[];
  readonly groups: readonly {
    readonly title: string;
    readonly box: Box;
    readonly color: string | null;
  }[];
  readonly notes: readonly { readonly text: string; readonly box: Box }[];
  readonly title: string;
  /** Around all of it. */
  readonly box: Box;
}

/** One of a workflow's graphs, as it stands on the canvas. */
export function drawingOf(workflow: Workflow, scope: Scope, types: NodeTypes | null): Drawing {
  const layout = layoutOf(workflow, scope);
  const cards = cardsOf(workflow, scope, types, layout);
  const boxes = [...cards.values()].map((card) => card.box);
  const extra = [...layout.groups, ...layout.notes].map((item) => item.box);
  return {
    cards,
    links: linksOf(workflow, scope, types, layout, cards),
    groups: layout.groups.map(({ title, box, color }) => ({ title, box, color: safeColor(color) })),
    notes: layout.notes.map(({ text, box }) => ({ text, box })),
    title: scope ?? workflow.title,
    box: around([...boxes, ...extra], MARGIN) ?? { x: 0, y: 0, width: 240, height: 80 },
  };
}

export interface Port {
  readonly name: string;
  readonly color: string;
  readonly y: number;
}

export interface Card {
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

function linksOf(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  layout: Layout,
  cards: ReadonlyMap<string, Card>,
): readonly DrawnLink[] {
  return edgesOf(nodesOf(workflow, scope)).flatMap((edge) => {
    const [from, to] = [cards.get(edge.from.node), cards.get(edge.to.node)];
    if (!from || !to) return [];
    const start = from.outputs.get(edge.from.port) ?? [...from.outputs.values()][0];
    const end = to.inputs.get(edge.to.port);
    const type = types && outputType(types, workflow, scope, edge.from);
    const points = [
      { x: from.box.x + from.box.width, y: from.box.y + (start?.y ?? HEAD / 2) },
      ...(layout.reroutes.get(edge.id) ?? []),
      { x: to.box.x, y: to.box.y + (end?.y ?? HEAD / 2) },
    ];
    return [
      {
        id: edge.id,
        from: edge.from.node,
        to: edge.to.node,
        color: types && type ? colorOf(types, type) : GREY,
        path: curve(points),
        middle: middleOf(points),
      },
    ];
  });
}

function middleOf(points: readonly Point[]): Point {
  const at = Math.floor((points.length - 1) / 2);
  const [from, to] = [points[at], points[at + 1]];
  if (!from || !to) return { x: 0, y: 0 };
  return { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
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

export function at({ x, y }: Point): string {
  return `${Math.round(x)} ${Math.round(y)}`;
}

export function wrapped(words: string, letters: number): readonly string[] {
  return words.split("\n").flatMap((line) => {
    const lines: string[] = [];
    let now = "";
    for (const word of line.split(" ")) {
      if (now !== "" && now.length + word.length + 1 > letters) {
        lines.push(now);
        now = "";
      }
      now = now === "" ? word : `${now} ${word}`;
    }
    return [...lines, now].map((part) => cut(part, letters));
  });
}

export function cut(words: string, letters: number): string {
  const all = [...words];
  return all.length <= letters ? words : `${all.slice(0, Math.max(1, letters - 1)).join("")}…`;
}
