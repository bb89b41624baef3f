/** Seeds that change from run to run; which ones do, and how, is kept in the file's layout. */
import { ExactNumber, type Json } from "./json";
import { layoutOf } from "./layout";
import { isLink, literalOf, targetOf } from "./links";
import { type Scope, scopesOf, withNode } from "./scope";
import { defaultOf, type NodeTypes, typeOf } from "./spec";
import type { NodeEntry, Workflow } from "./workflow";

export type SeedMode = "fixed" | "random" | "increment" | "decrement";
export const SEED_MODES: readonly SeedMode[] = ["fixed", "random", "increment", "decrement"];

/** The largest that is drawn: numbers up to here are exact in every program. */
export const LARGEST_DRAWN = Number.MAX_SAFE_INTEGER;
const LARGEST = 2n ** 64n - 1n;

/** Of a run after one with `seed`. Counting goes round at the ends, 0 and 2^64 - 1. */
export function nextSeed(mode: SeedMode, seed: Json | undefined, random: () => number): Json {
  if (mode === "random") return drawSeed(random);
  const now = wholeOf(seed) ?? 0n;
  if (mode === "fixed") return seed ?? 0;
  const next = mode === "increment" ? now + 1n : now - 1n;
  if (next < 0n) return jsonOf(LARGEST);
  return jsonOf(next > LARGEST ? 0n : next);
}

/** A seed from two draws of 0 ≤ x < 1, as one has too few bits on some machines. */
export function drawSeed(random: () => number): number {
  return Math.floor(random() * 2 ** 22) * 2 ** 31 + Math.floor(random() * 2 ** 31);
}

/** The seeds of a sweep: so many from one on, as `mode` says. */
export function seedSeries(
  mode: SeedMode,
  seed: Json | undefined,
  count: number,
  random: () => number,
): readonly Json[] {
  const seeds: Json[] = [];
  let now: Json = mode === "random" ? drawSeed(random) : (seed ?? 0);
  for (let index = 0; index < count; index += 1) {
    seeds.push(now);
    now = nextSeed(mode, now, random);
  }
  return seeds;
}

export function seedModeOf(workflow: Workflow, scope: Scope, target: string): SeedMode {
  const mode = layoutOf(workflow, scope).seeds.get(target);
  return SEED_MODES.find((known) => known === mode) ?? "fixed";
}

/** A workflow whose seeds are those of its next run; the same object if none of them changes. */
export function withNextSeeds(
  workflow: Workflow,
  types: NodeTypes | null,
  random: () => number,
): Workflow {
  let changed = workflow;
  for (const scope of scopesOf(workflow)) changed = nextInScope(changed, scope, types, random);
  return changed;
}

function nextInScope(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  random: () => number,
): Workflow {
  let changed = workflow;
  for (const text of layoutOf(workflow, scope).seeds.keys()) {
    const mode = seedModeOf(workflow, scope, text);
    const target = targetOf(text);
    if (!target || mode === "fixed") continue;
    changed = withNode(changed, scope, target.node, (entry) => {
      const written = entry.inputs.get(target.port);
      if (isLink(written)) return entry;
      const seed = literalOf(written) ?? defaultSeed(types, workflow, entry, target.port);
      const next = nextSeed(mode, seed, random);
      return { ...entry, inputs: new Map(entry.inputs).set(target.port, next) };
    });
  }
  return changed;
}

function defaultSeed(
  types: NodeTypes | null,
  workflow: Workflow,
  entry: NodeEntry,
  port: string,
): Json | undefined {
  const spec = types && typeOf(types, workflow, entry);
  const input = spec?.inputs.find((item) => item.name === port);
  return input && defaultOf(input);
}

function wholeOf(seed: Json | undefined): bigint | null {
  if (typeof seed === "number") return Number.isInteger(seed) ? BigInt(seed) : null;
  if (!(seed instanceof ExactNumber)) return null;
  if (/^\d+$/.test(seed.text)) return BigInt(seed.text);
  return Number.isInteger(seed.value) ? BigInt(seed.value) : null;
}

function jsonOf(seed: bigint): Json {
  return seed <= BigInt(LARGEST_DRAWN) ? Number(seed) : new ExactNumber(String(seed));
}
