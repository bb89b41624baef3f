/**
 * The graph of the page's settings, of the kind that the gallery has.
 *
 * The nodes' names are those of the gallery too: by them a graph is read again, see reading.ts. What no node says,
 * such as the prompt before styles were put around it, is in the file's `ui.generate`.
 */
import { shortLink } from "../edits";
import { floatJson, fromPlain, integerFromText, type Json } from "../json";
import { changeLayout } from "../layout";
import type { Target } from "../links";
import { linkJson } from "../links";
import { emptyNode, emptyWorkflow, type NodeEntry, type Workflow } from "../workflow";
import {
  comesInParts,
  faceDetector,
  foregroundModel,
  type Ground,
  modelNamed,
  type Task,
  upscalerOf,
} from "./models";
import { type GenerateSettings, USUAL_HIRES } from "./settings";
import { styled } from "./styles";

/** An output of another node. */
interface Of {
  readonly node: string;
  readonly port: string;
}

type Value = Json | Of | undefined;

export const KEY = "generate";
const SOFT_EDGE = 4;
const FACE = { text: "face", grown: 12, margin: 32, denoise: 0.45 };
const ENLARGED = 2;
export const FILES = ["file", "file_2", "file_3", "file_4"];
const NAMES: Readonly<Record<Task, string>> = {
  image: "image",
  upscale: "upscaled",
  face: "face",
  cutout: "cutout",
  color: "cutout",
  background: "background",
};

/** Puts nodes into a workflow under the names by which they are known. */
class Builder {
  readonly nodes = new Map<string, NodeEntry>();

  constructor(private readonly ground: Ground) {}

  add(name: string, type: string, inputs: Readonly<Record<string, Value>>): void {
    const written = new Map<string, Json>();
    for (const [port, value] of Object.entries(inputs)) {
      if (value !== undefined) written.set(port, this.written(value));
    }
    this.nodes.set(name, { ...emptyNode(type), inputs: written });
  }

  private written(value: Json | Of): Json {
    if (!isOf(value)) return value;
    const type = this.nodes.get(value.node)?.type ?? "";
    return linkJson(shortLink(this.ground.types.byName.get(type) ?? null, value));
  }
}

function of(node: string, port: string): Of {
  return { node, port };
}

function isOf(value: Json | Of): value is Of {
  return typeof value === "object" && value !== null && "node" in value;
}

/**
 * The workflow that does a task by settings.
 *
 * @param title What the workflow is called; nothing for the beginning of the prompt.
 */
export function workflowOf(
  settings: GenerateSettings,
  ground: Ground,
  { task = "image", title = "" }: { readonly task?: Task; readonly title?: string } = {},
): Workflow {
  const builder = new Builder(ground);
  const image = TASK_NODES[task](builder, settings, ground);
  builder.add("save", "SaveImage", { image, name: NAMES[task] });
  const built = { ...emptyWorkflow(title || titleOf(settings)), nodes: builder.nodes };
  return withNotes({ ...built, parameters: parametersOf(builder.nodes) }, settings);
}

const LONGEST_TITLE = 60;

function titleOf({ prompt }: GenerateSettings): string {
  const line = prompt.trim().split("\n", 1)[0] ?? "";
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE - 1)}…` : line;
}

type TaskNodes = (builder: Builder, settings: GenerateSettings, ground: Ground) => Of;

const TASK_NODES: Readonly<Record<Task, TaskNodes>> = {
  image: imageNodes,
  upscale: upscaleNodes,
  face: faceNodes,
  cutout: cutoutNodes,
  color: colorNodes,
  background: backgroundNodes,
};

function imageNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  const { start, width, height, hires } = settings;
  const model = modelNodes(builder, settings, ground);
  if (start === null) {
    builder.add("size", "EmptyLatent", { width, height });
    sampleNode(builder, "sample", settings, model, of("size", "latent"));
    const last = hires === null ? "sample" : hiresNodes(builder, settings, model);
    return decodeNode(builder, "decode", model, of(last, "latent"));
  }
  const image = startNodes(builder, settings);
  builder.add("encode", "VAEEncode", { vae: model.vae, image });
  if (!start.isMasked) {
    sampleNode(builder, "sample", settings, model, of("encode", "latent"), settings.strength);
    const last = hires === null ? "sample" : hiresNodes(builder, settings, model);
    return decodeNode(builder, "decode", model, of(last, "latent"));
  }
  // A mask as an image is cut to the same size as the image.
  const cut = { width, height, fit: "crop" };
  builder.add("mask_image", "ResizeImage", { image: of("picture", "mask"), ...cut });
  builder.add("mask", "MaskFromChannel", { image: of("mask_image", "image") });
  return paintedOver(builder, settings, model, image, of("mask", "mask"));
}

/** The start image, in the size of what is made. */
function startNodes(builder: Builder, { start, width, height }: GenerateSettings): Of {
  builder.add("picture", "LoadImage", { path: start?.value ?? "" });
  builder.add("fitted", "ResizeImage", {
    image: of("picture", "image"),
    width,
    height,
    fit: "crop",
  });
  return of("fitted", "image");
}

/** What is masked sampled anew; all else keeps its bits. */
function paintedOver(
  builder: Builder,
  settings: GenerateSettings,
  model: ModelOutputs,
  image: Of,
  mask: Of,
): Of {
  const { strength } = settings;
  builder.add("masked", "SetNoiseMask", { latent: of("encode", "latent"), mask });
  sampleNode(builder, "sample", settings, model, of("masked", "latent"), strength);
  decodeNode(builder, "decode", model, of("sample", "latent"));
  builder.add("soft", "FeatherMask", { mask, radius: floatJson(SOFT_EDGE), side: "inward" });
  builder.add("result", "CompositeMasked", {
    base: image,
    overlay: of("decode", "image"),
    mask: of("soft", "mask"),
  });
  return of("result", "image");
}

function hiresNodes(builder: Builder, settings: GenerateSettings, model: ModelOutputs): string {
  const hires = settings.hires ?? USUAL_HIRES;
  const { denoise, upscaler } = hires;
  const factor = floatJson(hires.factor);
  let latent = of("larger_latent", "latent");
  if (upscaler === "") {
    const method = hires.method || undefined;
    builder.add("larger_latent", "ResizeLatent", {
      latent: of("sample", "latent"),
      factor,
      method,
    });
  } else {
    const image = decodeNode(builder, "small", model, of("sample", "latent"));
    builder.add("upscaler", "LoadUpscaleModel", { model: upscaler });
    builder.add("larger", "UpscaleImage", { model: of("upscaler", "model"), image, factor });
    const larger = of("larger", "image");
    builder.add("encode_larger", "VAEEncode", { vae: model.vae, image: larger, crop: true });
    latent = of("encode_larger", "latent");
  }
  const again = { ...settings, steps: hires.steps ?? settings.steps };
  sampleNode(builder, "redraw", again, model, latent, denoise, hires.runsAll);
  return "redraw";
}

function upscaleNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  builder.add("picture", "LoadImage", { path: settings.start?.value ?? "" });
  builder.add("upscaler", "LoadUpscaleModel", { model: upscalerOf(ground.models) ?? undefined });
  builder.add("larger", "UpscaleImage", {
    model: of("upscaler", "model"),
    image: of("picture", "image"),
    factor: floatJson(ENLARGED),
  });
  return of("larger", "image");
}

/** Faces cut out, sampled at full size, and put back. */
function faceNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  const { width, height } = settings;
  const model = modelNodes(builder, settings, ground);
  const detector = faceDetector(ground.models);
  const image = of("picture", "image");
  builder.add("picture", "LoadImage", { path: settings.start?.value ?? "" });
  builder.add("detector", "LoadVisionModel", { model: detector?.name ?? "" });
  const found = { model: of("detector", "vision_model"), image };
  if (detector?.by === "boxes")
    builder.add("face", "DetectThings", { ...found, labels: FACE.text });
  else builder.add("face", "SegmentByText", { ...found, text: FACE.text });
  builder.add("grown", "GrowMask", { mask: of("face", "mask"), pixels: FACE.grown });
  const cut = { image, mask: of("grown", "mask"), margin: FACE.margin, width, height };
  builder.add("crop", "CropToMask", cut);
  builder.add("encode", "VAEEncode", { vae: model.vae, image: of("crop", "image") });
  sampleNode(builder, "sample", settings, model, of("encode", "latent"), FACE.denoise);
  const part = decodeNode(builder, "decode", model, of("sample", "latent"));
  builder.add("result", "StitchCrop", { image, part, region: of("crop", "region") });
  return of("result", "image");
}

function cutoutNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  builder.add("picture", "LoadImage", { path: settings.start?.value ?? "" });
  return foreground(builder, of("picture", "image"), ground);
}

/** The node "cut", which gives the foreground and its mask; returns the foreground. */
function foreground(builder: Builder, image: Of, { models }: Ground): Of {
  const model = foregroundModel(models);
  if (model === null) builder.add("cut", "RemoveBackground", { image });
  else {
    builder.add("detector", "LoadVisionModel", { model });
    const found = { model: of("detector", "vision_model"), image };
    builder.add("cut", "ForegroundMask", found);
  }
  return of("cut", "image");
}

function colorNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  const image = cutoutNodes(builder, settings, ground);
  builder.add("flat", "FlattenImage", { image, color: "white" });
  return of("flat", "image");
}

/** All but the foreground is painted by the prompt. */
function backgroundNodes(builder: Builder, settings: GenerateSettings, ground: Ground): Of {
  const model = modelNodes(builder, settings, ground);
  const image = startNodes(builder, settings);
  foreground(builder, image, ground);
  builder.add("mask", "InvertMask", { mask: of("cut", "mask") });
  builder.add("encode", "VAEEncode", { vae: model.vae, image });
  return paintedOver(builder, { ...settings, strength: 1 }, model, image, of("mask", "mask"));
}

interface ModelOutputs {
  readonly model: Of;
  readonly encoder: Of;
  readonly vae: Of;
}

/** The model with its LoRAs, and its prompts. */
function modelNodes(builder: Builder, settings: GenerateSettings, ground: Ground): ModelOutputs {
  const loaded = loadNodes(builder, settings, ground);
  let { model, encoder } = loaded;
  for (const [index, { name, strength }] of settings.loras.entries()) {
    const node = numbered("lora", index);
    builder.add(node, "LoadLora", {
      model,
      text_encoder: encoder,
      lora: name,
      strength_model: floatJson(strength),
      strength_encoder: floatJson(strength),
    });
    [model, encoder] = [of(node, "model"), of(node, "text_encoder")];
  }
  for (const [index, embedding] of settings.embeddings.entries()) {
    const node = numbered("embedding", index);
    builder.add(node, "LoadTextualInversion", { text_encoder: encoder, embedding });
    encoder = of(node, "text_encoder");
  }
  if (settings.clipSkip !== null) {
    builder.add("skip", "ClipSkip", { encoder, skip: settings.clipSkip });
    encoder = of("skip", "text_encoder");
  }
  const { positive, negative } = promptsOf(settings);
  builder.add("positive", "EncodePrompt", { encoder, text: positive });
  if (settings.guidance !== null) {
    builder.add("guidance", "GuidanceConditioning", {
      conditioning: of("positive", "conditioning"),
      guidance: floatJson(settings.guidance),
    });
  }
  // Families that need one have the empty prompt without it, and others leave guidance out.
  if (negative.trim() !== "") builder.add("negative", "EncodePrompt", { encoder, text: negative });
  return { ...loaded, model, encoder };
}

function loadNodes(builder: Builder, settings: GenerateSettings, ground: Ground): ModelOutputs {
  const { model: name, encoders, vae } = settings;
  const model = modelNamed(ground.models, name);
  const outputs = { model: of("load", "model"), encoder: of("load", "text_encoder") };
  if (!comesInParts(model)) {
    builder.add("load", "LoadModel", { model: name });
    if (vae === "") return { ...outputs, vae: of("load", "vae") };
    builder.add("vae", "LoadVae", { vae });
    return { ...outputs, vae: of("vae", "vae") };
  }
  builder.add("load", "LoadDiffusionModel", { model: name });
  const files = encoders.map((file, index) => [FILES[index] ?? "file", file] as const);
  builder.add("encoder", "LoadTextEncoder", {
    family: model?.family ?? "",
    ...Object.fromEntries(files),
  });
  builder.add("vae", "LoadVae", { vae });
  return { ...outputs, encoder: of("encoder", "text_encoder"), vae: of("vae", "vae") };
}

export function numbered(name: string, index: number): string {
  return index === 0 ? name : `${name}_${index + 1}`;
}

/** The prompts as the nodes have them: with the styles around them. */
export function promptsOf({ prompt, negative, styles }: GenerateSettings) {
  return {
    positive: styled(
      prompt,
      styles.map((style) => style.prompt),
    ),
    negative: styled(
      negative,
      styles.map((style) => style.negative),
    ),
  };
}

function sampleNode(
  builder: Builder,
  name: string,
  settings: GenerateSettings,
  { model }: ModelOutputs,
  latent: Of,
  denoise?: number,
  runsAll = false,
): void {
  const { seed, steps, cfg, sampler, schedule, draw, convention } = settings;
  const positive = builder.nodes.has("guidance") ? "guidance" : "positive";
  const hasNegative = builder.nodes.has("negative");
  builder.add(name, "KSampler", {
    model,
    positive: of(positive, "conditioning"),
    negative: hasNegative ? of("negative", "conditioning") : undefined,
    latent,
    seed: integerFromText(seed) ?? 0,
    steps,
    cfg: floatJson(cfg),
    sampler,
    schedule,
    denoise: denoise === undefined ? undefined : floatJson(atLeastAStep(denoise, steps)),
    denoise_steps: runsAll ? "all" : undefined,
    draw: draw || undefined,
    convention: convention || undefined,
  });
}

/** A part of few steps may be less than one. */
function atLeastAStep(denoise: number, steps: number): number {
  return Math.max(denoise, 1 / steps);
}

function decodeNode(builder: Builder, name: string, { vae }: ModelOutputs, latent: Of): Of {
  builder.add(name, "VAEDecode", { vae, latent });
  return of(name, "image");
}

const PARAMETERS: Readonly<Record<string, string>> = {
  prompt: "positive.text",
  negative: "negative.text",
  image: "picture.path",
  strength: "sample.denoise",
  width: "size.width",
  height: "size.height",
  seed: "sample.seed",
  steps: "sample.steps",
  cfg: "sample.cfg",
};

/** What people vary, so that the same file is an app and a call of the API. */
function parametersOf(nodes: ReadonlyMap<string, NodeEntry>): Workflow["parameters"] {
  const named = Object.entries(PARAMETERS).filter(([, input]) => {
    const [node = "", port = ""] = input.split(".");
    return nodes.get(node)?.inputs.has(port);
  });
  return new Map(
    named.map(([name, input]) => [name, { input, label: "", help: "", extra: new Map() }]),
  );
}

/** With what no node says. */
function withNotes(workflow: Workflow, settings: GenerateSettings): Workflow {
  const { prompt, negative, styles, count, isRandom } = settings;
  const notes = fromPlain({ prompt, negative, styles, count });
  const noted = { ...workflow, ui: new Map(workflow.ui).set(KEY, notes) };
  if (!isRandom || !workflow.nodes.has("sample")) return noted;
  return changeLayout(noted, null, (layout) => ({
    ...layout,
    seeds: new Map([["sample.seed", "random"]]),
  }));
}

export const FIELDS = [
  "prompt",
  "negative",
  "model",
  "encoders",
  "vae",
  "loras",
  "embeddings",
  "size",
  "seed",
  "steps",
  "cfg",
  "sampler",
  "schedule",
  "start",
  "strength",
  "hires",
  "clipSkip",
  "guidance",
] as const;
/** A field of the page. */
export type Field = (typeof FIELDS)[number];

const FIELD_OF_NODE: Readonly<Record<string, Field>> = {
  load: "model",
  encoder: "encoders",
  vae: "vae",
  positive: "prompt",
  negative: "negative",
  size: "size",
  fitted: "size",
  picture: "start",
  mask_image: "start",
  mask: "start",
  masked: "start",
  redraw: "hires",
  larger_latent: "hires",
  larger: "hires",
  upscaler: "hires",
  encode_larger: "hires",
  skip: "clipSkip",
  guidance: "guidance",
};
const FIELD_OF_PORT: Readonly<Record<string, Field>> = {
  seed: "seed",
  steps: "steps",
  cfg: "cfg",
  sampler: "sampler",
  schedule: "schedule",
  denoise: "strength",
  model: "model",
  positive: "prompt",
  negative: "negative",
  latent: "size",
};

/** The field that a problem of a node's input belongs to; null for none of them. */
export function fieldOf({ node, port }: Target): Field | null {
  if (/^lora(_\d+)?$/.test(node)) return "loras";
  if (/^embedding(_\d+)?$/.test(node)) return "embeddings";
  if (node === "sample") return FIELD_OF_PORT[port] ?? null;
  return FIELD_OF_NODE[node] ?? null;
}
