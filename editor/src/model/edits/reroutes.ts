/** The points that a link runs through. */
import { changeLayout, type Layout, type Point, type RoutePoint } from "../layout";
import type { Scope } from "../scope";
import type { Workflow } from "../workflow";
import { samePoint, whole } from "./geometry";

/** Let a link run through one more point, before that of the index. */
export function addReroute(
  workflow: Workflow,
  scope: Scope,
  edge: string,
  index: number,
  at: Point,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const points = (layout.reroutes.get(edge) ?? []).toSpliced(index, 0, whole(at));
    return { ...layout, reroutes: new Map(layout.reroutes).set(edge, points) };
  });
}

export function moveReroute(
  workflow: Workflow,
  scope: Scope,
  edge: string,
  index: number,
  at: Point,
): Workflow {
  return changeLayout(workflow, scope, (layout) => withPoint(layout, edge, index, whole(at)));
}

export function withPoint(layout: Layout, edge: string, index: number, at: RoutePoint): Layout {
  const points = layout.reroutes.get(edge);
  const before = points?.[index];
  if (!points || !before || samePoint(before, at)) return layout;
  return { ...layout, reroutes: new Map(layout.reroutes).set(edge, points.with(index, at)) };
}

export function removeReroute(
  workflow: Workflow,
  scope: Scope,
  edge: string,
  index: number,
): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const points = layout.reroutes.get(edge);
    if (!points || points[index] === undefined) return layout;
    const left = points.toSpliced(index, 1);
    const reroutes = new Map(layout.reroutes);
    if (left.length > 0) reroutes.set(edge, left);
    else reroutes.delete(edge);
    return { ...layout, reroutes };
  });
}
