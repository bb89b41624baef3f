/** The model that is being dragged from the library onto the canvas. */
import type { DragEvent } from "react";
import type { ModelEntry } from "@/api/schema";

const KIND = "application/x-nodegraph-model";

/** Browsers tell what a drag carries only when it is dropped. */
let dragged: ModelEntry | null = null;

export function beginModelDrag(event: DragEvent, model: ModelEntry): void {
  dragged = model;
  event.dataTransfer.setData(KIND, model.name);
  event.dataTransfer.effectAllowed = "copy";
}

export function endModelDrag(): void {
  dragged = null;
}

/** The model of a drag that goes over something, or was dropped; null if it carries none. */
export function draggedModel({ dataTransfer }: Pick<DragEvent, "dataTransfer">): ModelEntry | null {
  return dataTransfer.types.includes(KIND) ? dragged : null;
}
