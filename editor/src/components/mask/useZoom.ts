import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Spot } from "./spots";

const SMALLEST = 0.05;
const LARGEST = 32;
const STEP = 1.25;

/** Zoom of a picture in a box that scrolls; what lies under the pointer stays where it is. */
export function useZoom(box: RefObject<HTMLElement | null>, width: number, height: number) {
  const [zoom, setZoom] = useState(1);
  const anchor = useRef<{ readonly spot: Spot; readonly from: number } | null>(null);

  const fit = useCallback(() => {
    const room = box.current;
    if (room === null || room.clientWidth === 0) return;
    // A little air around, so that strokes can begin beside the picture.
    const part = Math.min((room.clientWidth - 32) / width, (room.clientHeight - 32) / height);
    setZoom(bounded(part));
  }, [box, width, height]);

  useLayoutEffect(fit, [fit]);

  const zoomTo = useCallback(
    (next: (now: number) => number, spot?: Spot) => {
      const room = box.current;
      if (room === null) return;
      const at = spot ?? { x: room.clientWidth / 2, y: room.clientHeight / 2 };
      setZoom((now) => {
        anchor.current = { spot: at, from: now };
        return bounded(next(now));
      });
    },
    [box],
  );

  useLayoutEffect(() => {
    const room = box.current;
    const held = anchor.current;
    anchor.current = null;
    if (room === null || held === null) return;
    const times = zoom / held.from;
    room.scrollLeft = (room.scrollLeft + held.spot.x) * times - held.spot.x;
    room.scrollTop = (room.scrollTop + held.spot.y) * times - held.spot.y;
  }, [box, zoom]);

  useEffect(() => {
    const room = box.current;
    if (room === null) return;
    // React's wheel listeners are passive, and the page would zoom along.
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey && event.deltaMode === 0 && !isNotched(event)) return;
      event.preventDefault();
      const frame = room.getBoundingClientRect();
      const spot = { x: event.clientX - frame.left, y: event.clientY - frame.top };
      zoomTo((now) => now * Math.exp(-event.deltaY / 400), spot);
    };
    room.addEventListener("wheel", wheel, { passive: false });
    return () => room.removeEventListener("wheel", wheel);
  }, [box, zoomTo]);

  const zoomIn = useCallback(() => zoomTo((now) => now * STEP), [zoomTo]);
  const zoomOut = useCallback(() => zoomTo((now) => now / STEP), [zoomTo]);
  const actual = useCallback(() => zoomTo(() => 1), [zoomTo]);
  return { zoom, fit, zoomTo, zoomIn, zoomOut, actual };
}

/** A mouse's wheel goes in large even notches and zooms; two fingers glide and scroll. */
function isNotched(event: WheelEvent): boolean {
  return event.deltaX === 0 && Math.abs(event.deltaY) >= 80 && Number.isInteger(event.deltaY);
}

function bounded(zoom: number): number {
  return Math.min(LARGEST, Math.max(SMALLEST, zoom));
}
