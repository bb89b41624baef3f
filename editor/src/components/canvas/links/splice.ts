/** Putting a node in between a link: what it was that two nodes had, each has with the node now. */

import type { CanvasEdge, Scene } from "@/components/canvas/adapt";
import { addNode } from "@/model/edits";
import { edgeId, edgesFrom, edgesInto } from "@/model/graph";
import { itemOf } from "@/model/items";
import { changeLayout, layoutOf, type Point } from "@/model/layout";
import { nodesOf } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { edgeIdOf, endsOf, fittingPorts, link, type Start } from "./connect";

/** Whether a node stands on its own, so that a link may take it in. */
export function isLoose({ workflow, scope }: Scene, node: string): boolean {
  const nodes = nodesOf(workflow, scope);
  const entry = nodes.get(node);
  if (!entry || itemOf(node).kind !== "node") return false;
  return edgesInto(node, entry).length === 0 && edgesFrom(nodes, node).length === 0;
}

/**
 * The workflow with the node in between; null where none of its inputs or outputs fits.
 *
 * Points of the link before the place where the node is belong to its first half.
 */
export function spliced(
  scene: Scene,
  edge: CanvasEdge,
  node: string,
  before: number,
): Workflow | null {
  if (itemOf(edge.id).kind !== "edge" || scene.types === null) return null;
  const start: Start = { node: edge.source, port: edge.sourceHandle ?? "", side: "output" };
  const end: Start = { node: edge.target, port: edge.targetHandle ?? "", side: "input" };
  if (start.node === node || end.node === node) return null;
  const into = fittingPorts(scene, start, node)[0];
  if (into === undefined) return null;
  const half = link(scene.workflow, scene, endsOf(start, { node, port: into }));
  const linked = { ...scene, workflow: half };
  const out = fittingPorts(linked, end, node)[0];
  if (out === undefined) return null;
  const whole = link(half, linked, endsOf(end, { node, port: out }));
  return withPointsApart(whole, scene, edgeIdOf(edge), edgeId(node, into), before);
}

/** Another link has no points at first: they are those of the link that was there. */
function withPointsApart(
  workflow: Workflow,
  scene: Scene,
  second: string,
  first: string,
  before: number,
): Workflow {
  const points = layoutOf(scene.workflow, scene.scope).reroutes.get(second);
  if (!points) return workflow;
  return changeLayout(workflow, scene.scope, (layout) => {
    const reroutes = new Map(layout.reroutes);
    if (before > 0) reroutes.set(first, points.slice(0, before));
    if (before < points.length) reroutes.set(second, points.slice(before));
    return { ...layout, reroutes };
  });
}

/** The same with a node that isn't there yet. */
export function splicedNew(
  scene: Scene,
  edge: CanvasEdge,
  type: string,
  at: Point,
  before: number,
): { workflow: Workflow; name: string } | null {
  const { workflow, name } = addNode(scene.workflow, scene.scope, { type, at });
  const found = spliced({ ...scene, workflow }, edge, name, before);
  return found && { workflow: found, name };
}
