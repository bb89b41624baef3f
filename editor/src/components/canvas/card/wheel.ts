/** The wheel over something in a card that can be scrolled: that scrolls, and the canvas stays. */
import type { WheelEvent } from "react";

export function leaveToScrolling(event: WheelEvent<HTMLElement>): void {
  // Pinching on a trackpad comes as a wheel with Ctrl: it zooms everywhere.
  if (event.ctrlKey || event.metaKey) return;
  // What comes under the pointer while the canvas moves doesn't stop it.
  if (event.currentTarget.closest("[data-moving]")) return;
  const card = event.target instanceof Element ? event.target.closest(".react-flow__node") : null;
  let part: Element | null = card ? (event.target as Element) : null;
  while (part && part !== card && !scrolls(part)) part = part.parentElement;
  if (part !== card) event.stopPropagation();
}

function scrolls(part: Element): boolean {
  if (part.scrollHeight <= part.clientHeight + 1) return false;
  return ["auto", "scroll"].includes(getComputedStyle(part).overflowY);
}
