/**
 * Blend modes. Browsers have those of W3C Compositing and Blending, Level 1; add, subtract and divide
 * are computed here as the engine does it (nodegraph/media/images/editing/compositing.py).
 */

const OPERATIONS: Readonly<Record<string, GlobalCompositeOperation>> = {
  normal: "source-over",
  multiply: "multiply",
  screen: "screen",
  overlay: "overlay",
  darken: "darken",
  lighten: "lighten",
  "color dodge": "color-dodge",
  "color burn": "color-burn",
  "hard light": "hard-light",
  "soft light": "soft-light",
  difference: "difference",
  exclusion: "exclusion",
  hue: "hue",
  saturation: "saturation",
  color: "color",
  luminosity: "luminosity",
};

type Formula = (below: number, above: number) => number;

/** Of channels from 0 to 1. */
const FORMULAS: Readonly<Record<string, Formula>> = {
  add: (below, above) => Math.min(1, below + above),
  subtract: (below, above) => Math.max(0, below - above),
  divide: (below, above) => (below === 0 ? 0 : above === 0 ? 1 : Math.min(1, below / above)),
};

/** The canvas's operation of a mode; null if `blendPixels` does it. Unknown modes are normal. */
export function operationOf(mode: string): GlobalCompositeOperation | null {
  return mode in FORMULAS ? null : (OPERATIONS[mode] ?? "source-over");
}

/**
 * Put one picture on another one of its size, in place.
 *
 * @param below, above RGBA, not multiplied by alpha.
 * @param opacity 0 to 1, of what is above.
 */
export function blendPixels(
  below: Uint8ClampedArray,
  above: Uint8ClampedArray,
  opacity: number,
  mode: string,
): void {
  const formula = FORMULAS[mode] ?? ((_: number, top: number) => top);
  for (let at = 0; at < below.length; at += 4) {
    const share = ((above[at + 3] ?? 0) / 255) * opacity;
    if (share === 0) continue;
    const alpha = (below[at + 3] ?? 0) / 255;
    const total = share + alpha * (1 - share);
    for (let channel = at; channel < at + 3; channel++) {
      const [bottom, top] = [(below[channel] ?? 0) / 255, (above[channel] ?? 0) / 255];
      // Where there is nothing below, the layer shows as it is.
      const mixed = top + (formula(bottom, top) - top) * alpha;
      below[channel] = (255 * (share * mixed + (1 - share) * alpha * bottom)) / total;
    }
    below[at + 3] = 255 * total;
  }
}
