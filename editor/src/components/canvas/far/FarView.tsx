/** The graph as it is seen from afar: one drawing behind the cards, which follows the view. */
import { useStoreApi } from "@xyflow/react";
import { useEffect, useMemo, useRef } from "react";
import { useSettings } from "@/store/settings";
import type { CanvasEdge, CanvasNode } from "../adapt";
import styles from "./FarView.module.css";
import { linesByColor } from "./links";
import { type FarGraph, paintFar, type FarView as View } from "./paint";
import { type Palette, paletteOf } from "./palette";
import { farPicture, onFarPictures } from "./pictures";

/** Blocks and links that are drawn anew in each frame of a move; more are, the seldomer. */
const AT_ONCE = 250;
const FRAME = 1000 / 60;
const SELDOMEST = 120;

interface FarViewProps {
  readonly nodes: readonly CanvasNode[];
  readonly edges: readonly CanvasEdge[];
}

export function FarView({ nodes, edges }: FarViewProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  const store = useStoreApi();
  const style = useSettings((settings) => settings.linkStyle);
  const lines = useMemo(() => linesByColor(nodes, edges, style), [nodes, edges, style]);
  const graph = useMemo(() => ({ nodes, lines }), [nodes, lines]);
  const drawing = useRef<Drawing | null>(null);
  useEffect(() => {
    const canvas = ref.current;
    if (canvas === null) return undefined;
    const made = new Drawing(canvas);
    drawing.current = made;
    const follow = () => {
      const { transform, width, height } = store.getState();
      const [x, y, zoom] = transform;
      made.show({ x, y, zoom, width, height });
    };
    follow();
    const stops = [store.subscribe(follow), onFarPictures(() => made.refresh())];
    const themes = new MutationObserver(() => made.refresh());
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      for (const stop of stops) stop();
      themes.disconnect();
      made.end();
      drawing.current = null;
    };
  }, [store]);
  useEffect(() => drawing.current?.take(graph, edges.length), [graph, edges]);
  return (
    <div className={styles.frame} aria-hidden="true" data-far-view>
      <canvas ref={ref} className={styles.view} />
    </div>
  );
}

/** Draws at once where that is little; else the last drawing is moved until it is time for the next. */
class Drawing {
  private graph: FarGraph | null = null;
  private view: View | null = null;
  private drawn: View | null = null;
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

  take(graph: FarGraph, links: number): void {
    this.graph = graph;
    this.pause = Math.min(SELDOMEST, (FRAME * (graph.nodes.length + links)) / AT_ONCE);
    this.draw();
  }

  show(view: View): void {
    if (this.view !== null && sameView(this.view, view)) return;
    this.view = view;
    if (performance.now() - this.last >= this.pause) {
      this.refresh();
    } else {
      this.move();
      if (this.timer === 0) this.timer = window.setTimeout(() => this.refresh(), this.pause);
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

  private draw(): void {
    this.end();
    [this.frame, this.timer] = [0, 0];
    const { view, graph, canvas } = this;
    const context = canvas.getContext?.("2d");
    if (!view || !graph || !context || view.width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      Object.assign(canvas.style, { width: `${view.width}px`, height: `${view.height}px` });
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    paintFar(context, graph, view, {
      palette: this.palette,
      picture: farPicture,
      font: this.font,
    });
    this.drawn = view;
    this.last = performance.now();
    canvas.style.transform = "none";
  }

  /** Put the last drawing where it belongs now. */
  private move(): void {
    const { view, drawn, canvas } = this;
    if (!view || !drawn) return;
    const scale = view.zoom / drawn.zoom;
    const [x, y] = [view.x - drawn.x * scale, view.y - drawn.y * scale];
    canvas.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }
}

function sameView(a: View, b: View): boolean {
  return (
    a.x === b.x && a.y === b.y && a.zoom === b.zoom && a.width === b.width && a.height === b.height
  );
}
