import { isList, isObject, type Json } from "@/model/json";
import { isLink, literalOf, targetOf } from "@/model/links";
import { type InputSpec, inputOf, type NodeTypes, typeOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import type { Parameter, Workflow } from "@/model/workflow";

/** What a parameter leads to; `state` says whether its value can be given. */
export type Resolved =
  | { readonly state: "gone" | "linked" | "linkOnly" | "unknown"; readonly target: string }
  | {
      readonly state: "good";
      readonly target: string;
      readonly node: string;
      readonly input: InputSpec;
      readonly value: Json | undefined;
    };

export function resolveParameter(
  types: NodeTypes | null,
  workflow: Workflow,
  parameter: Parameter,
): Resolved {
  const target = parameter.input;
  const place = targetOf(target);
  const entry = place && workflow.nodes.get(place.node);
  if (!place || !entry) return { state: "gone", target };
  const spec = types && typeOf(types, workflow, entry);
  if (!spec) return { state: "unknown", target };
  const input = inputOf(spec, place.port);
  if (!input) return { state: "gone", target };
  const written = entry.inputs.get(place.port);
  if (isLink(written)) return { state: "linked", target };
  if (widgetOf(input) === null) return { state: "linkOnly", target };
  return { state: "good", target, node: place.node, input, value: literalOf(written) };
}

/** An input that could become a parameter. */
export interface Candidate {
  readonly target: string;
  readonly node: string;
  readonly port: string;
  readonly value: string;
}

/** The inputs of the file's own graph whose value is given by a widget, and no parameter yet. */
export function candidatesOf(types: NodeTypes | null, workflow: Workflow): readonly Candidate[] {
  if (types === null) return [];
  const taken = new Set([...workflow.parameters.values()].map((parameter) => parameter.input));
  return [...workflow.nodes].flatMap(([node, entry]) => {
    const inputs = typeOf(types, workflow, entry)?.inputs ?? [];
    return inputs
      .filter((input) => widgetOf(input) !== null && !isLink(entry.inputs.get(input.name)))
      .map((input) => ({
        target: `${node}.${input.name}`,
        node,
        port: input.name,
        value: brief(literalOf(entry.inputs.get(input.name))),
      }))
      .filter(({ target }) => !taken.has(target));
  });
}

const MOST_SHOWN = 60;

function brief(value: Json | undefined): string {
  if (value === undefined || isObject(value) || isList(value)) return "";
  const text = String(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN - 1)}…` : text;
}
