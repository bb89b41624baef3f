/** A picture and its mask as a canvas that is in no graph, and what keys do to the mask as a whole. */
import { nameOfKey, type Pressed } from "@/model/painting/brushKeys";
import type { PaintCanvas, PaintLayer } from "@/model/painting/types";
import type { Size } from "../stage/pixels/geometry";
import type { ToolName } from "../stage/tools";
import type { MaskState } from "./maskHistory";

/** A mask has one color, and lies where its picture lies. */
export const MASK_TOOLS: readonly ToolName[] = [
  "brush",
  "eraser",
  "fill",
  "gradient",
  "rectangle",
  "ellipse",
  "lasso",
  "object",
  "pan",
];

/** The layer that is painted on. */
export const MASK = "mask";
const PICTURE = "picture";

export function canvasOf({ width, height }: Size, picture: string, mask: MaskState): PaintCanvas {
  const look = {
    source: null,
    opacity: 1,
    mode: "normal",
    visible: true,
    alphaLocked: false,
    parent: null,
  };
  const below: PaintLayer = {
    ...look,
    node: PICTURE,
    kind: "raster",
    title: "",
    picture: { node: PICTURE, value: picture },
    placement: { x: 0, y: 0, width, height, rotation: 0 },
    locked: true,
  };
  const painted: PaintLayer = {
    ...look,
    node: MASK,
    kind: "mask",
    title: "",
    picture: { node: MASK, value: mask.value },
    placement: mask.placement,
    locked: false,
  };
  const box = { node: "box", x: 0, y: 0, width, height, sampledWidth: 0, sampledHeight: 0 };
  const entries = [below, painted];
  return { box, boxes: ["box"], entries, sampler: null, prompt: null, result: null };
}

export type MaskAction = "undo" | "redo" | "invert" | "clear";

/** Keys of the mask as a whole; null for all others, such as the stage's own. */
export function actionOf(
  event: Pressed & { readonly target: EventTarget },
  hasSelection: boolean,
): MaskAction | null {
  if (isText(event.target)) return null;
  const key = nameOfKey(event);
  if (event.ctrlKey || event.metaKey) {
    if (key === "y" || (key === "z" && event.shiftKey)) return "redo";
    return key === "z" ? "undo" : null;
  }
  if (event.altKey || event.shiftKey) return null;
  if (key === "i") return "invert";
  // With a selection the key erases what is selected, as on the canvas.
  return (key === "Delete" || key === "Backspace") && !hasSelection ? "clear" : null;
}

export function isText(target: EventTarget): boolean {
  return target instanceof HTMLInputElement && target.type !== "range";
}
