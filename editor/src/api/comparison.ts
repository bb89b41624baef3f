/** Comparisons and merges of workflows, which the server makes as the command line does. */
import { type Comparison, comparisonOf, type Merged, mergedOf } from "@/model/comparison/entries";
import { readJson } from "@/model/json";
import { type Workflow, writeWorkflow } from "@/model/workflow";
import { type Abortable, read, verbatim } from "./client";

/** How two workflows differ. */
export async function compareWorkflows(
  first: Workflow,
  second: Workflow,
  { signal }: Abortable = {},
): Promise<Comparison> {
  const body = { first: sent(first), second: sent(second) };
  const { data } = await read("text", "post", "/compare", { body, signal });
  return comparisonOf(readJson(data));
}

export interface MergeSides {
  /** What both sides began with. */
  readonly base: Workflow;
  readonly ours: Workflow;
  readonly theirs: Workflow;
}

/** Both sides' changes in one workflow, without those at the given indices. */
export async function mergeWorkflows(
  { base, ours, theirs }: MergeSides,
  skippedOurs: readonly number[],
  skippedTheirs: readonly number[],
  { signal }: Abortable = {},
): Promise<Merged> {
  const body = {
    base: sent(base),
    ours: sent(ours),
    theirs: sent(theirs),
    skipped_ours: [...skippedOurs],
    skipped_theirs: [...skippedTheirs],
  };
  const { data } = await read("text", "post", "/merge", { body, signal });
  return mergedOf(readJson(data));
}

function sent(workflow: Workflow): Record<string, unknown> {
  return verbatim(writeWorkflow(workflow));
}
