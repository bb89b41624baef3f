/** Blocks: making one of a selection, taking one apart, and what a whole block goes by. */
import { blocksOf } from "./edits/fragment";
import { reaches } from "./edits/nodes";
import { remap } from "./edits/references";
import { usesOf } from "./edits/uses";
import { EditFault } from "./fault";
import { changeLayout, layoutOf, moveLayout } from "./layout";
import { freeName } from "./names";
import { withEach, withSubgraph } from "./scope";
import { type NodeSpec, type NodeTypes, subgraphType } from "./spec";
import { emptySubgraph, type Subgraph, type SubgraphInput, type Workflow } from "./workflow";

export {
  demoteInput,
  demoteOutput,
  promoteInput,
  promoteOutput,
  renameInput,
  renameOutput,
  reorderPorts,
  unlinkEnd,
  unlinkInput,
  updateInput,
} from "./edits/blockPorts";
export { makeSubgraph } from "./edits/makeSubgraph";
export { removeSubgraph } from "./edits/removeSubgraph";
export { unpackSubgraph } from "./edits/unpackSubgraph";
export { type Use, usesOf } from "./edits/uses";

/** A block as a node type; null if there is none, or it can't be used. */
export function subgraphSpec(workflow: Workflow, name: string, types: NodeTypes): NodeSpec | null {
  return subgraphType(types, workflow, name);
}

/** Whether a block is, or uses at any depth, another one. */
export function containsSubgraph(workflow: Workflow, outer: string, inner: string): boolean {
  return reaches(workflow, outer, inner);
}

/** A new empty block under its name, or the next free one. */
export function addSubgraph(
  workflow: Workflow,
  name: string,
): { workflow: Workflow; name: string } {
  const found = freeName(name.trim() || "Block", workflow.subgraphs);
  return { workflow: withSubgraph(workflow, found, emptySubgraph()), name: found };
}

/** Blocks that no node uses, directly or by another block. */
export function unusedSubgraphs(workflow: Workflow): readonly string[] {
  const used = blocksOf(workflow, workflow.nodes);
  return [...workflow.subgraphs.keys()].filter((name) => !used.has(name));
}

/** Give a block another name, wherever it is used. */
export function renameSubgraph(
  workflow: Workflow,
  from: string,
  to: string,
  types: NodeTypes | null = null,
): Workflow {
  if (from === to) return workflow;
  if (!workflow.subgraphs.has(from)) throw new EditFault("no-such-subgraph", [from]);
  if (to.trim() === "") throw new EditFault("bad-name", [to]);
  if (workflow.subgraphs.has(to)) throw new EditFault("name-taken", [to]);
  let found = workflow;
  for (const { scope, node, port } of usesOf(workflow, from, types)) {
    found = withEach(found, scope, [node], (entry) =>
      port === null
        ? { ...entry, type: to }
        : { ...entry, inputs: new Map(entry.inputs).set(port, to) },
    );
  }
  const subgraphs = remap(found.subgraphs, (name, block) => [
    name === from ? to : name,
    withDefaults(block, from, to),
  ]);
  return moveLayout({ ...found, subgraphs }, from, to);
}

/** Inputs that take a block may have this one as their default. */
function withDefaults(block: Subgraph, from: string, to: string): Subgraph {
  const inputs = remap<string, SubgraphInput>(block.inputs, (name, input) => {
    if (input.type !== "Subgraph" || input.extra.get("default") !== from) return [name, input];
    return [name, { ...input, extra: new Map(input.extra).set("default", to) }];
  });
  return inputs === block.inputs ? block : { ...block, inputs };
}

/** A second block that does the same, to be changed apart from the first. */
export function duplicateSubgraph(
  workflow: Workflow,
  name: string,
): { workflow: Workflow; name: string } {
  const block = workflow.subgraphs.get(name);
  if (!block) throw new EditFault("no-such-subgraph", [name]);
  const found = freeName(name, workflow.subgraphs);
  const added = withSubgraph(workflow, found, block);
  const layout = layoutOf(workflow, name);
  return { workflow: changeLayout(added, found, () => layout), name: found };
}
