/**
 * Who may draw a card in full, a few in each frame.
 *
 * Widgets cost a hundred times what a card's outline does. Cards come into view as outlines, and get
 * their widgets when there is time, so that no frame of a pan or zoom has more to do than it can.
 */
import { useEffect, useState } from "react";

/** Cards drawn in full at once, as in a small graph that is opened. */
const AT_ONCE = 24;
const PER_FRAME = 4;
const PER_MOVING_FRAME = 1;

type Grant = () => void;

const waiting = new Set<Grant>();
let left = AT_ONCE;
let frame = 0;
let isMoving = false;

/** Say that the canvas moves, so that less is drawn besides. */
export function setMoving(moving: boolean): void {
  isMoving = moving;
}

export function isCanvasMoving(): boolean {
  return isMoving;
}

/** A frame that took longer than this is no smooth one: what could wait has to. */
const SLOW = 24;
let before = 0;

function next(now: number): void {
  frame = 0;
  const isSlow = now - before > SLOW;
  before = now;
  let count = isMoving ? (isSlow ? 0 : PER_MOVING_FRAME) : PER_FRAME;
  for (const grant of waiting) {
    if (count === 0) break;
    waiting.delete(grant);
    grant();
    count -= 1;
  }
  if (waiting.size === 0) left = AT_ONCE;
  else schedule();
}

function schedule(): void {
  if (frame === 0) frame = requestAnimationFrame(next);
}

function take(): boolean {
  if (left === 0) return false;
  left -= 1;
  // Refilled when the frame has passed.
  schedule();
  return true;
}

function wait(grant: Grant): () => void {
  waiting.add(grant);
  schedule();
  return () => waiting.delete(grant);
}

/** Whether a card is drawn in full now; follows `wanted` when it is its turn. */
export function useDetail(wanted: boolean): boolean {
  const [detailed, setDetailed] = useState(() => wanted && take());
  useEffect(() => {
    if (detailed === wanted) return undefined;
    return wait(() => setDetailed(wanted));
  }, [detailed, wanted]);
  return detailed;
}
