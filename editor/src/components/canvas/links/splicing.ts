/** The link that what is being dragged would be put in between, were it dropped now. */
import { create } from "zustand";
import type { CanvasEdge, Scene } from "@/components/canvas/adapt";
import { canvas } from "@/components/canvas/controller";
import {
  linksBehind,
  linksNear,
  middleOf,
  placesOf,
  pointsOf,
} from "@/components/canvas/routes/linkPlaces";
import { useCanvasView } from "@/components/canvas/view";
import { EditFault } from "@/model/fault";
import type { Box, Point } from "@/model/layout";
import { indexFor } from "./path";
import { spliced, splicedNew } from "./splice";

export interface Splice {
  readonly edge: CanvasEdge;
  /** How many of the link's points come before the node. */
  readonly before: number;
}

export const useSplicing = create<{ readonly found: Splice | null }>()(() => ({ found: null }));

/** How far from a link, in pixels of the screen, the pointer may be. */
const REACH = 16;

/** Look for a link that takes a node of a type at a point. */
export function aimType(scene: Scene, type: string, at: Point): void {
  const within = REACH / (canvas()?.flow.getZoom() ?? 1);
  aim(
    at,
    () => linksNear(at, within),
    ({ edge, before }) => {
      try {
        return splicedNew(scene, edge, type, at, before) !== null;
      } catch (fault) {
        // A block can't be put into itself; the drop tells.
        if (fault instanceof EditFault) return false;
        throw fault;
      }
    },
  );
}

/** Look for a link that takes a node which lies on it with any part of its card. */
export function aimNode(scene: Scene, node: string, box: Box): void {
  const fits = ({ edge, before }: Splice) => spliced(scene, edge, node, before) !== null;
  aim(middleOf(box), () => linksBehind(box), fits);
}

function aim(
  at: Point,
  links: () => readonly CanvasEdge[],
  fits: (splice: Splice) => boolean,
): void {
  const handle = canvas();
  // From far no link could show it.
  const near = handle && !useCanvasView.getState().far ? links() : [];
  const places = placesOf(handle?.nodes() ?? []);
  const found = near
    .map((edge) => ({ edge, before: indexFor(pointsOf(places, edge) ?? [], at) }))
    .find(fits);
  const known = useSplicing.getState().found;
  const isKnown = found ? known?.edge === found.edge && known.before === found.before : !known;
  if (!isKnown) useSplicing.setState({ found: found ?? null });
}

/** Forget it; gives what it was. */
export function endAim(): Splice | null {
  const { found } = useSplicing.getState();
  if (found !== null) useSplicing.setState({ found: null });
  return found;
}
