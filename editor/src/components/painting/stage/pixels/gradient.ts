/** Gradients between two colors, pixel by pixel. */
import type { Color } from "./colors";
import type { ImageBytes } from "./coverage";
import type { Point, Rect } from "./geometry";

export interface Gradient {
  readonly kind: "linear" | "radial";
  /** Where it begins: with the first color; of a radial one its middle. */
  readonly from: Point;
  readonly to: Point;
  readonly first: Color;
  /** Null: the first color, transparent. */
  readonly second: Color | null;
}

/** RGBA of a part of the canvas, not multiplied by alpha. */
export function gradientPixels(rect: Rect, gradient: Gradient): ImageBytes {
  const bytes = new Uint8ClampedArray(rect.width * rect.height * 4);
  const words = new Uint32Array(bytes.buffer);
  const ramp = rampOf(gradient);
  const { from, to, kind } = gradient;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const square = Math.max(1e-9, dx * dx + dy * dy);
  const length = Math.sqrt(square);
  let at = 0;
  for (let y = 0; y < rect.height; y++) {
    const py = rect.y + y + 0.5 - from.y;
    for (let x = 0; x < rect.width; x++) {
      const px = rect.x + x + 0.5 - from.x;
      const share =
        kind === "linear" ? (px * dx + py * dy) / square : Math.sqrt(px * px + py * py) / length;
      const step = share <= 0 ? 0 : share >= 1 ? STEPS : Math.round(share * STEPS);
      words[at++] = ramp[step] ?? 0;
    }
  }
  return bytes;
}

/** Between two bytes there are no more steps than these. */
const STEPS = 1023;

/** The colors of all steps as pixels, in the byte order of this machine. */
function rampOf({ first, second }: Gradient): Uint32Array {
  const bytes = new Uint8ClampedArray((STEPS + 1) * 4);
  const last = second ?? first;
  for (let step = 0; step <= STEPS; step++) {
    const share = step / STEPS;
    for (let channel = 0; channel < 3; channel++) {
      const [a = 0, b = 0] = [first[channel], last[channel]];
      bytes[step * 4 + channel] = a + (b - a) * share;
    }
    bytes[step * 4 + 3] = second === null ? 255 * (1 - share) : 255;
  }
  return new Uint32Array(bytes.buffer);
}
