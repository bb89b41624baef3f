/** Which templates use which node types. Each template is read once, when first asked for. */
import { read } from "@/api/client";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { answerTo, question } from "@/store/queries";

export interface Template {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

/** A template's workflow; null if it can't be had now. */
export function templateWorkflow(name: string): Promise<Workflow | null> {
  const asked = question(["template", name], async (signal) => {
    const params = { path: { name } };
    const { data } = await read("text", "get", "/templates/{name}", { params, signal });
    return readWorkflow(data);
  });
  return answerTo(asked).catch(() => null);
}

/** The templates that use a node type, in any of their graphs. */
export async function examplesOf<T extends Template>(
  type: string,
  templates: readonly T[],
): Promise<readonly T[]> {
  const workflows = await Promise.all(templates.map(({ name }) => templateWorkflow(name)));
  return templates.filter((_template, index) => uses(workflows[index] ?? null, type));
}

function uses(workflow: Workflow | null, type: string): boolean {
  if (workflow === null) return false;
  const graphs = [workflow.nodes, ...[...workflow.subgraphs.values()].map((block) => block.nodes)];
  return graphs.some((nodes) => [...nodes.values()].some((entry) => entry.type === type));
}
