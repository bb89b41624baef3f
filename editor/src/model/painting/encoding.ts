/**
 * What a sampler begins with: an empty latent where nothing is painted, the raster layers where
 * something is, and of these only a part where there are masks or the box reaches beyond them.
 */
import { type Json, numberOf } from "../json";
import { isLink, linkOf, literalOf } from "../links";
import { hasTypes, of, type Step } from "../recipes/chain";
import { originOf } from "../recipes/origin";
import type { Chain } from "./chains";
import { coverageOf } from "./coverage";
import { added } from "./framing";
import {
  chains,
  on,
  type PaintGround,
  relinked,
  shortened,
  wiring,
  withoutUnused,
  withValues,
} from "./ground";
import { infilled, uninfilled } from "./infilling";
import {
  composed,
  detached,
  isJoined,
  joined,
  latentsBefore,
  noiseMaskOf,
  uncomposed,
} from "./masking";
import { BOX, FLATTEN } from "./nodes";
import { readCanvas } from "./reading";
import { feeds } from "./sampling";

const ENCODE = "VAEEncode";
const EMPTY = "EmptyLatent";
const INVERT = "InvertMask";
/** What is painted says where and in which colours: that much of it stays. */
const OVER_PAINT = 0.75;

/** What an edit leaves behind set right: the latent, masks of what is empty, and the denoise. */
export function settled(ground: PaintGround, box: string, before: PaintGround): PaintGround {
  let found = withLatent(ground, box);
  found = withEmptyFilled(withEmptyMasked(found, box), box);
  const sampler = samplerIn(found, box);
  const raster = chains(found, box).find(isFilledRaster);
  if (sampler !== null && raster && isPartial(found, box)) {
    const isNew = !isPartial(before, box);
    found = composed(found, sampler, raster, { isNew, isOutpainted: isOutpainted(found, box) });
  }
  return withDenoise(found, box, usualDenoise(before, box));
}

/** Whether only a part of what is painted is sampled. */
function isPartial(ground: PaintGround, box: string): boolean {
  const sampler = samplerIn(ground, box);
  const isMasked = sampler !== null && noiseMaskOf(wiring(ground), sampler) !== null;
  return isMasked && chains(ground, box).some(isFilledRaster);
}

function isFilledRaster({ kind, stack }: Chain): boolean {
  return kind === "raster" && (stack.items.length > 0 || stack.base !== null);
}

function samplerIn({ workflow, scope, types }: PaintGround, box: string): string | null {
  return readCanvas(workflow, scope, types, box)?.sampler?.node ?? null;
}

/** The size of what is empty, in which a canvas without layers is sampled. */
function withLatent(before: PaintGround, box: string): PaintGround {
  const raster = chains(before, box).find(({ kind }) => kind === "raster");
  if (raster === undefined || isFilledRaster(raster)) return before;
  const ground = uninfilled(before, raster.flatten);
  const own = wiring(ground);
  const image = { node: raster.flatten, port: "image" };
  const encoders = own.targets(image).filter(({ node }) => own.entry(node)?.type === ENCODE);
  if (encoders.length === 0 || !hasTypes(ground.types, [EMPTY])) return ground;
  let found = detached(ground, { node: raster.flatten, port: "mask" });
  for (const { node } of wiring(found).targets(image)) {
    if (wiring(found).entry(node)?.type === "CompositeMasked") found = uncomposed(found, node);
  }
  const size: Step = {
    key: "size",
    type: EMPTY,
    inputs: sizeOf(found, box),
  };
  const { ground: sized, names } = added(found, [size], encoders[0]?.node ?? raster.flatten);
  const latent = { node: names.get("size") ?? "", port: "latent" };
  found = sized;
  for (const { node } of encoders) {
    for (const to of wiring(found).targets({ node, port: "latent" })) {
      found = on(found, relinked(found, to, latent));
    }
  }
  return withoutUnused(found, [...encoders.map(({ node }) => node), raster.flatten]);
}

function sizeOf(ground: PaintGround, box: string): Readonly<Record<string, Json>> {
  const link = (port: string) => shortened(ground, { node: box, port });
  return { width: link("width"), height: link("height") };
}

/** A chain of raster layers that is sampled, made where there is none; null where it can't be. */
export function withRaster(
  ground: PaintGround,
  box: string,
): { readonly ground: PaintGround; readonly flatten: string } | null {
  const known = chains(ground, box).find(({ kind }) => kind === "raster");
  const sampler = samplerIn(ground, box);
  const first = sampler === null ? undefined : latentsBefore(wiring(ground), sampler).at(-1);
  if (known !== undefined) {
    const isSampled = sampler !== null && feeds(wiring(ground), known.flatten, sampler);
    if (isSampled || sampler === null || first === undefined || takesPicture(ground, first))
      return { ground, flatten: known.flatten };
    return encodedInstead(ground, first, sampler, known.flatten);
  }
  if (!hasTypes(ground.types, [BOX, FLATTEN])) return null;
  const link = shortened(ground, { node: box, port: "box" });
  const flat: Step = { key: "flat", type: FLATTEN, inputs: { box: link, color: "white" } };
  if (first !== undefined && takesPicture(ground, first))
    return underneath(ground, box, first, flat);
  const { ground: found, names } = added(ground, [flat], first ?? sampler ?? box);
  const flatten = names.get("flat") ?? "";
  if (sampler === null || first === undefined) return { ground: found, flatten };
  return encodedInstead(found, first, sampler, flatten);
}

function takesPicture(ground: PaintGround, node: string): boolean {
  return (
    wiring(ground)
      .spec(node)
      ?.inputs.some(({ type }) => type === "Image") === true
  );
}

/** An empty latent's users get that of the layers instead. */
function encodedInstead(ground: PaintGround, first: string, sampler: string, flatten: string) {
  const image = shortened(ground, { node: flatten, port: "image" });
  const vae = originOf(ground, sampler)?.vae;
  const encode: Step = { key: "encode", type: ENCODE, inputs: { vae, image } };
  const own = wiring(ground);
  const users = (own.spec(first)?.outputs ?? []).flatMap(({ name, type }) =>
    type === "Latent" ? own.targets({ node: first, port: name }) : [],
  );
  const { ground: found, names } = added(ground, [encode], first);
  const latent = { node: names.get("encode") ?? "", port: "latent" };
  const relinkedUsers = users.reduce((w, to) => on(w, relinked(w, to, latent)), found);
  return { ground: withoutUnused(relinkedUsers, [first]), flatten };
}

/** A picture that is sampled already becomes the lowest layer. */
function underneath(ground: PaintGround, box: string, encoder: string, flat: Step) {
  const own = wiring(ground);
  const port = own.spec(encoder)?.inputs.find(({ type }) => type === "Image")?.name ?? "image";
  const image = own.source({ node: encoder, port });
  const link = shortened(ground, { node: box, port: "box" });
  const layer: Step = {
    key: "layer",
    type: "AddLayer",
    inputs: { image: image ? shortened(ground, image) : undefined, box: link },
  };
  const steps = image
    ? [layer, { ...flat, inputs: { ...flat.inputs, layers: of("layer", "layers") } }]
    : [flat];
  const { ground: found, names } = added(ground, steps, encoder);
  const flatten = names.get("flat") ?? "";
  const to = { node: encoder, port };
  return { ground: on(found, relinked(found, to, { node: flatten, port: "image" })), flatten };
}

/** What the raster layers leave empty of the box masked, and not where they cover it. */
function withEmptyMasked(ground: PaintGround, box: string): PaintGround {
  const { workflow, scope, types } = ground;
  const canvas = readCanvas(workflow, scope, types, box);
  const raster = chains(ground, box).find(isFilledRaster);
  if (!canvas?.sampler || !raster) return ground;
  const coverage = coverageOf(canvas, ground.sizeOf ?? (() => null));
  const is = isOutpainted(ground, box);
  const mask = { node: raster.flatten, port: "mask" };
  if (coverage === "covered" && is) return detached(ground, mask);
  if (coverage !== "beyond" || is || !hasTypes(types, [INVERT])) return ground;
  const empty: Step = { key: "empty", type: INVERT, inputs: { mask: shortened(ground, mask) } };
  const { ground: found, names } = added(ground, [empty], canvas.sampler.node);
  return joined(found, canvas.sampler.node, { node: names.get("empty") ?? "", port: "mask" });
}

/** What is masked as it is empty gets the colours around it, to be sampled from. */
function withEmptyFilled(ground: PaintGround, box: string): PaintGround {
  const raster = chains(ground, box).find(isFilledRaster);
  if (raster === undefined) return ground;
  const change = isOutpainted(ground, box) ? infilled : uninfilled;
  return change(ground, raster.flatten);
}

/** Whether what the raster layers leave empty is masked. */
function isOutpainted(ground: PaintGround, box: string): boolean {
  const raster = chains(ground, box).find(isFilledRaster);
  return raster !== undefined && isJoined(wiring(ground), { node: raster.flatten, port: "mask" });
}

/** Of what there is nothing yet, all is sampled. */
function usualDenoise(ground: PaintGround, box: string): number {
  const isPainted = chains(ground, box).some(isFilledRaster);
  return isPainted && !isOutpainted(ground, box) ? OVER_PAINT : 1;
}

/** The usual denoise of a canvas with these layers, where that of the one before was left. */
function withDenoise(ground: PaintGround, box: string, before: number): PaintGround {
  const sampler = samplerIn(ground, box);
  const entry = sampler === null ? null : wiring(ground).entry(sampler);
  const usual = usualDenoise(ground, box);
  if (sampler === null || entry === null || usual === before) return ground;
  const hasPort = wiring(ground)
    .spec(sampler)
    ?.inputs.some(({ name }) => name === "denoise");
  const value = entry.inputs.get("denoise");
  const now = linkOf(value) === null ? (numberOf(literalOf(value)) ?? 1) : null;
  if (!hasPort || isLink(value) || now !== before) return ground;
  return on(ground, withValues(ground, sampler, { denoise: usual }));
}
