/** Points, rectangles and placed pictures on the canvas. Rectangles are half open. */
import type { Placement } from "@/model/painting/types";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Point, Size {}

export const NOTHING: Rect = { x: 0, y: 0, width: 0, height: 0 };

export function isEmpty({ width, height }: Size): boolean {
  return width <= 0 || height <= 0;
}

export function union(a: Rect, b: Rect): Rect {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}

export function intersection(a: Rect, b: Rect): Rect {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : NOTHING;
}

export function contains(rect: Rect, { x, y }: Point): boolean {
  return x >= rect.x && y >= rect.y && x < rect.x + rect.width && y < rect.y + rect.height;
}

export function expanded({ x, y, width, height }: Rect, by: number): Rect {
  return { x: x - by, y: y - by, width: width + 2 * by, height: height + 2 * by };
}

/** The smallest rectangle of whole pixels around it. */
export function outward(rect: Rect): Rect {
  const [x, y] = [Math.floor(rect.x), Math.floor(rect.y)];
  return {
    x,
    y,
    width: Math.ceil(rect.x + rect.width) - x,
    height: Math.ceil(rect.y + rect.height) - y,
  };
}

/** The rectangle between two opposite corners. */
export function between(a: Point, b: Point): Rect {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  return { x, y, width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

export function boundsOf(points: readonly Point[]): Rect {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  if (points.length === 0) return NOTHING;
  return between(
    { x: Math.min(...xs), y: Math.min(...ys) },
    { x: Math.max(...xs), y: Math.max(...ys) },
  );
}

/** A placement with its size in numbers. */
export function resolved(placement: Placement, own: Size): Placement {
  return {
    ...placement,
    width: placement.width > 0 ? placement.width : own.width,
    height: placement.height > 0 ? placement.height : own.height,
  };
}

export function middleOf({ x, y, width, height }: Rect): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** A point turned clockwise about another one by degrees. */
export function turned(point: Point, about: Point, degrees: number): Point {
  const angle = (degrees * Math.PI) / 180;
  const [dx, dy] = [point.x - about.x, point.y - about.y];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return { x: about.x + dx * cos - dy * sin, y: about.y + dx * sin + dy * cos };
}

/** Corners of a placed picture on the canvas: top left, top right, bottom right, bottom left. */
export function cornersOf(placement: Placement): readonly [Point, Point, Point, Point] {
  const { x, y, width, height, rotation } = placement;
  const middle = middleOf(placement);
  const turn = (px: number, py: number) => turned({ x: px, y: py }, middle, rotation);
  return [turn(x, y), turn(x + width, y), turn(x + width, y + height), turn(x, y + height)];
}

/** Whole pixels that a placed picture covers. */
export function extentOf(placement: Placement): Rect {
  if (placement.rotation % 360 === 0) return outward(placement);
  // A quarter turn ends at whole pixels, but for what sines leave over.
  const exact = ({ x, y }: Point) => ({
    x: Math.round(x * 1e6) / 1e6,
    y: Math.round(y * 1e6) / 1e6,
  });
  return outward(boundsOf(cornersOf(placement).map(exact)));
}

/** Canvas (a, b, c, d, e, f) of `setTransform` that puts a picture of a size where it lies. */
export function matrixOf(
  placement: Placement,
  own: Size,
): readonly [number, number, number, number, number, number] {
  const angle = (placement.rotation * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [sx, sy] = [placement.width / own.width, placement.height / own.height];
  const [origin] = cornersOf(placement);
  return [cos * sx, sin * sx, -sin * sy, cos * sy, origin.x, origin.y];
}

/** Whether its pixels are the canvas's: neither scaled nor rotated, at whole numbers. */
export function isPixelExact(placement: Placement, own: Size): boolean {
  return (
    placement.rotation % 360 === 0 &&
    placement.width === own.width &&
    placement.height === own.height &&
    Number.isInteger(placement.x) &&
    Number.isInteger(placement.y)
  );
}

/** Whether a point of the canvas lies on a placed picture. */
export function isOn(placement: Placement, point: Point): boolean {
  return contains(placement, turned(point, middleOf(placement), -placement.rotation));
}
