/** Between the pixels of the canvas and those of the screen. */
import type { StageView } from "../stageProps";
import { isEmpty, type Point, type Rect, type Size } from "./geometry";

export const LEAST_ZOOM = 0.02;
export const MOST_ZOOM = 64;

export function toScreen(view: StageView, { x, y }: Point): Point {
  return { x: (x - view.x) * view.zoom, y: (y - view.y) * view.zoom };
}

export function toCanvas(view: StageView, { x, y }: Point): Point {
  return { x: x / view.zoom + view.x, y: y / view.zoom + view.y };
}

export function screenRect(view: StageView, rect: Rect): Rect {
  const { x, y } = toScreen(view, rect);
  return { x, y, width: rect.width * view.zoom, height: rect.height * view.zoom };
}

/** The part of the canvas that a stage of a size shows. */
export function seenRect(view: StageView, { width, height }: Size): Rect {
  return { x: view.x, y: view.y, width: width / view.zoom, height: height / view.zoom };
}

/** Zoomed about a point of the screen, which keeps what lies under it. */
export function zoomedAbout(view: StageView, at: Point, factor: number): StageView {
  const zoom = Math.min(MOST_ZOOM, Math.max(LEAST_ZOOM, view.zoom * factor));
  const fixed = toCanvas(view, at);
  return { x: fixed.x - at.x / zoom, y: fixed.y - at.y / zoom, zoom };
}

/** Moved by pixels of the screen. */
export function panned(view: StageView, dx: number, dy: number): StageView {
  return { ...view, x: view.x - dx / view.zoom, y: view.y - dy / view.zoom };
}

/** The view that shows a part of the canvas in the middle, with some air around. */
export function fitted(rect: Rect, size: Size, air = 48): StageView {
  if (isEmpty(rect) || isEmpty(size)) return { x: 0, y: 0, zoom: 1 };
  const room = (length: number) => Math.max(length / 2, length - 2 * air);
  const raw = Math.min(room(size.width) / rect.width, room(size.height) / rect.height);
  // Nothing is gained by a picture larger than the screen's pixels, unless it is tiny.
  const zoom = Math.min(8, Math.max(LEAST_ZOOM, raw));
  return {
    x: rect.x + rect.width / 2 - size.width / 2 / zoom,
    y: rect.y + rect.height / 2 - size.height / 2 / zoom,
    zoom,
  };
}

/**
 * The view after the stage got another size: what was in the middle stays there, and a part that was
 * fitted is fitted again.
 */
export function resized(view: StageView, rect: Rect, before: Size, size: Size): StageView {
  const was = fitted(rect, before);
  if (was.x === view.x && was.y === view.y && was.zoom === view.zoom) return fitted(rect, size);
  return {
    ...view,
    x: view.x + (before.width - size.width) / 2 / view.zoom,
    y: view.y + (before.height - size.height) / 2 / view.zoom,
  };
}
