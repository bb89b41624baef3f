/** Results that are dragged onto the canvas: a node that loads them, linked to the port under them. */
import type { DragEvent } from "react";
import type { Scene } from "@/components/canvas/adapt";
import { canvasPoint } from "@/components/canvas/controller";
import { draggedResult } from "@/components/results/dragging";
import { layoutOf } from "@/model/layout";
import type { Target } from "@/model/links";
import { freePicturePort, takesPicture } from "@/model/recipes";
import { nodesOf } from "@/model/scope";
import { USUAL_WIDTH } from "@/model/sizes";
import { inputOf, typeOf } from "@/model/spec";

const GAP = 64;

/** Whether a result is dragged, which may then be dropped here. */
export function dragResult(event: DragEvent): boolean {
  if (draggedResult(event) === null) return false;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  return true;
}

/** Put a dropped result where it was dropped, or before the node that takes it. */
export function dropResult(event: DragEvent, scene: Scene): boolean {
  const artifact = draggedResult(event);
  if (artifact === null) return false;
  event.preventDefault();
  event.stopPropagation();
  const to = portUnder(event.target, scene);
  const point = canvasPoint({ x: event.clientX - 60, y: event.clientY - 16 });
  const beside = to && layoutOf(scene.workflow, scene.scope).positions.get(to.node);
  const at = beside ? { x: beside.x - USUAL_WIDTH - GAP, y: beside.y } : point;
  void import("@/components/results/taking").then(({ place }) => place(artifact, at, to));
  return true;
}

/** The input that is pointed at if it takes pictures, or else the one such input of the card. */
function portUnder(target: EventTarget | null, { workflow, scope, types }: Scene): Target | null {
  if (!(target instanceof Element) || types === null) return null;
  const node = target.closest<HTMLElement>("[data-node]")?.dataset.node;
  const entry = node === undefined ? undefined : nodesOf(workflow, scope).get(node);
  if (node === undefined || entry === undefined) return null;
  const under = target.closest<HTMLElement>("[data-input], .react-flow__handle.target");
  const port = under?.dataset.input ?? under?.dataset.port ?? "";
  const spec = typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  if (input && takesPicture(types, input.type)) return { node, port };
  return freePicturePort({ workflow, scope, types }, [node]);
}
