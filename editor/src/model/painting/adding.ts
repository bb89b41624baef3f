/** Layers added to a canvas, of all kinds, with the nodes that connect them with the sampler. */
import { hasTypes, of, type Step } from "../recipes/chain";
import { originOf } from "../recipes/origin";
import type { NodeTypes } from "../spec";
import type { Chain, ChainItem } from "./chains";
import { settled, withRaster } from "./encoding";
import { added } from "./framing";
import { chains, type Edited, on, type PaintGround, shortened, wiring } from "./ground";
import { isJoined, joined } from "./masking";
import { CANVAS_TYPES, FLATTEN, LAYER, LOAD, loadingInputs, written } from "./nodes";
import { samplerLinks, withLead, withRegion } from "./prompting";
import { chainWith, inserted, itemIn, restacked } from "./stacks";
import type { LayerKind, PaintCanvas, Placement } from "./types";

export interface NewLayer {
  /** What LoadImage is given; "" for a layer that nothing is painted on yet. */
  readonly value: string;
  readonly placement: Placement;
  readonly title: string;
  /** The layer or group that it is put onto; on all others of its kind where there is none. */
  readonly above?: string | null;
  readonly control?: NewControl;
  readonly reference?: NewReference;
  /** The prompt of a region. */
  readonly text?: string;
}

export interface NewControl {
  /** The model; the usual one if not given. */
  readonly net?: string;
  /** Its kind as SelectPreprocessor calls it; null where the layer is the control picture itself. */
  readonly preprocessor: string | null;
}

export interface NewReference {
  readonly by: "ip-adapter" | "redux" | "latents";
  /** The file of the adapter. */
  readonly model?: string;
}

const REFERENCE_TYPES: Readonly<Record<NewReference["by"], readonly string[]>> = {
  "ip-adapter": ["LoadIPAdapter", "ApplyIPAdapter"],
  redux: ["LoadRedux", "ApplyRedux"],
  latents: ["VAEEncode", "ReferenceLatents"],
};
const NEEDED: Readonly<Record<Exclude<LayerKind, "reference">, readonly string[]>> = {
  raster: ["VAEEncode"],
  mask: ["SetNoiseMask", "CombineMasks"],
  control: ["LoadControlNet", "ApplyControlNet"],
  region: ["EncodePrompt", "MaskConditioning", "CombineConditioning"],
};

/** Whether a layer of a kind can be added: its node types are there, and a sampler. */
export function canAddLayer(
  { types }: Pick<PaintGround, "types">,
  canvas: PaintCanvas,
  kind: LayerKind,
  by: NewReference["by"] = "ip-adapter",
): boolean {
  const needed = kind === "reference" ? REFERENCE_TYPES[by] : NEEDED[kind];
  if (!hasTypes(types, [...CANVAS_TYPES, ...needed])) return false;
  return (
    kind === "raster" || (canvas.sampler !== null && (kind !== "region" || canvas.prompt !== null))
  );
}

/** A layer added; its node is null, and the workflow the same, where it can't be. */
export function addLayer(
  ground: PaintGround,
  canvas: PaintCanvas,
  kind: LayerKind,
  layer: NewLayer,
): Edited {
  const refused = { workflow: ground.workflow, node: null };
  const sampler = canvas.sampler?.node ?? null;
  if (!canAddLayer(ground, canvas, kind, layer.reference?.by)) return refused;
  if (kind === "reference") return sampler ? withReference(ground, sampler, layer) : refused;
  const { box } = canvas;
  const chain = chainFor(ground, box.node, kind, layer);
  const made = chain
    ? { ground, flatten: chain.flatten }
    : newChain(ground, box.node, kind, sampler);
  const own = made && chains(made.ground, box.node);
  // A chain of which nothing tells yet what it is for is known by its end.
  const target = own?.find(({ flatten }) => flatten === made?.flatten) ?? looseChain(made?.flatten);
  if (!made || !target) return refused;
  const stacked = withLayer(made.ground, target, layer);
  if (stacked.node === null) return refused;
  let found = on(made.ground, stacked.workflow);
  if (chain === null && sampler !== null) {
    const joint = joinedTo(found, kind, made.flatten, sampler, layer);
    if (joint === null) return refused;
    found = joint;
  }
  return { workflow: settled(found, box.node, ground).workflow, node: stacked.node };
}

/** The chain that a layer goes into: a control net and a region have one each. */
function chainFor(
  ground: PaintGround,
  box: string,
  kind: LayerKind,
  { above }: NewLayer,
): Chain | null {
  const own = chains(ground, box).filter((each) => each.kind === kind);
  if (above) return chainWith(own, above);
  return kind === "raster" || kind === "mask" ? (own[0] ?? null) : null;
}

function newChain(ground: PaintGround, box: string, kind: LayerKind, sampler: string | null) {
  if (kind === "raster") return withRaster(ground, box);
  const link = shortened(ground, { node: box, port: "box" });
  const color = kind === "control" ? "black" : undefined;
  const step = { key: "flat", type: FLATTEN, inputs: { box: link, color } };
  const { ground: found, names } = added(ground, [step], sampler ?? box);
  return { ground: found, flatten: names.get("flat") ?? "" };
}

function looseChain(flatten: string | undefined): Chain | null {
  if (flatten === undefined) return null;
  const stack = { base: null, items: [] };
  return { kind: "raster", flatten, stack, apply: null, preprocessor: null, masked: null };
}

/** The nodes of a layer, and its place in the chain. */
export function withLayer(ground: PaintGround, chain: Chain, layer: NewLayer): Edited {
  const { ground: found, names } = added(ground, layerSteps(ground.types, layer), chain.flatten);
  const node = names.get("layer") ?? "";
  const item: ChainItem = { node, members: null };
  const below = layer.above ? itemIn(chain.stack, layer.above) : null;
  const index = below ? below.index + 1 : chain.stack.items.length;
  const stack = inserted(chain.stack, item, below?.parent ?? null, index);
  const stacked = restacked(found, chain, stack);
  return stacked ? { workflow: stacked.workflow, node } : { workflow: ground.workflow, node: null };
}

export function layerSteps(
  types: NodeTypes,
  { value, placement, title }: NewLayer,
): readonly Step[] {
  const { x, y, width, height, rotation } = placement;
  const numbers = { x, y, width, height, ...(rotation === 0 ? {} : { rotation }) };
  const inputs = Object.fromEntries(
    Object.entries(numbers).map(([port, number]) => [port, written(port, number)]),
  );
  const image = of("load", "image");
  return [
    { key: "load", type: LOAD, inputs: loadingInputs(types, value) },
    { key: "layer", type: LAYER, inputs: { image, ...inputs, name: title || undefined } },
  ];
}

/** A new chain led to the sampler, as its kind does. */
function joinedTo(
  ground: PaintGround,
  kind: LayerKind,
  flatten: string,
  sampler: string,
  layer: NewLayer,
): PaintGround | null {
  const mask = { node: flatten, port: "mask" };
  if (kind === "mask") {
    const found = joined(ground, sampler, mask);
    return isJoined(wiring(found), mask) ? found : null;
  }
  if (kind === "control") return withControl(ground, sampler, flatten, layer.control);
  if (kind === "region") return withRegion(ground, sampler, mask, layer.text ?? "");
  return ground;
}

function withControl(
  ground: PaintGround,
  sampler: string,
  flatten: string,
  control: NewControl = { preprocessor: null },
): PaintGround {
  const picture = shortened(ground, { node: flatten, port: "image" });
  const kind = control.preprocessor;
  const isMade = kind !== null && hasTypes(ground.types, ["SelectPreprocessor", "Preprocess"]);
  const preprocessor = of("kind", "preprocessor");
  const made: readonly Step[] = isMade
    ? [
        { key: "kind", type: "SelectPreprocessor", inputs: { kind } },
        { key: "made", type: "Preprocess", inputs: { image: picture, preprocessor } },
      ]
    : [];
  const steps: readonly Step[] = [
    ...made,
    { key: "net", type: "LoadControlNet", inputs: { control_net: control.net } },
    {
      key: "apply",
      type: "ApplyControlNet",
      inputs: {
        ...samplerLinks(ground, sampler, ["positive", "negative"]),
        control_net: of("net", "control_net"),
        image: isMade ? of("made", "image") : picture,
      },
    },
  ];
  return withLead(ground, sampler, steps, "apply");
}

function withReference(ground: PaintGround, sampler: string, layer: NewLayer): Edited {
  const { by, model } = layer.reference ?? { by: "ip-adapter" as const };
  const load: Step = { key: "load", type: LOAD, inputs: { path: layer.value }, label: layer.title };
  const image = of("load", "image");
  const { positive, ...others } = samplerLinks(ground, sampler, ["model", "positive", "negative"]);
  const found = withLead(ground, sampler, [load, ...stepsBy()], "apply");
  const before = new Set(wiring(ground).nodes.keys());
  const node = [...wiring(found).nodes].find(
    ([name, { type }]) => type === LOAD && !before.has(name),
  );
  return { workflow: found.workflow, node: node?.[0] ?? null };

  function stepsBy(): readonly Step[] {
    if (by === "redux") {
      const redux = of("adapter", "redux");
      return [
        { key: "adapter", type: "LoadRedux", inputs: { redux: model } },
        { key: "apply", type: "ApplyRedux", inputs: { conditioning: positive, redux, image } },
      ];
    }
    if (by === "latents") {
      const latent = of("encode", "latent");
      return [
        {
          key: "encode",
          type: "VAEEncode",
          inputs: { vae: originOf(ground, sampler)?.vae, image },
        },
        { key: "apply", type: "ReferenceLatents", inputs: { conditioning: positive, latent } },
      ];
    }
    const ip_adapter = of("adapter", "ip_adapter");
    return [
      { key: "adapter", type: "LoadIPAdapter", inputs: { ip_adapter: model } },
      { key: "apply", type: "ApplyIPAdapter", inputs: { ...others, positive, ip_adapter, image } },
    ];
  }
}
