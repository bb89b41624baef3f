/** The inputs and outputs of a node as the inspector lists them. */
import { edgesFrom } from "@/model/graph";
import type { Layout } from "@/model/layout";
import { isLink, type Link, linkOf, targetText } from "@/model/links";
import type { InputSpec, NodeSpec } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { NodeEntry, Nodes, Workflow } from "@/model/workflow";

export interface InputRow {
  readonly input: InputSpec;
  /** What it is linked to. */
  readonly link: Link | null;
  readonly hasWidget: boolean;
  readonly isGiven: boolean;
  /** It has a widget but is shown as a port. */
  readonly isShownAsPort: boolean;
  /** Names of the parameters that vary it. */
  readonly parameters: readonly string[];
}

export interface InputGroup {
  readonly name: string;
  readonly rows: readonly InputRow[];
}

export function inputRow(
  workflow: Workflow,
  layout: Layout,
  node: { readonly name: string; readonly entry: NodeEntry; readonly isRoot: boolean },
  input: InputSpec,
): InputRow {
  const value = node.entry.inputs.get(input.name);
  const target = targetText({ node: node.name, port: input.name });
  const varied = [...workflow.parameters].filter(([, parameter]) => parameter.input === target);
  return {
    input,
    link: isLink(value) ? linkOf(value) : null,
    hasWidget: widgetOf(input) !== null,
    isGiven: value !== undefined,
    isShownAsPort: layout.shown.get(node.name)?.has(input.name) ?? false,
    parameters: node.isRoot ? varied.map(([name]) => name) : [],
  };
}

/** Rows by the group that their inputs declare, ungrouped ones first; advanced ones apart. */
export function grouped(rows: readonly InputRow[]): {
  readonly plain: readonly InputGroup[];
  readonly advanced: readonly InputRow[];
} {
  const groups = new Map<string, InputRow[]>([["", []]]);
  for (const row of rows) {
    if (row.input.advanced) continue;
    groups.set(row.input.group, [...(groups.get(row.input.group) ?? []), row]);
  }
  return {
    plain: [...groups].map(([name, found]) => ({ name, rows: found })),
    advanced: rows.filter((row) => row.input.advanced),
  };
}

/** Inputs that are written in the file but that the node's type doesn't have. */
export function strayInputs(spec: NodeSpec | null, entry: NodeEntry): readonly string[] {
  const known = new Set(spec?.inputs.map((input) => input.name));
  return [...entry.inputs.keys()].filter((name) => !known.has(name));
}

export interface Use {
  readonly port: string;
  readonly users: readonly { readonly node: string; readonly port: string }[];
}

/** Which inputs each output of a node feeds. */
export function usesOfOutputs(nodes: Nodes, name: string, spec: NodeSpec): readonly Use[] {
  const edges = edgesFrom(nodes, name);
  const only = spec.outputs.length === 1;
  return spec.outputs.map((output) => ({
    port: output.name,
    users: edges
      .filter((edge) => edge.from.port === output.name || (only && edge.from.port === ""))
      .map((edge) => edge.to),
  }));
}

/** Inputs that all of some nodes have, by name and type. */
export function sharedInputs(specs: readonly NodeSpec[]): readonly InputSpec[] {
  const [first, ...rest] = specs;
  if (first === undefined) return [];
  return first.inputs.filter((input) =>
    rest.every((spec) =>
      spec.inputs.some((other) => other.name === input.name && other.type === input.type),
    ),
  );
}
