/**
 * A graph that was all to be seen stays so when a panel or the window takes some of its place, and
 * when an edit adds to it or moves cards aside.
 */
import type { Viewport } from "@xyflow/react";
import { useEffect } from "react";
import {
  boundsOfAll,
  boundsOfItems,
  canvas,
  itemBoxes,
  setViewport,
  showAdded,
  viewportFor,
} from "@/components/canvas/controller";
import { FAR_ZOOM } from "@/components/canvas/view";
import type { Box, Size } from "@/model/layout";
import { type DocumentsState, useDocuments } from "@/store/documents";

type Screen = Required<Size>;

/** How a graph was seen, and from what it came about if that was by such a change of the place. */
export interface Seen {
  readonly viewport: Viewport;
  readonly screen: Screen;
  readonly first?: Seen;
}

const PADDING = 0.07;

/** How a graph is to be seen once there is more or less place; null if that may stay as it is. */
export function seenAfter(bounds: Box, before: Seen, screen: Screen): Seen | null {
  const first = before.first ?? before;
  if (before.first === undefined) {
    if (!isSeen(bounds, before) || isSeen(bounds, { ...before, screen })) return null;
  }
  const isAsFirst = screen.width === first.screen.width && screen.height === first.screen.height;
  if (isAsFirst) return first;
  const viewport = viewportFor(bounds, screen, PADDING, first.viewport.zoom);
  // As blocks from afar, cards would say less than those that are left.
  return viewport.zoom < FAR_ZOOM && first.viewport.zoom >= FAR_ZOOM
    ? null
    : { viewport, screen, first };
}

function isSeen(bounds: Box, { viewport: { x, y, zoom }, screen }: Seen): boolean {
  const [left, top] = [bounds.x * zoom + x, bounds.y * zoom + y];
  return (
    left >= 0 &&
    top >= 0 &&
    left + bounds.width * zoom <= screen.width &&
    top + bounds.height * zoom <= screen.height
  );
}

/** Keep the graph of a canvas seen; whoever moves the view has it as they left it. */
export function useStaySeen(frame: HTMLElement): void {
  useEffect(() => {
    if (typeof ResizeObserver === "undefined") return;
    let last: Seen | null = null;
    let screen = screenOf(frame);
    const observer = new ResizeObserver(() => {
      const [was, now] = [screen, screenOf(frame)];
      const bounds = boundsOfAll();
      const flow = canvas()?.flow;
      // The form takes all of its place for a while.
      if (flow === undefined || bounds === null || now.width === 0 || now.height === 0) return;
      screen = now;
      const viewport = flow.getViewport();
      const before =
        last !== null && isSame(last.viewport, viewport) ? last : { viewport, screen: was };
      last =
        was.width === now.width && was.height === now.height
          ? last
          : seenAfter(bounds, before, now);
      if (last !== null && !isSame(last.viewport, viewport)) void flow.setViewport(last.viewport);
      if (last?.first === undefined) last = null;
    });
    observer.observe(frame);
    const stop = useDocuments.subscribe((now, before) => {
      if (wentBack(now, before)) requestAnimationFrame(findAgain);
    });
    return () => {
      observer.disconnect();
      stop();
    };
  }, [frame]);
}

/** Whether a step of the document that is shown was undone, or done again. */
function wentBack(now: DocumentsState, before: DocumentsState): boolean {
  const [after, earlier] = [now, before].map(
    ({ documents, active }) => documents.find(({ id }) => id === active)?.history,
  );
  if (now.active !== before.active || after === undefined || earlier === undefined) return false;
  return after.current !== earlier.current && after.entries === earlier.entries;
}

/** Show the graph where what was looked at is gone from it. */
function findAgain(): void {
  const handle = canvas();
  if (handle === null) return;
  const seen = { viewport: handle.flow.getViewport(), screen: screenOf(handle.element) };
  const boxes = itemBoxes();
  if (![...boxes.values()].some((box) => isLookedAt(box, seen))) showAdded(boxes.keys());
}

/** Whether half of a box is on the screen, or the box fills half of that. */
export function isLookedAt(box: Box, { viewport: { x, y, zoom }, screen }: Seen): boolean {
  const along = (at: number, from: number, size: number, room: number) =>
    Math.min(room, at + (from + size) * zoom) - Math.max(0, at + from * zoom);
  const width = along(x, box.x, box.width, screen.width);
  const height = along(y, box.y, box.height, screen.height);
  const whole =
    Math.min(box.width * zoom, screen.width) * Math.min(box.height * zoom, screen.height);
  return width > 0 && height > 0 && width * height >= whole / 2;
}

/** Frames in which what was added is drawn, or isn't at all. */
const TRIES = 60;

/**
 * Call it before an edit, and what it gives after it: some items come into view then, with all of a
 * graph that was all seen before. Of items that have no room together the first one does.
 */
export function keepingSeen(): (items: readonly string[]) => void {
  const handle = canvas();
  const bounds = boundsOfAll();
  const wasSeen =
    handle !== null &&
    (bounds === null ||
      isSeen(bounds, { viewport: handle.flow.getViewport(), screen: screenOf(handle.element) }));
  return (items) => bring(items, wasSeen, TRIES);
}

function bring(items: readonly string[], all: boolean, tries: number): void {
  requestAnimationFrame(() => {
    const handle = canvas();
    if (handle === null || !items.every((id) => itemBoxes().has(id))) {
      if (tries > 0) bring(items, all, tries - 1);
      return;
    }
    const before = { viewport: handle.flow.getViewport(), screen: screenOf(handle.element) };
    const within = (box: Box | null, least: number) => box && viewportWith(box, before, least);
    const viewport =
      (all ? within(boundsOfAll(), FAR_ZOOM) : null) ??
      within(boundsOfItems(items), FAR_ZOOM) ??
      within(boundsOfItems(items.slice(0, 1)), 0);
    if (viewport && !isSame(viewport, before.viewport)) setViewport(viewport);
  });
}

/** The viewport next to one that has all of a box in it; null if that needs a smaller zoom. */
export function viewportWith(box: Box, { viewport, screen }: Seen, least: number): Viewport | null {
  if (isSeen(box, { viewport, screen })) return viewport;
  const { zoom } = viewportFor(box, screen, PADDING, viewport.zoom);
  if (zoom < Math.min(least, viewport.zoom)) return null;
  const along = (at: number, from: number, size: number, room: number) => {
    const around = room / 2 - (room / 2 - at) * (zoom / viewport.zoom);
    const margin = (room * PADDING) / 2;
    const [first, last] = [margin - from * zoom, room - margin - (from + size) * zoom];
    return Math.round(Math.min(last, Math.max(first, around)));
  };
  return {
    x: along(viewport.x, box.x, box.width, screen.width),
    y: along(viewport.y, box.y, box.height, screen.height),
    zoom,
  };
}

function screenOf({ clientWidth, clientHeight }: HTMLElement): Screen {
  return { width: clientWidth, height: clientHeight };
}

function isSame(a: Viewport, b: Viewport): boolean {
  return a.x === b.x && a.y === b.y && a.zoom === b.zoom;
}
