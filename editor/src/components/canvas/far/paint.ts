/**
 * A graph as it is seen from afar, drawn into one picture.
 *
 * A browser that moves two thousand cards puts each of them together anew in every frame: this is
 * one layer, whatever is in it. The cards themselves are on the page for mouse, keys and screen
 * readers, with nothing in them to be drawn.
 */

import { familyColor, tintOf } from "@/components/canvas/frames/colors";
import type { Box } from "@/model/layout";
import { boxOf, type CanvasNode, type CardNode } from "../adapt";
import type { FarLines } from "./links";
import type { Palette } from "./palette";
import { farTitle, type Measure } from "./titles";

export interface FarView {
  /** Where the canvas' origin is on the screen, and its scale. */
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
  /** Of the screen. */
  readonly width: number;
  readonly height: number;
}

export interface FarGraph {
  readonly nodes: readonly CanvasNode[];
  readonly lines: readonly FarLines[];
}

export interface FarTools {
  readonly palette: Palette;
  readonly picture: (node: string) => HTMLImageElement | null;
  readonly font: string;
}

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

const RADIUS = 10;
const BORDER = 2;
const LINE = 4;
const TOUCHED = 6;
/** Blocks that are smaller on the screen have no corners and no border that anybody could see. */
const PLAIN = 26;
const MUTED = 0.45;
const EARLIER = 0.5;

/** Draw what is seen of a graph; the context's pixels are those of the screen. */
export function paintFar(
  context: Context,
  { nodes, lines }: FarGraph,
  view: FarView,
  tools: FarTools,
): void {
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.zoom, view.zoom);
  const seen = nodes.filter((node) => isSeen(boxOf(node), view));
  for (const node of seen) if (node.type === "frame") paintFrame(context, node, view, tools);
  paintLines(context, lines, tools.palette);
  const cards = seen.filter((node): node is CardNode => node.type === "card");
  for (const group of byLook(cards)) paintBlocks(context, group, view, tools.palette);
  const measure = measureWith(context, tools.font);
  for (const card of cards) paintContent(context, card, view, tools, measure);
  context.restore();
}

function isSeen(box: Box, { x, y, zoom, width, height }: FarView): boolean {
  const [left, top] = [box.x * zoom + x, box.y * zoom + y];
  return left < width && top < height && left + box.width * zoom > 0 && top + box.height * zoom > 0;
}

function paintFrame(
  context: Context,
  node: Extract<CanvasNode, { type?: "frame" }>,
  { zoom }: FarView,
  { palette, font }: FarTools,
): void {
  const { group } = node.data;
  const box = boxOf(node);
  const tint = group.color === "" ? "var(--border-strong)" : tintOf(group.color);
  context.fillStyle = palette(`color-mix(in srgb, ${tint} 9%, transparent)`);
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, RADIUS);
  context.fill();
  const measure = measureWith(context, font);
  const title = farTitle(group.title, { width: box.width, height: box.height }, zoom, measure);
  if (title === null || group.title === "") return;
  context.font = fontOf(title.size, font);
  context.fillStyle = palette("var(--text)");
  context.textBaseline = "bottom";
  // Above the frame: within it cards may be in the way.
  context.fillText(title.text, box.x + 4, box.y - 2 / zoom);
}

function paintLines(context: Context, lines: readonly FarLines[], palette: Palette): void {
  for (const { color, touched, d } of lines) {
    context.strokeStyle = palette(touched ? "var(--accent-text)" : color);
    context.lineWidth = touched ? TOUCHED : LINE;
    context.globalAlpha = touched ? 1 : 0.55;
    context.stroke(pathOf(d));
  }
  context.globalAlpha = 1;
}

const paths = new Map<string, Path2D>();

/** The line as the browser keeps it; those of the last graphs only. */
function pathOf(d: string): Path2D {
  const known = paths.get(d);
  if (known) return known;
  if (paths.size > 64) paths.clear();
  const path = new Path2D(d);
  paths.set(d, path);
  return path;
}

interface Look {
  readonly fill: string;
  readonly border: string;
  readonly alpha: number;
  readonly dashed: boolean;
  readonly cards: CardNode[];
}

/** Blocks that look the same are drawn at once. */
function byLook(cards: readonly CardNode[]): Iterable<Look> {
  const found = new Map<string, Look>();
  for (const node of cards) {
    const { card, color } = node.data;
    const fill = familyColor(card, color);
    const isUnknown = card.spec === null && !card.pending && !card.mayCome;
    const border = isUnknown
      ? "var(--bad)"
      : card.entry.mode === "bypass"
        ? "var(--info)"
        : `color-mix(in srgb, ${letters(node)} 22%, ${fill})`;
    const alpha = card.entry.mode === "mute" ? MUTED : 1;
    const dashed = isUnknown || card.entry.mode === "bypass";
    const key = `${fill}\n${border}\n${alpha}\n${dashed}`;
    const look = found.get(key);
    if (look) look.cards.push(node);
    else found.set(key, { fill, border, alpha, dashed, cards: [node] });
  }
  return found.values();
}

/** The colour of what is written on a block. */
function letters({ data: { card, color } }: CardNode): string {
  return color !== "" || card.family === null ? "var(--text)" : "var(--on-family)";
}

function paintBlocks(context: Context, look: Look, { zoom }: FarView, palette: Palette): void {
  context.globalAlpha = look.alpha;
  context.fillStyle = palette(look.fill);
  context.strokeStyle = palette(look.border);
  context.lineWidth = BORDER;
  context.setLineDash(look.dashed ? [16, 10] : []);
  context.beginPath();
  let isBordered = false;
  for (const node of look.cards) {
    const { x, y, width, height } = boxOf(node);
    if (width * zoom < PLAIN) context.rect(x, y, width, height);
    else {
      isBordered = true;
      context.roundRect(x + 1, y + 1, width - BORDER, height - BORDER, RADIUS);
    }
  }
  context.fill();
  if (isBordered) context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function paintContent(
  context: Context,
  node: CardNode,
  { zoom }: FarView,
  { palette, picture, font }: FarTools,
  measure: Measure,
): void {
  const { card, collapsed } = node.data;
  const box = boxOf(node);
  const found = collapsed ? null : picture(card.name);
  const title = farTitle(card.title, box, zoom, measure);
  context.globalAlpha = card.entry.mode === "mute" ? MUTED : 1;
  const head = title === null ? 0 : 1.35 * title.size;
  if (found) paintPicture(context, found, box, head);
  if (title !== null) {
    context.font = fontOf(title.size, font);
    context.fillStyle = palette(letters(node));
    context.textBaseline = "middle";
    const isLow = box.height < 2 * title.size;
    context.fillText(title.text, box.x + 10, box.y + (isLow ? box.height / 2 : head / 2 + 4));
  }
  context.globalAlpha = 1;
}

/** All of the block below its title: what sticks out at two sides is cut off. */
function paintPicture(context: Context, image: HTMLImageElement, box: Box, head: number): void {
  const [width, height] = [box.width - 2 * BORDER, box.height - head - 2 * BORDER];
  if (width <= 0 || height <= 0) return;
  const scale = Math.max(width / image.naturalWidth, height / image.naturalHeight);
  const [wide, high] = [width / scale, height / scale];
  const alpha = context.globalAlpha;
  if (image.dataset.earlier !== undefined) context.globalAlpha = alpha * EARLIER;
  context.drawImage(
    image,
    (image.naturalWidth - wide) / 2,
    (image.naturalHeight - high) / 2,
    wide,
    high,
    box.x + BORDER,
    box.y + head + BORDER,
    width,
    height,
  );
  context.globalAlpha = alpha;
}

function fontOf(size: number, font: string): string {
  return `600 ${size}px ${font}`;
}

/** Letters are measured at this height, once each text. */
const MEASURED = 100;
const widths = new Map<string, number>();

function measureWith(context: Context, font: string): Measure {
  return (text) => {
    const key = `${font}\n${text}`;
    const known = widths.get(key);
    if (known !== undefined) return known;
    if (widths.size > 20_000) widths.clear();
    context.font = fontOf(MEASURED, font);
    const width = context.measureText(text).width / MEASURED;
    widths.set(key, width);
    return width;
  };
}
