/** Keys that mean the same wherever one paints: on the canvas, and in the dialog for masks. */

/** What was pressed, as events of the keyboard tell. */
export interface Pressed {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export type BrushKey =
  | { readonly kind: "move"; readonly x: number; readonly y: number; readonly shift: boolean }
  | { readonly kind: "size"; readonly by: 1 | -1 }
  | { readonly kind: "zoom"; readonly by: "in" | "out" | "fit" | "actual" }
  | { readonly kind: "pen" | "hold" };

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const PLAIN: Readonly<Record<string, BrushKey>> = {
  " ": { kind: "hold" },
  Enter: { kind: "pen" },
  "[": { kind: "size", by: -1 },
  "]": { kind: "size", by: 1 },
  "+": { kind: "zoom", by: "in" },
  "=": { kind: "zoom", by: "in" },
  "-": { kind: "zoom", by: "out" },
  "0": { kind: "zoom", by: "fit" },
  "1": { kind: "zoom", by: "actual" },
};

/** Letters count alike with and without Shift. */
export function nameOfKey({ key }: Pressed): string {
  return key.length === 1 ? key.toLowerCase() : key;
}

/** What a key means to a brush; null if nothing, as with Ctrl, ⌘ or Alt. */
export function brushKey(event: Pressed): BrushKey | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const key = nameOfKey(event);
  const move = MOVES[key];
  if (move !== undefined) return { kind: "move", x: move[0], y: move[1], shift: event.shiftKey };
  return PLAIN[key] ?? null;
}

/** The next brush size up or down: by about a tenth, at least one pixel. */
export function nextBrushSize(size: number, by: 1 | -1, largest: number): number {
  const step = Math.max(1, Math.round(size / 10));
  return Math.min(largest, Math.max(1, Math.round(size + by * step)));
}
