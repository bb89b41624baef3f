/** A small picture of the whole graph, with what is seen of it; a click or drag goes there. */
import { type KeyboardEvent, type PointerEvent, useEffect, useMemo, useRef } from "react";
import { t } from "@/i18n";
import type { Point } from "@/model/layout";
import { boxOf, type CanvasNode } from "./adapt";
import { boundsOf } from "./card/geometry";
import { canvas, panBy } from "./controller";
import { tintOf } from "./frames/colors";
import styles from "./Minimap.module.css";
import type { Sight } from "./moving/inSight";
import { type MovingView, SELDOM } from "./moving/movingView";

const WIDTH = 196;
const HEIGHT = 128;
const MARGIN = 8;

interface Scale {
  readonly factor: number;
  readonly x: number;
  readonly y: number;
}

interface MinimapProps {
  readonly view: MovingView;
  readonly nodes: readonly CanvasNode[];
}

export function Minimap({ view, nodes }: MinimapProps) {
  const picture = useRef<HTMLCanvasElement>(null);
  const seen = useRef<HTMLDivElement>(null);
  const scale = useMemo(() => scaleOf(nodes), [nodes]);
  useEffect(() => {
    if (picture.current) paint(picture.current, nodes, scale);
  }, [nodes, scale]);
  useEffect(() => {
    const size = () => {
      if (seen.current) sizeView(seen.current, view.sight, scale);
    };
    const follow = () => {
      if (seen.current) placeView(seen.current, view.sight, scale);
    };
    size();
    follow();
    // Another size has to be laid out and drawn.
    const stops = [view.follow(size, SELDOM), view.follow(follow)];
    if (seen.current) stops.push(view.addLayer(seen.current));
    return () => {
      for (const stop of stops) stop();
    };
  }, [view, scale]);
  const go = (event: PointerEvent<HTMLDivElement>) => {
    if (event.buttons === 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    moveTo({
      x: (event.clientX - box.x - scale.x) / scale.factor,
      y: (event.clientY - box.y - scale.y) / scale.factor,
    });
  };
  return (
    // A slider in two directions has no native element; arrows do the same as dragging.
    <div
      className={styles.map}
      role="application"
      aria-label={t("canvas.minimap.label")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its arrow keys move the view
      tabIndex={0}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={go}
      onKeyDown={pan}
    >
      <canvas ref={picture} width={WIDTH * 2} height={HEIGHT * 2} className={styles.picture} />
      <div ref={seen} className={styles.view} />
    </div>
  );
}

const STEPS: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: 120, y: 0 },
  ArrowRight: { x: -120, y: 0 },
  ArrowUp: { x: 0, y: 120 },
  ArrowDown: { x: 0, y: -120 },
};

function pan(event: KeyboardEvent): void {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  panBy(step.x, step.y);
}

function moveTo(point: Point): void {
  const handle = canvas();
  if (!handle) return;
  const { zoom } = handle.flow.getViewport();
  const { clientWidth, clientHeight } = handle.element;
  void handle.flow.setViewport({
    x: clientWidth / 2 - point.x * zoom,
    y: clientHeight / 2 - point.y * zoom,
    zoom,
  });
}

function scaleOf(nodes: readonly CanvasNode[]): Scale {
  const bounds = boundsOf(nodes.map(boxOf)) ?? { x: 0, y: 0, width: 1, height: 1 };
  const factor = Math.min(
    (WIDTH - 2 * MARGIN) / bounds.width,
    (HEIGHT - 2 * MARGIN) / bounds.height,
    0.2,
  );
  return {
    factor,
    x: (WIDTH - bounds.width * factor) / 2 - bounds.x * factor,
    y: (HEIGHT - bounds.height * factor) / 2 - bounds.y * factor,
  };
}

function paint(picture: HTMLCanvasElement, nodes: readonly CanvasNode[], scale: Scale): void {
  const context = picture.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(picture);
  context.setTransform(2, 0, 0, 2, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  for (const node of nodes) {
    if (node.type === "reroute") continue;
    const box = boxOf(node);
    context.fillStyle = fillOf(node, style);
    context.globalAlpha = node.type === "frame" ? 0.25 : 1;
    const width = Math.max(2, box.width * scale.factor);
    const height = Math.max(1.5, box.height * scale.factor);
    context.beginPath();
    context.roundRect(
      box.x * scale.factor + scale.x,
      box.y * scale.factor + scale.y,
      width,
      height,
      1,
    );
    context.fill();
  }
}

function fillOf(node: CanvasNode, style: CSSStyleDeclaration): string {
  if (node.selected) return style.getPropertyValue("--accent-text");
  const color =
    node.type === "card" ? node.data.color : node.type === "frame" ? node.data.group.color : "";
  const tint = /^var\((--[\w-]+)\)$/.exec(tintOf(color));
  if (tint?.[1]) return style.getPropertyValue(tint[1]);
  if (color.startsWith("#")) return color;
  const family = node.type === "card" ? node.data.card.family : null;
  return style.getPropertyValue(family === null ? "--border-strong" : `--family-${family}`);
}

function sizeView(view: HTMLElement, { transform, width, height }: Sight, scale: Scale): void {
  const factor = scale.factor / transform[2];
  view.style.width = `${width * factor}px`;
  view.style.height = `${height * factor}px`;
}

/** Its middle, as it may have another size for a moment. */
function placeView(view: HTMLElement, { transform, width, height }: Sight, scale: Scale): void {
  const [x, y, zoom] = transform;
  const factor = scale.factor / zoom;
  const at = `translate(${(width / 2 - x) * factor + scale.x}px, ${(height / 2 - y) * factor + scale.y}px)`;
  view.style.transform = `${at} translate(-50%, -50%)`;
}
