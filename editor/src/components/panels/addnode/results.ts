/** What the search for nodes shows: hits by rank, or favourites and what was used last while nothing is typed. */
import { retype } from "@/model/edits";
import { linkOf } from "@/model/links";
import { nodesOf } from "@/model/scope";
import { type FoundType, searchTypes } from "@/model/search";
import { type NodeSpec, type NodeTypes, typeOf } from "@/model/spec";
import { pointsOfLink, type UsedPort } from "@/model/usage";
import type { Workflow } from "@/model/workflow";
import { activeDocument, currentScope } from "@/store/documents";
import type { LooseEnd } from "@/store/ui";

export type Range = readonly [number, number];

export interface Hit {
  readonly spec: NodeSpec;
  readonly matches: readonly Range[];
  /** The heading above it, if it is the first of its kind. */
  readonly heading: "likely" | "favourites" | "recent" | "all" | null;
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
  const likely = found.filter((hit) => isUsed(types, hit, options.from)).slice(0, MOST_LIKELY);
  const named = new Map(found.map((hit) => [hit.spec.type, hit]));
  const those = (types: readonly string[]) =>
    types.flatMap((type) => named.get(type) ?? []).filter((hit) => !likely.includes(hit));
  const liked = those(options.favourites);
  const last = those(recent.filter((type) => !favourites.has(type)));
  const first = new Set([...likely, ...liked, ...last]);
  const rest = found.filter((hit) => !first.has(hit));
  const isFirst = first.size === 0;
  return [
    ...headed(likely, "likely"),
    ...headed(liked, "favourites"),
    ...headed(last, "recent"),
    ...headed(rest, isFirst ? null : "all"),
  ];
}

/** So many that are linked to a port most often come before favourites. */
const MOST_LIKELY = 6;

/** Whether any workflow that came with nodegraph links a port as this node type would be. */
function isUsed(types: NodeTypes, { spec, port }: FoundType, from: UsedPort | undefined): boolean {
  if (from === undefined || port === null) return false;
  return pointsOfLink(types.usage, from, `${spec.type}.${port}`, { anywhere: false }) > 0;
}

/** Types that a node could have instead: those first that keep most of its links. */
export function replacementsOf(
  types: NodeTypes,
  workflow: Workflow,
  query: string,
  node: string,
): readonly Hit[] {
  const scope = currentScope(activeDocument());
  const found = searchTypes(types, workflow, query, {})
    .filter(({ spec }) => spec.type !== nodesOf(workflow, scope).get(node)?.type)
    .map((hit) => ({ ...hit, heading: null }));
  if (query.trim() !== "") return found;
  const entry = nodesOf(workflow, scope).get(node);
  const before = entry && typeOf(types, workflow, entry);
  const outputs = new Set(before?.outputs.map(({ type }) => type));
  const inputs = new Set(before?.inputs.map(({ name }) => name));
  const alike = ({ spec }: Hit) =>
    spec.outputs.filter(({ type }) => outputs.has(type)).length +
    spec.inputs.filter(({ name }) => inputs.has(name)).length;
  const kept = ({ spec }: Hit) => {
    const nodes = nodesOf(retype(workflow, scope, node, spec, types), scope);
    const links = [...nodes].flatMap(([name, { inputs }]) =>
      [...inputs.values()].flatMap((value) => {
        const link = linkOf(value);
        return link !== null && (name === node || link.node === node) ? [link] : [];
      }),
    );
    return links.length;
  };
  const scores = new Map(found.map((hit) => [hit, kept(hit) * LINK + alike(hit)]));
  return found.sort((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0));
}

/** A link that is kept is worth more than ports that are alike. */
const LINK = 100;

type Found = Omit<Hit, "heading">;

function headed(hits: readonly Found[], heading: Hit["heading"]): readonly Hit[] {
  return hits.map((hit, index) => ({ ...hit, heading: index === 0 ? heading : null }));
}
