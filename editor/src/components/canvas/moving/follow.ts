/** What moves along with what is dragged: the contents of groups, and the points of inner links. */
import { itemsInGroup } from "@/model/edits";
import { edgesOf } from "@/model/graph";
import { itemOf, rerouteItem } from "@/model/items";
import { layoutOf, type Point, type Size } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";

/** The items that follow some others which are moved. */
export function followers(
  workflow: Workflow,
  scope: Scope,
  moved: Iterable<string>,
  sizes: ReadonlyMap<string, Required<Size>>,
): ReadonlySet<string> {
  const all = new Set(moved);
  const own = new Set(all);
  // A set hands out what is added while it is walked: groups within groups.
  for (const id of all) {
    const item = itemOf(id);
    if (item.kind === "group")
      for (const inner of itemsInGroup(workflow, scope, item.id, sizes)) all.add(inner);
  }
  for (const id of innerPoints(workflow, scope, all)) all.add(id);
  return new Set([...all].filter((id) => !own.has(id)));
}

function innerPoints(
  workflow: Workflow,
  scope: Scope,
  moved: ReadonlySet<string>,
): readonly string[] {
  const { reroutes } = layoutOf(workflow, scope);
  if (reroutes.size === 0) return [];
  return edgesOf(nodesOf(workflow, scope)).flatMap(({ id, from, to }) => {
    if (!moved.has(from.node) || !moved.has(to.node)) return [];
    return (reroutes.get(id) ?? []).map((_, index) => rerouteItem(id, index));
  });
}

/** The places of followers when what they follow has moved by this much. */
export function shifted(places: ReadonlyMap<string, Point>, by: Point): ReadonlyMap<string, Point> {
  return new Map([...places].map(([id, at]) => [id, { x: at.x + by.x, y: at.y + by.y }]));
}
