import { type PointerEvent, useRef } from "react";
import type { Json } from "@/model/json";

/** Pixels until a press is a drag, and for each step. */
const SLACK = 4;
const PER_STEP = 4;

interface Options {
  readonly disabled: boolean;
  /** The value at the beginning. */
  readonly start: () => Json | undefined;
  readonly move: (from: Json | undefined, steps: number) => void;
}

/** Dragging a number field sideways changes its number; a click alone puts the caret there. */
export function useScrub({ disabled, start, move }: Options) {
  const drag = useRef<{ x: number; from: Json | undefined; moved: boolean; last: number } | null>(
    null,
  );

  function down(event: PointerEvent<HTMLInputElement>) {
    const isTyping = document.activeElement === event.currentTarget;
    // A finger scrolls; a field that is typed in selects its text.
    if (disabled || isTyping || event.button !== 0 || event.pointerType === "touch") return;
    drag.current = { x: event.clientX, from: undefined, moved: false, last: 0 };
  }

  function moving(event: PointerEvent<HTMLInputElement>) {
    const held = drag.current;
    if (held === null) return;
    const far = event.clientX - held.x;
    if (!held.moved) {
      if (Math.abs(far) < SLACK) return;
      held.moved = true;
      held.from = start();
      event.currentTarget.setPointerCapture(event.pointerId);
      event.currentTarget.blur();
    }
    event.preventDefault();
    const steps = Math.trunc(far / PER_STEP) * (event.shiftKey ? 10 : 1);
    if (steps === held.last) return;
    held.last = steps;
    move(held.from, steps);
  }

  function up(event: PointerEvent<HTMLInputElement>) {
    if (drag.current?.moved) event.currentTarget.blur();
    drag.current = null;
  }

  return {
    onPointerDown: down,
    onPointerMove: moving,
    onPointerUp: up,
    onPointerCancel: () => {
      drag.current = null;
    },
  };
}
