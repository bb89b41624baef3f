/** A graph that has layers and no box: with one it is a canvas. */
import type { Link } from "../links";
import { addChain, hasTypes } from "../recipes/chain";
import { below } from "./framing";
import { type Edited, type Extent, on, type PaintGround, relinked, wiring } from "./ground";
import { BOX, CANVAS_TYPES, FLATTEN, isChainNode, LAYER, LOAD, numberAt, valueAt } from "./nodes";

/** The side of a box around layers of unknown sizes. */
const USUAL = 512;
/** Most models take no other multiples. */
const STEP = 8;

/** Whether a graph has layers, but nothing that says which part of them is sampled. */
export function canAdoptLayers(ground: PaintGround): boolean {
  const entries = [...wiring(ground).nodes.values()];
  return (
    hasTypes(ground.types, CANVAS_TYPES) &&
    entries.some(isChainNode) &&
    !entries.some(({ type }) => type === BOX)
  );
}

/** The graph with a box around its layers, linked to what flattens them; gives the box's node. */
export function adoptLayers(ground: PaintGround): Edited {
  if (!canAdoptLayers(ground)) return { workflow: ground.workflow, node: null };
  const { workflow, names } = addChain(
    ground,
    [{ key: "box", type: BOX, inputs: extentOf(ground) }],
    below(ground),
  );
  const node = names.get("box") ?? null;
  if (node === null) return { workflow: ground.workflow, node: null };
  const box: Link = { node, port: "box" };
  let found = on(ground, workflow);
  const flattens = [...wiring(found).nodes].filter(([, { type }]) => type === FLATTEN);
  for (const [flatten] of flattens)
    found = on(found, relinked(found, { node: flatten, port: "box" }, box));
  // What nothing flattens yet is to be seen, too.
  if (flattens.length === 0) found = flattened(found, box);
  return { workflow: found.workflow, node };
}

function flattened(ground: PaintGround, box: Link): PaintGround {
  const own = wiring(ground);
  const isTop = (node: string) =>
    own.targets({ node, port: "layers" }).every((to) => !isChainNode(own.entry(to.node)));
  const top = [...own.nodes].findLast(([node, entry]) => isChainNode(entry) && isTop(node))?.[0];
  if (top === undefined) return ground;
  const step = { key: "flat", type: FLATTEN, inputs: { color: "white" } };
  const { workflow, names } = addChain(ground, [step], below(ground));
  const flat = names.get("flat") ?? "";
  let found = on(ground, workflow);
  found = on(found, relinked(found, { node: flat, port: "layers" }, { node: top, port: "layers" }));
  return on(found, relinked(found, { node: flat, port: "box" }, box));
}

/** All layers whose size is known, in whole steps. */
function extentOf(ground: PaintGround) {
  const own = wiring(ground);
  const places = [...own.nodes].flatMap(([node, entry]) => {
    if (entry.type !== LAYER) return [];
    const size = sizeOf(ground, node);
    return size ? [{ x: numberAt(entry, "x"), y: numberAt(entry, "y"), ...size }] : [];
  });
  if (places.length === 0) return { x: 0, y: 0, width: USUAL, height: USUAL };
  const left = Math.min(...places.map(({ x }) => x));
  const top = Math.min(...places.map(({ y }) => y));
  const right = Math.max(...places.map(({ x, width }) => x + width));
  const bottom = Math.max(...places.map(({ y, height }) => y + height));
  const whole = (length: number) => Math.max(STEP, Math.ceil(length / STEP) * STEP);
  return { x: left, y: top, width: whole(right - left), height: whole(bottom - top) };
}

function sizeOf(ground: PaintGround, node: string): Extent | null {
  const own = wiring(ground);
  const entry = own.entry(node);
  const [width, height] = entry ? [numberAt(entry, "width"), numberAt(entry, "height")] : [0, 0];
  if (width > 0 && height > 0) return { width, height };
  const link = own.resolved({ node, port: "image" });
  const from = link && own.entry(link.node);
  const value = from?.type === LOAD ? valueAt(from, "path") : null;
  return typeof value === "string" ? (ground.sizeOf?.(value) ?? null) : null;
}
