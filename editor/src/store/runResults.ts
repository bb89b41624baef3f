/** What the runs of a document gave, in the order in which it came, and what is being made. */
import type { ArtifactEntry } from "@/api/schema";
import { changedSince } from "@/model/changed";
import type { Workflow } from "@/model/workflow";
import { isEnded, type Jobs, type JobView, shownJob } from "./jobs";
import type { Plan } from "./plan";

export interface RunResult {
  readonly artifact: ArtifactEntry;
  /** Whether it may be of other values than the graph has now. */
  readonly isEarlier: boolean;
}

/**
 * The newest last: those of jobs, and before them those that plans found and no job gave, such as
 * what a workflow had given before it was opened.
 *
 * @param jobs The newest first.
 */
export function runResults(
  jobs: readonly Pick<JobView, "outputs" | "workflow">[],
  found: Plan["everFound"],
  workflow: Workflow,
): readonly RunResult[] {
  const lying = found.flatMap(({ node, files, workflow: of }) => {
    const isEarlier = changedSince(of, workflow)(node);
    return files.map((artifact) => ({ artifact, isEarlier }));
  });
  const current = new Set(
    lying.flatMap(({ artifact, isEarlier }) => (isEarlier ? [] : artifact.digest)),
  );
  const given = jobs.toReversed().flatMap((job) => {
    const isChanged = changesOf(job, workflow);
    return job.outputs.map((artifact) => ({
      artifact,
      isEarlier: !current.has(artifact.digest) && isChanged(artifact.node),
    }));
  });
  const known = new Set(given.map(({ artifact }) => artifact.digest));
  return [...lying.filter(({ artifact }) => !known.has(artifact.digest)), ...given];
}

/** Whether an edit has reached a node since a job; also where nobody knows what it ran. */
function changesOf({ workflow: ran }: Pick<JobView, "workflow">, workflow: Workflow) {
  return ran === null ? () => true : changedSince(ran, workflow);
}

export interface LivePreview {
  /** By its name in the run. */
  readonly node: string;
  readonly address: string | null;
  readonly plot: unknown;
}

/** The newest picture or plot of what a document's run is making; null if it shows none. */
export function previewOf(state: Jobs, document: string): LivePreview | null {
  const job = shownJob(state, document);
  if (job === null || isEnded(job)) return null;
  for (const [node, run] of job.nodes) {
    const { state: now, preview: address, plot } = run;
    if (now === "running" && (address !== null || plot !== null)) return { node, address, plot };
  }
  return null;
}
