/** The inputs that people vary, by name; they belong to the file's own graph. */

import { EditFault } from "../fault";
import type { Json } from "../json";
import { targetOf, targetText } from "../links";
import { freeName } from "../names";
import { NOTHING, type Parameter, type Workflow } from "../workflow";
import { setInput } from "./inputs";
import { remap } from "./references";

/** Give an input, "node.input", a name; the next free one if it is taken. */
export function exposeParameter(
  workflow: Workflow,
  name: string,
  target: string,
  more: { readonly label?: string; readonly help?: string } = {},
): { workflow: Workflow; name: string } {
  const found = freeName(name, workflow.parameters);
  const parameter: Parameter = {
    input: target,
    label: more.label ?? "",
    help: more.help ?? "",
    extra: NOTHING,
  };
  const parameters = new Map(workflow.parameters).set(found, parameter);
  return { workflow: { ...workflow, parameters }, name: found };
}

export function removeParameter(workflow: Workflow, name: string): Workflow {
  if (!workflow.parameters.has(name)) return workflow;
  const parameters = new Map(workflow.parameters);
  parameters.delete(name);
  return { ...workflow, parameters };
}

export function renameParameter(workflow: Workflow, from: string, to: string): Workflow {
  if (from === to || !workflow.parameters.has(from)) return workflow;
  if (to === "") throw new EditFault("bad-name", [to]);
  if (workflow.parameters.has(to)) throw new EditFault("name-taken", [to]);
  const parameters = remap(workflow.parameters, (name, item) => [name === from ? to : name, item]);
  return { ...workflow, parameters };
}

export function updateParameter(
  workflow: Workflow,
  name: string,
  changes: Partial<Pick<Parameter, "input" | "label" | "help">>,
): Workflow {
  const before = workflow.parameters.get(name);
  if (!before) return workflow;
  const after = { ...before, ...changes };
  const isSame =
    after.input === before.input && after.label === before.label && after.help === before.help;
  if (isSame) return workflow;
  return { ...workflow, parameters: new Map(workflow.parameters).set(name, after) };
}

/** Put the parameters into another order; names left out follow as they were. */
export function reorderParameters(workflow: Workflow, names: readonly string[]): Workflow {
  const before = [...workflow.parameters.keys()];
  const order = new Set([...names.filter((name) => workflow.parameters.has(name)), ...before]);
  if ([...order].every((name, index) => name === before[index])) return workflow;
  const parameters = new Map<string, Parameter>();
  for (const name of order) {
    const parameter = workflow.parameters.get(name);
    if (parameter) parameters.set(name, parameter);
  }
  return { ...workflow, parameters };
}

/** Write a value into the input that a parameter names; undefined takes it away. */
export function setParameterValue(
  workflow: Workflow,
  name: string,
  value: Json | undefined,
): Workflow {
  const target = targetOf(workflow.parameters.get(name)?.input ?? "");
  return target ? setInput(workflow, null, target.node, target.port, value) : workflow;
}

/** The names of the parameters that vary an input. */
export function parametersOf(workflow: Workflow, node: string, port: string): readonly string[] {
  const text = targetText({ node, port });
  return [...workflow.parameters].filter(([, item]) => item.input === text).map(([name]) => name);
}
