/** The models that the server has, as a library: their kinds, searched, filtered and sorted. */
import type { Suits } from "./suits";

export interface LibraryModel {
  readonly name: string;
  readonly kind: string;
  readonly family: string | null;
  readonly bytes: number;
  readonly problem: string | null;
  readonly part: string | null;
  readonly node: string | null;
  readonly use: string;
  readonly title: string | null;
  readonly base_model: string | null;
  readonly trigger_words: readonly string[];
  readonly tags: readonly string[];
  readonly stars: number;
  readonly notes: string | null;
  /** Unix times; null if they aren't known. */
  readonly added: number | null;
  readonly used: number | null;
  readonly duplicates: readonly string[];
  readonly suits: Suits | null;
}

/** What models are, by the node that loads them. */
const KINDS: Readonly<Record<string, ModelKind>> = {
  LoadModel: "model",
  LoadPipeline: "model",
  LoadDiffusionModel: "denoiser",
  LoadTextEncoder: "encoder",
  LoadVae: "vae",
  LoadControlNet: "control",
  LoadIPAdapter: "adapter",
  LoadRedux: "adapter",
  LoadGLIGEN: "adapter",
  LoadLora: "lora",
  LoadTextualInversion: "embedding",
  LoadUpscaleModel: "upscaler",
  LoadVisionModel: "vision",
};

export const MODEL_KINDS = [
  "model",
  "lora",
  "embedding",
  "denoiser",
  "encoder",
  "vae",
  "control",
  "adapter",
  "upscaler",
  "vision",
  "other",
] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];

export function modelKind({ node, use }: Pick<LibraryModel, "node" | "use">): ModelKind {
  if (use === "lora" || use === "embedding") return use;
  return (node === null ? undefined : KINDS[node]) ?? "other";
}

/** What models are, by what their sources call them. */
const OFFERED: Readonly<Record<string, ModelKind>> = {
  checkpoint: "model",
  diffusers: "model",
  lora: "lora",
  embedding: "embedding",
  diffusion_model: "denoiser",
  text_encoder: "encoder",
  vae: "vae",
  controlnet: "control",
  ip_adapter: "adapter",
  style_model: "adapter",
  upscaler: "upscaler",
  clip_vision: "vision",
};

/** Kinds that a download can be of, as the server takes them. */
export const OFFER_KINDS: readonly string[] = Object.keys(OFFERED).filter(
  (kind) => kind !== "diffusers" && kind !== "style_model",
);

export function offerKind(kind: string): ModelKind {
  return OFFERED[kind] ?? "other";
}

export const SORTS = ["name", "added", "used", "size"] as const;
export type ModelSort = (typeof SORTS)[number];

export interface ModelFilter {
  readonly text: string;
  readonly kind: ModelKind | null;
  readonly family: string | null;
  readonly tag: string | null;
  /** The least. */
  readonly stars: number;
  readonly only: "unused" | "duplicates" | null;
}

export const NO_FILTER: ModelFilter = {
  text: "",
  kind: null,
  family: null,
  tag: null,
  stars: 0,
  only: null,
};

export function isFiltered(filter: ModelFilter): boolean {
  return Object.entries(NO_FILTER).some(
    ([key, value]) => filter[key as keyof ModelFilter] !== value,
  );
}

/** What a model is called: by its title, or else its file's name. */
export function modelTitle({ name, title }: Pick<LibraryModel, "name" | "title">): string {
  const [file = "", folder] = name.split("/").reverse();
  const stem = file.replace(/\.(safetensors|gguf)$/i, "");
  // Such files are named by what they are, their folders by who they are.
  return title || (isNameless(stem) && folder) || stem;
}

function isNameless(stem: string): boolean {
  return /^((diffusion_)?pytorch_)?(model|lora_weights)$/i.test(stem);
}

/** The model of a name, or the one in the folder of that name. */
export function modelIn<T extends Pick<LibraryModel, "name">>(
  models: readonly T[] | null,
  name: string | null,
): T | null {
  if (models === null || name === null) return null;
  const named = models.find((model) => model.name === name);
  return named ?? models.find((model) => model.name.startsWith(`${name}/`)) ?? null;
}

/** The models that fit a filter, in order. */
export function libraryOf<T extends LibraryModel>(
  models: readonly T[],
  filter: ModelFilter,
  sort: ModelSort,
): readonly T[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return models
    .filter((model) => fits(model, filter) && words.every((word) => textOf(model).includes(word)))
    .toSorted((a, b) => isBuiltIn(a) - isBuiltIn(b) || ORDERS[sort](a, b));
}

/** Those that come with nodegraph are made for trying out: they stand after people's own. */
function isBuiltIn({ kind }: LibraryModel): number {
  return kind === "embedded" ? 1 : 0;
}

function fits(model: LibraryModel, { kind, family, tag, stars, only }: ModelFilter): boolean {
  return (
    (kind === null || modelKind(model) === kind) &&
    (family === null || model.family === family) &&
    (tag === null || model.tags.includes(tag)) &&
    model.stars >= stars &&
    (only !== "unused" || (model.used === null && model.kind !== "embedded")) &&
    (only !== "duplicates" || model.duplicates.length > 0)
  );
}

const texts = new WeakMap<LibraryModel, string>();

/** What a model is found by. The same models are searched at each letter that is typed. */
function textOf(model: LibraryModel): string {
  const known = texts.get(model);
  if (known !== undefined) return known;
  const { name, title, family, base_model, part, notes, tags, trigger_words } = model;
  const text = [name, title, family, base_model, part, notes, ...tags, ...trigger_words]
    .filter(Boolean)
    .join("\n")
    .toLowerCase();
  texts.set(model, text);
  return text;
}

type Order = (a: LibraryModel, b: LibraryModel) => number;

const byName: Order = (a, b) =>
  modelTitle(a).localeCompare(modelTitle(b), undefined, { numeric: true, sensitivity: "base" });

/** What isn't known comes last. */
const latest = (of: (model: LibraryModel) => number | null): Order => {
  return (a, b) => (of(b) ?? 0) - (of(a) ?? 0) || byName(a, b);
};

const ORDERS: Readonly<Record<ModelSort, Order>> = {
  name: byName,
  added: latest(({ added }) => added),
  used: latest(({ used }) => used),
  size: latest(({ bytes }) => bytes),
};

/** What can be chosen of the models that there are. */
export function facetsOf(models: readonly LibraryModel[]) {
  const kinds = new Set(models.map(modelKind));
  return {
    kinds: MODEL_KINDS.filter((kind) => kinds.has(kind)),
    families: sorted(models.flatMap(({ family }) => (family === null ? [] : [family]))),
    tags: sorted(models.flatMap(({ tags }) => tags)),
  };
}

function sorted(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort((a, b) => a.localeCompare(b));
}
