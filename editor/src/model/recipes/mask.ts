/** A mask that was painted onto a picture, led to where the graph wants it. */
import { addNode, setInput } from "../edits";
import { downstream, edgesFrom } from "../graph";
import { changeLayout, layoutOf } from "../layout";
import { isLink, linkJson } from "../links";
import { nodesOf } from "../scope";
import { inputOf, outputOf, typeOf } from "../spec";
import type { Workflow } from "../workflow";
import type { Ground } from "./chain";
import { isSampler } from "./origin";

const SET_MASK = "SetNoiseMask";

/**
 * Link the mask of a node that loads a picture: to the masks that are wanted behind it and not
 * given, or else in between the picture's latent and its sampler. The same workflow if it is
 * linked already, or nothing behind it wants one.
 */
export function wireMask(ground: Ground, node: string): Workflow {
  const { workflow, scope, types } = ground;
  const nodes = nodesOf(workflow, scope);
  const entry = nodes.get(node);
  const spec = entry ? typeOf(types, workflow, entry) : null;
  const mask = spec && outputOf(spec, "mask");
  if (mask?.type !== "Mask") return workflow;
  const isUsed = edgesFrom(nodes, node).some(({ from }) => from.port === "mask");
  if (isUsed) return workflow;
  const wanting = wantedMasks(ground, node);
  const link = linkJson({ node, port: "mask" });
  if (wanting.length > 0) {
    return wanting.reduce((w, to) => setInput(w, scope, to.node, to.port, link), workflow);
  }
  return types.byName.has(SET_MASK) ? betweenLatent(ground, node) : workflow;
}

/** Required masks, not given, of nodes that the picture comes to. */
function wantedMasks({ workflow, scope, types }: Ground, node: string) {
  const nodes = nodesOf(workflow, scope);
  return [...downstream(nodes, [node])].flatMap((name) => {
    const entry = nodes.get(name);
    if (name === node || entry === undefined) return [];
    const inputs = typeOf(types, workflow, entry)?.inputs ?? [];
    return inputs
      .filter(({ type, required }) => type === "Mask" && required)
      .filter((port) => !isLink(entry.inputs.get(port.name)))
      .map((port) => ({ node: name, port: port.name }));
  });
}

/** Where the picture's latent goes straight into a sampler, it passes through the mask first. */
function betweenLatent(ground: Ground, node: string): Workflow {
  const { workflow, scope, types } = ground;
  const nodes = nodesOf(workflow, scope);
  const specOf = (name: string) => {
    const entry = nodes.get(name);
    return entry ? typeOf(types, workflow, entry) : null;
  };
  for (const { to: into } of edgesFrom(nodes, node)) {
    const encoder = specOf(into.node);
    if (!encoder || inputOf(encoder, into.port)?.type !== "Image") continue;
    const edge = edgesFrom(nodes, into.node).find(
      ({ to }) => to.port === "latent" && isSampler(specOf(to.node)),
    );
    if (!edge) continue;
    const positions = layoutOf(workflow, scope).positions;
    const [at, next] = [positions.get(into.node), positions.get(edge.to.node)];
    const place = at && next ? { x: (at.x + next.x) / 2, y: at.y + 220 } : { x: 0, y: 0 };
    const added = addNode(workflow, scope, {
      type: SET_MASK,
      at: place,
      inputs: new Map([
        ["latent", linkJson(edge.from)],
        ["mask", linkJson({ node, port: "mask" })],
      ]),
    });
    const latent = linkJson({ node: added.name, port: "" });
    const wired = setInput(added.workflow, scope, edge.to.node, edge.to.port, latent);
    return at && next ? wired : unplaced(wired, scope, added.name);
  }
  return workflow;
}

function unplaced(workflow: Workflow, scope: Ground["scope"], name: string): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    const positions = new Map(layout.positions);
    positions.delete(name);
    return { ...layout, positions };
  });
}
