/** A node put behind an output for a moment, which shows what comes out there. */
import { addNode } from "./edits";
import { outputType } from "./flow";
import { linkJson } from "./links";
import { nodeOf, type Scope } from "./scope";
import { type NodeTypes, typeOf } from "./spec";
import type { Workflow } from "./workflow";

/** What shows values of these types, and by which input; the last one shows any. */
const SHOWN_BY = [
  { values: /^(list\[)*(Image|Mask)\b/, type: "PreviewImage", input: "image" },
  { values: /^(list\[)*Plot\b/, type: "PreviewPlot", input: "plot" },
  { values: /^/, type: "ShowValue", input: "value" },
] as const;

export interface LookNode {
  readonly workflow: Workflow;
  readonly name: string;
}

/**
 * The workflow with one; null if nothing can show it.
 *
 * @param port The output; null for the node's first one.
 */
export function withLookNode(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes,
  node: string,
  port: string | null,
): LookNode | null {
  const entry = nodeOf(workflow, scope, node);
  const outputs = (entry && typeOf(types, workflow, entry)?.outputs) ?? [];
  const output = port === null ? outputs[0] : outputs.find(({ name }) => name === port);
  if (output === undefined) return null;
  const from = { node, port: outputs.length > 1 ? output.name : "" };
  const type = outputType(types, workflow, scope, from) ?? output.type;
  const shown = SHOWN_BY.find(({ values }) => values.test(type));
  if (shown === undefined || !types.byName.has(shown.type)) return null;
  const inputs = new Map([[shown.input, linkJson(from)]]);
  return addNode(workflow, scope, { type: shown.type, at: { x: 0, y: 0 }, name: "look", inputs });
}
