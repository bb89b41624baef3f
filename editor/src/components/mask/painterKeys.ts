/** What a key means to the mask painter; null if nothing. */
import { type BrushKey, brushKey, nameOfKey, type Pressed } from "@/model/painting/brushKeys";

export type PainterKey =
  | BrushKey
  | { readonly kind: "brush" | "eraser" | "undo" | "redo" | "invert" | "clear" };

const PLAIN: Readonly<Record<string, PainterKey>> = {
  b: { kind: "brush" },
  e: { kind: "eraser" },
  i: { kind: "invert" },
  Delete: { kind: "clear" },
  Backspace: { kind: "clear" },
};

export function painterKey(event: Pressed): PainterKey | null {
  const key = nameOfKey(event);
  if (event.ctrlKey || event.metaKey) {
    if (key === "y" || (key === "z" && event.shiftKey)) return { kind: "redo" };
    return key === "z" ? { kind: "undo" } : null;
  }
  if (event.altKey) return null;
  return brushKey(event) ?? PLAIN[key] ?? null;
}
