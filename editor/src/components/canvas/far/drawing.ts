/**
 * The drawing of a graph from afar, and when it is made anew.
 *
 * It has more of the graph than is seen: while the view moves, the drawing is moved and scaled as it
 * is, until it would lack something or its words would be too coarse. Where the view rests it is sharp.
 */
import { withMargin } from "@/components/canvas/card/geometry";
import type { Sight } from "@/components/canvas/moving/movingView";
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
/** Shown so many times larger or smaller, a drawing is too coarse even while it moves. */
const COARSE = 2;
/** Around the graph in pixels of the screen: titles above frames, and rings. */
const AROUND = 32;

/** Part of the screen, or of what is beyond it. */
interface Area {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export class Drawing {
  private graph: FarGraph | null = null;
  private bounds: Box | null = null;
  private sight: Sight | null = null;
  private drawn: { readonly sight: Sight; readonly area: Area } | null = null;
  private last = 0;
  private pause = FRAME;
  private frame = 0;
  private timer = 0;
  private readonly palette: Palette;
  private readonly font: string;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.palette = paletteOf(canvas.parentElement ?? document.body);
    this.font = getComputedStyle(canvas).fontFamily || "sans-serif";
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
    this.draw();
  }

  /**
   * Follow the view.
   *
   * Args:
   *   isMoving: Whether it goes on moving, so that the drawing need not be sharp.
   */
  show(sight: Sight, isMoving: boolean): void {
    this.sight = sight;
    if (this.drawn !== null && this.isExact(sight, this.drawn.sight)) {
      this.move();
      if (this.lacks(sight)) this.soon();
      return;
    }
    if (isMoving && this.pause > FRAME) {
      this.move();
      if (this.lacks(sight) || this.isCoarse(sight)) this.soon();
    } else {
      this.soon();
    }
  }

  /** Draw with the next frame. */
  refresh(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  end(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }

  /** With the next frame if the last drawing is old enough, else when it is. */
  private soon(): void {
    const left = this.last + this.pause - performance.now();
    if (left <= 0) {
      this.refresh();
      return;
    }
    this.move();
    if (this.timer === 0) this.timer = window.setTimeout(() => this.refresh(), left);
  }

  private draw(): void {
    this.end();
    [this.frame, this.timer] = [0, 0];
    const { sight, graph, canvas } = this;
    if (!sight || !graph || sight.width === 0) return;
    const area = this.areaOf(sight, BEYOND);
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [area.right - area.left, area.bottom - area.top];
    const [width, height] = [Math.ceil(wide * ratio), Math.ceil(high * ratio)];
    const sheet = sheetOf(canvas, width, height);
    if (sheet === null) return;
    const { context } = sheet;
    Object.assign(canvas.style, { width: `${width / ratio}px`, height: `${height / ratio}px` });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [x, y, zoom] = sight.transform;
    const view = { x: x - area.left, y: y - area.top, zoom, width: wide, height: high };
    paintFar(context, graph, view, {
      palette: this.palette,
      picture: farPicture,
      font: this.font,
    });
    sheet.show();
    this.drawn = { sight, area };
    this.last = performance.now();
    this.move();
  }

  /** Put the last drawing where it belongs now. */
  private move(): void {
    const { sight, drawn, canvas } = this;
    if (!sight || !drawn) return;
    const [scale, x, y] = between(drawn.sight, sight);
    const { left, top } = drawn.area;
    const at = `translate(${x + left * scale}px, ${y + top * scale}px)`;
    canvas.style.transform = scale === 1 ? at : `${at} scale(${scale})`;
  }

  /** What of the graph is on the screen, or little beyond it; whole pixels. */
  private areaOf({ transform: [x, y, zoom], width, height }: Sight, beyond: number): Area {
    const box = this.bounds ?? { x: 0, y: 0, width: 0, height: 0 };
    const scaled = { x: box.x * zoom + x, y: box.y * zoom + y };
    const graph = withMargin(
      { ...scaled, width: box.width * zoom, height: box.height * zoom },
      AROUND,
    );
    const left = Math.floor(within(graph.x, width, beyond));
    const top = Math.floor(within(graph.y, height, beyond));
    return {
      left,
      top,
      right: Math.max(left + 1, Math.ceil(within(graph.x + graph.width, width, beyond))),
      bottom: Math.max(top + 1, Math.ceil(within(graph.y + graph.height, height, beyond))),
    };
  }

  /** Whether the drawing is the same at another place of the screen, whole pixels away. */
  private isExact(a: Sight, b: Sight): boolean {
    const [scale, x, y] = between(b, a);
    const ratio = window.devicePixelRatio || 1;
    return scale === 1 && Number.isInteger(x * ratio) && Number.isInteger(y * ratio);
  }

  /** Whether part of the graph is on the screen that was not drawn. */
  private lacks(sight: Sight): boolean {
    if (this.drawn === null) return true;
    const { left, top, right, bottom } = this.areaOf(sight, 0);
    const [scale, x, y] = between(this.drawn.sight, sight);
    const { area } = this.drawn;
    return (
      left < area.left * scale + x - 1 ||
      top < area.top * scale + y - 1 ||
      right > area.right * scale + x + 1 ||
      bottom > area.bottom * scale + y + 1
    );
  }

  private isCoarse(sight: Sight): boolean {
    if (this.drawn === null) return true;
    const [scale] = between(this.drawn.sight, sight);
    return scale > COARSE || scale < 1 / COARSE;
  }
}

/** How what is on the screen in one sight comes to where it is in another: scaled, then moved. */
function between(from: Sight, to: Sight): readonly [number, number, number] {
  const scale = to.transform[2] / from.transform[2];
  return [
    scale,
    to.transform[0] - from.transform[0] * scale,
    to.transform[1] - from.transform[1] * scale,
  ];
}

function within(at: number, size: number, beyond: number): number {
  return Math.min(size * (1 + beyond), Math.max(-size * beyond, at));
}

interface Sheet {
  readonly context: Context;
  readonly show: () => void;
}

/**
 * An empty sheet of that size; what is drawn on it is shown at once. Null where browsers draw nothing.
 *
 * Chromium copies what is drawn on a canvas itself in each frame in which the canvas moves.
 */
function sheetOf(canvas: HTMLCanvasElement, width: number, height: number): Sheet | null {
  if (typeof OffscreenCanvas !== "undefined") {
    const sheet = new OffscreenCanvas(width, height);
    const context = sheet.getContext("2d");
    const shown = canvas.getContext("bitmaprenderer");
    if (context === null || shown === null) return null;
    return { context, show: () => shown.transferFromImageBitmap(sheet.transferToImageBitmap()) };
  }
  const context = canvas.getContext?.("2d");
  if (!context) return null;
  Object.assign(canvas, { width, height });
  return { context, show: () => undefined };
}
