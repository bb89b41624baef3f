/** Room on the canvas for a card that a link has taken in. */
import { itemOf } from "@/model/items";
import { type Box, changeLayout, layoutOf, type Point } from "@/model/layout";
import { type Room, roomFor } from "@/model/room";
import type { Scope } from "@/model/scope";
import { sizesOf } from "@/model/sizes";
import type { Workflow } from "@/model/workflow";
import type { CanvasEdge, Scene } from "./adapt";
import { itemBoxes } from "./controller";
import { movedAndRouted } from "./drawnRoutes";
import { centerOf } from "./points";

/** A workflow in which a node was put into a link, with the node clear of all others. */
export function withRoom(
  workflow: Workflow,
  { scope, types }: Scene,
  node: string,
  edge: CanvasEdge,
): Workflow {
  const layout = layoutOf(workflow, scope);
  const drawn = itemBoxes();
  const at = layout.positions.get(node);
  const size = drawn.get(node) ?? sizesOf(workflow, scope, layout, types).get(node);
  if (!at || !size) return workflow;
  const cards = [...drawn].filter(([id]) => ["node", "note", "end"].includes(itemOf(id).kind));
  const boxes = new Map<string, Box>([
    ...cards,
    [node, { ...at, width: size.width, height: size.height }],
  ]);
  const room = roomFor(boxes, node, edge.source, edge.target);
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
