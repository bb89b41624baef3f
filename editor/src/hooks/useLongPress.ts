/** A finger that rests opens what a right click opens: not every browser makes one out of it. */
import { useEffect } from "react";

/** Longer than browsers take that do it themselves, so that theirs comes first. */
const REST = 600;
/** How far a resting finger may stray, in pixels. */
const SLACK = 10;
/** There a long touch selects text. */
const OWN = "input, textarea, select, [contenteditable=true]";

interface Touch {
  readonly pointer: number;
  readonly x: number;
  readonly y: number;
  readonly timer: ReturnType<typeof setTimeout>;
}

export function useLongPress(): void {
  useEffect(listen, []);
}

function listen(): () => void {
  let touch: Touch | null = null;
  let isDone = false;
  const drop = () => {
    if (touch) clearTimeout(touch.timer);
    touch = null;
  };
  const down = (event: PointerEvent) => {
    drop();
    isDone = false;
    const { target, clientX: x, clientY: y, pointerId: pointer } = event;
    if (event.pointerType !== "touch" || !event.isPrimary) return;
    if (!(target instanceof Element) || target.closest(OWN)) return;
    const timer = setTimeout(() => {
      touch = null;
      isDone = !target.dispatchEvent(menuEvent(x, y));
    }, REST);
    touch = { pointer, x, y, timer };
  };
  const move = ({ pointerId, clientX, clientY }: PointerEvent) => {
    if (touch?.pointer !== pointerId) return;
    if (Math.hypot(clientX - touch.x, clientY - touch.y) > SLACK) drop();
  };
  // Lifting the finger is no tap on what lies under the menu.
  const lift = (event: TouchEvent) => {
    if (isDone && event.cancelable) event.preventDefault();
  };
  const listeners = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", drop],
    ["pointercancel", drop],
    ["contextmenu", drop],
  ] as const;
  for (const [kind, listener] of listeners)
    document.addEventListener(kind, listener as EventListener, true);
  document.addEventListener("touchend", lift, { capture: true, passive: false });
  return () => {
    drop();
    for (const [kind, listener] of listeners)
      document.removeEventListener(kind, listener as EventListener, true);
    document.removeEventListener("touchend", lift, true);
  };
}

function menuEvent(clientX: number, clientY: number): MouseEvent {
  return new MouseEvent("contextmenu", {
    bubbles: true,
    cancelable: true,
    composed: true,
    clientX,
    clientY,
    button: 2,
  });
}
