/** The chains of layers that end in a FlattenLayers node: how they stack, and what they are for. */
import type { Link, Target } from "../links";
import { isSampler } from "../recipes/origin";
import { BOX, FLATTEN, GROUP, isChainNode } from "./nodes";
import type { LayerKind } from "./types";
import type { Reached, Wiring } from "./wiring";

/** A layer, or a group with what it holds. */
export interface ChainItem {
  readonly node: string;
  readonly members: Stack | null;
}

/** Layers on each other, bottom first. */
export interface Stack {
  /** What is below them, and is none of the layers that can be edited. */
  readonly base: Link | null;
  readonly items: readonly ChainItem[];
}

export interface Chain {
  readonly kind: LayerKind;
  readonly flatten: string;
  readonly stack: Stack;
  /** Of control: the node that applies the control net, and the one that makes its picture. */
  readonly apply: string | null;
  readonly preprocessor: string | null;
  /** Of regions: the node that keeps a prompt to the mask. */
  readonly masked: string | null;
}

const PICTURE_ENCODERS = new Set(["VAEEncode", "VAEEncodeInpaint", "InpaintConditioning"]);
const MASK_USERS = new Set(["SetNoiseMask", "VAEEncodeInpaint", "InpaintConditioning"]);

/** The BoundingBox nodes of a graph, in its order. */
export function boxesOf(wiring: Wiring): readonly string[] {
  return [...wiring.nodes].flatMap(([name, { type }]) => (type === BOX ? [name] : []));
}

/** The chains whose pictures are those of a box. What they are for may be unclear: those are left out. */
export function chainsOf(wiring: Wiring, box: string): readonly Chain[] {
  const flattens = [...wiring.nodes].flatMap(([name, { type }]) =>
    type === FLATTEN ? [name] : [],
  );
  const own = flattens.filter((name) => isOfBox(wiring, name, box));
  const uses = own.map((flatten) => ({ flatten, ...useOf(wiring, flatten) }));
  const hasRaster = uses.some(({ kind }) => kind === "raster");
  const seen = new Set<string>();
  return uses.flatMap(({ kind, flatten, ...use }) => {
    // One that leads nowhere yet is what a graph begins with.
    const isFirst = !hasRaster && uses.find((each) => each.kind === null)?.flatten === flatten;
    const known = kind ?? (isFirst ? "raster" : null);
    if (known === null) return [];
    const stack = stackInto(wiring, { node: flatten, port: "layers" }, seen);
    return [{ ...use, kind: known, flatten, stack }];
  });
}

function isOfBox(wiring: Wiring, flatten: string, box: string): boolean {
  return wiring.resolved({ node: flatten, port: "box" })?.node === box;
}

type Use = Pick<Chain, "apply" | "preprocessor" | "masked"> & { readonly kind: LayerKind | null };

const NO_USE = { apply: null, preprocessor: null, masked: null } as const;

function useOf(wiring: Wiring, flatten: string): Use {
  const images = wiring.flow({ node: flatten, port: "image" }, ["Image", "Mask"]);
  const masks = wiring.flow({ node: flatten, port: "mask" }, ["Mask"]);
  if (images.some((reached) => isRasterUse(wiring, reached))) return { ...NO_USE, kind: "raster" };
  const control = images.find(({ type, port }) => type === "ApplyControlNet" && port === "image");
  if (control) {
    const made = control.passed.filter((name) => wiring.entry(name)?.mode !== "bypass");
    const apply = control.isHere ? control.node : null;
    return { ...NO_USE, kind: "control", apply, preprocessor: made.at(-1) ?? null };
  }
  const both = [...masks, ...images];
  if (both.some(({ type, port }) => MASK_USERS.has(type) && port === "mask"))
    return { ...NO_USE, kind: "mask" };
  const region = both.find(({ type, port }) => type === "MaskConditioning" && port === "mask");
  if (region) return { ...NO_USE, kind: "region", masked: region.isHere ? region.node : null };
  return { ...NO_USE, kind: null };
}

/** Whether it is where the picture is encoded to be sampled, and not to be a reference. */
function isRasterUse(wiring: Wiring, { type, port, node, isHere }: Reached): boolean {
  if (!PICTURE_ENCODERS.has(type) || port !== "image") return false;
  if (!isHere || type !== "VAEEncode") return true;
  const latents = wiring.flow({ node, port: "latent" }, ["Latent"]);
  const isReference = latents.some((each) => each.type === "ReferenceLatents");
  return !isReference || latents.some((each) => isSampled(wiring, each));
}

/** Whether a latent comes to a sampler there. */
export function isSampled(wiring: Wiring, { node, port, isHere }: Reached): boolean {
  return isHere && port === "latent" && isSampler(wiring.spec(node));
}

function stackInto(wiring: Wiring, to: Target, seen: Set<string>): Stack {
  const items: ChainItem[] = [];
  let link = layersAt(wiring, to);
  while (link && isChainNode(wiring.entry(link.node)) && !seen.has(link.node)) {
    const { node } = link;
    seen.add(node);
    const isGroup = wiring.entry(node)?.type === GROUP;
    const members = isGroup ? stackInto(wiring, { node, port: "group" }, seen) : null;
    items.unshift({ node, members });
    link = layersAt(wiring, { node, port: "layers" });
  }
  return { base: link, items };
}

/** The layers below: bypassed layers are still there, other bypassed nodes are passed. */
function layersAt(wiring: Wiring, to: Target): Link | null {
  return wiring.resolved(to, isChainNode);
}
