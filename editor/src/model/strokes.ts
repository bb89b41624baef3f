/** What was painted over a picture, as strokes: drawn anew wherever the frame around it goes. */
import type { Point } from "./layout";

export type PaintedLayer = "mask" | "sketch";

export interface Stroke {
  readonly layer: PaintedLayer;
  /** Of sketches. */
  readonly color: string;
  /** Pixels of the picture. */
  readonly size: number;
  readonly erases: boolean;
  /** In pixels of the picture, from its upper left corner; outside of it, too. */
  readonly points: readonly Point[];
}

/** How far a frame reaches beyond the picture, in pixels. */
export interface Margins {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const NO_MARGINS: Margins = { left: 0, top: 0, right: 0, bottom: 0 };
/** Pixels that a frame grows by: a latent's cell, so that no edge is cut. */
export const STEP = 8;
const WIDEST = 2048;

/** A side of the frame moved, in whole steps; never into the picture. */
export function withMargin(margins: Margins, side: keyof Margins, pixels: number): Margins {
  const whole = Math.round(pixels / STEP) * STEP;
  return { ...margins, [side]: Math.min(WIDEST, Math.max(0, whole)) };
}

export function isWider(margins: Margins): boolean {
  return Object.values(margins).some((pixels) => pixels > 0);
}

/** Whether a layer has paint; what was erased doesn't count. */
export function isPainted(strokes: readonly Stroke[], layer: PaintedLayer): boolean {
  return strokes.some((stroke) => stroke.layer === layer && !stroke.erases);
}

/** What a canvas needs to have for strokes: a part of the browser's own. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  | "beginPath"
  | "moveTo"
  | "lineTo"
  | "stroke"
  | "lineWidth"
  | "lineCap"
  | "lineJoin"
  | "strokeStyle"
  | "globalCompositeOperation"
>;

/** Draw the strokes of a layer onto a canvas of the frame's size. */
export function drawStrokes(
  pen: Pen,
  strokes: readonly Stroke[],
  layer: PaintedLayer,
  { left, top }: Margins,
  color: string | null = null,
): void {
  pen.lineCap = "round";
  pen.lineJoin = "round";
  for (const stroke of strokes) {
    const [first, ...others] = stroke.points;
    if (stroke.layer !== layer || first === undefined) continue;
    pen.globalCompositeOperation = stroke.erases ? "destination-out" : "source-over";
    pen.lineWidth = stroke.size;
    pen.strokeStyle = color ?? stroke.color;
    pen.beginPath();
    pen.moveTo(first.x + left, first.y + top);
    // A click without a move is a dot.
    for (const { x, y } of others.length > 0 ? others : [first]) pen.lineTo(x + left, y + top);
    pen.stroke();
  }
}
