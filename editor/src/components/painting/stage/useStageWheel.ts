import { type RefObject, useEffect, useRef } from "react";
import { panned, zoomedAbout } from "./pixels/stageView";
import type { StagePointer } from "./useStagePointer";

/** A mouse's wheel zooms about the pointer; two fingers on a pad move the view, or zoom by a pinch. */
export function useStageWheel(element: RefObject<HTMLElement | null>, pointer: StagePointer): void {
  const now = useRef(pointer);
  now.current = pointer;
  useEffect(() => {
    const stage = element.current;
    if (stage === null) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const { latest, show } = now.current;
      const frame = stage.getBoundingClientRect();
      const at = { x: event.clientX - frame.left, y: event.clientY - frame.top };
      const unit = event.deltaMode === 0 ? 1 : 16;
      const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
      if (event.ctrlKey || event.metaKey || (isNotched(event) && !event.shiftKey))
        show(zoomedAbout(latest.current, at, Math.exp(-dy / (event.ctrlKey ? 200 : 400))));
      else if (event.shiftKey && dx === 0) show(panned(latest.current, -dy, 0));
      else show(panned(latest.current, -dx, -dy));
    };
    // React's wheel listeners are passive, and the page would zoom along.
    stage.addEventListener("wheel", wheel, { passive: false });
    return () => stage.removeEventListener("wheel", wheel);
  }, [element]);
}

/** A mouse's wheel goes in large even notches; two fingers glide. */
function isNotched({ deltaMode, deltaX, deltaY }: WheelEvent): boolean {
  return deltaMode !== 0 || (deltaX === 0 && Math.abs(deltaY) >= 80 && Number.isInteger(deltaY));
}
