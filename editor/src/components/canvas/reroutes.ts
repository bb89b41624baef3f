/** Points that links run through. */
import { addReroute } from "@/model/edits";
import { itemOf } from "@/model/items";
import type { Point } from "@/model/layout";
import type { Scope } from "@/model/scope";
import { useDocuments } from "@/store/documents";
import type { CanvasEdge } from "./adapt";
import { edgeIdOf } from "./connect";
import { canvas } from "./controller";
import { placesOf, pointsOf } from "./linkPlaces";
import { indexFor, lineThrough } from "./path";

/** Let a link run through one more point: the one that is given, or else its middle. */
export function addPoint(edge: CanvasEdge, scope: Scope, at?: Point): void {
  if (itemOf(edge.id).kind !== "edge") return;
  const points = pointsOf(placesOf(canvas()?.flow.getNodes() ?? []), edge);
  if (!points) return;
  const point = at ?? lineThrough("straight", points).middle;
  const index = indexFor(points, point);
  useDocuments
    .getState()
    .change("canvas.edit.reroute", (w) => addReroute(w, scope, edgeIdOf(edge), index, point));
}
