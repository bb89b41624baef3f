/**
 * The drawing of a graph from afar, and when it is made anew.
 *
 * It has more of the graph than is seen: while the view moves, the drawing is moved and scaled as it
 * is, until it would lack something or its words would be too coarse. Then one of the whole graph, if
 * there was one, stands in. Where the view rests the drawing is sharp.
 */
import { withMargin } from "@/components/canvas/card/geometry";
import type { Sight } from "@/components/canvas/moving/inSight";
import type { Box } from "@/model/layout";
import { type Context, type FarGraph, paintFar } from "./paint";
import { type Palette, paletteOf } from "./palette";
import { farPicture } from "./pictures";

/** Blocks and links that are drawn anew in each frame of a move; more are, the seldomer. */
const AT_ONCE = 250;
const FRAME = 1000 / 60;
const SELDOMEST = 120;
/** Beyond each side of the screen, of its width and height. */
const BEYOND = 0.2;
/** Shown so many times larger or smaller than it was drawn, a drawing is too coarse even while it moves. */
const COARSE = 2.2;
/** Around the graph in pixels of the screen: titles above frames, and rings. */
const AROUND = 32;

export class Drawing {
  private graph: FarGraph | null = null;
  private bounds: Box | null = null;
  private sight: Sight | null = null;
  private shown: Sheet;
  private last = 0;
  private pause = FRAME;
  private frame = 0;
  private timer = 0;
  private readonly palette: Palette;
  private readonly font: string;

  /**
   * Args:
   *   whole: Has the whole graph, once that was seen at once.
   *   part: Has what is seen of it where that is less.
   */
  constructor(
    private readonly whole: Sheet,
    private readonly part: Sheet,
  ) {
    this.shown = whole;
    this.palette = paletteOf(whole.canvas.parentElement ?? document.body);
    this.font = getComputedStyle(whole.canvas).fontFamily || "sans-serif";
  }

  /**
   * Draw a graph.
   *
   * Args:
   *   bounds: What all of it lies within, on the canvas; null if it is empty.
   *   links: How many it has.
   */
  take(graph: FarGraph, bounds: Box | null, links: number): void {
    this.graph = graph;
    this.bounds = bounds;
    this.pause = Math.min(SELDOMEST, (FRAME * (graph.nodes.length + links)) / AT_ONCE);
    this.redraw();
  }

  /**
   * Follow the view.
   *
   * Args:
   *   isMoving: Whether it goes on moving, so that the drawing need not be sharp.
   */
  show(sight: Sight, isMoving: boolean): void {
    this.sight = sight;
    const isEnough = isMoving && this.pause > FRAME ? isFine : isExact;
    const found = [this.shown, this.part, this.whole].find((sheet) => this.has(sheet, isEnough));
    if (found) this.put(found);
    else this.soon();
  }

  /** Draw with the next frame: what is shown is no more what it was. */
  refresh(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.redraw());
  }

  end(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }

  /** With the next frame if the last drawing is old enough, else when it is. */
  private soon(): void {
    if (this.frame !== 0) return;
    const left = this.last + this.pause - performance.now();
    if (left <= 0) {
      this.frame = requestAnimationFrame(() => this.draw());
      return;
    }
    this.put(this.shown);
    if (this.timer === 0) this.timer = window.setTimeout(() => this.draw(), left);
  }

  private redraw(): void {
    this.whole.drawn = this.part.drawn = null;
    this.draw();
  }

  private draw(): void {
    this.end();
    [this.frame, this.timer] = [0, 0];
    const { sight, graph, bounds } = this;
    if (!sight || !graph || sight.width === 0) return;
    const area = areaOf(bounds, sight, BEYOND);
    const all = areaOf(bounds, sight, Number.POSITIVE_INFINITY);
    const sheet = contains(area, all, 0) ? this.whole : this.part;
    const [wide, high] = [area.right - area.left, area.bottom - area.top];
    const [x, y, zoom] = sight.transform;
    const view = { x: x - area.left, y: y - area.top, zoom, width: wide, height: high };
    const { palette, font } = this;
    drawOn(sheet.canvas, wide, high, (context) => {
      paintFar(context, graph, view, { palette, picture: farPicture, font });
    });
    sheet.drawn = { sight, area };
    this.last = performance.now();
    this.put(sheet);
  }

  /** Show a drawing where it belongs now. */
  private put(sheet: Sheet): void {
    const { sight } = this;
    if (!sight || !sheet.drawn) return;
    const [scale, x, y] = between(sheet.drawn.sight, sight);
    const { left, top } = sheet.drawn.area;
    const at = `translate(${x + left * scale}px, ${y + top * scale}px)`;
    sheet.canvas.style.transform = scale === 1 ? at : `${at} scale(${scale})`;
    this.shown = sheet;
    for (const each of [this.whole, this.part]) {
      if (each.canvas.hidden !== (each !== sheet)) each.canvas.hidden = each !== sheet;
    }
  }

  /** Whether a sheet has all that is on the screen of the graph, as well as it is needed. */
  private has({ drawn }: Sheet, isEnough: (from: Sight, to: Sight) => boolean): boolean {
    if (drawn === null || this.sight === null || !isEnough(drawn.sight, this.sight)) return false;
    const [scale, x, y] = between(drawn.sight, this.sight);
    const { left, top, right, bottom } = drawn.area;
    const area = {
      left: left * scale + x,
      top: top * scale + y,
      right: right * scale + x,
      bottom: bottom * scale + y,
    };
    return contains(area, areaOf(this.bounds, this.sight, 0), 1);
  }
}

/** A picture on the page, and what it shows. */
export interface Sheet {
  readonly canvas: HTMLCanvasElement;
  drawn: { readonly sight: Sight; readonly area: Area } | null;
}

/** Part of the screen, or of what is beyond it. */
interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

function contains(area: Area, other: Area, slack: number): boolean {
  return (
    other.left >= area.left - slack &&
    other.top >= area.top - slack &&
    other.right <= area.right + slack &&
    other.bottom <= area.bottom + slack
  );
}

/** What of a graph is on the screen, or that many screens beyond it; whole pixels. */
function areaOf(
  bounds: Box | null,
  { transform: [x, y, zoom], width, height }: Sight,
  beyond: number,
): Area {
  const box = bounds ?? { x: 0, y: 0, width: 0, height: 0 };
  const [left, top] = [box.x * zoom + x, box.y * zoom + y];
  const graph = withMargin(
    { x: left, y: top, width: box.width * zoom, height: box.height * zoom },
    AROUND,
  );
  const first = {
    left: Math.floor(within(graph.x, width, beyond)),
    top: Math.floor(within(graph.y, height, beyond)),
  };
  const [right, bottom] = [graph.x + graph.width, graph.y + graph.height];
  return {
    ...first,
    right: Math.max(first.left + 1, Math.ceil(within(right, width, beyond))),
    bottom: Math.max(first.top + 1, Math.ceil(within(bottom, height, beyond))),
  };
}

function within(at: number, size: number, beyond: number): number {
  return Math.min(size * (1 + beyond), Math.max(-size * beyond, at));
}

/** How what is on the screen in one sight comes to where it is in another: scaled, then moved. */
function between(from: Sight, to: Sight): readonly [number, number, number] {
  const scale = to.transform[2] / from.transform[2];
  const [x, y] = from.transform;
  return [scale, to.transform[0] - x * scale, to.transform[1] - y * scale];
}

/** Whether a drawing is the same in another sight: whole pixels away. */
function isExact(from: Sight, to: Sight): boolean {
  const [scale, x, y] = between(from, to);
  const ratio = window.devicePixelRatio || 1;
  return scale === 1 && Number.isInteger(x * ratio) && Number.isInteger(y * ratio);
}

/** Whether it will do while the view moves. */
function isFine(from: Sight, to: Sight): boolean {
  const [scale] = between(from, to);
  return scale <= COARSE && scale >= 1 / COARSE;
}

/**
 * Draw on a canvas of that size, which is empty at first.
 *
 * Chromium copies what is drawn on a canvas itself in each frame in which the canvas moves.
 */
function drawOn(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  paint: (context: Context) => void,
): void {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
  const sheet = typeof OffscreenCanvas === "undefined" ? canvas : new OffscreenCanvas(wide, high);
  if (canvas.width !== wide || canvas.height !== high || sheet === canvas)
    Object.assign(canvas, { width: wide, height: high });
  const context = sheet.getContext?.("2d") as Context | null | undefined;
  if (!context) return;
  context.scale(ratio, ratio);
  paint(context);
  Object.assign(canvas.style, { width: `${wide / ratio}px`, height: `${high / ratio}px` });
  if (sheet instanceof HTMLCanvasElement) return;
  canvas.getContext("bitmaprenderer")?.transferFromImageBitmap(sheet.transferToImageBitmap());
}
