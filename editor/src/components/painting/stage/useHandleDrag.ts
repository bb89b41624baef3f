import { type PointerEvent as ReactPointerEvent, useRef } from "react";
import type { Point } from "./pixels/geometry";

interface Drag {
  /** In pixels of the canvas, from where it began. */
  readonly by: Point;
  /** The pointer on the page, where it began and where it is. */
  readonly from: Point;
  readonly to: Point;
  readonly shift: boolean;
}

/**
 * Drags of a handle: what it drags is read once, where the drag begins.
 *
 * @param start What `move` gets as it was at first.
 */
export function useHandleDrag<Start>(
  zoom: number,
  start: () => Start,
  move: (start: Start, drag: Drag, done: boolean) => void,
) {
  const drag = useRef<{ readonly from: Point; readonly start: Start; last: Drag | null } | null>(
    null,
  );

  function moved(event: ReactPointerEvent<HTMLElement>) {
    const now = drag.current;
    if (now === null) return;
    const to = { x: event.clientX, y: event.clientY };
    const by = { x: (to.x - now.from.x) / zoom, y: (to.y - now.from.y) / zoom };
    now.last = { by, from: now.from, to, shift: event.shiftKey };
    move(now.start, now.last, false);
  }

  return {
    onPointerDown(event: ReactPointerEvent<HTMLElement>) {
      if (event.button !== 0) return;
      event.stopPropagation();
      event.currentTarget.setPointerCapture(event.pointerId);
      drag.current = { from: { x: event.clientX, y: event.clientY }, start: start(), last: null };
    },
    onPointerMove: moved,
    onPointerUp() {
      const now = drag.current;
      drag.current = null;
      if (now?.last) move(now.start, now.last, true);
    },
    onPointerCancel() {
      const now = drag.current;
      drag.current = null;
      const still = { x: 0, y: 0 };
      if (now?.last)
        move(now.start, { by: still, from: now.from, to: now.from, shift: false }, true);
    },
  };
}

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

/** Where an arrow key points; null of others. */
export function arrowOf(key: string): Point | null {
  return ARROWS[key] ?? null;
}
