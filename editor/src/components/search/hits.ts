/** What the search finds, whatever it is, and in which order it is shown. */
import type { LucideIcon } from "lucide-react";
import type { ArtifactEntry } from "@/api/schema";
import type { Range } from "./rank";

/** In the order in which those that are found alike are shown. */
export const KINDS = ["commands", "graph", "types", "workflows", "results"] as const;
export type Kind = (typeof KINDS)[number];

export interface Hit {
  /** Unlike those of all others. */
  readonly id: string;
  readonly kind: Kind;
  readonly label: string;
  /** Where it is, or what it does. */
  readonly note: string;
  readonly matches: readonly Range[];
  readonly score: number;
  readonly icon?: LucideIcon | undefined;
  readonly keys?: string | undefined;
  /** The colour of what a node type gives. */
  readonly color?: string | undefined;
  readonly artifact?: ArtifactEntry | undefined;
  readonly open: () => void;
}

export interface Row {
  readonly hit: Hit;
  /** Whether the name of its kind stands above it. */
  readonly isFirst: boolean;
}

/** Of each kind so many are shown while all kinds are. */
export const FEW = 6;
const MANY = 200;

/**
 * Hits by kind, the kind with the best one first; only those of one kind, but more, if it is given.
 *
 * Results come last, as they come later than the others: nothing may move from under a key.
 */
export function rowsOf(hits: readonly Hit[], only: Kind | null): readonly Row[] {
  const groups = KINDS.filter((kind) => only === null || kind === only).map((kind) => ({
    kind,
    found: hits.filter((hit) => hit.kind === kind),
  }));
  const best = (found: readonly Hit[]) => Math.max(0, ...found.map(({ score }) => score));
  return groups
    .sort((a, b) => {
      const isLast = Number(a.kind === "results") - Number(b.kind === "results");
      return isLast || best(b.found) - best(a.found);
    })
    .flatMap(({ found }) =>
      found
        .slice(0, only === null ? FEW : MANY)
        .map((hit, index) => ({ hit, isFirst: index === 0 && only === null })),
    );
}
