/** What a key means while the stage has the focus; null if nothing. */
import { LARGEST_SIZE, TOOL_KEYS, type ToolName } from "./tools";

export type StageKey =
  | { readonly kind: "tool"; readonly name: ToolName }
  | { readonly kind: "size" | "hardness"; readonly by: 1 | -1 }
  | { readonly kind: "zoom"; readonly by: "in" | "out" | "fit" | "actual" }
  | { readonly kind: "move"; readonly x: number; readonly y: number; readonly shift: boolean }
  | {
      readonly kind:
        | "swap"
        | "lockAlpha"
        | "peek"
        | "pen"
        | "hold"
        | "cancel"
        | "fill"
        | "erase"
        | "selectAll"
        | "deselect"
        | "invert";
    };

interface Pressed {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

const MOVES: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const PLAIN: Readonly<Record<string, StageKey>> = {
  " ": { kind: "hold" },
  Enter: { kind: "pen" },
  Escape: { kind: "cancel" },
  x: { kind: "swap" },
  f: { kind: "fill" },
  p: { kind: "peek" },
  "/": { kind: "lockAlpha" },
  Delete: { kind: "erase" },
  Backspace: { kind: "erase" },
  "[": { kind: "size", by: -1 },
  "]": { kind: "size", by: 1 },
  "{": { kind: "hardness", by: -1 },
  "}": { kind: "hardness", by: 1 },
  "+": { kind: "zoom", by: "in" },
  "=": { kind: "zoom", by: "in" },
  "-": { kind: "zoom", by: "out" },
  "0": { kind: "zoom", by: "fit" },
  "1": { kind: "zoom", by: "actual" },
};

const TOOL_OF: ReadonlyMap<string, ToolName> = new Map(
  Object.entries(TOOL_KEYS).map(([name, key]) => [key, name as ToolName]),
);

export function stageKey(event: Pressed): StageKey | null {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (event.altKey) return null;
    if (key === "a" && !event.shiftKey) return { kind: "selectAll" };
    if (key === "d" && !event.shiftKey) return { kind: "deselect" };
    return key === "i" && event.shiftKey ? { kind: "invert" } : null;
  }
  if (event.altKey) return null;
  const move = MOVES[key];
  if (move !== undefined) return { kind: "move", x: move[0], y: move[1], shift: event.shiftKey };
  const plain = PLAIN[key];
  if (plain !== undefined) return plain;
  const name = event.shiftKey ? undefined : TOOL_OF.get(key);
  return name === undefined ? null : { kind: "tool", name };
}

/** The next brush size up or down: by about a tenth, at least one pixel. */
export function resizedBrush(size: number, by: 1 | -1): number {
  const step = Math.max(1, Math.round(size / 10));
  return Math.min(LARGEST_SIZE, Math.max(1, Math.round(size + by * step)));
}

export function hardened(hardness: number, by: 1 | -1): number {
  return Math.min(1, Math.max(0, Math.round(hardness * 10 + by) / 10));
}
