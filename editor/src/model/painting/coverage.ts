/** Whether the raster layers cover the box: what they leave empty is painted by the model. */
import type { Extent } from "./ground";
import type { CanvasBox, PaintCanvas, PaintLayer, Placement } from "./types";
import { isLayer } from "./types";

/** `unknown`: a layer stands in its own size, and nobody knows that. */
export type Coverage = "covered" | "beyond" | "unknown";

/** Points along a side of the box that are looked at, besides its corners. */
const POINTS = 48;
/** Pixels that a point lies within the edge. */
const INSIDE = 0.5;

/** Layers count as rectangles, whether or not their pictures are transparent somewhere. */
export function coverageOf(
  { box, entries }: Pick<PaintCanvas, "box" | "entries">,
  sizeOf: (value: string) => Extent | null,
): Coverage {
  const rasters = entries.filter(isLayer).filter(({ kind }) => kind === "raster");
  const visible = rasters.filter((layer) => layer.visible && isShown(layer, entries));
  const places = visible.map((layer) => placed(layer, sizeOf));
  const known = places.filter((place) => place !== null);
  const isCovered = pointsOf(box).every(([x, y]) => known.some((place) => holds(place, x, y)));
  if (isCovered) return "covered";
  return known.length < places.length ? "unknown" : "beyond";
}

/** Whether the groups around it are shown. */
function isShown({ parent }: PaintLayer, entries: PaintCanvas["entries"]): boolean {
  for (let name = parent; name !== null; ) {
    const group = entries.find(({ node }) => node === name);
    if (group?.visible === false) return false;
    name = group?.parent ?? null;
  }
  return true;
}

function placed(
  { placement, picture }: PaintLayer,
  sizeOf: (value: string) => Extent | null,
): Placement | null {
  if (placement.width > 0 && placement.height > 0) return placement;
  const own = picture && sizeOf(picture.value);
  return own && { ...placement, ...own };
}

function pointsOf({ x, y, width, height }: CanvasBox): readonly (readonly [number, number])[] {
  const along = (from: number, length: number) =>
    Array.from(
      { length: POINTS },
      (_, index) => from + INSIDE + ((length - 2 * INSIDE) * index) / (POINTS - 1),
    );
  return along(y, height).flatMap((at) => along(x, width).map((over) => [over, at] as const));
}

function holds({ x, y, width, height, rotation }: Placement, px: number, py: number): boolean {
  const turn = (-rotation * Math.PI) / 180;
  const [dx, dy] = [px - (x + width / 2), py - (y + height / 2)];
  const across = dx * Math.cos(turn) - dy * Math.sin(turn);
  const down = dx * Math.sin(turn) + dy * Math.cos(turn);
  return Math.abs(across) <= width / 2 && Math.abs(down) <= height / 2;
}
