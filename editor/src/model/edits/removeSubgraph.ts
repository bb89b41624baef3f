/** Taking a block away. */
import { EditFault } from "../fault";
import { moveLayout } from "../layout";
import type { NodeTypes } from "../spec";
import type { Workflow } from "../workflow";
import { usesOf } from "./uses";

/** Take away a block that isn't used; an `EditFault` if it is. */
export function removeSubgraph(
  workflow: Workflow,
  name: string,
  types: NodeTypes | null = null,
): Workflow {
  if (!workflow.subgraphs.has(name)) return workflow;
  const uses = usesOf(workflow, name, types).filter((use) => use.scope !== name);
  if (uses.length > 0)
    throw new EditFault(
      "still-used",
      uses.map((use) => use.node),
    );
  const subgraphs = new Map(workflow.subgraphs);
  subgraphs.delete(name);
  return moveLayout({ ...workflow, subgraphs }, name, null);
}
