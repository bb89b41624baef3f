import { type RefObject, useLayoutEffect, useState } from "react";
import { type Placing, place, type Rect } from "./place";

export type Anchor = Element | { readonly x: number; readonly y: number };

function rectOf(anchor: Anchor): Rect {
  if (anchor instanceof Element) return anchor.getBoundingClientRect();
  return { left: anchor.x, top: anchor.y, width: 0, height: 0 };
}

/** Keeps a box beside its anchor while the window or the box changes size. */
export function useFloating(box: RefObject<HTMLElement | null>, anchor: Anchor, placing: Placing) {
  const [corner, setCorner] = useState<{ left: number; top: number } | null>(null);
  const { side, align, gap } = placing;
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const update = () => {
      const view = { width: innerWidth, height: innerHeight };
      const size = { width: element.offsetWidth, height: element.offsetHeight };
      const next = place(rectOf(anchor), size, view, { side, align, gap });
      setCorner((old) => (old?.left === next.left && old.top === next.top ? old : next));
    };
    update();
    addEventListener("resize", update);
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(update);
    observer?.observe(element);
    return () => {
      removeEventListener("resize", update);
      observer?.disconnect();
    };
  }, [box, anchor, side, align, gap]);
  // Not `visibility`: what is hidden so can't take the focus, and it is given before the next frame.
  return corner ?? { left: 0, top: 0, opacity: 0 };
}
