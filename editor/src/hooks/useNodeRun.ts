/** What became of a graph's nodes in the run that its document shows. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { ArtifactEntry } from "@/api/schema";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { isEnded, type JobView, lastOutputs, type NodeRun, shownJob, useJobs } from "@/store/jobs";
import { type NodePictures, picturesOf } from "@/store/nodePictures";
import { usePlan } from "@/store/plan";

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

/** What the shown run did with a node, and whether that run still goes on. */
export function useNodeRun(
  { document, prefix }: RunPlace,
  node: string,
): { readonly run: NodeRun | null; readonly active: boolean } {
  return useJobs(
    useShallow((state) => {
      const job = shownJob(state, document);
      return { run: job?.nodes.get(prefix + node) ?? null, active: job !== null && !isEnded(job) };
    }),
  );
}

const NONE: readonly ArtifactEntry[] = [];

/** The files that a node gave last. */
export function useNodeOutputs(
  { document, prefix }: RunPlace,
  node: string,
): readonly ArtifactEntry[] {
  return useJobs(useShallow((state) => lastOutputs(state, document).get(prefix + node) ?? NONE));
}

/** The files that the plan finds of a node that needn't run. */
export function usePlannedFiles(
  { document, prefix }: RunPlace,
  node: string,
): readonly ArtifactEntry[] {
  return usePlan(
    (state) => (state.document === document ? state.nodes.get(prefix + node)?.files : null) ?? NONE,
  );
}

/** What a card of the active document shows of the files that its node gave. */
export function useNodePictures(
  { document, prefix }: RunPlace,
  node: string,
  planned: readonly ArtifactEntry[],
  last: readonly ArtifactEntry[],
): NodePictures {
  const workflow = useActive((_, found) => found);
  const plannedFor = usePlan((state) => (state.document === document ? state.workflow : null));
  const lastFor = useJobs(({ jobs }) => jobs.get(last[0]?.job ?? "")?.workflow ?? null);
  const isChosen = useJobs(({ chosen }) => chosen.has(document));
  const name = prefix + node;
  return picturesOf({ node: name, workflow, planned, plannedFor, last, lastFor, isChosen });
}

/** The job whose nodes the active document shows. */
export function useShownJob(): JobView | null {
  const document = useDocuments((state) => state.active);
  return useJobs((state) => shownJob(state, document));
}
