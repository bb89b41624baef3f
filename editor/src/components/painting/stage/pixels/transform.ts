/** Dragging placed pictures and the box by their handles. */
import type { Placement } from "@/model/painting/types";
import { middleOf, type Point, type Rect, turned } from "./geometry";

/** Each side that a handle drags: -1 left or top, 1 right or bottom, 0 neither. */
export interface Handle {
  readonly name: string;
  readonly x: -1 | 0 | 1;
  readonly y: -1 | 0 | 1;
}

export const HANDLES: readonly Handle[] = [
  { name: "topLeft", x: -1, y: -1 },
  { name: "top", x: 0, y: -1 },
  { name: "topRight", x: 1, y: -1 },
  { name: "right", x: 1, y: 0 },
  { name: "bottomRight", x: 1, y: 1 },
  { name: "bottom", x: 0, y: 1 },
  { name: "bottomLeft", x: -1, y: 1 },
  { name: "left", x: -1, y: 0 },
];

/** Rotation snaps to these degrees while Shift is held. */
const TURN = 15;

export function moved(placement: Placement, dx: number, dy: number): Placement {
  return { ...placement, x: Math.round(placement.x + dx), y: Math.round(placement.y + dy) };
}

/** A placement whose handle is dragged; the opposite side stays, in its own rotation. */
export function scaled(
  start: Placement,
  handle: Handle,
  drag: Point,
  keepAspect: boolean,
): Placement {
  const own = turned(drag, { x: 0, y: 0 }, -start.rotation);
  let width = Math.max(1, start.width + handle.x * own.x);
  let height = Math.max(1, start.height + handle.y * own.y);
  if (keepAspect) {
    const factor = scaleOf(handle, width / start.width, height / start.height);
    width = Math.max(1, start.width * factor);
    height = Math.max(1, start.height * factor);
  }
  [width, height] = [Math.round(width), Math.round(height)];
  // The middle moves by half of what is added, along the turned axes; centered sides grow evenly.
  const shift = turned(
    {
      x: (handle.x * (width - start.width)) / 2,
      y: (handle.y * (height - start.height)) / 2,
    },
    { x: 0, y: 0 },
    start.rotation,
  );
  const middle = middleOf(start);
  return {
    ...start,
    x: rounded(middle.x + shift.x - width / 2, start.rotation),
    y: rounded(middle.y + shift.y - height / 2, start.rotation),
    width,
    height,
  };
}

function scaleOf(handle: Handle, byWidth: number, byHeight: number): number {
  if (handle.x === 0) return byHeight;
  if (handle.y === 0) return byWidth;
  return Math.abs(byWidth - 1) > Math.abs(byHeight - 1) ? byWidth : byHeight;
}

/** Unturned pictures stay at whole pixels, so that they aren't blurred. */
function rounded(value: number, rotation: number): number {
  return rotation % 360 === 0 ? Math.round(value) : Math.round(value * 100) / 100;
}

/** A placement turned about its middle, as a pointer goes from one point to another. */
export function rotated(start: Placement, from: Point, to: Point, snaps: boolean): Placement {
  const middle = middleOf(start);
  const angle = (point: Point) =>
    (Math.atan2(point.y - middle.y, point.x - middle.x) * 180) / Math.PI;
  const raw = start.rotation + angle(to) - angle(from);
  const turn = snaps ? Math.round(raw / TURN) * TURN : raw;
  const rotation = (((turn % 360) + 540) % 360) - 180;
  return { ...start, rotation: Math.round(rotation * 10) / 10 };
}

/** The nearest multiple of a step. */
export function snapped(value: number, step: number): number {
  // No negative zero, which isn't the same value to whoever compares.
  return Math.round(value / step) * step + 0;
}

/** A box that is moved as a whole. */
export function movedBox(start: Rect, drag: Point, step: number): Rect {
  return {
    ...start,
    x: snapped(start.x + drag.x, step),
    y: snapped(start.y + drag.y, step),
  };
}

/**
 * A box whose handle is dragged: dragged sides snap to multiples of the step, its size stays at least
 * one step, and the other sides stay.
 */
export function resizedBox(
  start: Rect,
  handle: Handle,
  drag: Point,
  step: number,
  keepAspect: boolean,
): Rect {
  let width = sizeOf(start.width, handle.x * drag.x, step);
  let height = sizeOf(start.height, handle.y * drag.y, step);
  if (keepAspect) {
    const factor = scaleOf(
      handle,
      (start.width + handle.x * drag.x) / start.width,
      (start.height + handle.y * drag.y) / start.height,
    );
    width = sizeOf(start.width, start.width * (factor - 1), step);
    height = sizeOf(start.height, start.height * (factor - 1), step);
  }
  return {
    x: handle.x < 0 ? start.x + start.width - width : start.x,
    y: handle.y < 0 ? start.y + start.height - height : start.y,
    width,
    height,
  };
}

function sizeOf(size: number, by: number, step: number): number {
  return by === 0 ? size : Math.max(step, snapped(size + by, step));
}
