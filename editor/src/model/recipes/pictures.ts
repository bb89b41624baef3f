/** A picture that a workflow gave, taken further: as an input, varied, painted over, made larger. */
import type { Json } from "../json";
import type { Point } from "../layout";
import type { Target } from "../links";
import { inputOf } from "../spec";
import {
  type Added,
  addChain,
  beside,
  type Ground,
  hasTypes,
  linked,
  type Of,
  of,
  type Step,
} from "./chain";
import { type Origin, originOf } from "./origin";

export interface Picture {
  /** What LoadImage is given. */
  readonly value: string;
  /** Pixels; null where they aren't known. */
  readonly width: number | null;
  readonly height: number | null;
  /** The node of the graph that gave it; null if it is from elsewhere. */
  readonly node: string | null;
}

export type Recipe = "use" | "vary" | "inpaint" | "upscale";

const NEEDED: Readonly<Record<Recipe, readonly string[]>> = {
  use: ["LoadImage"],
  vary: ["LoadImage", "VAEEncode", "KSampler", "VAEDecode", "SaveImage"],
  inpaint: [
    ...["LoadImage", "VAEEncode", "SetNoiseMask", "KSampler", "VAEDecode"],
    ...["FeatherMask", "CompositeMasked", "SaveImage"],
  ],
  upscale: ["LoadImage", "ResizeImage", "SaveImage"],
};
const DENOISE = 0.5;
const SOFT_EDGE = 4;
/** Pixels of a latent's cell, mostly. */
const CELL = 8;

/** Whether the server has the nodes that a recipe adds. */
export function canAdd(recipe: Recipe, { types }: Pick<Ground, "types">): boolean {
  return hasTypes(types, NEEDED[recipe]);
}

/** A node that loads the picture, linked to an input where one is given. */
export function asInput(ground: Ground, picture: Picture, to: Target | null, or: Point): Added {
  const added = addChain(ground, [loaded(picture)], beside(ground, picture.node, or));
  const node = added.names.get("load");
  if (to === null || node === undefined) return added;
  const workflow = linked({ ...ground, workflow: added.workflow }, { node, port: "image" }, to);
  return { ...added, workflow };
}

/** The picture sampled again in part, by the model and prompts that made it. */
export function vary(ground: Ground, picture: Picture, seed: number, or: Point): Added {
  const origin = originOf(ground, picture.node);
  const steps: Step[] = [
    loaded(picture),
    encoded(picture, of("load", "image"), origin),
    sampled(ground, origin, of("encode", "latent"), { seed, denoise: DENOISE }),
    decoded(origin),
    saved(of("decode", "image"), "varied"),
  ];
  return addChain(ground, withModel(origin, steps), beside(ground, picture.node, or));
}

/** What is masked, which is what is transparent, sampled anew; all else keeps its bits. */
export function inpaint(ground: Ground, picture: Picture, seed: number, or: Point): Added {
  const origin = originOf(ground, picture.node);
  const steps: Step[] = [
    loaded(picture),
    ...inpainted(ground, picture, origin, { seed, denoise: 1 }, PAINTED),
  ];
  return addChain(ground, withModel(origin, steps), beside(ground, picture.node, or));
}

const PAINTED = { image: of("load", "image"), mask: of("load", "mask") } as const;

/** From a picture and its mask to the picture with something else there. */
export function inpainted(
  ground: Ground,
  picture: Pick<Picture, "width" | "height">,
  origin: Origin | null,
  draw: { readonly seed: number; readonly denoise: number },
  { image, mask }: { readonly image: Of; readonly mask: Of },
): readonly Step[] {
  return [
    encoded(picture, image, origin),
    {
      key: "masked",
      type: "SetNoiseMask",
      inputs: { latent: of("encode", "latent"), mask },
    },
    {
      key: "soft",
      type: "FeatherMask",
      inputs: { mask, radius: SOFT_EDGE, side: "inward" },
    },
    sampled(ground, origin, of("masked", "latent"), draw),
    decoded(origin),
    {
      key: "result",
      type: "CompositeMasked",
      inputs: { base: image, overlay: of("decode", "image"), mask: of("soft", "mask") },
    },
    saved(of("result", "image"), "inpainted"),
  ];
}

/** Larger by a network that was trained for it, or else simply twice as large. */
export function upscale(ground: Ground, picture: Picture, model: string | null, or: Point): Added {
  const isTrained = hasTypes(ground.types, ["LoadUpscaleModel", "UpscaleImage"]);
  const load = loaded(picture);
  const trained: readonly Step[] = [
    load,
    {
      key: "model",
      type: "LoadUpscaleModel",
      inputs: { model: model ?? undefined },
    },
    {
      key: "larger",
      type: "UpscaleImage",
      inputs: { model: of("model", "model"), image: of("load", "image") },
    },
  ];
  const resized: readonly Step[] = [
    load,
    {
      key: "larger",
      type: "ResizeImage",
      inputs: {
        image: of("load", "image"),
        width: 2 * (picture.width ?? 512),
        height: 2 * (picture.height ?? 512),
      },
    },
  ];
  const steps = [...(isTrained ? trained : resized), saved(of("larger", "image"), "upscaled")];
  return addChain(ground, steps, beside(ground, picture.node, or));
}

export function loaded({ value }: Pick<Picture, "value">): Step {
  return { key: "load", type: "LoadImage", inputs: { path: value } };
}

export function encoded(
  { width, height }: Pick<Picture, "width" | "height">,
  image: Of,
  origin: Origin | null,
): Step {
  // Other sizes are refused unless they are cut.
  const fits = [width, height].every((side) => side !== null && side % CELL === 0);
  return {
    key: "encode",
    type: "VAEEncode",
    inputs: { vae: vaeOf(origin), image, crop: fits ? undefined : true },
  };
}

export function decoded(origin: Origin | null): Step {
  return {
    key: "decode",
    type: "VAEDecode",
    inputs: { vae: vaeOf(origin), latent: of("sample", "latent") },
  };
}

export function saved(image: Of, name: string): Step {
  return { key: "save", type: "SaveImage", inputs: { image, name } };
}

function vaeOf(origin: Origin | null) {
  return origin === null ? of("model", "vae") : origin.vae;
}

/** A sampler as the one that made the picture, if it can begin in the middle. */
export function sampled(
  { types, workflow }: Ground,
  origin: Origin | null,
  latent: Of,
  { seed, denoise }: { readonly seed: number; readonly denoise: number },
): Step {
  const entry = origin?.sampler;
  const spec = entry && !workflow.subgraphs.has(entry.type) ? types.byName.get(entry.type) : null;
  const isSame = spec && inputOf(spec, "denoise") !== null && inputOf(spec, "seed") !== null;
  const kept = isSame ? null : ["model", "positive", "negative"];
  const inputs: Record<string, Json | Of> = {};
  const steps = entry?.inputs.get("steps");
  // A part of few steps may be less than one.
  const least = isSame && typeof steps === "number" && steps > 0 ? 1 / steps : 0;
  for (const [port, value] of entry?.inputs ?? []) {
    if (kept?.includes(port) !== false && port !== "end_step") inputs[port] = value;
  }
  if (entry === undefined) {
    inputs.model = of("model", "model");
    inputs.positive = of("prompt", "conditioning");
  }
  return {
    key: "sample",
    type: isSame && entry ? entry.type : "KSampler",
    inputs: { ...inputs, latent, seed, denoise: Math.max(denoise, least) },
  };
}

/** With a model and a prompt to be chosen, in a graph that has none. */
export function withModel(origin: Origin | null, steps: readonly Step[]): readonly Step[] {
  if (origin !== null) return steps;
  return [
    { key: "model", type: "LoadModel", inputs: {} },
    {
      key: "prompt",
      type: "EncodePrompt",
      inputs: { encoder: of("model", "text_encoder") },
    },
    ...steps,
  ];
}
