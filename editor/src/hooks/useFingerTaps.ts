/** A tap with two fingers takes back, one with three does again: on the graph and on the painting. */
import { useEffect } from "react";

/** Milliseconds from the first finger down to the last one up. */
const LONGEST = 350;
/** How far a finger of a tap may stray, in pixels. */
const SLACK = 14;
/** Where the gestures hold. */
const PLACES = "[data-canvas], [data-stage]";

interface Tap {
  readonly since: number;
  /** Fingers that were down together. */
  most: number;
  readonly starts: Map<number, { readonly x: number; readonly y: number }>;
}

/** Call back with the number of fingers, two or three, of each tap. */
export function useFingerTaps(onTap: (fingers: 2 | 3) => void): void {
  useEffect(() => listen(onTap), [onTap]);
}

function listen(onTap: (fingers: 2 | 3) => void): () => void {
  let tap: Tap | null = null;
  const start = (event: TouchEvent) => {
    const isFirst = event.touches.length === event.changedTouches.length;
    if (isFirst) tap = { since: event.timeStamp, most: 0, starts: new Map() };
    if (tap === null) return;
    for (const { identifier, target, clientX: x, clientY: y } of event.changedTouches) {
      if (!(target instanceof Element) || target.closest(PLACES) === null) tap = null;
      else tap?.starts.set(identifier, { x, y });
    }
    if (tap !== null) tap.most = Math.max(tap.most, event.touches.length);
  };
  const move = (event: TouchEvent) => {
    for (const { identifier, clientX, clientY } of event.changedTouches) {
      const from = tap?.starts.get(identifier);
      if (from && Math.hypot(clientX - from.x, clientY - from.y) > SLACK) tap = null;
    }
  };
  const end = (event: TouchEvent) => {
    if (tap === null || event.touches.length > 0) return;
    const { since, most } = tap;
    tap = null;
    if (event.timeStamp - since <= LONGEST && (most === 2 || most === 3)) onTap(most);
  };
  const drop = () => {
    tap = null;
  };
  const options = { capture: true, passive: true };
  document.addEventListener("touchstart", start, options);
  document.addEventListener("touchmove", move, options);
  document.addEventListener("touchend", end, options);
  document.addEventListener("touchcancel", drop, options);
  return () => {
    document.removeEventListener("touchstart", start, true);
    document.removeEventListener("touchmove", move, true);
    document.removeEventListener("touchend", end, true);
    document.removeEventListener("touchcancel", drop, true);
  };
}
