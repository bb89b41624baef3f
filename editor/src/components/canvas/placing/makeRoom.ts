/** Room on the canvas for a card that a link has taken in. */

import type { CanvasEdge, Scene } from "@/components/canvas/adapt";
import { itemBoxes } from "@/components/canvas/controller";
import { centerOf } from "@/components/canvas/links/points";
import { movedAndRouted } from "@/components/canvas/routes/drawnRoutes";
import { itemOf } from "@/model/items";
import { type Box, changeLayout, layoutOf, type Point } from "@/model/layout";
import { type Room, roomFor } from "@/model/room";
import type { Scope } from "@/model/scope";
import { boxAt, sizesOf } from "@/model/sizes";
import type { Workflow } from "@/model/workflow";

/** A workflow in which a node was put into a link, with the node clear of all others. */
export function withRoom(
  workflow: Workflow,
  { scope, types }: Scene,
  node: string,
  between: Pick<CanvasEdge, "source" | "target">,
): Workflow {
  const layout = layoutOf(workflow, scope);
  const drawn = itemBoxes();
  const at = layout.positions.get(node);
  if (!at) return workflow;
  const boxes = new Map<string, Box>();
  for (const [id, box] of drawn) if (["note", "end"].includes(itemOf(id).kind)) boxes.set(id, box);
  // At their places in the workflow, where what was added just before isn't drawn yet.
  const sizes = sizesOf(workflow, scope, layout, types);
  for (const [name, place] of layout.positions) {
    const size = drawn.get(name) ?? sizes.get(name);
    if (size) boxes.set(name, boxAt(place, size));
  }
  const room = roomFor(boxes, node, between.source, between.target);
  const points = room.by > 0 ? movedPoints(drawn, room) : [];
  const moved = movedAndRouted(workflow, scope, new Map([[node, at], ...room.moves, ...points]));
  return room.by > 0 ? withFrames(moved, scope, room) : moved;
}

/** Points of links that lie in what moves. */
function movedPoints(
  drawn: ReadonlyMap<string, Box>,
  { from, by }: Room,
): readonly (readonly [string, Point])[] {
  return [...drawn].flatMap(([id, box]) => {
    if (itemOf(id).kind !== "reroute" || box.x < from) return [];
    const { x, y } = centerOf(box);
    return [[id, { x: x + by, y }] as const];
  });
}

/** Frames move with what is in them, and grow where only a part of that moves. */
function withFrames(workflow: Workflow, scope: Scope, { from, by }: Room): Workflow {
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    groups: layout.groups.map((group) => {
      const { x, width } = group.box;
      if (x >= from) return { ...group, box: { ...group.box, x: x + by } };
      return x + width > from ? { ...group, box: { ...group.box, width: width + by } } : group;
    }),
  }));
}
