/** Layers in another order, in groups, twice, merged, or gone. */
import { removeNodes } from "../edits";
import { hasTypes } from "../recipes/chain";
import type { Workflow } from "../workflow";
import type { Chain, ChainItem, Stack } from "./chains";
import { setLayer, setPicture } from "./editing";
import { settled } from "./encoding";
import { added } from "./framing";
import {
  chains,
  type Edited,
  on,
  type PaintGround,
  spliced,
  wiring,
  withoutUnused,
} from "./ground";
import { detached } from "./masking";
import { GROUP, LOAD } from "./nodes";
import { withoutLead, withoutRegion } from "./prompting";
import {
  chainWith,
  changed,
  emptyGroups,
  filled,
  inserted,
  itemIn,
  nodesIn,
  restacked,
  without,
} from "./stacks";
import { isLayer, type PaintCanvas, type Placement } from "./types";

/** Where a layer is moved to: among those of the group, or of none, counted from the lowest. */
export interface LayerPlace {
  readonly index: number;
  readonly parent: string | null;
}

/** A layer or group put elsewhere in its chain; the same workflow where it can't be. */
export function moveLayer(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  { index, parent }: LayerPlace,
): Workflow {
  const chain = chainOf(ground, canvas, node);
  const found = chain && itemIn(chain.stack, node);
  if (!chain || !found || parent === node) return ground.workflow;
  const inside = found.item.members ? nodesIn(found.item.members) : [];
  const isGroup = parent === null || itemIn(chain.stack, parent)?.item.members != null;
  if (!isGroup || (parent !== null && inside.includes(parent))) return ground.workflow;
  const stack = inserted(without(chain.stack, node), found.item, parent, index);
  const moved = restackedOnly(ground, chain, stack);
  return moved && moved !== ground ? settle(moved, canvas, chain, ground) : ground.workflow;
}

/** Layers of one chain and group put into a new group, where the highest of them is. */
export function groupLayers(
  ground: PaintGround,
  canvas: PaintCanvas,
  nodes: readonly string[],
  title = "",
): Edited {
  const refused = { workflow: ground.workflow, node: null };
  const chain = nodes[0] === undefined ? null : chainOf(ground, canvas, nodes[0]);
  if (!chain || !hasTypes(ground.types, [GROUP])) return refused;
  const places = nodes.map((node) => itemIn(chain.stack, node));
  const known = places.filter((place) => place !== null).toSorted((a, b) => a.index - b.index);
  const [lowest] = known;
  const isTogether = known.length === nodes.length && new Set(nodes).size === nodes.length;
  if (!lowest || !isTogether || known.some(({ parent }) => parent !== lowest.parent))
    return refused;
  const step = { key: "group", type: GROUP, inputs: title === "" ? {} : { name: title } };
  const { ground: made, names } = added(ground, [step], lowest.item.node);
  const node = names.get("group") ?? "";
  const group: ChainItem = { node, members: { base: null, items: known.map(({ item }) => item) } };
  const top = known.at(-1)?.index ?? 0;
  const left = known.reduce((stack, { item }) => without(stack, item.node), chain.stack);
  const stack = inserted(left, group, lowest.parent, top - known.length + 1);
  const found = restackedOnly(made, chain, stack);
  return found ? { workflow: settle(found, canvas, chain, ground), node } : refused;
}

/** What a group holds put in its place. */
export function ungroup(ground: PaintGround, canvas: PaintCanvas, node: string): Workflow {
  const chain = chainOf(ground, canvas, node);
  const found = chain && itemIn(chain.stack, node);
  const members = found?.item.members;
  // What other nodes give to the group would be lost.
  if (!chain || !members || members.base !== null) return ground.workflow;
  const stack = changed(chain.stack, found.parent, (items) =>
    items.flatMap((item) => (item.node === node ? members.items : [item])),
  );
  const opened = restackedOnly(ground, chain, stack);
  return opened ? settle(opened, canvas, chain, ground) : ground.workflow;
}

/** A layer gone, with what only it needed; of a group all that it holds. */
export function removeLayer(ground: PaintGround, canvas: PaintCanvas, node: string): Workflow {
  const entry = canvas.entries.find((each) => each.node === node);
  if (entry?.kind === "reference" && isLayer(entry)) {
    const apply = entry.control?.apply;
    const left = apply === undefined ? ground : withoutReference(ground, apply);
    return withoutUnused(left, [node]).workflow;
  }
  const chain = chainOf(ground, canvas, node);
  const found = chain && itemIn(chain.stack, node);
  if (!chain || !found) return ground.workflow;
  let cleared = restackedOnly(ground, chain, without(chain.stack, node));
  if (cleared === null) return ground.workflow;
  const stack = remaining(chain, without(chain.stack, node));
  if (stack.items.length === 0 && stack.base === null) cleared = withoutChain(cleared, chain);
  return settle(cleared, canvas, chain, ground);
}

/** With layers gone, and the pictures that no other node takes. */
function withoutNodes(ground: PaintGround, nodes: readonly string[]): PaintGround {
  const own = wiring(ground);
  const pictures = nodes.flatMap((node) => own.source({ node, port: "image" })?.node ?? []);
  const loads = pictures.filter((name) => own.entry(name)?.type === LOAD);
  const gone = on(ground, removeNodes(ground.workflow, ground.scope, nodes));
  return withoutUnused(gone, loads);
}

/** With the end of a chain that has no layers any more gone; of rasters the sampling changes, too. */
function withoutChain(ground: PaintGround, chain: Chain): PaintGround {
  const { kind, flatten, apply, masked } = chain;
  const mask = { node: flatten, port: "mask" };
  if (kind === "mask") return withoutUnused(detached(ground, mask), [flatten]);
  if (kind === "region" && masked !== null)
    return withoutUnused(withoutRegion(ground, masked), [flatten]);
  if (kind !== "control" || apply === null) return ground;
  const own = wiring(ground);
  const between = own.flow({ node: flatten, port: "image" }, ["Image"]);
  const made = between.find(({ node, isHere }) => isHere && node === apply)?.passed ?? [];
  const kinds = made.flatMap((node) => own.source({ node, port: "preprocessor" })?.node ?? []);
  const left = withoutLead(ground, apply);
  return withoutUnused(left, [...made.toReversed(), ...kinds, flatten]);
}

function withoutReference(ground: PaintGround, apply: string): PaintGround {
  const own = wiring(ground);
  const latent = own.source({ node: apply, port: "latent" })?.node;
  const left =
    own.entry(apply)?.type === "ApplyIPAdapter"
      ? withoutLead(ground, apply)
      : withoutConditioning(ground, apply);
  return withoutUnused(left, latent === undefined ? [] : [latent]);
}

function withoutConditioning(ground: PaintGround, apply: string): PaintGround {
  const redux = wiring(ground).source({ node: apply, port: "redux" })?.node;
  const left = spliced(ground, apply, { conditioning: "conditioning" });
  return withoutUnused(left, redux === undefined ? [] : [redux]);
}

/** A layer or group once more, above itself, with pictures that are painted on by themselves. */
export function duplicateLayer(ground: PaintGround, canvas: PaintCanvas, node: string): Edited {
  const refused = { workflow: ground.workflow, node: null };
  const chain = chainOf(ground, canvas, node);
  const found = chain && itemIn(chain.stack, node);
  if (!chain || !found) return refused;
  const { ground: made, item } = copied(ground, found.item);
  const stack = inserted(chain.stack, item, found.parent, found.index + 1);
  const stacked = restacked(made, chain, stack);
  if (stacked === null) return refused;
  return { workflow: settle(stacked, canvas, chain, ground), node: item.node };
}

function copied(
  ground: PaintGround,
  { node, members }: ChainItem,
): { readonly ground: PaintGround; readonly item: ChainItem } {
  const own = wiring(ground);
  const entry = own.entry(node);
  const source = own.source({ node, port: "image" });
  const load = source && own.entry(source.node);
  const inputs = Object.fromEntries(entry?.inputs ?? []);
  const isFile = load?.type === LOAD;
  const steps = [
    ...(isFile
      ? [{ key: "load", type: LOAD, inputs: Object.fromEntries(load.inputs), label: load.label }]
      : []),
    {
      key: "copy",
      type: entry?.type ?? "",
      inputs: {
        ...inputs,
        layers: undefined,
        group: undefined,
        ...(isFile ? { image: { key: "load", port: source?.port ?? "image" } } : {}),
      },
      label: entry?.label ?? "",
    },
  ];
  const { ground: made, names } = added(ground, steps, node);
  let found = made;
  const items = (members?.items ?? []).map((item) => {
    const inner = copied(found, item);
    found = inner.ground;
    return inner.item;
  });
  const held: Stack | null = members && { base: members.base, items };
  return { ground: found, item: { node: names.get("copy") ?? "", members: held } };
}

/**
 * A layer merged with the one below it, which gets their common picture.
 *
 * @param value The picture of both, with the opacity of each: the merged layer is opaque, and is
 * blended as the lower one was.
 */
export function mergeDown(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  value: string,
  placement: Placement,
): Workflow {
  const below = layerBelow(ground, canvas, node);
  if (below === null) return ground.workflow;
  const { scope, types } = ground;
  const painted = on(ground, setPicture(ground, canvas, below, value, placement));
  const opaque = on(painted, setLayer(painted, canvas, below, { opacity: 1, visible: true }));
  if (opaque.workflow === ground.workflow) return ground.workflow;
  const now = { ...ground, workflow: opaque.workflow, scope, types };
  return removeLayer(now, canvas, node);
}

/**
 * The layer that one can be merged with: the next lower one, if its picture is a file. Both are
 * seen, as merging would show or lose what is hidden.
 */
export function layerBelow(ground: PaintGround, canvas: PaintCanvas, node: string): string | null {
  const chain = chainOf(ground, canvas, node);
  const found = chain && itemIn(chain.stack, node);
  if (!chain || !found) return null;
  const siblings =
    found.parent === null ? chain.stack : itemIn(chain.stack, found.parent)?.item.members;
  const below = siblings?.items[found.index - 1]?.node;
  const layer = canvas.entries.find((each) => each.node === below);
  const upper = canvas.entries.find((each) => each.node === node);
  if (!layer?.visible || !upper?.visible || !isLayer(layer) || layer.locked) return null;
  return layer.picture === null ? null : layer.node;
}

function chainOf(ground: PaintGround, canvas: PaintCanvas, node: string): Chain | null {
  return chainWith(chains(ground, canvas.box.node), node);
}

/** A chain with the layers of a stack alone: groups that hold none go, as they can't be empty. */
function restackedOnly(ground: PaintGround, chain: Chain, stack: Stack): PaintGround | null {
  const left = remaining(chain, stack);
  const found = restacked(ground, chain, left);
  const staying = new Set(nodesIn(left));
  const gone = nodesIn(chain.stack).filter((node) => !staying.has(node));
  return found && gone.length > 0 ? withoutNodes(found, gone) : found;
}

function remaining(chain: Chain, stack: Stack): Stack {
  return filled(stack, new Set(emptyGroups(chain.stack)));
}

/** The sampling follows what happens to raster layers. */
function settle(
  ground: PaintGround,
  canvas: PaintCanvas,
  chain: Chain,
  before: PaintGround,
): Workflow {
  return chain.kind === "raster"
    ? settled(ground, canvas.box.node, before).workflow
    : ground.workflow;
}
