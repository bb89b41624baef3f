/** What a key means to the mask painter; null if nothing. */
export type PainterKey =
  | { readonly kind: "move"; readonly x: number; readonly y: number; readonly fine: boolean }
  | { readonly kind: "resize"; readonly by: number }
  | { readonly kind: "zoom"; readonly by: "in" | "out" | "fit" | "actual" }
  | { readonly kind: "pen" | "hold" | "brush" | "eraser" | "undo" | "redo" | "invert" | "clear" };

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const PLAIN: Readonly<Record<string, PainterKey>> = {
  " ": { kind: "hold" },
  Enter: { kind: "pen" },
  b: { kind: "brush" },
  e: { kind: "eraser" },
  i: { kind: "invert" },
  Delete: { kind: "clear" },
  Backspace: { kind: "clear" },
  "[": { kind: "resize", by: -1 },
  "]": { kind: "resize", by: 1 },
  "+": { kind: "zoom", by: "in" },
  "=": { kind: "zoom", by: "in" },
  "-": { kind: "zoom", by: "out" },
  "0": { kind: "zoom", by: "fit" },
  "1": { kind: "zoom", by: "actual" },
};

interface Pressed {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export function painterKey(event: Pressed): PainterKey | null {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "y" || (key === "z" && event.shiftKey)) return { kind: "redo" };
    return key === "z" ? { kind: "undo" } : null;
  }
  if (event.altKey) return null;
  const move = MOVES[key];
  if (move !== undefined) return { kind: "move", x: move[0], y: move[1], fine: event.shiftKey };
  return PLAIN[key] ?? null;
}

/** The next brush size up or down: by about a tenth, at least one pixel. */
export function resized(size: number, by: number, largest: number): number {
  const step = Math.max(1, Math.round(size / 10));
  return Math.min(largest, Math.max(1, size + by * step));
}
