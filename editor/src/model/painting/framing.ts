/** Nodes of a canvas added where there is room for them, in a frame of its own. */
import { addGroup, updateGroup } from "../edits";
import { type Group, layoutOf, type Point } from "../layout";
import { addChain, type Step } from "../recipes/chain";
import { nodesOf } from "../scope";
import { around, boxAt, isWithin, sizesOf } from "../sizes";
import { on, type PaintGround } from "./ground";

const MARGIN = 24;
const HEAD = 36;
const APART = 64;
/** How far left of the node that takes their outputs new ones begin. */
const BEFORE = 640;

export interface AddedNodes {
  readonly ground: PaintGround;
  /** Names of the added nodes by the keys of their steps. */
  readonly names: ReadonlyMap<string, string>;
}

/** Nodes added beside one of the canvas, and its frame around them where there is one. */
export function added(ground: PaintGround, steps: readonly Step[], near: string): AddedNodes {
  const { positions } = layoutOf(ground.workflow, ground.scope);
  const at = positions.get(near) ?? { x: 0, y: 0 };
  const { workflow, names } = addChain(ground, steps, { x: at.x - BEFORE, y: at.y });
  return { ground: widened(on(ground, workflow), near, new Set(names.values())), names };
}

/** Below all that a graph has, with room for a frame around what is put there. */
export function below(ground: PaintGround): Point {
  const names = new Set(nodesOf(ground.workflow, ground.scope).keys());
  const { groups, notes } = layoutOf(ground.workflow, ground.scope);
  const boxes = [...groups, ...notes].map(({ box }) => box);
  const all = around([...boxes, ...boxesOf(ground, names).values()]);
  return all ? { x: all.x + MARGIN, y: all.y + all.height + APART + HEAD } : { x: 0, y: 0 };
}

/** A frame around some nodes, under a title. */
export function framed(ground: PaintGround, names: Iterable<string>, title: string): PaintGround {
  const boxes = boxesOf(ground, new Set(names));
  const inner = around(boxes.values(), MARGIN);
  // Without places nobody can say where the frame goes.
  if (inner === null) return ground;
  const box = { ...inner, y: inner.y - (HEAD - MARGIN), height: inner.height + HEAD - MARGIN };
  return on(ground, addGroup(ground.workflow, ground.scope, { title, box }).workflow);
}

/** The frame that holds a node grows with those beside it, unless it came to hold others by that. */
function widened(ground: PaintGround, near: string, names: ReadonlySet<string>): PaintGround {
  const { groups } = layoutOf(ground.workflow, ground.scope);
  const all = boxesOf(ground, new Set(nodesOf(ground.workflow, ground.scope).keys()));
  const own = all.get(near);
  const group = own && groups.find((each) => isWithin(own, each.box));
  const mine = [...names].flatMap((name) => all.get(name) ?? []);
  const inner = around(mine, MARGIN);
  const box = group && inner && around([group.box, inner]);
  if (!group || !box) return ground;
  const swallowed = [...all].some(
    ([name, each]) => !names.has(name) && isWithin(each, box) && !isWithin(each, group.box),
  );
  const changes: Partial<Group> = { box };
  return swallowed
    ? ground
    : on(ground, updateGroup(ground.workflow, ground.scope, group.id, changes));
}

function boxesOf({ workflow, scope, types }: PaintGround, names: ReadonlySet<string>) {
  const layout = layoutOf(workflow, scope);
  const sizes = sizesOf(workflow, scope, layout, types);
  const boxes = [...names].flatMap((name) => {
    const [at, size]: [Point | undefined, ReturnType<typeof sizes.get>] = [
      layout.positions.get(name),
      sizes.get(name),
    ];
    return at && size ? [[name, boxAt(at, size)] as const] : [];
  });
  return new Map(boxes);
}
