/** Points that links run through. */

import type { CanvasEdge } from "@/components/canvas/adapt";
import { canvas } from "@/components/canvas/controller";
import { placesOf, pointsOf } from "@/components/canvas/routes/linkPlaces";
import { addReroute } from "@/model/edits";
import { itemOf } from "@/model/items";
import { layoutOf, type Point } from "@/model/layout";
import type { Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { useDocuments } from "@/store/documents";
import { edgeIdOf } from "./connect";
import { indexFor, lineThrough } from "./path";

/** Let a link run through one more point: the one that is given, or else its middle. */
export function addPoint(edge: CanvasEdge, scope: Scope, at?: Point): void {
  if (itemOf(edge.id).kind !== "edge") return;
  const points = pointsOf(placesOf(canvas()?.nodes() ?? []), edge);
  if (!points) return;
  const point = at ?? lineThrough("straight", points).middle;
  const index = indexFor(points, point);
  useDocuments
    .getState()
    .change("canvas.edit.reroute", (w) =>
      addReroute(withDrawn(w, scope, edge), scope, edgeIdOf(edge), index, point),
    );
}

/** With the points of a way that is only drawn: the link goes on along it. */
function withDrawn(workflow: Workflow, scope: Scope, edge: CanvasEdge): Workflow {
  const id = edgeIdOf(edge);
  if ((layoutOf(workflow, scope).reroutes.get(id)?.length ?? 0) > 0) return workflow;
  const drawn = edge.data?.points ?? [];
  return drawn.reduce((found, at, index) => addReroute(found, scope, id, index, at), workflow);
}
