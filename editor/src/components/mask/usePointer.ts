import { type PointerEvent as ReactPointerEvent, type RefObject, useRef } from "react";
import type { Spot } from "./spots";

export interface Painting {
  begin(spot: Spot, options: { readonly line: boolean; readonly erases: boolean }): void;
  go(spots: readonly Spot[]): void;
  end(): void;
  cancel(): void;
  hover(spot: Spot | null): void;
}

interface Options {
  readonly box: RefObject<HTMLElement | null>;
  readonly spotOf: (event: { clientX: number; clientY: number }) => Spot;
  readonly painting: Painting;
  readonly zoomTo: (next: (now: number) => number, spot?: Spot) => void;
}

const ERASER_BUTTON = 32;

/** Strokes by mouse, pen and finger; two fingers, or the middle button, move the picture. */
export function usePointer({ box, spotOf, painting, zoomTo }: Options) {
  const fingers = useRef(new Map<number, Spot>());
  const mode = useRef<"idle" | "painting" | "panning">("idle");

  function down(event: ReactPointerEvent<HTMLElement>) {
    event.currentTarget.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.current.size > 1 || event.button === 1) {
      if (mode.current === "painting") painting.cancel();
      mode.current = "panning";
      return;
    }
    mode.current = "painting";
    const erases = event.button === 2 || (event.buttons & ERASER_BUTTON) !== 0;
    painting.begin(spotOf(event), { line: event.shiftKey, erases });
  }

  function move(event: ReactPointerEvent<HTMLElement>) {
    if (event.pointerType !== "touch") painting.hover(spotOf(event));
    if (mode.current === "panning") pan(event);
    if (mode.current !== "painting") return;
    const events = event.nativeEvent.getCoalescedEvents?.() ?? [];
    painting.go((events.length > 0 ? events : [event.nativeEvent]).map(spotOf));
  }

  function pan(event: ReactPointerEvent<HTMLElement>) {
    const room = box.current;
    const last = fingers.current.get(event.pointerId);
    if (room === null || last === undefined) return;
    const spread = spreadOf(fingers.current);
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const share = 1 / fingers.current.size;
    room.scrollLeft -= (event.clientX - last.x) * share;
    room.scrollTop -= (event.clientY - last.y) * share;
    const after = spreadOf(fingers.current);
    if (spread > 0 && after > 0 && spread !== after) {
      const frame = room.getBoundingClientRect();
      const middle = middleOf(fingers.current);
      const spot = { x: middle.x - frame.left, y: middle.y - frame.top };
      zoomTo((now) => (now * after) / spread, spot);
    }
  }

  function up(event: ReactPointerEvent<HTMLElement>) {
    fingers.current.delete(event.pointerId);
    if (mode.current === "painting") painting.end();
    if (fingers.current.size === 0) mode.current = "idle";
  }

  function cancelled(event: ReactPointerEvent<HTMLElement>) {
    fingers.current.delete(event.pointerId);
    if (mode.current === "painting") painting.cancel();
    mode.current = "idle";
  }

  return {
    onPointerDown: down,
    onPointerMove: move,
    onPointerUp: up,
    onPointerCancel: cancelled,
    onPointerLeave: () => painting.hover(null),
    onContextMenu: (event: { preventDefault(): void }) => event.preventDefault(),
  };
}

function spreadOf(fingers: ReadonlyMap<number, Spot>): number {
  const [a, b] = [...fingers.values()];
  return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
}

function middleOf(fingers: ReadonlyMap<number, Spot>): Spot {
  const all = [...fingers.values()];
  const sum = all.reduce((to, spot) => ({ x: to.x + spot.x, y: to.y + spot.y }), { x: 0, y: 0 });
  return { x: sum.x / all.length, y: sum.y / all.length };
}
