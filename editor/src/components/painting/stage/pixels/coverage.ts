/**
 * How much of each pixel a stroke covers. Plain numbers without a canvas: the stroke is drawn over its
 * layer as a whole, so that its opacity is even where it crosses itself.
 */
import { expanded, intersection, isEmpty, NOTHING, outward, type Rect, union } from "./geometry";

/** One touch of the brush. */
export interface Dab {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** 0 to 1: part of the radius that is fully covered. */
  readonly hardness: number;
  /** 0 to 1: the most that it covers. */
  readonly alpha: number;
}

/** 16 bits: paint of a flow of 1 % builds up, too. */
export const FULL = 65535;
/** What the buffer grows by at least, and a part of its size: few moves of the pointer copy it. */
const MARGIN = 192;

export class Coverage {
  /** Pixels that may be covered. */
  bounds: Rect = NOTHING;
  private held: Rect = NOTHING;
  private data = new Uint16Array(0);
  /** What was there before the provisional part of the stroke. */
  private saved: { readonly rect: Rect; readonly data: Uint16Array } | null = null;

  /** Cover from one touch to the next, at most as much as the stronger one; gives what may change. */
  segment(from: Dab, to: Dab): Rect {
    const rect = reach(from, to);
    this.hold(rect);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy;
    const grows = to.radius - from.radius;
    const most = Math.floor(Math.max(from.alpha, to.alpha) * FULL);
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      let at = (y - this.held.y) * this.held.width + rect.x - this.held.x;
      const py = y + 0.5 - from.y;
      for (let x = rect.x; x < rect.x + rect.width; x++, at++) {
        const now = this.data[at] ?? 0;
        // Most of a large brush lies where the stroke has been already.
        if (now >= most) continue;
        const px = x + 0.5 - from.x;
        const part = square === 0 ? 0 : (px * dx + py * dy) / square;
        const along = part < 0 ? 0 : Math.min(1, part);
        const [ax, ay] = [px - along * dx, py - along * dy];
        const radius = from.radius + along * grows;
        const limit = radius + 0.5;
        const away = ax * ax + ay * ay;
        if (away >= limit * limit) continue;
        const hardness = from.hardness + along * (to.hardness - from.hardness);
        const alpha = from.alpha + along * (to.alpha - from.alpha);
        const value = tip(Math.sqrt(away), radius, hardness) * alpha * FULL;
        if (value > now) this.data[at] = value;
      }
    }
    return rect;
  }

  /** Add one touch to what is there; gives what may change. */
  stamp(dab: Dab, flow: number): Rect {
    const rect = reach(dab, dab);
    this.hold(rect);
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      let at = (y - this.held.y) * this.held.width + rect.x - this.held.x;
      for (let x = rect.x; x < rect.x + rect.width; x++, at++) {
        const away = Math.hypot(x + 0.5 - dab.x, y + 0.5 - dab.y);
        if (away >= dab.radius + 0.5) continue;
        const now = this.data[at] ?? 0;
        const most = dab.alpha * FULL;
        if (now >= most) continue;
        this.data[at] = Math.ceil(now + (most - now) * flow * tip(away, dab.radius, dab.hardness));
      }
    }
    return rect;
  }

  /** Cover pixels as a mask of bytes says. */
  fill(rect: Rect, mask: Uint8Array): void {
    this.hold(rect);
    for (let y = 0; y < rect.height; y++) {
      const to = (rect.y + y - this.held.y) * this.held.width + rect.x - this.held.x;
      for (let x = 0; x < rect.width; x++)
        this.data[to + x] = (mask[y * rect.width + x] ?? 0) * 257;
    }
  }

  /** What is covered until `revert` is only shown meanwhile, such as where a pointer may go next. */
  mark(rect: Rect): void {
    const whole = outward(rect);
    this.hold(whole);
    const data = new Uint16Array(whole.width * whole.height);
    this.rows(whole, (at, to) => data.set(this.data.subarray(at, at + whole.width), to));
    this.saved = { rect: whole, data };
  }

  /** Take back what was covered since `mark`; gives what changes. */
  revert(): Rect {
    if (this.saved === null) return NOTHING;
    const { rect, data } = this.saved;
    this.rows(rect, (at, from) => this.data.set(data.subarray(from, from + rect.width), at));
    this.saved = null;
    return rect;
  }

  /** 0 to `FULL`. */
  at(x: number, y: number): number {
    const [column, row] = [x - this.held.x, y - this.held.y];
    if (column < 0 || row < 0 || column >= this.held.width || row >= this.held.height) return 0;
    return this.data[row * this.held.width + column] ?? 0;
  }

  /** RGBA of a part of it in one color, not multiplied by alpha. */
  colored(rect: Rect, [red, green, blue]: readonly [number, number, number]): ImageBytes {
    const bytes = new Uint8ClampedArray(rect.width * rect.height * 4);
    // Four bytes at once are much faster; all machines with a browser put the last one highest.
    const words = new Uint32Array(bytes.buffer);
    const color = red | (green << 8) | (blue << 16);
    const part = intersection(rect, this.held);
    for (let y = part.y; y < part.y + part.height; y++) {
      let at = (y - this.held.y) * this.held.width + part.x - this.held.x;
      let to = (y - rect.y) * rect.width + part.x - rect.x;
      for (let x = 0; x < part.width; x++, at++, to++) {
        const value = this.data[at] ?? 0;
        if (value !== 0) words[to] = color | (Math.round(value / 257) << 24);
      }
    }
    return bytes;
  }

  private rows(rect: Rect, work: (at: number, other: number) => void): void {
    for (let y = 0; y < rect.height; y++)
      work((rect.y + y - this.held.y) * this.held.width + rect.x - this.held.x, y * rect.width);
  }

  private hold(rect: Rect): void {
    if (isEmpty(rect)) return;
    this.bounds = union(this.bounds, rect);
    const { held } = this;
    const all = union(held, rect);
    if (all.width === held.width && all.height === held.height) return;
    const grown = expanded(all, MARGIN + Math.round(Math.max(all.width, all.height) / 4));
    const data = new Uint16Array(grown.width * grown.height);
    for (let y = 0; y < held.height; y++) {
      const row = this.data.subarray(y * held.width, (y + 1) * held.width);
      data.set(row, (held.y + y - grown.y) * grown.width + held.x - grown.x);
    }
    this.data = data;
    this.held = grown;
  }
}

/** Whole pixels that a brush touches from one touch to another. */
function reach(from: Dab, to: Dab): Rect {
  const by = Math.max(from.radius, to.radius) + 1;
  const [x, y] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
  const size = { width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
  return outward(expanded({ x, y, ...size }, by));
}

export type ImageBytes = Uint8ClampedArray<ArrayBuffer>;

/** How much a brush covers at a distance from its middle: 1 inside, fading out over its soft part. */
export function tip(away: number, radius: number, hardness: number): number {
  const soft = Math.max(1, radius * (1 - hardness));
  const part = (radius + 0.5 - away) / soft;
  if (part >= 1) return 1;
  if (part <= 0) return 0;
  return soft > 1 ? part * part * (3 - 2 * part) : part;
}
