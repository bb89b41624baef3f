/** The canvas that is on the screen, for commands and panels: what is seen of it, and where to go. */
import type { ReactFlowInstance, Viewport } from "@xyflow/react";
import { itemOf } from "@/model/items";
import type { Box, Point, Size } from "@/model/layout";
import { useSettings } from "@/store/settings";
import type { CanvasEdge, CanvasNode, Scene } from "./adapt";
import { boundsOf, CARD_WIDTH } from "./card/geometry";
import { FAR_ZOOM } from "./view";

export interface CanvasHandle {
  readonly flow: ReactFlowInstance<CanvasNode, CanvasEdge>;
  readonly element: HTMLElement;
  /** What is shown, as of the last rendering. */
  readonly scene: () => Scene;
  /** All of it: the library has only some of a graph that is seen from afar. */
  readonly nodes: () => readonly CanvasNode[];
  readonly edges: () => readonly CanvasEdge[];
  readonly focusNode: (id: string) => void;
}

let current: CanvasHandle | null = null;

export function setCanvas(handle: CanvasHandle | null): void {
  current = handle;
}

export function canvas(): CanvasHandle | null {
  return current;
}

function duration(usual: number): number {
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return reduced || !useSettings.getState().animations ? 0 : usual;
}

export const MIN_ZOOM = 0.02;
export const MAX_ZOOM = 2.5;
const PADDING = 0.12;
const FIRST_PADDING = 0.07;

export function zoomBy(factor: number): void {
  if (!current) return;
  const { flow } = current;
  void flow.zoomTo(flow.getZoom() * factor, { duration: duration(120) });
}

export function zoomTo(zoom: number): void {
  void current?.flow.zoomTo(zoom, { duration: duration(160) });
}

/** Show everything. */
export function fitAll(): void {
  showBox(boundsOfAll(), PADDING, 1);
}

/** Show some items; all if there are none. */
export function fitItems(ids: Iterable<string>): void {
  const box = boundsOfItems(ids);
  if (box) showBox(box, 0.22, 1.2);
  else fitAll();
}

/** Show what was added: all of it, or its beginning where cards would be mere blocks. */
export function showAdded(ids: Iterable<string>): void {
  const box = boundsOfItems(ids);
  if (!current || !box) return;
  const { clientWidth: width, clientHeight: height } = current.element;
  const whole = viewportFor(box, { width, height }, SNUG, 1);
  const zoom = Math.max(whole.zoom, FAR_ZOOM * 1.05);
  const x = Math.round(startOf(box.x, box.width, width, zoom, SNUG / 2));
  const y = Math.round(startOf(box.y, box.height, height, zoom, SNUG / 2));
  setViewport({ x, y, zoom });
}

const SNUG = 0.08;

function showBox(box: Box | null, padding: number, most: number): void {
  if (!current || !box) return;
  const { clientWidth, clientHeight } = current.element;
  setViewport(viewportFor(box, { width: clientWidth, height: clientHeight }, padding, most));
}

/** The viewport in which a box fills the screen, with some room around it. */
export function viewportFor(
  box: Box,
  screen: Required<Size>,
  padding = PADDING,
  most = 1,
): Viewport {
  const room = 1 - padding;
  const fitting = Math.min(
    (screen.width * room) / box.width,
    (screen.height * room) / box.height,
    most,
  );
  const zoom = Math.max(MIN_ZOOM, Number.isFinite(fitting) ? fitting : 1);
  return {
    x: Math.round((screen.width - box.width * zoom) / 2 - box.x * zoom),
    y: Math.round((screen.height - box.height * zoom) / 2 - box.y * zoom),
    zoom,
  };
}

/** Smaller, a card's texts have less than ten pixels; with a finger, its fields are hard to hit. */
const READABLE = { fine: 0.84, coarse: 1 };
/** A small graph fills the window, up to this size. */
const LARGEST_FIRST = 1.25;
/** So many screens of a readable graph are looked at by moving; more are seen from afar first. */
const MOST_SCREENS = 6;

/** Where a graph that is opened is looked at: all of it, or its beginning if it couldn't be read. */
export function firstViewport(boxes: readonly Box[], screen: Required<Size>): Viewport {
  const bounds = boundsOf(boxes);
  if (!bounds) return { x: screen.width / 2, y: screen.height / 2, zoom: 1 };
  const whole = viewportFor(bounds, screen, FIRST_PADDING, LARGEST_FIRST);
  const zoom = matchMedia("(pointer: coarse)").matches ? READABLE.coarse : READABLE.fine;
  const screens = Math.max(bounds.width / screen.width, bounds.height / screen.height) * zoom;
  if (whole.zoom >= zoom || screens > MOST_SCREENS) return whole;
  const margin = FIRST_PADDING / 2;
  const x = startOf(bounds.x, bounds.width, screen.width, zoom, margin);
  const right = (screen.width - x) / zoom;
  const top = fullestTop(
    boxes.filter((box) => box.x < right),
    screen.height * (1 - margin),
    zoom,
  );
  const y = startOf(top, bounds.y + bounds.height - top, screen.height, zoom, margin);
  return { x: Math.round(x), y: Math.round(y), zoom };
}

/** The beginning of a graph is worth more than some more cards. */
const ENOUGH = 0.6;

/** What begins at the left may lie far below what is highest: the first top from which much is seen. */
function fullestTop(boxes: readonly Box[], height: number, zoom: number): number {
  const tops = boxes.map(({ y }) => y).toSorted((a, b) => a - b);
  const seen = (top: number) =>
    boxes.reduce((sum, box) => {
      const end = Math.min(box.y + box.height, top + height / zoom);
      return sum + Math.max(0, end - Math.max(box.y, top)) * box.width;
    }, 0);
  const most = Math.max(...tops.map(seen));
  return tops.find((top) => seen(top) >= most * ENOUGH) ?? 0;
}

/** In the middle if it has room, else with its beginning near the edge. */
function startOf(at: number, size: number, room: number, zoom: number, margin: number): number {
  const free = room - size * zoom;
  return (free > 0 ? free / 2 : room * margin) - at * zoom;
}

/** Put a point of the canvas in the middle of what is seen. */
export function centerOn(point: Point, zoom?: number): void {
  if (!current) return;
  void current.flow.setCenter(point.x, point.y, {
    zoom: zoom ?? current.flow.getZoom(),
    duration: duration(240),
  });
}

/** Look at the canvas as a viewport says. */
export function setViewport(viewport: Viewport): void {
  void current?.flow.setViewport(viewport, { duration: duration(240) });
}

export function panBy(dx: number, dy: number): void {
  if (!current) return;
  const { x, y, zoom } = current.flow.getViewport();
  void current.flow.setViewport({ x: x + dx, y: y + dy, zoom });
}

/** A place of the window as one of the canvas. */
export function canvasPoint(screen: Point): Point {
  const point = current?.flow.screenToFlowPosition(
    { x: screen.x, y: screen.y },
    { snapToGrid: false },
  );
  return point ?? { x: 0, y: 0 };
}

/** A place of the canvas in the window. */
export function screenPoint(point: Point): Point {
  return current?.flow.flowToScreenPosition({ x: point.x, y: point.y }) ?? point;
}

/** The middle of what is seen, on the canvas. */
export function visibleCenter(): Point {
  return canvasPoint(screenCenter());
}

export function screenCenter(): Point {
  const box = current?.element.getBoundingClientRect();
  if (!box) return { x: innerWidth / 2, y: innerHeight / 2 };
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/** A free place for one more card: beside a given item, else in the middle of what is seen. */
export function freePlace(beside: string | null = null, side: "left" | "right" = "right"): Point {
  const boxes = [...itemBoxes()].filter(([id]) => itemOf(id).kind !== "group");
  const start = boxes.find(([id]) => id === beside)?.[1];
  const center = visibleCenter();
  const wanted = start
    ? { x: side === "left" ? start.x - CARD_WIDTH - CARD_GAP : endOf(start), y: start.y }
    : { x: center.x - CARD_WIDTH / 2, y: center.y - CARD_HEIGHT / 2 };
  return below(
    wanted,
    boxes.map(([, box]) => box),
  );
}

function endOf({ x, width }: Box): number {
  return x + width + CARD_GAP;
}

const CARD_GAP = 64;
/** What a card takes that isn't drawn yet. */
const CARD_HEIGHT = 200;

/** The place, moved down until it is clear of all boxes. */
function below(wanted: Point, boxes: readonly Box[]): Point {
  let place = { x: Math.round(wanted.x), y: Math.round(wanted.y) };
  for (const box of boxes.toSorted((a, b) => a.y - b.y)) {
    const isClear =
      box.x >= place.x + CARD_WIDTH ||
      box.x + box.width <= place.x ||
      box.y >= place.y + CARD_HEIGHT ||
      box.y + box.height <= place.y;
    if (!isClear) place = { ...place, y: Math.round(box.y + box.height + CARD_GAP / 2) };
  }
  return place;
}

/** The boxes of everything on the canvas by item id, as they are drawn. */
export function itemBoxes(): ReadonlyMap<string, Box> {
  const nodes = current?.nodes() ?? [];
  return new Map(
    nodes.map((node) => [
      node.id,
      {
        x: node.position.x,
        y: node.position.y,
        width: node.measured?.width ?? node.width ?? CARD_WIDTH,
        height: node.measured?.height ?? node.height ?? node.initialHeight ?? 80,
      },
    ]),
  );
}

/** The sizes that nodes are drawn with, as arranging wants them. */
export function itemSizes(): ReadonlyMap<string, Required<Size>> {
  return itemBoxes();
}

export function boundsOfAll(): Box | null {
  return boundsOf(itemBoxes().values());
}

export function boundsOfItems(ids: Iterable<string>): Box | null {
  const boxes = itemBoxes();
  return boundsOf([...ids].flatMap((id) => boxes.get(id) ?? []));
}
