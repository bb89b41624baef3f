/**
 * A mask that is painted on: one byte a pixel, 255 where it is masked. Plain numbers without a
 * canvas, so that a soft stroke is the same in every browser and undo is exact.
 */
import type { Spot } from "./spots";

export interface Brush {
  /** Diameter in pixels of the picture. */
  readonly size: number;
  /** Part of the radius over which the stroke fades out, 0 to 1. */
  readonly feather: number;
  readonly erases: boolean;
}

export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Step {
  readonly area: Area;
  readonly bytes: Uint8Array;
}

/** Steps that can be undone; older ones are forgotten. */
const MOST_STEPS = 100;
/** Bytes that the steps may hold together. */
const MOST_BYTES = 256 * 2 ** 20;

export class MaskLayer {
  readonly bytes: Uint8Array;
  private readonly undone: Step[] = [];
  private readonly done: Step[] = [];
  /** The mask as it was before the stroke that is being drawn, and what that touched. */
  private before: Uint8Array | null = null;
  private touched: Area | null = null;

  constructor(
    readonly width: number,
    readonly height: number,
    bytes?: Uint8Array,
  ) {
    this.bytes = bytes ?? new Uint8Array(width * height);
  }

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Part of the picture that is masked, 0 to 1. */
  get share(): number {
    let sum = 0;
    for (const byte of this.bytes) sum += byte;
    return sum / (255 * Math.max(1, this.bytes.length));
  }

  begin(): void {
    this.before = this.bytes.slice();
    this.touched = null;
  }

  /** Paint from one point to another; gives the part of the picture that may have changed. */
  stroke(from: Spot, to: Spot, brush: Brush): Area {
    const radius = Math.max(0.5, brush.size / 2);
    const area = this.clipped({
      x: Math.floor(Math.min(from.x, to.x) - radius),
      y: Math.floor(Math.min(from.y, to.y) - radius),
      width: Math.ceil(Math.abs(from.x - to.x) + 2 * radius) + 2,
      height: Math.ceil(Math.abs(from.y - to.y) + 2 * radius) + 2,
    });
    for (let y = area.y; y < area.y + area.height; y++) {
      for (let x = area.x; x < area.x + area.width; x++) {
        const away = distance(x + 0.5, y + 0.5, from, to);
        if (away < radius + 0.5)
          this.touch(y * this.width + x, coverage(away, radius, brush.feather), brush.erases);
      }
    }
    this.touched = this.touched === null ? area : union(this.touched, area);
    return area;
  }

  /** End the stroke; it becomes one step to undo. */
  end(): void {
    if (this.before !== null && this.touched !== null)
      this.keep(this.cut(this.before, this.touched));
    this.before = null;
    this.touched = null;
  }

  /** Take back the stroke that is being drawn. */
  cancel(): void {
    if (this.before !== null) this.bytes.set(this.before);
    this.before = null;
    this.touched = null;
  }

  clear(): void {
    this.whole(() => 0);
  }

  fill(): void {
    this.whole(() => 255);
  }

  invert(): void {
    this.whole((byte) => 255 - byte);
  }

  undo(): Area | null {
    return this.swap(this.done, this.undone);
  }

  redo(): Area | null {
    return this.swap(this.undone, this.done);
  }

  private touch(at: number, covered: number, erases: boolean): void {
    const now = this.bytes[at] ?? 0;
    // The strongest touch counts: strokes that cross don't harden each other's soft edges.
    this.bytes[at] = erases
      ? Math.min(now, Math.round(255 * (1 - covered)))
      : Math.max(now, Math.round(255 * covered));
  }

  private whole(change: (byte: number) => number): void {
    const area = { x: 0, y: 0, width: this.width, height: this.height };
    this.keep(this.cut(this.bytes, area));
    for (let at = 0; at < this.bytes.length; at++) this.bytes[at] = change(this.bytes[at] ?? 0);
  }

  private keep(step: Step): void {
    this.done.push(step);
    this.undone.length = 0;
    let held = this.done.reduce((sum, item) => sum + item.bytes.length, 0);
    while (this.done.length > MOST_STEPS || (held > MOST_BYTES && this.done.length > 1)) {
      held -= this.done.shift()?.bytes.length ?? 0;
    }
  }

  private swap(from: Step[], to: Step[]): Area | null {
    const step = from.pop();
    if (step === undefined) return null;
    to.push(this.cut(this.bytes, step.area));
    this.paste(step);
    return step.area;
  }

  private cut(source: Uint8Array, area: Area): Step {
    const bytes = new Uint8Array(area.width * area.height);
    for (let row = 0; row < area.height; row++) {
      const at = (area.y + row) * this.width + area.x;
      bytes.set(source.subarray(at, at + area.width), row * area.width);
    }
    return { area, bytes };
  }

  private paste({ area, bytes }: Step): void {
    for (let row = 0; row < area.height; row++) {
      const from = bytes.subarray(row * area.width, (row + 1) * area.width);
      this.bytes.set(from, (area.y + row) * this.width + area.x);
    }
  }

  private clipped(area: Area): Area {
    const x = Math.min(this.width, Math.max(0, area.x));
    const y = Math.min(this.height, Math.max(0, area.y));
    const right = Math.min(this.width, Math.max(x, area.x + area.width));
    const bottom = Math.min(this.height, Math.max(y, area.y + area.height));
    return { x, y, width: right - x, height: bottom - y };
  }
}

/** How much of a pixel is painted: full inside, fading over the feather, smooth by half a pixel. */
function coverage(away: number, radius: number, feather: number): number {
  const soft = Math.max(0.5, radius * Math.min(1, Math.max(0, feather)));
  const part = (radius + 0.5 - away) / (soft + 0.5);
  const bounded = Math.min(1, Math.max(0, part));
  return bounded * bounded * (3 - 2 * bounded);
}

function distance(x: number, y: number, from: Spot, to: Spot): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((x - from.x) * dx + (y - from.y) * dy) / length;
  const at = Math.min(1, Math.max(0, along));
  return Math.hypot(x - from.x - at * dx, y - from.y - at * dy);
}

function union(a: Area, b: Area): Area {
  // A touch beside the picture has an empty area, and says nothing of where.
  if (a.width === 0 || a.height === 0) return b;
  if (b.width === 0 || b.height === 0) return a;
  const x = Math.min(a.x, b.x);
  const y = Math.min(a.y, b.y);
  return {
    x,
    y,
    width: Math.max(a.x + a.width, b.x + b.width) - x,
    height: Math.max(a.y + a.height, b.y + b.height) - y,
  };
}
