/** Which of the server's models the page can use, what each needs besides, and what suits it. */
import type { Suits } from "../models";
import { inputOf, type NodeTypes } from "../spec";
import { type ImageSize, knowsSizes, sizeFor } from "./sizes";

/** What the server tells of a model. */
export interface InstalledModel {
  readonly name: string;
  readonly family: string | null;
  /** The type of node that loads it. */
  readonly node: string | null;
  readonly use: string;
  /** What part of a model it is; null for whole ones. */
  readonly part: string | null;
  readonly problem: string | null;
  readonly kind?: string;
  /** What suits it, as far as the server knows. */
  readonly suits?: Suits | null;
}

/** What the page builds graphs for. */
export interface Ground {
  readonly types: NodeTypes;
  readonly models: readonly InstalledModel[];
}

export const TASKS = ["image", "upscale", "face", "cutout", "color", "background"] as const;
/** The page's own images, and what is done with one of them. */
export type Task = (typeof TASKS)[number];

const LOAD_PART = "LoadDiffusionModel";
const VISION = "LoadVisionModel";
const EMBEDDED = "tiny";

/** Families whose models make films, and need other nodes. */
const FILMS: readonly string[] = ["ltx", "wan", "wan22-5b"];

export function modelNamed(models: readonly InstalledModel[], name: string): InstalledModel | null {
  return models.find((model) => model.name === name && model.use === "model") ?? null;
}

/** Whether text encoder and VAE are files of their own. */
export function comesInParts(model: InstalledModel | null): boolean {
  return model?.node === LOAD_PART;
}

/** Whether the page can use a model: it makes images of words. */
export function isUsable(model: InstalledModel, types: NodeTypes): boolean {
  if (model.problem !== null || model.use !== "model") return false;
  if (model.node === "LoadModel") return !FILMS.includes(model.family ?? "");
  return comesInParts(model) && readsWords(types, model.family) && !isOfFilms(model);
}

export function isOfFilms(model: InstalledModel): boolean {
  return FILMS.includes(model.family ?? "");
}

/** Whether a family has a text encoder. */
function readsWords(types: NodeTypes, family: string | null): boolean {
  const loader = types.byName.get("LoadTextEncoder");
  const families = loader && inputOf(loader, "family")?.json_schema?.enum;
  return Array.isArray(families) && families.includes(family);
}

/** Models that a type of node loads, without those that can't be used. */
export function loadedBy(
  models: readonly InstalledModel[],
  node: string,
): readonly InstalledModel[] {
  return models.filter((model) => model.node === node && model.problem === null);
}

/** The family by which sizes are listed; the embedded model is smaller than its family. */
export function sizesOf(model: InstalledModel | null, name: string): string {
  if (name === EMBEDDED || model?.kind === "embedded") return EMBEDDED;
  return model?.family ?? "";
}

/** The model that enlarges: one that was installed rather than the embedded one. */
export function upscalerOf(models: readonly InstalledModel[]): string | null {
  const all = loadedBy(models, "LoadUpscaleModel");
  return (all.find(({ name }) => !name.startsWith("tiny/")) ?? all[0])?.name ?? null;
}

/** A vision model and how it is used. */
export interface Detector {
  readonly name: string;
  readonly by: "text" | "boxes";
}

/** The model that finds a face: one that masks by words, or one that detects. */
export function faceDetector(models: readonly InstalledModel[]): Detector | null {
  const all = loadedBy(models, VISION);
  const by = (classes: RegExp) => all.find(({ part }) => classes.test(part ?? ""))?.name;
  const text = by(/CLIPSeg|Sam3/);
  if (text !== undefined) return { name: text, by: "text" };
  const boxes = by(/ObjectDetection/);
  return boxes === undefined ? null : { name: boxes, by: "boxes" };
}

/** The model that masks the foreground; null where only an even background can be told. */
export function foregroundModel(models: readonly InstalledModel[]): string | null {
  const found = loadedBy(models, VISION).find(({ part }) =>
    /BiRefNet|U2Net|masks the foreground/.test(part ?? ""),
  );
  return found?.name ?? null;
}

const SAMPLING = ["LoadModel", "EncodePrompt", "KSampler", "VAEDecode", "SaveImage"];
const FROM_IMAGE = ["LoadImage", "ResizeImage", "VAEEncode"];
const CUTS = ["LoadImage", "RemoveBackground", "SaveImage"];
const NEEDED: Readonly<Record<Task, readonly string[]>> = {
  image: [...SAMPLING, "EmptyLatent"],
  upscale: ["LoadImage", "LoadUpscaleModel", "UpscaleImage", "SaveImage"],
  face: [...SAMPLING, ...FROM_IMAGE, VISION, "GrowMask", "CropToMask", "StitchCrop"],
  cutout: CUTS,
  color: [...CUTS, "FlattenImage"],
  background: [...SAMPLING, ...FROM_IMAGE, ...CUTS, "InvertMask", "SetNoiseMask"],
};

/** What a task needs and the server lacks: nodes, a model that enlarges or one that finds faces. */
export function lackingFor(
  task: Task,
  { types, models }: Ground,
): "nodes" | "upscaler" | "detector" | null {
  if (!NEEDED[task].every((name) => types.byName.has(name))) return "nodes";
  if (task === "upscale" && upscalerOf(models) === null) return "upscaler";
  if (task === "face" && faceDetector(models) === null) return "detector";
  return null;
}

/** What is missing for a model: itself, what it is for, or one of its parts. */
export type ModelFault = "none" | "missing" | "unusable" | "films" | "encoder" | "vae";

/** Why a choice of model can't be used yet; null if it can. */
export function modelFault(
  { model: name, encoders, vae }: { model: string; encoders: readonly string[]; vae: string },
  { types, models }: Ground,
): ModelFault | null {
  if (name === "") return "none";
  const model = modelNamed(models, name);
  if (model === null) return "missing";
  if (isOfFilms(model)) return "films";
  if (!isUsable(model, types)) return "unusable";
  if (!comesInParts(model)) return null;
  if (encoders.length === 0) return "encoder";
  return vae === "" ? "vae" : null;
}

/** How a family samples, and the size of its images. */
export interface Usual extends ImageSize {
  readonly steps: number;
  readonly cfg: number;
  readonly sampler: string;
  readonly schedule: string;
}

type Sampling = Omit<Usual, keyof ImageSize>;

const KARRAS = { sampler: "dpmpp_2m", schedule: "karras" };
const FLOW = { sampler: "euler", schedule: "simple" };
/** Usual values of each family, which the user may change. */
const SAMPLINGS: Readonly<Record<string, Sampling>> = {
  tiny: { ...KARRAS, steps: 20, cfg: 4 },
  sd1: { ...KARRAS, steps: 25, cfg: 7 },
  sd2: { ...KARRAS, steps: 25, cfg: 7 },
  sdxl: { ...KARRAS, steps: 28, cfg: 6 },
  sd3: { ...FLOW, steps: 28, cfg: 4.5 },
  "pixart-sigma": { ...KARRAS, schedule: "normal", steps: 20, cfg: 4.5 },
  // Its guidance is an input of the model, so the second prompt is left out.
  flux: { ...FLOW, steps: 28, cfg: 1 },
  flux2: { ...FLOW, steps: 28, cfg: 1 },
  "flux2-klein": { ...FLOW, steps: 4, cfg: 1 },
  "z-image": { ...FLOW, steps: 9, cfg: 1 },
};
const OTHERS: Sampling = { ...FLOW, steps: 28, cfg: 4 };

/** What suits a family; sizes that the editor doesn't know are those of a megapixel. */
export function usualOf(family: string): Usual {
  return { ...(SAMPLINGS[family] ?? OTHERS), ...sizeFor(knowsSizes(family) ? family : "sdxl", 1) };
}

/** What suits a model: what the server knows of it before what its family usually has. */
export function usualFor(model: InstalledModel | null, name: string): Usual {
  const usual = usualOf(sizesOf(model, name));
  const { width, height, steps, guidance, sampler, schedule } = model?.suits ?? NOTHING;
  const size = width === null || height === null ? {} : { width, height };
  return {
    ...usual,
    ...size,
    steps: steps ?? usual.steps,
    cfg: guidance ?? usual.cfg,
    sampler: sampler ?? usual.sampler,
    schedule: schedule ?? usual.schedule,
  };
}

const NOTHING: Suits = {
  width: null,
  height: null,
  steps: null,
  guidance: null,
  sampler: null,
  schedule: null,
};

/** What suits another model otherwise than the one before; nothing where the same suits both. */
export function usualInstead(usual: Usual, before: Usual): Partial<Usual> {
  const keys = Object.keys(usual) as readonly (keyof Usual)[];
  return keys.every((key) => usual[key] === before[key]) ? {} : usual;
}
