/**
 * Two fingers move and zoom the graph wherever they are. The library knows that of the empty canvas
 * only: on cards, each finger would drag one.
 */
import { type RefObject, useEffect } from "react";
import { canvas, MAX_ZOOM, MIN_ZOOM } from "./controller";

interface Pinch {
  readonly x: number;
  readonly y: number;
  readonly spread: number;
}

export function useCanvasPinch(frame: RefObject<HTMLElement | null>): void {
  useEffect(() => (frame.current === null ? undefined : listen(frame.current)), [frame]);
}

function listen(frame: HTMLElement): () => void {
  let last: Pinch | null = null;
  /** Until all fingers are up: the one that stays longest drags nothing. */
  let isOwn = false;
  const start = (event: TouchEvent) => {
    if (event.touches.length === 1) isOwn = false;
    if (event.touches.length === 2 && [...event.touches].some(isOnItem)) isOwn = true;
    if (!isOwn) return;
    take(event);
    last = pinchOf(event.touches);
  };
  const move = (event: TouchEvent) => {
    if (!isOwn) return;
    take(event);
    const now = pinchOf(event.touches);
    if (last !== null && now !== null) apply(frame, last, now);
    last = now;
  };
  // Those that began a drag learn of its end.
  const end = (event: TouchEvent) => {
    last = pinchOf(event.touches);
    if (event.touches.length === 0) isOwn = false;
  };
  const options = { capture: true, passive: false };
  frame.addEventListener("touchstart", start, options);
  frame.addEventListener("touchmove", move, options);
  frame.addEventListener("touchend", end, true);
  frame.addEventListener("touchcancel", end, true);
  return () => {
    frame.removeEventListener("touchstart", start, true);
    frame.removeEventListener("touchmove", move, true);
    frame.removeEventListener("touchend", end, true);
    frame.removeEventListener("touchcancel", end, true);
  };
}

function isOnItem({ target }: Touch): boolean {
  return target instanceof Element && target.closest(".nopan, .react-flow__edge") !== null;
}

function take(event: TouchEvent): void {
  event.stopPropagation();
  if (event.cancelable) event.preventDefault();
}

function pinchOf({ 0: a, 1: b, length }: TouchList): Pinch | null {
  if (length !== 2 || !a || !b) return null;
  return {
    x: (a.clientX + b.clientX) / 2,
    y: (a.clientY + b.clientY) / 2,
    spread: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
  };
}

/** What was between the fingers stays between them. */
function apply(frame: HTMLElement, last: Pinch, now: Pinch): void {
  const flow = canvas()?.flow;
  if (!flow || last.spread === 0 || now.spread === 0) return;
  const { x, y, zoom } = flow.getViewport();
  const box = frame.getBoundingClientRect();
  const next = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, (zoom * now.spread) / last.spread));
  const share = next / zoom;
  void flow.setViewport({
    x: now.x - box.left - (last.x - box.left - x) * share,
    y: now.y - box.top - (last.y - box.top - y) * share,
    zoom: next,
  });
}
