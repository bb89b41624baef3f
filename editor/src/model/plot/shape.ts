/** What of a plot is drawn: extents, smoothed lines, paths of pixels, and the point that is meant. */
import { type Axis, padded, pixelOf, type Span } from "./axis";
import type { AxisScale, Plot, Series } from "./value";

const MARGIN = 0.04;

/** The extent of some series along both axes, with a little room around. */
export function extentOf(
  plot: Plot,
  shown: readonly Series[],
  scales: { readonly x: AxisScale; readonly y: AxisScale },
): { readonly x: Span; readonly y: Span } {
  const ys = shown.flatMap((series) => [series.y, series.low, series.high].filter(isThere));
  const y = spanOf(ys, scales.y);
  const x = spanOf(
    shown.map((series) => series.x),
    scales.x,
  );
  const hasBars = shown.some(({ kind }) => kind === "bars");
  // Bars begin at nothing, so that their lengths can be compared.
  const from: Span = hasBars && scales.y === "linear" ? [Math.min(0, y[0]), Math.max(0, y[1])] : y;
  const above = padded(from, scales.y, MARGIN);
  const isOnGround = hasBars && from[0] === 0 && from[1] > 0;
  return {
    x:
      plot.categories === null
        ? aroundBars(x, shown, scales.x)
        : [-0.6, (plot.categories.length || 1) - 0.4],
    y: isOnGround ? [0, above[1]] : above,
  };
}

function aroundBars(x: Span, shown: readonly Series[], scale: AxisScale): Span {
  const wide = Math.max(0, ...shown.filter(({ kind }) => kind === "bars").map(barWidth));
  if (wide === 0 || scale === "log") return padded(x, scale, x[0] === x[1] ? 0 : MARGIN / 2);
  return [x[0] - wide * 0.6, x[1] + wide * 0.6];
}

function isThere(values: Float64Array | null): values is Float64Array {
  return values !== null;
}

function spanOf(columns: readonly Float64Array[], scale: AxisScale): Span {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const column of columns) {
    for (const value of column) {
      if (!Number.isFinite(value) || (scale === "log" && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : scale === "log" ? [0.1, 1] : [0, 1];
}

/** The least distance between bars, in units of x; 1 for a lone one. */
export function barWidth({ x }: Series): number {
  const sorted = [...x].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((place, at) => place - (sorted[at] ?? 0));
  return Math.min(...gaps.filter((gap) => gap > 0), Number.POSITIVE_INFINITY) ===
    Number.POSITIVE_INFINITY
    ? 1
    : Math.min(...gaps.filter((gap) => gap > 0));
}

/** A running mean in which each value weighs `weight` of the one after it, without lag at the start. */
export function smoothed(values: Float64Array, weight: number): Float64Array {
  let sum = 0;
  let weights = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    sum = sum * weight + value * (1 - weight);
    weights = weights * weight + (1 - weight);
    return sum / weights;
  });
}

/** An SVG path of a line; where many points share a pixel's column, its lowest and highest stay. */
export function linePath(xs: Float64Array, ys: Float64Array, x: Axis, y: Axis): string {
  const parts: string[] = [];
  let isDrawing = false;
  let column = Number.NaN;
  let held: { low: number; high: number; last: number } | null = null;
  const flush = () => {
    if (held !== null && held.low !== held.high) {
      parts.push(`V${round(held.low)}V${round(held.high)}V${round(held.last)}`);
    }
    held = null;
  };
  for (let at = 0; at < xs.length; at += 1) {
    const [px, py] = [pixelOf(x, xs[at] ?? 0), pixelOf(y, ys[at] ?? Number.NaN)];
    if (Number.isNaN(px) || Number.isNaN(py)) {
      flush();
      isDrawing = false;
      column = Number.NaN;
      continue;
    }
    if (isDrawing && Math.round(px) === column && held !== null) {
      const now: { low: number; high: number; last: number } = held;
      held = { low: Math.min(now.low, py), high: Math.max(now.high, py), last: py };
      continue;
    }
    flush();
    parts.push(`${isDrawing ? "L" : "M"}${round(px)} ${round(py)}`);
    // A lone point between gaps would not be seen.
    if (!isDrawing && Number.isNaN(pixelOf(y, ys[at + 1] ?? Number.NaN))) parts.push("h0.01");
    isDrawing = true;
    column = Math.round(px);
    held = { low: py, high: py, last: py };
  }
  flush();
  return parts.join("");
}

/** The area between the ends of intervals. */
export function bandPath(series: Series, x: Axis, y: Axis): string {
  const { low, high } = series;
  if (low === null || high === null) return "";
  const points = [...series.x.keys()].filter(
    (at) => !Number.isNaN(pixelOf(y, low[at] ?? Number.NaN) + pixelOf(y, high[at] ?? Number.NaN)),
  );
  if (points.length < 2) return "";
  const place = (at: number, bound: Float64Array) =>
    `${round(pixelOf(x, series.x[at] ?? 0))} ${round(pixelOf(y, bound[at] ?? 0))}`;
  const there = points.map((at) => place(at, high));
  const back = points.reverse().map((at) => place(at, low));
  return `M${[...there, ...back].join("L")}Z`;
}

/** The point of a series that is nearest to a place along x; null if it has none. */
export function nearestPoint(series: Series, place: number, scale: AxisScale): number | null {
  const bent = (value: number) => (scale === "log" ? Math.log10(value) : value);
  let found: number | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (let at = 0; at < series.x.length; at += 1) {
    const distance = Math.abs(bent(series.x[at] ?? 0) - bent(place));
    if (distance < least && Number.isFinite(series.y[at])) {
      least = distance;
      found = at;
    }
  }
  return found;
}

/** All places along x at which a series has a value, ascending, each once. */
export function placesOf(shown: readonly Series[]): readonly number[] {
  const found = new Set<number>();
  for (const { x, y } of shown) {
    for (let at = 0; at < x.length; at += 1) if (Number.isFinite(y[at])) found.add(x[at] ?? 0);
  }
  return [...found].sort((a, b) => a - b);
}

function round(pixel: number): number {
  return Math.round(pixel * 10) / 10;
}
