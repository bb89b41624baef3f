/** What a key means while the stage has the focus; null if nothing. */
import {
  type BrushKey,
  brushKey,
  nameOfKey,
  nextBrushSize,
  type Pressed,
} from "@/model/painting/brushKeys";
import { LARGEST_SIZE, TOOL_KEYS, type ToolName } from "./tools";

export type StageKey =
  | { readonly kind: "tool"; readonly name: ToolName }
  | BrushKey
  | { readonly kind: "hardness"; readonly by: 1 | -1 }
  | {
      readonly kind:
        | "swap"
        | "lockAlpha"
        | "peek"
        | "cancel"
        | "fill"
        | "erase"
        | "selectAll"
        | "deselect"
        | "invert";
    };

const PLAIN: Readonly<Record<string, StageKey>> = {
  Escape: { kind: "cancel" },
  x: { kind: "swap" },
  f: { kind: "fill" },
  p: { kind: "peek" },
  "/": { kind: "lockAlpha" },
  Delete: { kind: "erase" },
  Backspace: { kind: "erase" },
  "{": { kind: "hardness", by: -1 },
  "}": { kind: "hardness", by: 1 },
};

const TOOL_OF: ReadonlyMap<string, ToolName> = new Map(
  Object.entries(TOOL_KEYS).map(([name, key]) => [key, name as ToolName]),
);

export function stageKey(event: Pressed): StageKey | null {
  const key = nameOfKey(event);
  if (event.ctrlKey || event.metaKey) {
    if (event.altKey) return null;
    if (key === "a" && !event.shiftKey) return { kind: "selectAll" };
    if (key === "d" && !event.shiftKey) return { kind: "deselect" };
    return key === "i" && event.shiftKey ? { kind: "invert" } : null;
  }
  if (event.altKey) return null;
  const plain = brushKey(event) ?? PLAIN[key];
  if (plain !== undefined) return plain;
  const name = event.shiftKey ? undefined : TOOL_OF.get(key);
  return name === undefined ? null : { kind: "tool", name };
}

export function resizedBrush(size: number, by: 1 | -1): number {
  return nextBrushSize(size, by, LARGEST_SIZE);
}

export function hardened(hardness: number, by: 1 | -1): number {
  return Math.min(1, Math.max(0, Math.round(hardness * 10 + by) / 10));
}
