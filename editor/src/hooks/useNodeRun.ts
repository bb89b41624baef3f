/** What became of a graph's nodes in the run that its document shows. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { ArtifactEntry } from "@/api/schema";
import { changedSince } from "@/model/changed";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { isEnded, type JobView, lastOutputs, type NodeRun, shownJob, useJobs } from "@/store/jobs";
import { type NodePictures, picturesOf } from "@/store/nodePictures";
import { type FoundFiles, usePlan } from "@/store/plan";

/** Where a graph's nodes are in runs. */
export interface RunPlace {
  readonly document: string;
  /** What stands before the names of this graph's nodes in a run: "" or "block/". */
  readonly prefix: string;
}

/** The place of the graph that is shown. */
export function useShownPlace(): RunPlace {
  const types = useCatalogue((state) => state.types);
  const document = useDocuments((state) => state.active);
  const prefix = useActive(({ id, path }, workflow) => runPrefix(id, workflow, types, path));
  return useMemo(() => ({ document, prefix }), [document, prefix]);
}

export interface ShownRun {
  readonly run: NodeRun | null;
  /** Whether that run still goes on. */
  readonly active: boolean;
  /** Whether an edit has reached the node since; also where nobody knows what was run. */
  readonly isOutdated: boolean;
}

/** What the shown run did with a node. */
export function useNodeRun({ document, prefix }: RunPlace, node: string): ShownRun {
  const workflow = useActive((_, found) => found);
  return useJobs(
    useShallow((state) => {
      const job = shownJob(state, document);
      const run = job?.nodes.get(prefix + node) ?? null;
      const active = job !== null && !isEnded(job);
      return { run, active, isOutdated: isOutdated(job, run, prefix + node, workflow) };
    }),
  );
}

function isOutdated(
  job: JobView | null,
  run: NodeRun | null,
  node: string,
  workflow: Workflow,
): boolean {
  if (job === null || run === null) return false;
  // A failure is one until the document is edited, also where the job ran other values than these.
  const ran = run.state === "failed" ? (job.source ?? workflow) : job.workflow;
  return ran === null || changedSince(ran, workflow)(node);
}

const NONE: readonly ArtifactEntry[] = [];

/** The files that a node gave last. */
export function useNodeOutputs(
  { document, prefix }: RunPlace,
  node: string,
): readonly ArtifactEntry[] {
  return useJobs(useShallow((state) => lastOutputs(state, document).get(prefix + node) ?? NONE));
}

/** The files that a plan found of a node last; null if none did. */
export function useFoundFiles({ document, prefix }: RunPlace, node: string): FoundFiles | null {
  return usePlan(
    (state) => (state.document === document ? state.found.get(prefix + node) : null) ?? null,
  );
}

/** What a card of the active document shows of the files that its node gave. */
export function useNodePictures(
  { document, prefix }: RunPlace,
  node: string,
  found: FoundFiles | null,
  last: readonly ArtifactEntry[],
): NodePictures {
  const workflow = useActive((_, edited) => edited);
  const lastFor = useJobs(({ jobs }) => jobs.get(last[0]?.job ?? "")?.workflow ?? null);
  const isChosen = useJobs(({ chosen }) => chosen.has(document));
  const name = prefix + node;
  return picturesOf({ node: name, workflow, found, last, lastFor, isChosen });
}

/** The job whose nodes the active document shows. */
export function useShownJob(): JobView | null {
  const document = useDocuments((state) => state.active);
  return useJobs((state) => shownJob(state, document));
}
