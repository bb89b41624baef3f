/** Presets of a node: the values of its fields, kept as a workflow of that node alone. */
import type { Json } from "../json";
import { isLink } from "../links";
import { nodeOf, type Scope, withNode } from "../scope";
import { inputOf, type NodeSpec } from "../spec";
import { emptyNode, emptyWorkflow, type Workflow } from "../workflow";

/** A workflow of one node with the values of another. Its links and its seed stay behind. */
export function nodePreset(
  workflow: Workflow,
  scope: Scope,
  node: string,
  spec: NodeSpec,
): Workflow | null {
  const entry = nodeOf(workflow, scope, node);
  if (entry === null) return null;
  const kept = [...entry.inputs].filter(([port, value]) => !isLink(value) && isKept(spec, port));
  const preset = { ...emptyNode(entry.type), version: entry.version, inputs: new Map(kept) };
  return { ...emptyWorkflow(), nodes: new Map([[PRESET, preset]]) };
}

const PRESET = "preset";

function isKept(spec: NodeSpec, port: string): boolean {
  return inputOf(spec, port)?.widget !== "seed";
}

/**
 * The workflow with a preset's values in a node of the same type. What the preset has no value for
 * gets its default; links and the seed stay.
 */
export function withPreset(
  workflow: Workflow,
  scope: Scope,
  node: string,
  preset: Workflow,
  spec: NodeSpec,
): Workflow {
  const values = [...preset.nodes.values()].find(({ type }) => type === spec.type)?.inputs;
  if (!values) return workflow;
  return withNode(workflow, scope, node, (entry) => {
    const inputs = new Map<string, Json>();
    for (const [port, own] of entry.inputs) {
      const isOwn = isLink(own) || inputOf(spec, port) === null || !isKept(spec, port);
      const value = isOwn ? own : values.get(port);
      if (value !== undefined) inputs.set(port, value);
    }
    for (const [port, value] of values) {
      if (!inputs.has(port) && isKept(spec, port)) inputs.set(port, value);
    }
    return { ...entry, inputs };
  });
}
