/** Several nodes added at once: linked among each other, and in order where there is room. */
import { autoLayout } from "../arrange";
import { addNode, connect, shortLink } from "../edits";
import type { Json } from "../json";
import { type Box, changeLayout, layoutOf, type Point } from "../layout";
import { type Link, linkJson, type Target } from "../links";
import { nodesOf, type Scope } from "../scope";
import { around, boxAt, sizesOf, USUAL_WIDTH } from "../sizes";
import { type NodeTypes, typeOf } from "../spec";
import type { Workflow } from "../workflow";

/** An output of another node of the chain, by the key that it has there. */
export interface Of {
  readonly key: string;
  readonly port: string;
}

export interface Step {
  /** What other nodes of the chain call it. */
  readonly key: string;
  readonly type: string;
  /** Values as files write them, links to outputs of nodes that are there included; undefined gives none. */
  readonly inputs: Readonly<Record<string, Json | Of | undefined>>;
  readonly label?: string;
}

/** The graph that is added to. */
export interface Ground {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes;
}

export interface Added {
  readonly workflow: Workflow;
  /** Names of the added nodes by their keys. */
  readonly names: ReadonlyMap<string, string>;
}

export const GAP = 64;
const ROW_GAP = 32;

export function of(key: string, port: string): Of {
  return { key, port };
}

/** Whether all node types of a chain are there. */
export function hasTypes(types: NodeTypes, names: readonly string[]): boolean {
  return names.every((name) => types.byName.has(name));
}

/** Add nodes, the upper left one at a place or as near above or below it as is free. */
export function addChain(ground: Ground, steps: readonly Step[], at: Point): Added {
  const { scope, types } = ground;
  const names = new Map<string, string>();
  let { workflow } = ground;
  for (const { key, type, inputs, label } of steps) {
    const written = new Map<string, Json>();
    for (const [port, value] of Object.entries(inputs)) {
      if (value !== undefined)
        written.set(port, isOf(value) ? linkTo(value, names, ground, steps) : value);
    }
    const added = addNode(workflow, scope, { type, at, inputs: written, label: label ?? "" });
    names.set(key, added.name);
    workflow = added.workflow;
  }
  return { workflow: placed(workflow, scope, types, new Set(names.values()), at), names };
}

/** A link to an input, of the form in which files write it. */
export function linked(ground: Ground, from: Link, to: Target): Workflow {
  const { workflow, scope, types } = ground;
  const entry = nodesOf(workflow, scope).get(from.node);
  const spec = entry ? typeOf(types, workflow, entry) : null;
  return connect(workflow, scope, shortLink(spec, from), to);
}

function isOf(value: Json | Of): value is Of {
  return typeof value === "object" && value !== null && "key" in value;
}

function linkTo(
  { key, port }: Of,
  names: ReadonlyMap<string, string>,
  { types }: Ground,
  steps: readonly Step[],
): Json {
  const type = steps.find((step) => step.key === key)?.type ?? "";
  const node = names.get(key) ?? key;
  return linkJson(shortLink(types.byName.get(type) ?? null, { node, port }));
}

/** The added nodes from left to right as their links go, together where there is room for them. */
function placed(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes,
  added: ReadonlySet<string>,
  at: Point,
): Workflow {
  const layout = layoutOf(workflow, scope);
  const others = [...layout.positions].filter(([name]) => !added.has(name));
  const isUnplaced = others.length === 0 && nodesOf(workflow, scope).size > added.size;
  if (isUnplaced) return withoutPlaces(workflow, scope, added);
  const sizes = sizesOf(workflow, scope, layout, types);
  const boxOf = (name: string, place: Point) =>
    boxAt(place, sizes.get(name) ?? { width: USUAL_WIDTH, height: 0 });
  const places = [...autoLayout(workflow, scope, types, undefined, added)];
  const bounds = around(places.map(([name, place]) => boxOf(name, place)));
  const [right, down] = [Math.round(at.x - (bounds?.x ?? 0)), Math.round(at.y - (bounds?.y ?? 0))];
  const moved = places.map(([name, { x, y }]) => [name, { x: x + right, y: y + down }] as const);
  const taken = others.map(([name, place]) => boxOf(name, place));
  const needed = around(
    moved.map(([name, place]) => boxOf(name, place)),
    ROW_GAP / 2,
  );
  const by = nearestFree(needed, taken);
  return changeLayout(workflow, scope, (before) => ({
    ...before,
    positions: new Map([
      ...before.positions,
      ...moved.map(([name, { x, y }]) => [name, { x, y: y + by }] as const),
    ]),
  }));
}

/** In a graph whose file gives no places all nodes are placed together, when it is shown. */
function withoutPlaces(workflow: Workflow, scope: Scope, added: ReadonlySet<string>): Workflow {
  return changeLayout(workflow, scope, (before) => ({
    ...before,
    positions: new Map([...before.positions].filter(([name]) => !added.has(name))),
  }));
}

/** How far down, or up where that is much nearer, a box is clear of all others. */
export function nearestFree(box: Box | null, others: readonly Box[]): number {
  if (box === null) return 0;
  const facing = others.filter(
    (other) => other.x < box.x + box.width && box.x < other.x + other.width,
  );
  const isClear = (by: number) =>
    facing.every(
      (other) => other.y >= box.y + by + box.height || other.y + other.height <= box.y + by,
    );
  const ways = facing.flatMap((other) => [
    Math.ceil(other.y + other.height + ROW_GAP / 2 - box.y),
    Math.floor(other.y - ROW_GAP / 2 - box.y - box.height),
  ]);
  const cost = (by: number) => (by < 0 ? -2 * by : by);
  return [0, ...ways.toSorted((a, b) => cost(a) - cost(b))].find(isClear) ?? 0;
}

/** Right of a node, or where told if there is none of that name. */
export function beside({ workflow, scope, types }: Ground, node: string | null, or: Point): Point {
  const layout = layoutOf(workflow, scope);
  const at = node === null ? undefined : layout.positions.get(node);
  if (node === null || at === undefined) return or;
  const width = sizesOf(workflow, scope, layout, types).get(node)?.width ?? USUAL_WIDTH;
  return { x: at.x + width + GAP, y: at.y };
}
