/** What a file says of itself. */
import { CPU_PRECISION, type Workflow } from "../workflow";

export interface Meta {
  readonly title?: string;
  readonly description?: string;
}

export function setMeta(workflow: Workflow, { title, description }: Meta): Workflow {
  const found = {
    title: title ?? workflow.title,
    description: description ?? workflow.description,
  };
  const isSame = found.title === workflow.title && found.description === workflow.description;
  return isSame ? workflow : { ...workflow, ...found };
}

/** Leave the precision on a CPU to the settings, where a result has noted the one that it took. */
export function clearPrecision(workflow: Workflow): Workflow {
  if (!workflow.extra.has(CPU_PRECISION)) return workflow;
  const extra = new Map(workflow.extra);
  extra.delete(CPU_PRECISION);
  return { ...workflow, extra };
}

/** Say which version of a pack is needed; null takes the requirement away. */
export function setRequirement(workflow: Workflow, pack: string, version: string | null): Workflow {
  if (workflow.requires.get(pack) === (version ?? undefined)) return workflow;
  const requires = new Map(workflow.requires);
  if (version === null) requires.delete(pack);
  else requires.set(pack, version);
  return { ...workflow, requires };
}
