/** A canvas begun: in a new graph, or with the model and prompts of one that is there. */
import { setSeedMode } from "../edits";
import { type Added, addChain, hasTypes, of, type Step } from "../recipes/chain";
import { originOf } from "../recipes/origin";
import { decoded, encoded, type Picture, sampled, withModel } from "../recipes/pictures";
import { nodeOf } from "../scope";
import { inputOf, typeOf } from "../spec";
import type { Workflow } from "../workflow";
import { layerSteps } from "./adding";
import { below, framed } from "./framing";
import type { Extent, PaintGround } from "./ground";
import { BOX, CANVAS_TYPES, FLATTEN } from "./nodes";
import { AT_ORIGIN } from "./types";

const NEEDED = [
  ...CANVAS_TYPES,
  "EmptyLatent",
  "VAEEncode",
  "KSampler",
  "VAEDecode",
  "PreviewImage",
];
/** What a picture keeps of itself where nobody has said. */
const DENOISE = 0.75;

export interface StartOptions {
  /** Of the frame around the nodes. */
  readonly title?: string;
  readonly seed?: number;
  /** Pixels that are sampled for the box; left out: as many as it has. */
  readonly sampled?: Extent;
}

/** Whether the server has the nodes that a canvas begins with. */
export function canStartCanvas({ types }: Pick<PaintGround, "types">): boolean {
  return hasTypes(types, NEEDED);
}

/**
 * Nodes of a canvas added to a graph, which samples as the graph does that is there.
 *
 * @param from The picture that is its lowest layer; null for an empty canvas.
 * @param size Pixels of the box; it is laid around the picture where that has a known size.
 */
export function startCanvas(
  ground: PaintGround,
  from: Picture | null,
  size: Extent,
  { title = "Canvas", seed = 0, sampled: scaled }: StartOptions = {},
): Added {
  const origin = originOf(ground, from?.node ?? null);
  const { width, height } = {
    width: from?.width ?? size.width,
    height: from?.height ?? size.height,
  };
  const sampledSize = scaled ? { sampled_width: scaled.width, sampled_height: scaled.height } : {};
  const box: Step = {
    key: "box",
    type: BOX,
    inputs: { x: 0, y: 0, width, height, ...sampledSize },
  };
  const draw = { seed, denoise: from === null ? 1 : DENOISE };
  const latent = from === null ? of("size", "latent") : of("encode", "latent");
  const steps: readonly Step[] = [
    box,
    ...(from === null ? emptySteps() : pictureSteps(from)),
    sampled(ground, origin, latent, draw),
    decoded(origin),
    { key: "show", type: "PreviewImage", inputs: { image: of("decode", "image") } },
  ];
  const added = addChain(ground, withModel(origin, steps), below(ground));
  const framing = framed({ ...ground, workflow: added.workflow }, added.names.values(), title);
  return { ...added, workflow: reseeded(framing, added.names.get("sample") ?? "") };

  function pictureSteps(picture: Picture): readonly Step[] {
    const placement = { ...AT_ORIGIN, width, height };
    const flat = { layers: of("layer", "layers"), box: of("box", "box"), color: "white" };
    return [
      ...layerSteps(ground.types, { value: picture.value, placement, title: "" }),
      { key: "flat", type: FLATTEN, inputs: flat },
      encoded(scaled ?? { width, height }, of("flat", "image"), origin),
    ];
  }
}

/** With another seed for each run, as one candidate is to differ from the one before. */
function reseeded({ workflow, scope, types }: PaintGround, sampler: string): Workflow {
  const entry = nodeOf(workflow, scope, sampler);
  const spec = entry && typeOf(types, workflow, entry);
  return spec && inputOf(spec, "seed")
    ? setSeedMode(workflow, scope, sampler, "seed", "random")
    : workflow;
}

function emptySteps(): readonly Step[] {
  const inputs = { width: of("box", "width"), height: of("box", "height") };
  return [{ key: "size", type: "EmptyLatent", inputs }];
}
