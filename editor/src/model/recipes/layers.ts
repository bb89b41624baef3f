/** A picture with what was painted around and over it, as nodes: nothing of it is kept elsewhere. */
import type { Point } from "../layout";
import { inputOf } from "../spec";
import { isWider, type Margins } from "../strokes";
import {
  type Added,
  addChain,
  beside,
  type Ground,
  hasTypes,
  type Of,
  of,
  type Step,
} from "./chain";
import { type Origin, originOf } from "./origin";
import {
  decoded,
  encoded,
  inpainted,
  loaded,
  type Picture,
  sampled,
  saved,
  withModel,
} from "./pictures";

export interface Layers {
  readonly base: Picture;
  readonly frame: Margins;
  /** Pictures of the frame's size; null where nothing was painted. White is masked. */
  readonly mask: string | null;
  /** Transparent where nothing was painted. */
  readonly sketch: string | null;
  /** What else is to lead, beside the prompt. */
  readonly reference: string | null;
  /** The adapter by which it leads; null where the server has none, so that it is only loaded. */
  readonly adapter: string | null;
}

export const LAYER_TYPES = [
  ...["LoadImage", "LoadMask", "InvertMask", "CombineMasks", "PadForOutpaint", "VAEEncode"],
  ...["SetNoiseMask", "FeatherMask", "KSampler", "VAEDecode", "CompositeMasked", "SaveImage"],
] as const;
/** A sketch says where and in which colours: that much of it stays. */
const SKETCHED = 0.75;

/** All layers as nodes that are linked, up to a picture that is saved. */
export function composed(ground: Ground, layers: Layers, seed: number, or: Point): Added {
  const { base, frame } = layers;
  const origin = originOf(ground, base.node);
  const steps: Step[] = [loaded(base)];
  let image: Of = of("load", "image");
  const masks: Of[] = [];
  if (isWider(frame)) {
    steps.push({ key: "pad", type: "PadForOutpaint", inputs: { image, ...frame } });
    image = of("pad", "image");
    masks.push(of("pad", "mask"));
  }
  if (layers.mask !== null) {
    steps.push({ key: "mask", type: "LoadMask", inputs: { path: layers.mask } });
    masks.push(of("mask", "mask"));
  }
  if (layers.sketch !== null) {
    steps.push(...sketched(layers.sketch, image));
    image = of("drawn", "image");
    // With a mask or a wider frame, what was drawn is sampled with it.
    if (masks.length > 0) masks.push(of("drawing", "mask"));
  }
  const mask = united(steps, masks);
  const size = {
    width: base.width && base.width + frame.left + frame.right,
    height: base.height && base.height + frame.top + frame.bottom,
  };
  const draw = { seed, denoise: layers.sketch === null ? 1 : SKETCHED };
  const chain = mask
    ? inpainted(ground, size, origin, draw, { image, mask })
    : resampled(ground, size, origin, draw, image);
  steps.push(...referred(ground, layers, chain));
  return addChain(ground, withModel(origin, steps), beside(ground, base.node, or));
}

function sketched(path: string, base: Of): readonly Step[] {
  return [
    { key: "sketch", type: "LoadImage", inputs: { path } },
    { key: "drawing", type: "InvertMask", inputs: { mask: of("sketch", "mask") } },
    {
      key: "drawn",
      type: "CompositeMasked",
      inputs: { base, overlay: of("sketch", "image"), mask: of("drawing", "mask") },
    },
  ];
}

/** One mask of several, made by steps that are added; null of none. */
function united(steps: Step[], masks: readonly Of[]): Of | null {
  return masks.reduce<Of | null>((first, second) => {
    if (first === null) return second;
    const key = `union_${steps.length}`;
    steps.push({ key, type: "CombineMasks", inputs: { first, second } });
    return of(key, "mask");
  }, null);
}

/** The whole picture sampled again. */
function resampled(
  ground: Ground,
  size: Pick<Picture, "width" | "height">,
  origin: Origin | null,
  draw: { readonly seed: number; readonly denoise: number },
  image: Of,
): readonly Step[] {
  return [
    encoded(size, image, origin),
    sampled(ground, origin, of("encode", "latent"), draw),
    decoded(origin),
    saved(of("decode", "image"), "painted"),
  ];
}

/** With the reference loaded, which leads the sampler where there is an adapter for that. */
function referred(ground: Ground, layers: Layers, chain: readonly Step[]): readonly Step[] {
  const { reference, adapter } = layers;
  if (reference === null) return chain;
  const load: Step = {
    key: "reference",
    type: "LoadImage",
    inputs: { path: reference },
  };
  const isLeading = adapter !== null && hasTypes(ground.types, ["LoadIPAdapter", "ApplyIPAdapter"]);
  const sampler = chain.find(({ key }) => key === "sample");
  if (!isLeading || sampler === undefined) return [load, ...chain];
  const { model, positive, negative } = sampler.inputs;
  const outputs = ground.types.byName.get("ApplyIPAdapter")?.outputs ?? [];
  const gives = outputs.filter(({ name }) => {
    const spec = ground.types.byName.get(sampler.type);
    return spec && inputOf(spec, name) && sampler.inputs[name] !== undefined;
  });
  const led = Object.fromEntries(gives.map(({ name }) => [name, of("lead", name)]));
  return [
    load,
    { key: "adapter", type: "LoadIPAdapter", inputs: { ip_adapter: adapter } },
    {
      key: "lead",
      type: "ApplyIPAdapter",
      inputs: {
        model,
        positive,
        negative,
        ip_adapter: of("adapter", "ip_adapter"),
        image: of("reference", "image"),
      },
    },
    ...chain.map((step) =>
      step.key === "sample" ? { ...step, inputs: { ...step.inputs, ...led } } : step,
    ),
  ];
}
