/** Colors as "#rrggbb" and as numbers. */

/** Red, green and blue, 0 to 255. */
export type Color = readonly [number, number, number];

/** The numbers of "#rrggbb"; black if it is something else. */
export function parseColor(text: string): Color {
  const digits = /^#([0-9a-f]{6})$/i.exec(text)?.[1];
  if (digits === undefined) return [0, 0, 0];
  const value = Number.parseInt(digits, 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export function formatColor([red, green, blue]: Color): string {
  const value = (red << 16) | (green << 8) | blue;
  return `#${value.toString(16).padStart(6, "0")}`;
}
