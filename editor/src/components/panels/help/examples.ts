/** Which templates use which node types. Each template is read once, when first asked for. */
import { read as readAnswer } from "@/api/client";
import { readWorkflow, type Workflow } from "@/model/workflow";

export interface Template {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

const read = new Map<string, Promise<Workflow | null>>();

/** A template's workflow; null if it can't be had now. */
export function templateWorkflow(name: string): Promise<Workflow | null> {
  const known = read.get(name);
  if (known !== undefined) return known;
  const loading = readAnswer("text", "get", "/templates/{name}", {
    params: { path: { name } },
  }).then(
    ({ data }) => readWorkflow(data),
    () => {
      read.delete(name); // the server may be back the next time
      return null;
    },
  );
  read.set(name, loading);
  return loading;
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
