/** Links between nodes. */
import { EditFault } from "../fault";
import { edgeId, edgeTarget, wouldCycle } from "../graph";
import { changeLayout, layoutOf } from "../layout";
import { isLink, type Link, linkJson, linkOf, sameLink, type Target } from "../links";
import { nodeOf, nodesOf, type Scope } from "../scope";
import type { NodeSpec } from "../spec";
import type { Workflow } from "../workflow";
import { setInput } from "./inputs";

/** A link as files write it: without the port where the node has just one output. */
export function shortLink(spec: NodeSpec | null, link: Link): Link {
  const isOnly = spec?.outputs.length === 1 && spec.outputs[0]?.name === link.port;
  return isOnly ? { node: link.node, port: "" } : link;
}

/** Link an output to an input, in place of what that had; an `EditFault` if it closes a circle. */
export function connect(workflow: Workflow, scope: Scope, link: Link, to: Target): Workflow {
  const nodes = nodesOf(workflow, scope);
  for (const name of [link.node, to.node]) {
    if (!nodes.has(name)) throw new EditFault("no-such-node", [name]);
  }
  if (wouldCycle(nodes, link.node, to.node)) {
    throw new EditFault("would-cycle", [link.node, to.node]);
  }
  const before = nodes.get(to.node)?.inputs.get(to.port);
  if (sameLink(linkOf(before), link)) return workflow;
  return setInput(workflow, scope, to.node, to.port, linkJson(link));
}

export function disconnect(workflow: Workflow, scope: Scope, edgeIds: Iterable<string>): Workflow {
  let found = workflow;
  for (const id of edgeIds) {
    const { node, port } = edgeTarget(id);
    const value = nodeOf(found, scope, node)?.inputs.get(port);
    if (isLink(value)) found = setInput(found, scope, node, port, undefined);
  }
  return found;
}

/** Lead a link to another input, with the points it runs through. */
export function moveLink(workflow: Workflow, scope: Scope, edge: string, to: Target): Workflow {
  const { node, port } = edgeTarget(edge);
  const link = linkOf(nodeOf(workflow, scope, node)?.inputs.get(port));
  if (!link || (node === to.node && port === to.port)) return workflow;
  const moved = connect(disconnect(workflow, scope, [edge]), scope, link, to);
  const points = layoutOf(workflow, scope).reroutes.get(edge);
  if (!points) return moved;
  return changeLayout(moved, scope, (layout) => ({
    ...layout,
    reroutes: new Map(layout.reroutes).set(edgeId(to.node, to.port), points),
  }));
}
