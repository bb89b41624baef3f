/** Models that are dragged from the library onto the canvas: onto a card that takes them, or beside. */
import type { DragEvent } from "react";
import { putModel } from "@/commands/models";
import { canvasPoint } from "@/components/canvas/controller";
import { draggedModel } from "@/components/panels/models/dragging";

/** Whether a model is dragged, which may then be dropped here. */
export function dragModel(event: DragEvent): boolean {
  if (draggedModel(event) === null) return false;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  return true;
}

/** Put a dropped model into the card under it, or else a node that loads it where it was dropped. */
export function dropModel(event: DragEvent): boolean {
  const model = draggedModel(event);
  if (model === null) return false;
  event.preventDefault();
  event.stopPropagation();
  const target = event.target instanceof Element ? event.target : null;
  const port = target?.closest<HTMLElement>("[data-input], .react-flow__handle.target");
  putModel(model, {
    at: canvasPoint({ x: event.clientX - 60, y: event.clientY - 16 }),
    node: target?.closest<HTMLElement>("[data-node]")?.dataset.node ?? null,
    port: port?.dataset.input ?? port?.dataset.port ?? "",
  });
  return true;
}
