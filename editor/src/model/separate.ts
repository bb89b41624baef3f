/** Moving cards and notes apart that lie on each other. */
import { isObject, type Json } from "./json";
import { type Box, changeLayout, layoutOf, type Point, type Size } from "./layout";
import { nodesOf, type Scope, scopesOf } from "./scope";
import { around, boxAt, isWithin, sizesOf } from "./sizes";
import { type NodeTypes, typeOf } from "./spec";
import { widgetOf } from "./widgets";
import type { NodeEntry, Workflow } from "./workflow";

/** Between cards that were moved apart, in pixels of the canvas. */
const GAP = 40;
/** What may touch without being in the way. */
const SLACK = 1;
const GROUP_MARGIN = 24;
/** How much a card grows by what it says of a file that isn't there, four lines at most. */
const PROBLEM = 76;

type Boxes = ReadonlyMap<string, Box>;

/**
 * The workflow with cards and notes clear of each other: what lies on another one moves down.
 *
 * @param moving Names of the nodes that may move; all and the notes if left out.
 */
export function separated(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  moving?: Iterable<string>,
  measured: ReadonlyMap<string, Size> = new Map(),
): Workflow {
  const boxes = boxesOf(workflow, scope, types, measured);
  const free = moving === undefined ? new Set(boxes.keys()) : new Set([...moving].map(nodeKey));
  return movedTo(workflow, scope, boxes, clear(boxes, free));
}

/**
 * A workflow that was imported, opened for the first time: with cards clear of each other, which
 * are larger here than ComfyUI's, also when they say later what they lack. Others stay as they are,
 * and all do until the node types are there, which say how large a card is.
 */
export function spreadImported(workflow: Workflow, types: NodeTypes | null): Workflow {
  const mark = workflow.ui.get("comfyui");
  if (types === null || !isObject(mark) || mark.get("is_spread") !== false) return workflow;
  const spread = scopesOf(workflow).reduce((found, scope) => {
    const sizes = sizesOf(found, scope, layoutOf(found, scope), types);
    const roomy = [...sizes].map(([name, { width, height }]) => {
      const entry = nodesOf(found, scope).get(name);
      const room = entry && mayLack(entry, found, types) ? PROBLEM : 0;
      return [name, { width, height: height + room }] as const;
    });
    return separated(found, scope, types, undefined, new Map(roomy));
  }, workflow);
  const own = new Map([...mark, ["is_spread", true], ["spread", movedBy(workflow, spread)]]);
  return { ...spread, ui: new Map([...spread.ui, ["comfyui", own]]) };
}

/** Where nodes stand that were moved: an export leaves those where the original has them. */
function movedBy(before: Workflow, after: Workflow): Map<string, Json> {
  const moved = new Map<string, Json>();
  const places = layoutOf(before, null).positions;
  for (const [name, { x, y }] of layoutOf(after, null).positions) {
    const was = places.get(name);
    if (was?.x !== x || was.y !== y) moved.set(name, [x, y]);
  }
  return moved;
}

/** Whether a card may have to say that a file or its very type isn't there. */
function mayLack(entry: NodeEntry, workflow: Workflow, types: NodeTypes): boolean {
  const spec = typeOf(types, workflow, entry);
  return !spec || spec.inputs.some((input) => widgetOf(input)?.kind === "file");
}

/**
 * The workflow with room for nodes that took the place of one card: what stood beside it moves
 * aside as far as they reach, and what is still in their way moves below them.
 */
export function withRoomFor(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  place: { readonly card: Box; readonly names: Iterable<string> },
): Workflow {
  const { card } = place;
  const inner = new Set([...place.names].map(nodeKey));
  const before = boxesOf(workflow, scope, types, new Map());
  const block = around([...before].filter(([key]) => inner.has(key)).map(([, box]) => box));
  if (block === null) return workflow;
  const now = new Map(before);
  const shift = (isMeant: (box: Box) => boolean, way: (box: Box) => Point) => {
    for (const [key, box] of now) {
      if (inner.has(key) || !isMeant(box)) continue;
      const { x, y } = way(box);
      now.set(key, { ...box, x: box.x + x, y: box.y + y });
    }
  };
  const others = () => [...now].filter(([key]) => !inner.has(key)).map(([, box]) => box);
  const most = (found: readonly number[]) => Math.max(0, ...found);
  const isRight = (box: Box) => box.x >= card.x + card.width - SLACK;
  const isLeft = (box: Box) => box.x + box.width <= card.x + SLACK;
  const facing = others().filter((box) => isFacing(box, block));
  const right = most(facing.filter(isRight).map((box) => block.x + block.width + GAP - box.x));
  const left = most(facing.filter(isLeft).map((box) => box.x + box.width + GAP - block.x));
  shift(isRight, () => ({ x: right, y: 0 }));
  shift(isLeft, () => ({ x: -left, y: 0 }));
  const isOver = (box: Box) => isInColumn(box, block) && box.y + box.height <= card.y + SLACK;
  const up = most(
    others()
      .filter(isOver)
      .map((box) => box.y + box.height + GAP - block.y),
  );
  shift(isOver, () => ({ x: 0, y: -up }));
  const rest = clear(now, new Set([...now.keys()].filter((key) => !inner.has(key))));
  return movedTo(workflow, scope, before, new Map<string, Point>([...now, ...rest]));
}

function nodeKey(name: string): string {
  return `node/${name}`;
}

function boxesOf(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size>,
): Boxes {
  const layout = layoutOf(workflow, scope);
  const found = new Map<string, Box>();
  for (const [name, size] of sizesOf(workflow, scope, layout, types, measured)) {
    const at = layout.positions.get(name);
    if (at) found.set(nodeKey(name), boxAt(at, size));
  }
  for (const note of layout.notes) found.set(`note/${note.id}`, note.box);
  return found;
}

/** Places of those that may move and are in the way of one above them, or of one that stays. */
function clear(boxes: Boxes, free: ReadonlySet<string>): ReadonlyMap<string, Point> {
  const found = new Map<string, Point>();
  const standing = [...boxes].filter(([key]) => !free.has(key)).map(([, box]) => box);
  const moving = [...boxes].filter(([key]) => free.has(key));
  moving.sort(([, a], [, b]) => a.y - b.y || a.x - b.x);
  for (const [key, box] of moving) {
    let place = box;
    for (let other = inWay(place, standing); other; other = inWay(place, standing)) {
      place = { ...place, y: other.y + other.height + GAP };
    }
    if (place !== box) found.set(key, { x: place.x, y: place.y });
    standing.push(place);
  }
  return found;
}

function inWay(box: Box, standing: readonly Box[]): Box | undefined {
  return standing.find((other) => isFacing(box, other) && isInColumn(box, other));
}

/** Whether they are side by side, and not one above the other. */
function isFacing(a: Box, b: Box): boolean {
  return a.y < b.y + b.height - SLACK && b.y < a.y + a.height - SLACK;
}

/** Whether one is above the other, or on it. */
function isInColumn(a: Box, b: Box): boolean {
  return a.x < b.x + b.width - SLACK && b.x < a.x + a.width - SLACK;
}

/** Groups grow with what moved within them. */
function movedTo(
  workflow: Workflow,
  scope: Scope,
  before: Boxes,
  places: ReadonlyMap<string, Point>,
): Workflow {
  const isMoved = ([key, { x, y }]: readonly [string, Point]) =>
    before.get(key)?.x !== x || before.get(key)?.y !== y;
  const goals = new Map([...places].filter(isMoved));
  if (goals.size === 0) return workflow;
  const boxOf = (key: string, box: Box): Box => {
    const at = goals.get(key);
    return at ? { ...box, x: Math.round(at.x), y: Math.round(at.y) } : box;
  };
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    positions: new Map(
      [...layout.positions].map(([name, at]) => {
        const box = before.get(nodeKey(name));
        const { x, y } = box ? boxOf(nodeKey(name), box) : at;
        return [name, x === at.x && y === at.y ? at : { x, y }];
      }),
    ),
    notes: layout.notes.map((note) => {
      const box = boxOf(`note/${note.id}`, note.box);
      return box.x === note.box.x && box.y === note.box.y ? note : { ...note, box };
    }),
    // Ways around cards are found anew where these stand now.
    reroutes: new Map(
      [...layout.reroutes].filter(([, points]) => !points.every(({ auto }) => auto === true)),
    ),
    groups: layout.groups.map((group) => {
      const members = [...before].filter(([, box]) => isWithin(box, group.box));
      const now = members.map(([key, box]) => boxOf(key, box));
      const hasMoved = members.some(([, box], index) => {
        const place = now[index];
        return place !== undefined && (place.x !== box.x || place.y !== box.y);
      });
      if (!hasMoved) return group;
      const box = around([group.box, ...now.flatMap((each) => around([each], GROUP_MARGIN) ?? [])]);
      return box ? { ...group, box } : group;
    }),
  }));
}
