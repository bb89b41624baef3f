/** The names most like one that isn't among them. */

/** The most alike first; those that are equally like it stay in their order. */
export function nearestFirst(name: string, names: readonly string[]): readonly string[] {
  const pairs = pairsOf(name);
  const scored = names.map((other) => ({ other, likeness: likeness(pairs, pairsOf(other)) }));
  return scored.sort((a, b) => b.likeness - a.likeness).map(({ other }) => other);
}

/** Neighbouring letters and digits, without case; how often each is there doesn't matter. */
function pairsOf(name: string): ReadonlySet<string> {
  const letters = name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  const pairs = Array.from({ length: Math.max(letters.length - 1, 0) }, (_, at) =>
    letters.slice(at, at + 2),
  );
  // How a name begins says more than any other place of it.
  return new Set([`^${letters.slice(0, 1)}`, ...pairs]);
}

/** The share of pairs that two names have in common: Dice's coefficient, 0 to 1. */
function likeness(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const common = [...a].filter((pair) => b.has(pair)).length;
  return (2 * common) / (a.size + b.size);
}
