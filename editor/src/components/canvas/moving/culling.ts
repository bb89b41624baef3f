/**
 * What of a graph the canvas library draws: what is in sight, and what is kept beyond that.
 *
 * The build has this module stand for the library's functions (`vite.config.ts`). The library asks
 * two of them with each change of its view, and names the view by its transform.
 */
import {
  isEdgeVisible as isLinkInSight,
  getNodesInside as nodesInside,
  type Transform,
} from "@xyflow/system";

export * from "@xyflow/system";

const kept = new WeakMap<Readonly<Transform>, ReadonlySet<string>>();

/** A transform that the library draws these cards for, and their links, besides what is in sight. */
export function keeping(
  [x, y, zoom]: Readonly<Transform>,
  cards: ReadonlySet<string>,
): [number, number, number] {
  const transform: [number, number, number] = [x, y, zoom];
  kept.set(transform, cards);
  return transform;
}

export const getNodesInside: typeof nodesInside = (nodes, rect, transform, ...more) => {
  const found = nodesInside(nodes, rect, transform, ...more);
  const cards = transform && kept.get(transform);
  // What can't be selected is left out where a frame is drawn around what shall be.
  const isAround = more[1] === true;
  if (cards === undefined || cards.size === 0 || isAround) return found;
  const seen = new Set(found);
  return [...nodes.values()].filter((node) => seen.has(node) || cards.has(node.id));
};

export const isEdgeVisible: typeof isLinkInSight = (asked) => {
  const cards = kept.get(asked.transform);
  if (cards?.has(asked.sourceNode.id) || cards?.has(asked.targetNode.id)) return true;
  return isLinkInSight(asked);
};
