/** A free place on the canvas, for nodes that are added from a panel. */
import { freePlace } from "@/components/canvas/controller";
import type { Point } from "@/model/layout";
import { activeDocument } from "@/store/documents";

/** Right of the selected card, else in the middle of what the canvas shows. */
export function freeCenter(): Point {
  const { selection } = activeDocument();
  const [only = null] = selection;
  return freePlace(selection.size === 1 ? only : null);
}
