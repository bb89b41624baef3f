/** Linking by keyboard: the ports of a card, and what each can be linked to. */

import type { CanvasEdge, Scene } from "@/components/canvas/adapt";
import { NEW_PORT } from "@/components/canvas/adapt";
import { itemOf } from "@/model/items";
import { nodesOf } from "@/model/scope";
import { labelOf, portLabel, typeOf } from "@/model/spec";
import { fitsFor, type Start } from "./connect";

export interface PortChoice {
  readonly start: Start;
  readonly label: string;
  readonly type: string;
  /** The links that it has. */
  readonly edges: readonly CanvasEdge[];
}

/** The ports of a card that links can be drawn from. */
export function portChoices(
  scene: Scene,
  node: string,
  edges: readonly CanvasEdge[],
): readonly PortChoice[] {
  const item = itemOf(node);
  if (item.kind === "end") return endChoices(scene, node, item.end, edges);
  const entry = nodesOf(scene.workflow, scene.scope).get(node);
  const spec = entry && scene.types ? typeOf(scene.types, scene.workflow, entry) : null;
  if (!spec) return [];
  const choice =
    (side: Start["side"]) =>
    (port: { name: string; label?: string | undefined; type: string }): PortChoice => ({
      start: { node, port: port.name, side },
      label: portLabel(port),
      type: port.type,
      edges: edgesOfPort(edges, node, port.name, side),
    });
  return [
    ...spec.outputs.map(choice("output")),
    ...spec.inputs.filter((input) => input.body === null).map(choice("input")),
  ];
}

function endChoices(
  { workflow, scope }: Scene,
  node: string,
  end: "inputs" | "outputs",
  edges: readonly CanvasEdge[],
): readonly PortChoice[] {
  const block = scope === null ? undefined : workflow.subgraphs.get(scope);
  const side = end === "inputs" ? "output" : "input";
  return [...(block?.[end].keys() ?? []), NEW_PORT].map((port) => ({
    start: { node, port, side },
    label: port === NEW_PORT ? "" : portLabel({ name: port }),
    type: "",
    edges: edgesOfPort(edges, node, port, side),
  }));
}

function edgesOfPort(
  edges: readonly CanvasEdge[],
  node: string,
  port: string,
  side: Start["side"],
): readonly CanvasEdge[] {
  return edges.filter((edge) =>
    side === "output"
      ? edge.source === node && edge.sourceHandle === port
      : edge.target === node && edge.targetHandle === port,
  );
}

export interface TargetChoice {
  readonly node: string;
  readonly port: string;
  /** The node's name as people know it. */
  readonly title: string;
  readonly label: string;
}

/** What a port can be linked to, the nodes in the order of the file. */
export function targetChoices(scene: Scene, start: Start): readonly TargetChoice[] {
  const nodes = nodesOf(scene.workflow, scene.scope);
  return [...fitsFor(scene, start)].flatMap(([node, ports]) => {
    const entry = nodes.get(node);
    const spec = entry && scene.types ? typeOf(scene.types, scene.workflow, entry) : null;
    const title = entry?.label || (spec ? labelOf(spec) : node);
    const specs = start.side === "output" ? spec?.inputs : spec?.outputs;
    const labelled = new Map(specs?.map((port) => [port.name, port]));
    return [...ports].map((port) => ({
      node,
      port,
      title,
      label: port === NEW_PORT ? "" : portLabel(labelled.get(port) ?? { name: port }),
    }));
  });
}
