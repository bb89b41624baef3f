/** What a pointer does with each tool, from down to up: one object for each drag. */
import type { CanvasBox, PaintCanvas, PaintLayer, Placement } from "@/model/painting/types";
import { formatColor, parseColor } from "./pixels/colors";
import { type EditOptions, FillEdit, GradientEdit, StrokeEdit } from "./pixels/edits";
import { floodFill } from "./pixels/floodFill";
import {
  between,
  contains,
  isEmpty,
  isOn,
  outward,
  type Point,
  type Rect,
  union,
} from "./pixels/geometry";
import { itemsOf, layersIn, movedBy, type TreeItem } from "./pixels/layerTree";
import type { Painter } from "./pixels/painter";
import {
  combined,
  ellipsePoints,
  isNone,
  NO_SELECTION,
  type Selection,
  selectEllipse,
  selectPolygon,
  selectRectangle,
} from "./pixels/selection";
import type { Brush, Sample } from "./pixels/strokePath";
import { contextOf, isTooLarge } from "./pixels/surface";
import { moved, movedBox, snapped } from "./pixels/transform";
import type { SelectionMode, ToolState } from "./tools";
import type { FloatingPixels } from "./useFloating";
import type { ObjectSelecting } from "./useObjectPrompt";

export interface HeldKeys {
  readonly shift: boolean;
  readonly alt: boolean;
}

export interface Gesture {
  move(samples: readonly Sample[], predicted: readonly Sample[], keys: HeldKeys): void;
  end(): void;
  cancel(): void;
}

/** What gestures read and change. */
export interface Ground {
  readonly painter: Painter;
  readonly canvas: PaintCanvas;
  readonly active: string | null;
  readonly tool: ToolState;
  readonly selection: Selection;
  /** Where the last stroke ended: Shift draws a line from there. */
  readonly last: Point | null;
  stroked(end: Point): void;
  /** Something is painted on a layer now. */
  painting(): void;
  select(selection: Selection): void;
  /** An SVG path in pixels of the canvas, over everything; null for none. */
  outline(path: string | null): void;
  /** Selected pixels that are moved instead of their layer. */
  readonly floating: FloatingPixels;
  readonly object: ObjectSelecting;
  onPlacements(places: ReadonlyMap<string, Placement>, done: boolean): void;
  onBox(box: CanvasBox, done: boolean): void;
  onColor(color: string): void;
  onActive(node: string): void;
  label(what: "brush" | "eraser" | "fill" | "gradient" | "erase"): string;
  /** The active layer cannot be painted on so, or would get too large. */
  onRefused(why?: "alpha" | "unselected"): void;
}

/** The drag that begins with a tool at a point; null if it does nothing, or all of it at once. */
export function beginGesture(ground: Ground, start: Sample, keys: HeldKeys): Gesture | null {
  switch (ground.tool.name) {
    case "brush":
      return keys.alt ? pick(ground, start) : stroke(ground, start, keys, false);
    case "eraser":
      return stroke(ground, start, keys, true);
    case "fill":
      return keys.alt ? pick(ground, start) : fill(ground, start);
    case "gradient":
      return gradient(ground, start);
    case "rectangle":
    case "ellipse":
    case "lasso":
      return selecting(ground, ground.tool.name, start, keys);
    case "object":
      return objecting(ground, start, keys);
    case "picker":
      return pick(ground, start);
    case "move":
      return moving(ground, start);
    case "box":
      return boxing(ground, start);
    case "pan":
      return null;
  }
}

export function brushOf({ size, hardness, flow, pressure }: ToolState): Brush {
  return { size, hardness, flow, pressure };
}

/** How an edit is drawn on a layer; masks and regions are white. */
export function optionsFor(ground: Ground, layer: PaintLayer, erases: boolean): EditOptions {
  const isMask = layer.kind === "mask" || layer.kind === "region";
  return {
    color: isMask ? "#ffffff" : ground.tool.color,
    opacity: ground.tool.opacity,
    erases,
    keepsAlpha: layer.alphaLocked,
    selection: ground.selection,
  };
}

function paintable(ground: Ground, erases = false): PaintLayer | null {
  const layer = ground.painter.paintable(ground.active);
  if (layer === null) ground.onRefused();
  else if (erases && layer.alphaLocked) {
    ground.onRefused("alpha");
    return null;
  }
  if (layer !== null) ground.painting();
  return layer;
}

function stroke(ground: Ground, start: Sample, keys: HeldKeys, erases: boolean): Gesture | null {
  const layer = paintable(ground, erases);
  if (layer === null) return null;
  const edit = new StrokeEdit(optionsFor(ground, layer, erases), brushOf(ground.tool));
  const { node } = layer;
  const from = keys.shift && ground.last !== null ? [{ ...ground.last, pressure: 1 }] : [];
  ground.painter.show(node, edit, edit.add([...from, start], []));
  let end: Point = start;
  return {
    move(samples, predicted) {
      end = samples.at(-1) ?? end;
      ground.painter.show(node, edit, edit.add(samples, predicted));
    },
    end() {
      ground.painter.show(node, edit, edit.end());
      const label = ground.label(erases ? "eraser" : "brush");
      if (!ground.painter.commit(node, edit, label)) ground.onRefused();
      ground.stroked({ x: end.x, y: end.y });
    },
    cancel: () => ground.painter.cancel(),
  };
}

/** The pictures that a tool looks at. */
function sampled(ground: Ground, layer: PaintLayer | null): readonly TreeItem[] {
  if (ground.tool.sample === "all" || layer === null) return itemsOf(ground.canvas, "raster", null);
  return [{ kind: "layer", node: layer.node, layer, opacity: 1, mode: "normal" }];
}

function fill(ground: Ground, at: Point): null {
  const layer = paintable(ground);
  if (layer === null) return null;
  const { painter, canvas, tool } = ground;
  const layers = tool.sample === "all" ? painter.layers : [layer];
  const rect = outward(union(canvas.box, painter.extentOf(layers)));
  if (isEmpty(rect) || isTooLarge(rect)) {
    ground.onRefused();
    return null;
  }
  const seen = contextOf(painter.composited(sampled(ground, layer), rect), true);
  const { data } = seen.getImageData(0, 0, rect.width, rect.height);
  const point = { x: Math.floor(at.x) - rect.x, y: Math.floor(at.y) - rect.y };
  const mask = floodFill(data, rect, point, tool);
  if (mask === null) return null;
  const edit = new FillEdit(optionsFor(ground, layer, false), rect, mask);
  if (!painter.commit(layer.node, edit, ground.label("fill"))) ground.onRefused();
  return null;
}

/** Where fills and gradients go: what is selected, or the box. */
export function targetArea(selection: Selection, box: Rect): Rect {
  if (isNone(selection)) return outward(box);
  return selection.outside === 255 ? outward(union(box, selection.rect)) : selection.rect;
}

function gradient(ground: Ground, start: Sample): Gesture | null {
  const layer = paintable(ground);
  if (layer === null) return null;
  const { painter, tool } = ground;
  const options = optionsFor(ground, layer, false);
  const isMask = layer.kind === "mask" || layer.kind === "region";
  const area = targetArea(ground.selection, ground.canvas.box);
  let to: Point = start;
  const made = () =>
    new GradientEdit(options, area, {
      kind: tool.gradient,
      from: start,
      to,
      first: parseColor(options.color),
      // A mask has one color: it fades out.
      second: tool.toTransparent || isMask ? null : parseColor(tool.background),
    });
  return {
    move(samples, _, keys) {
      const end = samples.at(-1) ?? start;
      to = keys.shift ? straight(start, end) : end;
      painter.show(layer.node, made(), area);
      ground.outline(`M${start.x} ${start.y}L${to.x} ${to.y}`);
    },
    end() {
      ground.outline(null);
      const isClick = Math.hypot(to.x - start.x, to.y - start.y) < 1;
      if (isClick) painter.cancel();
      else if (!painter.commit(layer.node, made(), ground.label("gradient"))) ground.onRefused();
    },
    cancel() {
      ground.outline(null);
      painter.cancel();
    },
  };
}

/** The end of a line at a multiple of 45 degrees. */
function straight(from: Point, to: Point): Point {
  const step = Math.PI / 4;
  const angle = Math.round(Math.atan2(to.y - from.y, to.x - from.x) / step) * step;
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}

function selecting(
  ground: Ground,
  shape: "rectangle" | "ellipse" | "lasso",
  start: Sample,
  keys: HeldKeys,
): Gesture {
  const mode: SelectionMode = keys.shift ? "add" : keys.alt ? "subtract" : ground.tool.selecting;
  const points: Point[] = [start];
  const corners = (): readonly Point[] => {
    const rect = between(start, points.at(-1) ?? start);
    if (shape === "lasso") return points;
    if (shape === "ellipse") return isEmpty(rect) ? [] : ellipsePoints(rect);
    const [right, bottom] = [rect.x + rect.width, rect.y + rect.height];
    return [rect, { x: right, y: rect.y }, { x: right, y: bottom }, { x: rect.x, y: bottom }];
  };
  const selected = (): Selection => {
    if (shape === "lasso") return selectPolygon(points);
    const rect = between(start, points.at(-1) ?? start);
    return shape === "ellipse" ? selectEllipse(rect) : selectRectangle(rect);
  };
  return {
    move(samples) {
      points.push(...samples);
      ground.outline(
        `${corners()
          .map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${x} ${y}`)
          .join("")}Z`,
      );
    },
    end() {
      ground.outline(null);
      const next = selected();
      if (isTooLarge(union(next.rect, ground.selection.rect))) return;
      // A click without a drag takes the selection away.
      const all = combined(ground.selection, next, mode);
      ground.select(isNone(all) ? NO_SELECTION : all);
    },
    cancel: () => ground.outline(null),
  };
}

/** Pixels of the canvas that a click may shake. */
const SHAKE = 3;

/** A click is a point of the object, a drag a box around it. */
function objecting(ground: Ground, start: Sample, keys: HeldKeys): Gesture {
  let rect: Rect | null = null;
  return {
    move(samples) {
      const to = samples.at(-1) ?? start;
      rect = Math.hypot(to.x - start.x, to.y - start.y) > SHAKE ? between(start, to) : null;
      ground.outline(rect && rectanglePath(rect));
    },
    end() {
      ground.outline(null);
      if (rect !== null) ground.object.frame(rect);
      else ground.object.point({ x: start.x, y: start.y }, { isOut: keys.alt, isMore: keys.shift });
    },
    cancel: () => ground.outline(null),
  };
}

function rectanglePath({ x, y, width, height }: Rect): string {
  return `M${x} ${y}H${x + width}V${y + height}H${x}Z`;
}

function pick(ground: Ground, start: Point): Gesture {
  const layer = ground.painter.layers.find(({ node }) => node === ground.active) ?? null;
  const at = ({ x, y }: Point) => {
    const rect = { x: Math.floor(x), y: Math.floor(y), width: 1, height: 1 };
    const canvas = ground.painter.composited(sampled(ground, layer), rect);
    const [red = 0, green = 0, blue = 0, alpha] = contextOf(canvas, true).getImageData(
      0,
      0,
      1,
      1,
    ).data;
    // Nothing has no color.
    if (alpha !== 0) ground.onColor(formatColor([red, green, blue]));
  };
  at(start);
  return {
    move(samples) {
      const last = samples.at(-1);
      if (last !== undefined) at(last);
    },
    end: () => undefined,
    cancel: () => undefined,
  };
}

function isLayerOn({ painter }: Ground, node: string, point: Point): boolean {
  const placement = painter.pixels.placement(node);
  return placement !== null && placement !== undefined && isOn(placement, point);
}

/** The active layer if the point is on it, else the topmost one that has a pixel there. */
function layerAt(ground: Ground, point: Point): PaintLayer | null {
  const { painter, active } = ground;
  const own = painter.layers.find(({ node }) => node === active);
  if (own !== undefined && isLayerOn(ground, own.node, point)) return own;
  const rect = { x: Math.floor(point.x), y: Math.floor(point.y), width: 1, height: 1 };
  const hit = painter.layers.toReversed().find((layer) => {
    const item: TreeItem = { kind: "layer", node: layer.node, layer, opacity: 1, mode: "normal" };
    const canvas = painter.composited([item], rect);
    return (contextOf(canvas, true).getImageData(0, 0, 1, 1).data[3] ?? 0) > 0;
  });
  return hit ?? null;
}

function moving(ground: Ground, start: Sample): Gesture | null {
  const floating = ground.floating.current();
  if (floating !== null) {
    const { placement } = floating;
    ground.painting();
    return dragging(start, (dx, dy) => ground.floating.place(moved(placement, dx, dy)));
  }
  if (!isNone(ground.selection)) {
    // Only what is selected would move, and nothing of this layer is.
    ground.onRefused("unselected");
    return null;
  }
  const group = layersIn(ground.canvas.entries, ground.active);
  if (group.some(({ node }) => isLayerOn(ground, node, start)))
    return movingAll(ground, group, start);
  const layer = layerAt(ground, start);
  if (layer === null) return null;
  if (layer.node !== ground.active) ground.onActive(layer.node);
  return movingAll(ground, [layer], start);
}

/** Where one of them is locked, all stay: the others would not fit to it any more. */
function movingAll(ground: Ground, layers: readonly PaintLayer[], start: Sample): Gesture | null {
  if (layers.some(({ locked }) => locked)) return null;
  return dragging(start, (dx, dy, done) =>
    ground.onPlacements(movedBy(layers, { x: dx, y: dy }), done),
  );
}

function boxing(ground: Ground, start: Sample): Gesture {
  const { box } = ground.canvas;
  const step = ground.tool.snap;
  if (contains(box, start))
    return dragging(start, (dx, dy, done) =>
      ground.onBox({ ...box, ...movedBox(box, { x: dx, y: dy }, step) }, done),
    );
  return dragging(start, (dx, dy, done) => {
    const rect = between(start, { x: start.x + dx, y: start.y + dy });
    const [x, y] = [snapped(rect.x, step), snapped(rect.y, step)];
    const width = Math.max(step, snapped(rect.width, step));
    const height = Math.max(step, snapped(rect.height, step));
    ground.onBox({ ...box, x, y, width, height }, done);
  });
}

/** A drag by whole distances; one that is taken back ends where it began. */
function dragging(start: Point, to: (dx: number, dy: number, done: boolean) => void): Gesture {
  let drag: readonly [number, number] = [0, 0];
  return {
    move(samples) {
      const last = samples.at(-1) ?? start;
      drag = [last.x - start.x, last.y - start.y];
      to(...drag, false);
    },
    end() {
      if (drag[0] !== 0 || drag[1] !== 0) to(...drag, true);
    },
    cancel() {
      if (drag[0] !== 0 || drag[1] !== 0) to(0, 0, true);
    },
  };
}
