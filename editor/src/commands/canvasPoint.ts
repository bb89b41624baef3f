/** Where on the canvas things go that come by key: under the pointer, else into the middle. */
import type { Point } from "@/model/layout";
import { activeDocument } from "@/store/documents";

const CANVAS = ".react-flow";

let pointer: { readonly x: number; readonly y: number; readonly isOnCanvas: boolean } | null = null;

/** Follow the pointer; gives what ends it. */
export function followPointer(): () => void {
  const moved = ({ clientX, clientY, target }: PointerEvent): void => {
    const isOnCanvas = target instanceof Element && target.closest(CANVAS) !== null;
    pointer = { x: clientX, y: clientY, isOnCanvas };
  };
  addEventListener("pointermove", moved, { passive: true });
  return () => removeEventListener("pointermove", moved);
}

/** A point of the graph; null where no canvas is shown. */
export function canvasPoint(): Point | null {
  const rect = document.querySelector(CANVAS)?.getBoundingClientRect();
  const { viewport } = activeDocument();
  if (!rect || !viewport) return null;
  const middle = { x: rect.left + rect.width / 2 - 130, y: rect.top + rect.height / 2 - 80 };
  const at = pointer?.isOnCanvas ? pointer : middle;
  return {
    x: Math.round((at.x - rect.left - viewport.x) / viewport.zoom),
    y: Math.round((at.y - rect.top - viewport.y) / viewport.zoom),
  };
}
