/** The values of a node's inputs. */
import { edgeId } from "../graph";
import { type Json, sameJson } from "../json";
import { changeLayout } from "../layout";
import { isLink, linkOf, sameLink } from "../links";
import { nodeOf, type Scope, withNode } from "../scope";
import type { Workflow } from "../workflow";

/** Give an input a value as written in the file, literal or link; undefined takes it away. */
export function setInput(
  workflow: Workflow,
  scope: Scope,
  node: string,
  port: string,
  value: Json | undefined,
): Workflow {
  const before = nodeOf(workflow, scope, node)?.inputs.get(port);
  if (sameJson(before, value)) return workflow;
  const changed = withNode(workflow, scope, node, (entry) => {
    const inputs = new Map(entry.inputs);
    if (value === undefined) inputs.delete(port);
    else inputs.set(port, value);
    return { ...entry, inputs };
  });
  const keepsPoints = !isLink(before) || sameLink(linkOf(before), linkOf(value));
  return keepsPoints ? changed : forgetPoints(changed, scope, edgeId(node, port));
}

/** The points that a link ran through belong to that link. */
function forgetPoints(workflow: Workflow, scope: Scope, edge: string): Workflow {
  return changeLayout(workflow, scope, (layout) => {
    if (!layout.reroutes.has(edge)) return layout;
    const reroutes = new Map(layout.reroutes);
    reroutes.delete(edge);
    return { ...layout, reroutes };
  });
}
