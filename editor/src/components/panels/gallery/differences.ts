/** What was set differently in two workflows, node by node. */
import { type Json, sameJson, valueText } from "@/model/json";
import { linkOf, linkText, literalOf } from "@/model/links";
import type { Nodes, Workflow } from "@/model/workflow";

export interface Difference {
  /** "node.input", within a block "block › node.input". */
  readonly place: string;
  /** Undefined: not given there. */
  readonly left: string | undefined;
  readonly right: string | undefined;
}

export function differences(left: Workflow, right: Workflow): readonly Difference[] {
  const found = ofNodes(left.nodes, right.nodes, "");
  const names = new Set([...left.subgraphs.keys(), ...right.subgraphs.keys()]);
  for (const name of names) {
    const [a, b] = [left.subgraphs.get(name)?.nodes, right.subgraphs.get(name)?.nodes];
    found.push(...ofNodes(a ?? NONE, b ?? NONE, `${name} › `));
  }
  return found;
}

const NONE: Nodes = new Map();

function ofNodes(left: Nodes, right: Nodes, prefix: string): Difference[] {
  const found: Difference[] = [];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const [a, b] = [left.get(name), right.get(name)];
    if (a === b) continue;
    if (a?.type !== b?.type) {
      found.push({ place: prefix + name, left: a?.type, right: b?.type });
      if (a === undefined || b === undefined) continue;
    }
    if (a?.mode !== b?.mode) {
      found.push({ place: `${prefix}${name} (mode)`, left: a?.mode ?? "", right: b?.mode ?? "" });
    }
    for (const port of new Set([...(a?.inputs.keys() ?? []), ...(b?.inputs.keys() ?? [])])) {
      const [x, y] = [a?.inputs.get(port), b?.inputs.get(port)];
      if (sameJson(x, y)) continue;
      found.push({ place: `${prefix}${name}.${port}`, left: textOf(x), right: textOf(y) });
    }
  }
  return found;
}

function textOf(value: Json | undefined): string | undefined {
  if (value === undefined) return undefined;
  const link = linkOf(value);
  if (link !== null) return `→ ${linkText(link)}`;
  const literal = literalOf(value);
  return literal === undefined ? "" : valueText(literal);
}

/** All literals of a workflow in the order of its nodes, "node.input" each. */
export function literalsOf(workflow: Workflow): readonly { place: string; value: string }[] {
  const found: { place: string; value: string }[] = [];
  const collect = (nodes: Nodes, prefix: string) => {
    for (const [name, entry] of nodes) {
      for (const [port, written] of entry.inputs) {
        if (linkOf(written) !== null) continue;
        found.push({ place: `${prefix}${name}.${port}`, value: textOf(written) ?? "" });
      }
    }
  };
  collect(workflow.nodes, "");
  for (const [name, block] of workflow.subgraphs) collect(block.nodes, `${name} › `);
  return found;
}
