/** Where a block is used: as a node, or by a node that runs it, as loops do. */
import { isLink, literalOf } from "../links";
import { nodesOf, type Scope, scopesOf } from "../scope";
import { inputOf, type NodeTypes, typeOf } from "../spec";
import type { NodeEntry, Workflow } from "../workflow";

export interface Use {
  readonly scope: Scope;
  readonly node: string;
  /** The input that names the block; null where the node is the block itself. */
  readonly port: string | null;
}

/** All uses; without `types`, a text that is the block's name counts where it is a "body". */
export function usesOf(
  workflow: Workflow,
  name: string,
  types: NodeTypes | null = null,
): readonly Use[] {
  const found: Use[] = [];
  for (const scope of scopesOf(workflow)) {
    for (const [node, entry] of nodesOf(workflow, scope)) {
      if (entry.type === name) found.push({ scope, node, port: null });
      for (const port of portsNaming(workflow, entry, name, types)) {
        found.push({ scope, node, port });
      }
    }
  }
  return found;
}

/** The inputs of a node whose value is a block's name and means the block. */
function portsNaming(
  workflow: Workflow,
  entry: NodeEntry,
  name: string,
  types: NodeTypes | null,
): readonly string[] {
  const ports = [...entry.inputs]
    .filter(([, value]) => !isLink(value) && literalOf(value) === name)
    .map(([port]) => port);
  if (ports.length === 0) return ports;
  const spec = types && typeOf(types, workflow, entry);
  if (!spec) return ports.filter((port) => port === "body");
  return ports.filter((port) => /\bSubgraph\b/.test(inputOf(spec, port)?.type ?? ""));
}
