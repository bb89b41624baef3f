/**
 * Node types as they come over the network: a field that is false, null or empty is left out, and
 * texts for search and help come by themselves, after the graph is on the screen.
 */
import {
  ANY_INPUT,
  type InputSpec,
  NO_TRAITS,
  type NodeSpec,
  type NodeTypes,
  type OutputSpec,
} from "./spec";

type Compact<T> = Partial<Omit<T, "inputs" | "outputs">>;

export type CompactSpec = Compact<NodeSpec> & {
  readonly type: string;
  readonly inputs?: readonly Compact<InputSpec>[];
  readonly outputs?: readonly Compact<OutputSpec>[];
};

/** Texts of a node type, and help of its inputs and outputs by name. */
export interface NodeHelp {
  readonly summary: string;
  readonly tags: readonly string[];
  readonly help: string;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
}

export type NodeHelps = Readonly<Record<string, NodeHelp>>;

const INPUT: InputSpec = { ...ANY_INPUT, type: "", required: false };
const OUTPUT: OutputSpec = { name: "", type: "", nullable: false, help: "" };

/** A node type with the fields that were left out. */
export function completeSpec(spec: CompactSpec): NodeSpec {
  return {
    ...NO_TRAITS,
    deterministic: false,
    label: "",
    ...spec,
    inputs: (spec.inputs ?? []).map((port) => ({ ...INPUT, ...port })),
    outputs: (spec.outputs ?? []).map((port) => ({ ...OUTPUT, ...port })),
  };
}

/** The same node types with their help texts; blocks show those of the inputs within. */
export function withHelp(types: NodeTypes, helps: NodeHelps): NodeTypes {
  const byName = new Map<string, NodeSpec>();
  for (const [name, spec] of types.byName) {
    const help = helps[name];
    byName.set(name, help ? helped(spec, help) : spec);
  }
  return { ...types, byName };
}

function helped(spec: NodeSpec, texts: NodeHelp): NodeSpec {
  return {
    ...spec,
    summary: texts.summary,
    tags: texts.tags,
    help: texts.help,
    inputs: spec.inputs.map((port) => ({ ...port, help: texts.inputs[port.name] ?? "" })),
    outputs: spec.outputs.map((port) => ({ ...port, help: texts.outputs[port.name] ?? "" })),
  };
}
