/** Dragging copies off what is there, which stays. */
import type { NodeChange } from "@xyflow/react";
import { change } from "@/commands/selection";
import type { CanvasNode } from "@/components/canvas/adapt";
import { duplicate } from "@/model/edits";
import { edgeId, edgeTarget } from "@/model/graph";
import { itemOf, rerouteItem } from "@/model/items";

/** By what they are copies of. */
export type Copies = ReadonlyMap<string, string>;

/** Copy items in their places, with the links that lead to them, and select the copies. */
export function makeCopies(items: readonly string[]): Copies | null {
  let copies: Copies | null = null;
  change("editing.duplicated", (workflow, scope) => {
    const made = duplicate(workflow, scope, items, { offset: { x: 0, y: 0 } });
    copies = new Map(
      made.originals.flatMap((id, index) => {
        const copy = made.items[index];
        return copy === undefined ? [] : [[id, copy] as const];
      }),
    );
    return made;
  });
  return copies;
}

/** What the library says of the originals that it drags, said of their copies. */
export function ofCopies(
  copies: Copies,
  changes: readonly NodeChange<CanvasNode>[],
): readonly NodeChange<CanvasNode>[] {
  return changes.flatMap((each): NodeChange<CanvasNode>[] => {
    if (each.type !== "position") return [each];
    const id = copyOf(copies, each.id);
    return id === null ? [] : [{ ...each, id }];
  });
}

function copyOf(copies: Copies, id: string): string | null {
  const item = itemOf(id);
  if (item.kind !== "reroute") return copies.get(id) ?? null;
  const { node, port } = edgeTarget(item.edge);
  const copy = copies.get(node);
  return copy === undefined ? null : rerouteItem(edgeId(copy, port), item.index);
}
