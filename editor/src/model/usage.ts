/**
 * How often node types occur and are linked in the workflows that come with nodegraph: what is used
 * most is offered first.
 *
 * The counts and their meaning are those of nodegraph/core/catalog.py.
 */
import { keptIn } from "./kept";

/** Numbers of workflows. A port is written with its node type: "KSampler.latent". */
export interface Usage {
  /** By node type. */
  readonly types: Readonly<Record<string, number>>;
  /** By output, then by input, then by the model family of what the link carries; "" if unknown. */
  readonly links: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, number>>>>>
  >;
}

export const NO_USAGE: Usage = { types: {}, links: {} };

const into = new WeakMap<Usage, ReadonlyMap<string, Counts>>();

/** How many workflows link an output to an input, all or those with models of one family. */
export function linkUses(usage: Usage, source: string, target: string, family?: string): number {
  const counts = usage.links[source]?.[target] ?? {};
  return family === undefined ? sum(Object.values(counts)) : (counts[family] ?? 0);
}

/** How often an output is linked: all, or with models of one family and what is of none. */
export function outputUses(usage: Usage, source: string, family?: string): number {
  return sum(Object.values(usage.links[source] ?? {}).map((counts) => ofFamily(counts, family)));
}

/** How often an input is linked, likewise. */
export function inputUses(usage: Usage, target: string, family?: string): number {
  const counts = keptIn(into, usage, () => countInputs(usage)).get(target) ?? {};
  return ofFamily(counts, family);
}

type Counts = Readonly<Record<string, number>>;

function ofFamily(counts: Counts, family: string | undefined): number {
  if (family === undefined) return sum(Object.values(counts));
  return sum([...new Set([family, ""])].map((name) => counts[name] ?? 0));
}

function countInputs(usage: Usage): ReadonlyMap<string, Counts> {
  const found = new Map<string, Record<string, number>>();
  for (const targets of Object.values(usage.links)) {
    for (const [target, counts] of Object.entries(targets)) {
      const known = found.get(target) ?? {};
      for (const [family, count] of Object.entries(counts)) {
        known[family] = (known[family] ?? 0) + count;
      }
      found.set(target, known);
    }
  }
  return found;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Where a loose link ends that a node is looked for. */
export interface UsedPort {
  readonly side: "input" | "output";
  /** With its node type, such as "KSampler.latent"; "" if it has none. */
  readonly port: string;
  /** The model family of what is linked to its node; null if it isn't known. */
  readonly family: string | null;
}

/**
 * What a link from a port to another is worth among others, in points of a search: as it is used in
 * the port's model family, then in all, then how much the other port is used with any. The engine
 * ranks alike, by `Usage.points`.
 */
export function pointsOfLink(
  usage: Usage,
  from: UsedPort,
  other: string,
  { anywhere: isCountedAnywhere = true } = {},
): number {
  const isOutput = from.side === "output";
  const [source, target] = isOutput ? [from.port, other] : [other, from.port];
  // What is used with other families only is for those.
  const own = tellsFamilies(usage, from) ? (from.family ?? undefined) : undefined;
  const inFamily = own === undefined ? 0 : linkUses(usage, source, target, own);
  const inAll = linkUses(usage, source, target);
  const uses = isOutput ? inputUses : outputUses;
  const anywhere = isCountedAnywhere ? uses(usage, other, own) : 0;
  return 8 * bits(inFamily) + 4 * bits(inAll) + bits(anywhere);
}

/**
 * Whether families say what to link to a port. They don't where most links are of none, as those of a
 * VAE: few of the nodes that take one take a model too, and with the family those alone would count.
 */
function tellsFamilies(usage: Usage, { side, port }: UsedPort): boolean {
  const uses = side === "output" ? outputUses : inputUses;
  return 2 * uses(usage, port, "") <= uses(usage, port);
}

/** What a node type is worth among others, in points of a search. */
export function pointsOfType(usage: Usage, type: string): number {
  return bits(usage.types[type] ?? 0);
}

/** Ten times as many uses are worth about three points more, whatever the size of the gallery. */
function bits(count: number): number {
  return Math.log2(1 + count);
}
