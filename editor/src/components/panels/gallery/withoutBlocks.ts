/** A workflow whose blocks are taken apart, to see through them what a result was made with. */

import { mapLinks } from "@/model/edits/references";
import { isLink, linkOf } from "@/model/links";
import { bodyNameOf, type NodeSpec } from "@/model/spec";
import { unpackSubgraph } from "@/model/subgraphs";
import type { NodeEntry, Workflow } from "@/model/workflow";

/** The spec of a node's type; null where it isn't known. */
export type SpecOf = (entry: NodeEntry) => NodeSpec | null;

/** Uses of blocks that are taken apart at most, as a damaged file may have one within itself. */
const MOST = 1000;

/**
 * The workflow with its blocks' nodes in their place, and what `path` is called there.
 *
 * @param path A node as results name it: "node", or "use/node" within a block.
 */
export function withoutBlocks(
  workflow: Workflow,
  path: string,
  specOf: SpecOf,
): { readonly workflow: Workflow; readonly node: string } {
  let found = workflow;
  let parts = path.replace(/\[\d+\]/g, "").split("/");
  const left = [...workflow.nodes.keys()];
  for (let count = 0; left.length > 0 && count < MOST; ) {
    const name = left.pop() ?? "";
    const entry = found.nodes.get(name);
    if (entry === undefined) continue;
    found = withBodyAsBlock(found, name, entry, specOf(entry));
    const block = found.subgraphs.get(found.nodes.get(name)?.type ?? "");
    if (block === undefined) continue;
    count += 1;
    const inner = [...block.nodes.keys()];
    const unpacked = unpackSubgraph(found, null, name);
    const names = unpacked.items.slice(0, inner.length);
    // Without node types it drops a block that nothing but loops runs.
    found = { ...unpacked.workflow, subgraphs: workflow.subgraphs };
    left.push(...names);
    const [first, next, ...rest] = parts;
    if (first !== name) continue;
    const at = next === undefined ? -1 : inner.indexOf(next);
    // What a whole use gave comes out of the node behind its output.
    const end = linkOf(new Map([["from", [...block.outputs.values()][0] ?? ""]]))?.node ?? "";
    parts = [names[at < 0 ? inner.indexOf(end) : at] ?? name, ...rest];
  }
  return { workflow: found, node: parts[0] ?? "" };
}

/** A node that runs a block in a loop, as a use of that block: its first round, so to speak. */
function withBodyAsBlock(
  workflow: Workflow,
  name: string,
  entry: NodeEntry,
  spec: NodeSpec | null,
): Workflow {
  const body = spec?.inputs.find((input) => input.body != null)?.body;
  const block = spec && body ? workflow.subgraphs.get(bodyNameOf(spec, entry.inputs)) : undefined;
  if (!spec || !body || !block) return workflow;
  const inputs = new Map(entry.inputs);
  for (const port of block.inputs.keys()) {
    const outer = body.inputs[port];
    if (outer === undefined) continue;
    inputs.delete(port);
    const value = entry.inputs.get(outer);
    // A literal in there is of all rounds together, a link shows what they depend on.
    if (value !== undefined && isLink(value)) inputs.set(port, value);
  }
  const output = (port: string) =>
    Object.entries(body.outputs).find(([, outer]) => port === "" || outer.includes(port))?.[0];
  const [only = ""] = block.outputs.keys();
  const nodes = mapLinks(workflow.nodes, (link) =>
    link.node === name ? { node: name, port: output(link.port) ?? only } : link,
  );
  const use = { ...entry, type: bodyNameOf(spec, entry.inputs), inputs };
  return { ...workflow, nodes: new Map(nodes).set(name, use) };
}
