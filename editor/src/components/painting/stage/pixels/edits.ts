/** What tools draw on a layer: strokes, fills and gradients, within the selection. */
import { type Color, parseColor } from "./colors";
import { Coverage } from "./coverage";
import { boundsOf, expanded, intersection, NOTHING, outward, type Rect, union } from "./geometry";
import { type Gradient, gradientPixels } from "./gradient";
import { clip, isNone, type Selection } from "./selection";
import { type Brush, buildsUp, type Sample, StrokePath, type Touch } from "./strokePath";
import type { Edit } from "./surface";

export interface EditOptions {
  /** "#rrggbb". */
  readonly color: string;
  /** 0 to 1. */
  readonly opacity: number;
  readonly erases: boolean;
  /** Only where something is painted already, which stays as transparent as it is. */
  readonly keepsAlpha: boolean;
  readonly selection: Selection;
}

abstract class SelectedEdit implements Edit {
  readonly opacity: number;
  readonly operation: Edit["operation"];
  protected readonly color: Color;
  private readonly selection: Selection | null;

  constructor({ color, opacity, erases, keepsAlpha, selection }: EditOptions) {
    this.color = parseColor(color);
    this.opacity = opacity;
    this.operation = erases ? "destination-out" : keepsAlpha ? "source-atop" : "source-over";
    this.selection = isNone(selection) ? null : selection;
  }

  get bounds(): Rect {
    const isLimited = this.selection !== null && this.selection.outside === 0;
    return isLimited ? intersection(this.all, this.selection?.rect ?? NOTHING) : this.all;
  }

  pixels(rect: Rect): Uint8ClampedArray<ArrayBuffer> {
    const pixels = this.drawn(rect);
    if (this.selection !== null) clip(pixels, rect, this.selection);
    return pixels;
  }

  /** Its bounds if nothing were selected. */
  protected abstract get all(): Rect;
  protected abstract drawn(rect: Rect): Uint8ClampedArray<ArrayBuffer>;
}

/** A stroke of the brush or the eraser while it is drawn. */
export class StrokeEdit extends SelectedEdit {
  private readonly coverage = new Coverage();
  private readonly path: StrokePath;

  constructor(
    options: EditOptions,
    private readonly brush: Brush,
  ) {
    super(options);
    this.path = new StrokePath(brush);
  }

  /**
   * Go on to some points.
   *
   * @param predicted Where the pointer may go next: shown until the next call.
   * @returns what looks different now.
   */
  add(samples: readonly Sample[], predicted: readonly Sample[]): Rect {
    let changed = this.coverage.revert();
    for (const sample of samples) changed = union(changed, this.cover(this.path.add(sample)));
    const tail = this.path.tail(predicted);
    const most = Math.max(0, ...tail.map((touch) => touch.radius));
    this.coverage.mark(outward(expanded(boundsOf(tail), tail.length > 0 ? most + 1 : 0)));
    return union(changed, this.cover(tail));
  }

  /** The pointer is up: what was shown up to it stays. */
  end(): Rect {
    const changed = this.coverage.revert();
    return union(changed, this.cover(this.path.tail([])));
  }

  protected override get all(): Rect {
    return this.coverage.bounds;
  }

  protected override drawn(rect: Rect) {
    return this.coverage.colored(rect, this.color);
  }

  private cover(touches: readonly Touch[]): Rect {
    let changed = NOTHING;
    let from = touches[0];
    for (const touch of touches) {
      const part = buildsUp(this.brush)
        ? this.coverage.stamp(touch, touch.flow)
        : touches.length > 1 && touch === from
          ? NOTHING
          : this.coverage.segment(from ?? touch, touch);
      changed = union(changed, part);
      from = touch;
    }
    return changed;
  }
}

/** A part of the canvas in one color, or erased. */
export class FillEdit extends SelectedEdit {
  private readonly coverage = new Coverage();

  constructor(options: EditOptions, rect: Rect, mask: Uint8Array) {
    super(options);
    this.coverage.fill(rect, mask);
  }

  protected override get all(): Rect {
    return this.coverage.bounds;
  }

  protected override drawn(rect: Rect) {
    return this.coverage.colored(rect, this.color);
  }
}

/** A gradient over a part of the canvas. */
export class GradientEdit extends SelectedEdit {
  constructor(
    options: EditOptions,
    private readonly area: Rect,
    private readonly gradient: Gradient,
  ) {
    super(options);
  }

  protected override get all(): Rect {
    return this.area;
  }

  protected override drawn(rect: Rect) {
    return gradientPixels(rect, this.gradient);
  }
}
