/** Zooming and moving a picture by wheel, drag, pinch and keys; until then it fits its frame. */
import { type PointerEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { contained, fitScale, nextScale, type Size, type View, zoomAt } from "./zoom";

export interface Zoom {
  /** For the frame that the picture is seen in. */
  readonly frame: (box: HTMLDivElement | null) => void;
  readonly view: View;
  readonly isFitted: boolean;
  readonly step: (direction: 1 | -1) => void;
  readonly fit: () => void;
  readonly actual: () => void;
  readonly toggle: () => void;
  readonly pan: (x: number, y: number) => void;
  readonly pointer: {
    readonly onPointerDown: (event: PointerEvent) => void;
    readonly onPointerMove: (event: PointerEvent) => void;
    readonly onPointerUp: (event: PointerEvent) => void;
    readonly onPointerCancel: (event: PointerEvent) => void;
    readonly onDoubleClick: () => void;
  };
}

/** How much of the smallest scale at which all is seen one can still go below. */
const BELOW_FIT = 0.25;

export function useZoom(picture: Size | null): Zoom {
  // As a state, since another way to compare comes with another frame.
  const [box, setBox] = useState<HTMLDivElement | null>(null);
  const [room, setRoom] = useState<Size>({ width: 0, height: 0 });
  const [moved, setMoved] = useState<View | null>(null);
  const size = picture ?? { width: 1, height: 1 };
  const fitted: View = { scale: fitScale(size, room), x: 0, y: 0 };
  const view = moved ?? fitted;
  const smallest = Math.min(1, fitted.scale) * BELOW_FIT;
  const change = (next: (view: View) => View) =>
    setMoved((old) => contained(next(old ?? fitted), size, room));
  const zoom = (factor: number, point = { x: 0, y: 0 }) =>
    change((old) => zoomAt(old, factor, point, smallest));
  const actual = () => change((old) => zoomAt(old, 1 / old.scale, { x: 0, y: 0 }, smallest));
  const latest = useRef(zoom);
  latest.current = zoom;

  useLayoutEffect(() => {
    if (box === null) return;
    const measure = () => setRoom({ width: box.clientWidth, height: box.clientHeight });
    measure();
    const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(measure);
    observer?.observe(box);
    return () => observer?.disconnect();
  }, [box]);
  useEffect(() => {
    // React listens to wheels passively, and then the page would scroll or zoom too.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      latest.current(2 ** (-event.deltaY * wheelUnit(event)), fromCenter(event, box));
    };
    box?.addEventListener("wheel", wheel, { passive: false });
    return () => box?.removeEventListener("wheel", wheel);
  }, [box]);

  return {
    frame: setBox,
    view,
    isFitted: moved === null,
    step: (direction) => zoom(nextScale(view.scale, direction) / view.scale),
    fit: () => setMoved(null),
    actual,
    toggle: () => (moved === null ? actual() : setMoved(null)),
    pan: (x, y) => change((old) => ({ ...old, x: old.x + x, y: old.y + y })),
    pointer: usePointers(box, change, zoom, () => (moved === null ? actual() : setMoved(null))),
  };
}

type Change = (next: (view: View) => View) => void;
type ZoomBy = (factor: number, point: { x: number; y: number }) => void;

/** One pointer moves the picture, two pinch it. */
function usePointers(
  box: HTMLElement | null,
  change: Change,
  zoom: ZoomBy,
  onDoubleClick: () => void,
): Zoom["pointer"] {
  const down = useRef(new Map<number, { x: number; y: number }>());
  const release = (event: PointerEvent) => {
    down.current.delete(event.pointerId);
  };
  return {
    onPointerDown: (event) => {
      if (event.button !== 0 && event.button !== 1) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      down.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    },
    onPointerMove: (event) => {
      const before = down.current.get(event.pointerId);
      if (before === undefined) return;
      const now = { x: event.clientX, y: event.clientY };
      const other = [...down.current].find(([id]) => id !== event.pointerId)?.[1];
      down.current.set(event.pointerId, now);
      if (other === undefined) {
        change((view) => ({ ...view, x: view.x + now.x - before.x, y: view.y + now.y - before.y }));
        return;
      }
      const apart = (point: { x: number; y: number }) =>
        Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
      const middle = { clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 };
      zoom(apart(now) / apart(before), fromCenter(middle, box));
    },
    onPointerUp: release,
    onPointerCancel: release,
    onDoubleClick,
  };
}

/** Wheels tell pixels, lines or pages; pinching on a trackpad comes as a wheel with Ctrl. */
function wheelUnit(event: WheelEvent): number {
  if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) return 0.06;
  if (event.deltaMode === WheelEvent.DOM_DELTA_PAGE) return 1;
  return event.ctrlKey ? 0.012 : 0.0025;
}

function fromCenter(
  { clientX, clientY }: { clientX: number; clientY: number },
  box: HTMLElement | null,
): { x: number; y: number } {
  const rect = box?.getBoundingClientRect();
  if (rect === undefined) return { x: 0, y: 0 };
  return { x: clientX - rect.left - rect.width / 2, y: clientY - rect.top - rect.height / 2 };
}
