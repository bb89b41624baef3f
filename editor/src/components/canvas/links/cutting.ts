/** Cutting links: a line drawn with Ctrl over the empty canvas takes away those that it crosses. */
import type { PointerEvent } from "react";
import { create } from "zustand";
import { isMac } from "@/commands/keys";
import { canvas, canvasPoint } from "@/components/canvas/controller";
import { edit } from "@/components/canvas/edit";
import {
  type DrawnLine,
  linesAcross,
  linesOf,
  placesOf,
} from "@/components/canvas/routes/linkPlaces";
import { removeItems } from "@/model/edits";
import type { Point } from "@/model/layout";
import { useSettings } from "@/store/settings";

export interface Cut {
  readonly line: readonly Point[];
  /** Ids of the links that it crosses so far. */
  readonly crossed: ReadonlySet<string>;
}

export const useCutting = create<{ readonly cut: Cut | null }>()(() => ({ cut: null }));

/** Less than this far, in pixels of the window, it is a click. */
const CLICK = 4;

/** Begin where Ctrl (or ⌘) is held and the canvas is empty; another press is left alone. */
export function beginCut(event: PointerEvent): void {
  const handle = canvas();
  if (handle === null || !isOnEmpty(event)) return;
  // Nothing else begins here: no selection, and no moving of the view.
  event.stopPropagation();
  const start = { x: event.clientX, y: event.clientY };
  const style = useSettings.getState().linkStyle;
  const lines = linesOf(handle.edges(), placesOf(handle.nodes()), style);
  const ended = new AbortController();
  const { signal } = ended;
  const end = () => {
    const { cut } = useCutting.getState();
    ended.abort();
    useCutting.setState({ cut: null });
    return cut;
  };
  const move = ({ clientX: x, clientY: y }: globalThis.PointerEvent) => {
    const { cut } = useCutting.getState();
    if (cut === null && Math.hypot(x - start.x, y - start.y) < CLICK) return;
    useCutting.setState({ cut: longer(cut, lines, canvasPoint(start), canvasPoint({ x, y })) });
  };
  const up = () => {
    const cut = end();
    if (cut === null) return;
    withoutClick();
    if (cut.crossed.size === 0) return;
    edit("canvas.edit.cut", (w, scope) => removeItems(w, scope, cut.crossed));
  };
  const callOff = (key: KeyboardEvent) => {
    if (key.key !== "Escape" || end() === null) return;
    key.preventDefault();
    key.stopPropagation();
  };
  window.addEventListener("mousedown", stop, { capture: true, once: true, signal });
  window.addEventListener("pointermove", move, { signal });
  window.addEventListener("pointerup", up, { signal });
  window.addEventListener("pointercancel", end, { signal });
  window.addEventListener("keydown", callOff, { capture: true, signal });
}

function isOnEmpty({ target, button, ctrlKey, metaKey, shiftKey }: PointerEvent): boolean {
  // On a Mac, a click with Ctrl opens the menu.
  const isMeant = isMac() ? metaKey && !ctrlKey : ctrlKey;
  if (button !== 0 || shiftKey || !isMeant) return false;
  return target instanceof Element && target.matches(".react-flow__pane");
}

function longer(cut: Cut | null, lines: readonly DrawnLine[], start: Point, to: Point): Cut {
  const line = cut?.line ?? [start];
  const found = linesAcross(lines, line.at(-1) ?? start, to).filter((id) => !cut?.crossed.has(id));
  const known = cut?.crossed ?? new Set<string>();
  return { line: [...line, to], crossed: found.length > 0 ? new Set([...known, ...found]) : known };
}

/** The press that drew the line isn't a click on the canvas as well. */
function withoutClick(): void {
  window.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => window.removeEventListener("click", stop, { capture: true }));
}

function stop(event: Event): void {
  event.stopPropagation();
}
