/** The node type that is being dragged from the palette. */
import type { DragEvent } from "react";

const KIND = "application/x-nodegraph-type";

/** Browsers tell what a drag carries only when it is dropped. */
let dragged: string | null = null;

export function beginDrag(event: DragEvent, type: string): void {
  dragged = type;
  event.dataTransfer.setData(KIND, type);
  event.dataTransfer.effectAllowed = "copy";
}

/** The type of a drag that goes over something; null if it carries none. */
export function draggedType(event: DragEvent): string | null {
  return event.dataTransfer.types.includes(KIND) ? dragged : null;
}

/** The type that was dropped; null if it was something else. */
export function droppedType(event: DragEvent): string | null {
  dragged = null;
  return event.dataTransfer.getData(KIND) || null;
}
