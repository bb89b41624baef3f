/** Axes: from values to places on the screen and back, and where their marks stand. */
import type { AxisScale } from "./value";

/** The least and the greatest value that is seen. */
export type Span = readonly [low: number, high: number];

export interface Axis {
  readonly scale: AxisScale;
  readonly span: Span;
  /** Pixels of the span's ends. */
  readonly room: Span;
}

function bent(scale: AxisScale, value: number): number {
  return scale === "log" ? Math.log10(value) : value;
}

function unbent(scale: AxisScale, value: number): number {
  return scale === "log" ? 10 ** value : value;
}

/** The pixel of a value; NaN for one that the axis can't show. */
export function pixelOf({ scale, span, room }: Axis, value: number): number {
  const [low, high] = [bent(scale, span[0]), bent(scale, span[1])];
  const part = (bent(scale, value) - low) / (high - low);
  const pixel = room[0] + part * (room[1] - room[0]);
  return Number.isFinite(pixel) ? pixel : Number.NaN;
}

/** The value at a pixel. */
export function valueAt({ scale, span, room }: Axis, pixel: number): number {
  const [low, high] = [bent(scale, span[0]), bent(scale, span[1])];
  return unbent(scale, low + ((pixel - room[0]) / (room[1] - room[0])) * (high - low));
}

/** A span of some width, with `margin` of it to spare at each end. */
export function padded(span: Span, scale: AxisScale, margin: number): Span {
  const [low, high] = [bent(scale, span[0]), bent(scale, span[1])];
  const width = high - low;
  if (!(width > 0)) {
    const around = scale === "log" ? 0.5 : Math.abs(low) * 0.1 || 1;
    return [unbent(scale, low - around), unbent(scale, low + around)];
  }
  return [unbent(scale, low - width * margin), unbent(scale, high + width * margin)];
}

/** A span made `factor` times as wide around a value that stays where it is. */
export function widened(span: Span, scale: AxisScale, around: number, factor: number): Span {
  const [low, high, middle] = [span[0], span[1], around].map((each) => bent(scale, each)) as [
    number,
    number,
    number,
  ];
  const [from, until] = [middle + (low - middle) * factor, middle + (high - middle) * factor];
  return [unbent(scale, from), unbent(scale, until)];
}

/** Values at which marks stand: round ones, about `count` of them. */
export function ticksOf({ scale, span }: Pick<Axis, "scale" | "span">, count: number): number[] {
  return scale === "log" ? logTicks(span, count) : linearTicks(span, count);
}

function linearTicks([low, high]: Span, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough * 0.999) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  if (last - first > 1000) return [];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => (first + at) * step);
}

function logTicks(span: Span, count: number): number[] {
  const [low, high] = [Math.log10(span[0]), Math.log10(span[1])];
  const [first, last] = [Math.ceil(low - 1e-9), Math.floor(high + 1e-9)];
  // Within one power of ten, round numbers tell more.
  if (last - first < 1) return linearTicks(span, count);
  const step = Math.max(1, Math.ceil((last - first) / Math.max(1, count)));
  const powers = Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, at) => {
    return 10 ** (first + at * step);
  });
  if (powers.length * 2 > count || step > 1) return powers;
  const between = powers.flatMap((power) => [power, power * 2, power * 5]);
  return [...(powers[0] ? [powers[0] / 2] : []), ...between].filter(
    (each) => each >= span[0] && each <= span[1],
  );
}

/** A value as a mark says it, with as many digits as its neighbours make needed. */
export function tickText(value: number, ticks: readonly number[]): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  }
  const step = Math.min(
    ...ticks.slice(1).map((each, at) => Math.abs(each - (ticks[at] ?? 0))),
    size,
  );
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  return value.toFixed(digits);
}

/** A value as it is read out: four significant digits. */
export function valueText(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(3).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}
