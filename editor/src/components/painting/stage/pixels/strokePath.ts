/**
 * From the points of a pointer to the touches of a brush. The path goes smoothly through the middles
 * between the points, each point bending it (a quadratic Bézier curve, as drawing programs do).
 */
import type { Dab } from "./coverage";
import type { Point } from "./geometry";

export interface Sample extends Point {
  /** 0 to 1; of what has no pressure 1. */
  readonly pressure: number;
}

/** Settings of a brush; sizes in pixels of the canvas, shares from 0 to 1. */
export interface Brush {
  readonly size: number;
  readonly hardness: number;
  readonly flow: number;
  readonly pressure: {
    readonly size: boolean;
    readonly opacity: boolean;
    readonly flow: boolean;
    readonly hardness: boolean;
  };
}

export interface Touch extends Dab {
  readonly flow: number;
}

/** Stamps of paint that builds up lie this part of the diameter apart. */
const SPACING = 0.1;
/** Soft brushes keep some body when hardly pressed. */
const LEAST_SIZE = 0.05;

/** The touch of a brush at one point. */
export function touchAt(sample: Sample, brush: Brush): Touch {
  const { pressure } = brush;
  const part = (follows: boolean) => (follows ? sample.pressure : 1);
  return {
    x: sample.x,
    y: sample.y,
    radius: Math.max(0.5, (brush.size / 2) * Math.max(LEAST_SIZE, part(pressure.size))),
    hardness: brush.hardness * part(pressure.hardness),
    alpha: part(pressure.opacity),
    flow: brush.flow * part(pressure.flow),
  };
}

/** Whether paint builds up by stamps; otherwise a stroke covers evenly. */
export function buildsUp(brush: Brush): boolean {
  return brush.flow < 1 || brush.pressure.flow;
}

export class StrokePath {
  private readonly samples: Sample[] = [];
  /** The end of what was given out. */
  private end: Sample | null = null;
  /** How far the last stamp is back. */
  private since = 0;

  constructor(private readonly brush: Brush) {}

  /** Touches from the end so far, first the end itself, up to the middle before the new point. */
  add(sample: Sample): readonly Touch[] {
    const last = this.samples.at(-1);
    if (last !== undefined && last.x === sample.x && last.y === sample.y) return [];
    this.samples.push(sample);
    if (last === undefined || this.end === null) {
      this.end = sample;
      return [touchAt(sample, this.brush)];
    }
    const to = mixed(last, sample, 0.5);
    const points = curve(this.end, last, to, this.step);
    const found = this.touches(this.end, points);
    this.end = to;
    return found;
  }

  /** Touches from the end of the path to the pointer, and where it may go next. */
  tail(predicted: readonly Sample[]): readonly Touch[] {
    const last = this.samples.at(-1);
    if (last === undefined || this.end === null) return [];
    const since = this.since;
    const points = [last, ...predicted].flatMap((to, index, all) =>
      straight(index === 0 ? (this.end ?? to) : (all[index - 1] ?? to), to, this.step),
    );
    const found = this.touches(this.end, points);
    this.since = since;
    return found;
  }

  private get step(): number {
    // Long thin segments would look at many pixels beside them.
    return Math.max(3, this.brush.size / 2);
  }

  private touches(from: Sample, points: readonly Sample[]): readonly Touch[] {
    if (!buildsUp(this.brush)) return [from, ...points].map((one) => touchAt(one, this.brush));
    const found: Touch[] = [];
    let at = from;
    for (const to of points) {
      const length = Math.hypot(to.x - at.x, to.y - at.y);
      const apart = spacingOf(touchAt(to, this.brush));
      let along = apart - this.since;
      for (; along <= length; along += apart)
        found.push(touchAt(mixed(at, to, along / length), this.brush));
      this.since = length - (along - apart);
      at = to;
    }
    return found;
  }
}

function spacingOf({ radius }: Touch): number {
  return Math.max(0.5, 2 * radius * SPACING);
}

function mixed(a: Sample, b: Sample, share: number): Sample {
  return {
    x: a.x + (b.x - a.x) * share,
    y: a.y + (b.y - a.y) * share,
    pressure: a.pressure + (b.pressure - a.pressure) * share,
  };
}

function straight(from: Sample, to: Sample, step: number): readonly Sample[] {
  const count = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / (2 * step)));
  return Array.from({ length: count }, (_, index) => mixed(from, to, (index + 1) / count));
}

/** Points of a quadratic Bézier curve, its start left out. */
function curve(from: Sample, bend: Sample, to: Sample, step: number): readonly Sample[] {
  const length =
    Math.hypot(bend.x - from.x, bend.y - from.y) + Math.hypot(to.x - bend.x, to.y - bend.y);
  const count = Math.max(1, Math.min(64, Math.ceil(length / step)));
  return Array.from({ length: count }, (_, index) => {
    const share = (index + 1) / count;
    return mixed(mixed(from, bend, share), mixed(bend, to, share), share);
  });
}
