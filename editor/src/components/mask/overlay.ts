import type { Area, MaskLayer } from "./maskLayer";
import type { Pixels } from "./png";

/** How strongly the mask's colour covers the picture; in stripes, to be seen on any colour. */
const STRENGTHS = [0.74, 0.46] as const;
/** Stripes across a picture. */
const STRIPES = 48;

export type Color = readonly [number, number, number];

/** The picture with all of its colours, those under transparent pixels too. */
export function drawPicture(canvas: HTMLCanvasElement, { width, height, data }: Pixels): void {
  const context = canvas.getContext("2d");
  if (context === null) return;
  const shown = context.createImageData(width, height);
  shown.data.set(data);
  for (let at = 3; at < shown.data.length; at += 4) shown.data[at] = 255;
  context.putImageData(shown, 0, 0);
}

/** Bring part of the canvas up to the mask. */
export function drawMask(
  canvas: HTMLCanvasElement,
  layer: MaskLayer,
  area: Area,
  color: Color,
): void {
  const context = canvas.getContext("2d");
  if (context === null || area.width === 0 || area.height === 0) return;
  const shown = context.createImageData(area.width, area.height);
  const wide = Math.max(2, Math.round(Math.min(layer.width, layer.height) / STRIPES));
  for (let y = 0; y < area.height; y++) {
    for (let x = 0; x < area.width; x++) {
      const to = (y * area.width + x) * 4;
      shown.data[to] = color[0];
      shown.data[to + 1] = color[1];
      shown.data[to + 2] = color[2];
      const byte = layer.bytes[(area.y + y) * layer.width + area.x + x] ?? 0;
      const stripe = Math.floor((area.x + x + area.y + y) / wide) % 2;
      shown.data[to + 3] = byte * (stripe === 0 ? STRENGTHS[0] : STRENGTHS[1]);
    }
  }
  context.putImageData(shown, area.x, area.y);
}

/** The text colour of an element in numbers, whatever notation the theme uses. */
export function colorOf(element: Element): Color {
  const canvas = document.createElement("canvas");
  canvas.width = 1;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  if (context === null) return [0, 0, 0];
  context.fillStyle = getComputedStyle(element).color;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}
