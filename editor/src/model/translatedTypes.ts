/** Node types with the names of a language, beside the English ones that files and search know. */
import type { NodeSpec, NodeTypes } from "./spec";

/** Names that the server has in a language; what has no translation is missing. */
export interface NodeNames {
  readonly types: Readonly<Record<string, string>>;
  /** By parts of categories. */
  readonly categories: Readonly<Record<string, string>>;
  /** By pack, then by the name of an input or output. */
  readonly ports: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export function withNames(types: NodeTypes, names: NodeNames): NodeTypes {
  const byName = new Map<string, NodeSpec>();
  for (const [name, spec] of types.byName) byName.set(name, named(spec, names));
  return { ...types, byName };
}

function named(spec: NodeSpec, { types, categories, ports }: NodeNames): NodeSpec {
  const label = types[spec.type];
  const ofPorts = ports[spec.pack] ?? {};
  const withLabel = <Port extends { readonly name: string }>(port: Port): Port => {
    const shown = ofPorts[port.name];
    return shown === undefined ? port : { ...port, label: shown };
  };
  const parts = spec.category.split("/");
  const isShownSo = parts.some((part) => categories[part] !== undefined);
  return {
    ...spec,
    ...(label === undefined ? {} : { label, englishLabel: spec.label }),
    ...(isShownSo
      ? { shownCategory: parts.map((part) => categories[part] ?? part).join("/") }
      : {}),
    inputs: spec.inputs.map(withLabel),
    outputs: spec.outputs.map(withLabel),
  };
}
