/** What the search for nodes shows: hits by rank, or what was used last while nothing is typed. */
import { searchTypes } from "@/model/search";
import type { NodeSpec, NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import type { LooseEnd } from "@/store/ui";

export type Range = readonly [number, number];

export interface Hit {
  readonly spec: NodeSpec;
  readonly matches: readonly Range[];
  /** The heading above it, if it is the first of its kind. */
  readonly heading: "recent" | "all" | null;
}

export function resultsOf(
  types: NodeTypes,
  workflow: Workflow,
  query: string,
  options: { readonly loose: LooseEnd | null; readonly recent: readonly string[] },
): readonly Hit[] {
  const { loose, recent } = options;
  const wanted =
    loose === null ? {} : loose.side === "output" ? { accepts: loose.type } : { gives: loose.type };
  const found = searchTypes(types, workflow, query, wanted);
  if (query.trim() !== "") return found.map((hit) => ({ ...hit, heading: null }));
  const first = recent
    .map((type) => found.find((hit) => hit.spec.type === type))
    .filter((hit) => hit !== undefined);
  const rest = found.filter((hit) => !first.includes(hit));
  return [...headed(first, "recent"), ...headed(rest, first.length > 0 ? "all" : null)];
}

type Found = Omit<Hit, "heading">;

function headed(hits: readonly Found[], heading: Hit["heading"]): readonly Hit[] {
  return hits.map((hit, index) => ({ ...hit, heading: index === 0 ? heading : null }));
}
