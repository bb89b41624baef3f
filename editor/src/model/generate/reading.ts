/** The settings of a graph that the page has built, or that has nodes of the same names. */
import { isList, isObject, type Json, numberOf, toPlain } from "../json";
import { layoutOf } from "../layout";
import { literalOf } from "../links";
import type { Workflow } from "../workflow";
import { type GenerateSettings, seedFrom, settingsFrom } from "./settings";
import { FILES, KEY, numbered, promptsOf } from "./workflow";

/**
 * The settings by which the page makes a workflow's image; null for one that isn't of its kind.
 *
 * Of a workflow that somebody has edited since, it is what the page knows of it.
 */
export function settingsOf(workflow: Workflow): GenerateSettings | null {
  const reader = new Reader(workflow);
  const isOfPage = reader.types("save", ["SaveImage"]);
  const isSampled =
    reader.types("sample", ["KSampler", "KSamplerAdvanced", "SampleCustom"]) &&
    reader.types("positive", ["EncodePrompt"]);
  const isLoaded = reader.types("load", ["LoadModel", "LoadDiffusionModel"]);
  const start = startOf(reader);
  if (!isOfPage || !(isSampled && isLoaded ? true : start !== null && !isSampled)) return null;
  const size = reader.has("size") ? "size" : reader.has("fitted") ? "fitted" : "crop";
  const known = {
    ...promptsIn(reader, workflow),
    model: reader.text("load", "model"),
    encoders: FILES.map((port) => reader.text("encoder", port)).filter(
      (file) => file !== undefined,
    ),
    vae: reader.text("vae", "vae"),
    loras: reader.each("lora", (node) => ({
      name: reader.text(node, "lora"),
      strength: reader.number(node, "strength_model"),
    })),
    embeddings: reader.each("embedding", (node) => reader.text(node, "embedding")),
    width: reader.number(size, "width"),
    height: reader.number(size, "height"),
    count: numberOf(notesOf(workflow).get("count")) ?? undefined,
    seed: reader.digits("sample", "seed") ?? reader.digits("noise", "seed"),
    isRandom: layoutOf(workflow, null).seeds.get("sample.seed") === "random",
    // A sampling of parts has them in its parts.
    steps: reader.number("sample", "steps") ?? reader.number("schedule", "steps"),
    cfg: reader.number("sample", "cfg") ?? reader.number("guider", "cfg"),
    sampler: reader.text("sample", "sampler") ?? reader.text("sampler", "sampler"),
    schedule: reader.text("sample", "schedule") ?? reader.text("schedule", "schedule"),
    clipSkip: reader.number("skip", "skip"),
    guidance: reader.number("guidance", "guidance"),
    convention: reader.text("sample", "convention"),
    draw: reader.text("sample", "draw") ?? reader.text("noise", "draw"),
    start,
    strength: reader.number("sample", "denoise"),
    hires: hiresOf(reader),
  };
  return settingsFrom(known);
}

/** Types of nodes of a workflow that the page's own workflow of its settings lacks, each once. */
export function nodesLeftOut(workflow: Workflow, own: Workflow): readonly string[] {
  const left = new Map<string, number>();
  for (const { type } of workflow.nodes.values()) left.set(type, (left.get(type) ?? 0) + 1);
  for (const { type } of own.nodes.values()) left.set(type, (left.get(type) ?? 0) - 1);
  return [...left].flatMap(([type, count]) => (count > 0 ? [type] : []));
}

function startOf(reader: Reader) {
  const value = reader.types("picture", ["LoadImage"]) ? reader.text("picture", "path") : undefined;
  if (value === undefined) return null;
  return { value, isMasked: reader.has("mask_image") };
}

function hiresOf(reader: Reader) {
  if (!reader.has("redraw")) return null;
  const upscaler = reader.text("upscaler", "model") ?? "";
  const larger =
    reader.number("larger_latent", "width") ?? reader.number("larger_fitted", "width") ?? 0;
  const factor =
    reader.number("larger_latent", "factor") ??
    reader.number("larger", "factor") ??
    larger / (reader.number("size", "width") ?? larger);
  const steps = reader.number("redraw", "steps");
  return {
    factor,
    denoise: reader.number("redraw", "denoise"),
    upscaler,
    method: reader.text("larger_latent", "method"),
    steps: steps === reader.number("sample", "steps") ? null : steps,
    runsAll: reader.text("redraw", "denoise_steps") === "all",
  };
}

/** The prompts that somebody wrote, where the styles noted give what the nodes say. */
function promptsIn(reader: Reader, workflow: Workflow) {
  const said = {
    positive: reader.text("positive", "text") ?? "",
    negative: reader.text("negative", "text") ?? "",
  };
  const plain = toPlain(new Map(notesOf(workflow)));
  const noted = settingsFrom(plain);
  const made = promptsOf(noted);
  const isSame = made.positive === said.positive && made.negative.trim() === said.negative.trim();
  if (isSame || !reader.has("positive")) {
    return { prompt: noted.prompt, negative: noted.negative, styles: noted.styles };
  }
  return { prompt: said.positive, negative: said.negative, styles: [] };
}

function notesOf(workflow: Workflow): ReadonlyMap<string, Json> {
  const notes = workflow.ui.get(KEY);
  return isObject(notes) ? notes : new Map();
}

/** Values of the nodes of a workflow by their names; undefined where one isn't there. */
class Reader {
  constructor(private readonly workflow: Workflow) {}

  has(node: string): boolean {
    return this.workflow.nodes.has(node);
  }

  types(node: string, known: readonly string[]): boolean {
    return known.includes(this.workflow.nodes.get(node)?.type ?? "");
  }

  text(node: string, port: string): string | undefined {
    const value = this.value(node, port);
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  number(node: string, port: string): number | undefined {
    return numberOf(this.value(node, port)) ?? undefined;
  }

  digits(node: string, port: string): string | undefined {
    const value = this.value(node, port);
    if (value === undefined || value === null || isList(value) || isObject(value)) return undefined;
    return seedFrom(String(value)) ?? undefined;
  }

  /** What the nodes of a name and its numbers give, in their order. */
  each<T>(name: string, read: (node: string) => T): readonly T[] {
    const found: T[] = [];
    for (let index = 0; this.has(numbered(name, index)); index += 1) {
      found.push(read(numbered(name, index)));
    }
    return found;
  }

  private value(node: string, port: string): Json | undefined {
    return literalOf(this.workflow.nodes.get(node)?.inputs.get(port));
  }
}
