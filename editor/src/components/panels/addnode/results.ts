/** What the search for nodes shows: hits by rank, or favourites and what was used last while nothing is typed. */
import { searchTypes } from "@/model/search";
import type { NodeSpec, NodeTypes } from "@/model/spec";
import type { UsedPort } from "@/model/usage";
import type { Workflow } from "@/model/workflow";
import type { LooseEnd } from "@/store/ui";

export type Range = readonly [number, number];

export interface Hit {
  readonly spec: NodeSpec;
  readonly matches: readonly Range[];
  /** The heading above it, if it is the first of its kind. */
  readonly heading: "favourites" | "recent" | "all" | null;
}

export function resultsOf(
  types: NodeTypes,
  workflow: Workflow,
  query: string,
  options: {
    readonly loose: LooseEnd | null;
    /** The port of the loose end, as counts of use know it. */
    readonly from?: UsedPort | undefined;
    readonly favourites: readonly string[];
    readonly recent: readonly string[];
  },
): readonly Hit[] {
  const { loose, recent } = options;
  const favourites = new Set(options.favourites);
  const wanted =
    loose === null ? {} : loose.side === "output" ? { accepts: loose.type } : { gives: loose.type };
  const from = options.from === undefined ? {} : { from: options.from };
  const found = searchTypes(types, workflow, query, { ...wanted, ...from, favourites });
  if (query.trim() !== "") return found.map((hit) => ({ ...hit, heading: null }));
  const those = (types: readonly string[]) =>
    types.flatMap((type) => found.find((hit) => hit.spec.type === type) ?? []);
  const liked = those(options.favourites);
  const last = those(recent.filter((type) => !favourites.has(type)));
  const rest = found.filter((hit) => !liked.includes(hit) && !last.includes(hit));
  const isFirst = liked.length + last.length === 0;
  return [
    ...headed(liked, "favourites"),
    ...headed(last, "recent"),
    ...headed(rest, isFirst ? null : "all"),
  ];
}

type Found = Omit<Hit, "heading">;

function headed(hits: readonly Found[], heading: Hit["heading"]): readonly Hit[] {
  return hits.map((hit, index) => ({ ...hit, heading: index === 0 ? heading : null }));
}
