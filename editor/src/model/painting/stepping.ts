/** Where a layer goes that is moved by one step: past others, into groups, and out of them. */
import type { LayerPlace } from "./arranging";
import { isLayer, type PaintCanvas } from "./types";

/**
 * One step up (1) or down (-1); null where there is none. A layer goes into the group that is next
 * to it, and out of its own at the end of that; a group goes past groups.
 */
export function stepOf({ entries }: PaintCanvas, node: string, by: 1 | -1): LayerPlace | null {
  const own = entries.find((entry) => entry.node === node);
  if (own === undefined) return null;
  const beside = (parent: string | null) =>
    entries.filter((entry) => entry.kind === own.kind && entry.parent === parent);
  const siblings = beside(own.parent);
  const index = siblings.indexOf(own) + by;
  const next = siblings[index];
  if (next && !isLayer(next) && isLayer(own)) {
    return { parent: next.node, index: by > 0 ? 0 : beside(next.node).length };
  }
  if (next) return { parent: own.parent, index };
  const group = entries.find((entry) => entry.node === own.parent);
  if (group === undefined) return null;
  const above = by > 0 ? 1 : 0;
  return { parent: group.parent, index: beside(group.parent).indexOf(group) + above };
}

export type Beside = "above" | "below" | "inside";

/** The place above or below another layer or group, or on top of what a group holds; null for none. */
export function placeBeside(
  { entries }: PaintCanvas,
  node: string,
  other: string,
  where: Beside,
): LayerPlace | null {
  const own = entries.find((entry) => entry.node === node);
  const target = entries.find((entry) => entry.node === other);
  if (!own || !target || own === target || own.kind !== target.kind) return null;
  if (where === "inside" && isLayer(target)) return null;
  const parent = where === "inside" ? target.node : target.parent;
  // Places are counted without the layer that is moved.
  const siblings = entries.filter(
    (entry) => entry.kind === own.kind && entry.parent === parent && entry !== own,
  );
  if (where === "inside") return { parent, index: siblings.length };
  return { parent, index: siblings.indexOf(target) + (where === "above" ? 1 : 0) };
}
