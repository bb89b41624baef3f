/** Going from node to node along the links of a graph, and back the way one came. */
import type { Edge } from "./graph";

export type Way = "upstream" | "downstream";

export interface Walk {
  /** Nodes that were left, the first one first. */
  readonly trail: readonly string[];
  readonly way: Way;
  /** The links of the last node left, on this way. */
  readonly links: readonly Edge[];
  /** Which of them was taken. */
  readonly index: number;
}

/** The node where a walk is. */
export function walkedTo({ links, index, way }: Walk): string | null {
  const link = links[index];
  if (link === undefined) return null;
  return way === "upstream" ? link.from.node : link.to.node;
}

/** Go along the first link of a node; null if it has none on this way. */
export function walkFrom(
  before: Walk | null,
  edges: readonly Edge[],
  node: string,
  way: Way,
): Walk | null {
  const links = edges.filter(({ from, to }) => (way === "upstream" ? to : from).node === node);
  if (links.length === 0) return null;
  const trail = before !== null && walkedTo(before) === node ? before.trail : [];
  return { trail: [...trail, node], way, links, index: 0 };
}

/** Take the next one of the links that were there to choose from, after the last the first. */
export function nextLink(walk: Walk): Walk {
  return { ...walk, index: (walk.index + 1) % walk.links.length };
}

/** The node before, and the walk to it; null where it began. */
export function walkBack(walk: Walk): { readonly node: string; readonly walk: Walk } | null {
  const node = walk.trail.at(-1);
  if (node === undefined) return null;
  // Having come back, it is as if one had only just arrived there.
  const way = walk.way === "upstream" ? "downstream" : "upstream";
  const link = walk.links[walk.index];
  const trail = walk.trail.slice(0, -1);
  return { node, walk: { trail, way, links: link === undefined ? [] : [link], index: 0 } };
}
