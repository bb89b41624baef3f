/** What somebody chooses on the page that generates images without a graph. */
import type { Style } from "./styles";

/** A LoRA and how strongly it changes the model. */
export interface ChosenLora {
  readonly name: string;
  readonly strength: number;
}

/** An image to start from. */
export interface StartImage {
  /** What LoadImage is given. */
  readonly value: string;
  /** Whether only its transparent part is painted anew. */
  readonly isMasked: boolean;
}

/** A second pass at a larger size. */
export interface Hires {
  readonly factor: number;
  readonly denoise: number;
  /** The model that enlarges; "" enlarges the latent. */
  readonly upscaler: string;
  /** How the latent is enlarged; "" as usual. */
  readonly method: string;
  /** Of the second pass; null for those of the first. */
  readonly steps: number | null;
  /** Whether all steps are run, and not the share that the strength is. */
  readonly runsAll: boolean;
}

export const USUAL_HIRES: Hires = {
  factor: 1.5,
  denoise: 0.5,
  upscaler: "",
  method: "",
  steps: null,
  runsAll: false,
};

export interface GenerateSettings {
  readonly prompt: string;
  readonly negative: string;
  /** Pieces of text around the prompts, whole, so that they need no list to be understood. */
  readonly styles: readonly Style[];
  readonly model: string;
  /** Files of the text encoder and of the VAE, for a diffusion model that comes without them. */
  readonly encoders: readonly string[];
  readonly vae: string;
  readonly loras: readonly ChosenLora[];
  readonly embeddings: readonly string[];
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** How many images, each with a seed of its own. */
  readonly count: number;
  /** Its digits: it may have 64 bits. */
  readonly seed: string;
  /** Whether each time another seed is drawn. */
  readonly isRandom: boolean;
  readonly steps: number;
  readonly cfg: number;
  readonly sampler: string;
  readonly schedule: string;
  /** The layer of the text encoder, counted from the last; null for the model's own. */
  readonly clipSkip: number | null;
  /** What models read whose guidance is an input of theirs; null for none. */
  readonly guidance: number | null;
  /** Other tools' rules for noise, of an image that one of them made; "" as usual. */
  readonly convention: string;
  readonly draw: string;
  readonly start: StartImage | null;
  /** How far the start image is changed: 0 to 1. */
  readonly strength: number;
  readonly hires: Hires | null;
}

export const MOST_IMAGES = 16;
export const MOST_ENCODERS = 4;

export const DEFAULT_SETTINGS: GenerateSettings = {
  prompt: "",
  negative: "",
  styles: [],
  model: "tiny",
  encoders: [],
  vae: "",
  loras: [],
  embeddings: [],
  width: 128,
  height: 128,
  count: 1,
  seed: "0",
  isRandom: true,
  steps: 20,
  cfg: 4,
  sampler: "dpmpp_2m",
  schedule: "karras",
  clipSkip: null,
  guidance: null,
  convention: "",
  draw: "",
  start: null,
  strength: 0.6,
  hires: null,
};

/** Settings from whatever was kept, by this version or another; what can't be read is as usual. */
export function settingsFrom(stored: unknown): GenerateSettings {
  const known = recordOf(stored);
  const usual = DEFAULT_SETTINGS;
  return {
    prompt: text(known.prompt, usual.prompt),
    negative: text(known.negative, usual.negative),
    styles: list(known.styles, styleFrom),
    model: text(known.model, usual.model),
    encoders: list(known.encoders, name).slice(0, MOST_ENCODERS),
    vae: text(known.vae, usual.vae),
    loras: list(known.loras, loraFrom),
    embeddings: list(known.embeddings, name),
    width: within(known.width, 8, 16384, usual.width),
    height: within(known.height, 8, 16384, usual.height),
    count: Math.round(within(known.count, 1, MOST_IMAGES, usual.count)),
    seed: seedFrom(known.seed) ?? usual.seed,
    isRandom: typeof known.isRandom === "boolean" ? known.isRandom : usual.isRandom,
    steps: Math.round(within(known.steps, 1, 10_000, usual.steps)),
    cfg: within(known.cfg, 0, 100, usual.cfg),
    sampler: text(known.sampler, usual.sampler),
    schedule: text(known.schedule, usual.schedule),
    clipSkip: numberOrNull(known.clipSkip, 1, 24),
    guidance: numberOrNull(known.guidance, 0, 100),
    convention: text(known.convention, usual.convention),
    draw: text(known.draw, usual.draw),
    start: startFrom(known.start),
    strength: within(known.strength, 0, 1, usual.strength),
    hires: hiresFrom(known.hires),
  };
}

const LARGEST_SEED = 2n ** 64n - 1n;

/** The digits of a seed; null for what is none. */
export function seedFrom(value: unknown): string | null {
  const digits = typeof value === "string" ? value.trim() : "";
  return /^\d{1,20}$/.test(digits) && BigInt(digits) <= LARGEST_SEED ? `${BigInt(digits)}` : null;
}

/** The seed of the image that comes so many after the first. */
export function seedAfter(seed: string, index: number): string {
  return `${(BigInt(seed) + BigInt(index)) % (LARGEST_SEED + 1n)}`;
}

type Fields = Readonly<Record<string, unknown>>;

function recordOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function text(value: unknown, usual: string): string {
  return typeof value === "string" ? value : usual;
}

function within(value: unknown, least: number, most: number, usual: number): number {
  const isGood = typeof value === "number" && Number.isFinite(value);
  return isGood ? Math.min(most, Math.max(least, value)) : usual;
}

function numberOrNull(value: unknown, least: number, most: number): number | null {
  return typeof value === "number" ? within(value, least, most, least) : null;
}

function list<T>(value: unknown, read: (item: unknown) => T | null): readonly T[] {
  if (!Array.isArray(value)) return [];
  return value.map(read).filter((item): item is T => item !== null);
}

function name(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function styleFrom(value: unknown): Style | null {
  const known = recordOf(value);
  const called = name(known.name);
  if (called === null) return null;
  return { name: called, prompt: text(known.prompt, ""), negative: text(known.negative, "") };
}

function loraFrom(value: unknown): ChosenLora | null {
  const known = recordOf(value);
  const called = name(known.name);
  return called === null ? null : { name: called, strength: within(known.strength, -10, 10, 1) };
}

function startFrom(value: unknown): StartImage | null {
  const known = recordOf(value);
  const file = name(known.value);
  return file === null ? null : { value: file, isMasked: known.isMasked === true };
}

function hiresFrom(value: unknown): Hires | null {
  if (value === null || typeof value !== "object") return null;
  const known = recordOf(value);
  return {
    factor: within(known.factor, 1, 8, USUAL_HIRES.factor),
    denoise: within(known.denoise, 0, 1, USUAL_HIRES.denoise),
    upscaler: text(known.upscaler, ""),
    method: text(known.method, ""),
    steps: numberOrNull(known.steps, 1, 10_000),
    runsAll: known.runsAll === true,
  };
}
