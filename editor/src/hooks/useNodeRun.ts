/** What became of a graph's nodes in the run that its document shows. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { ArtifactEntry } from "@/api/schema";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { runPrefix } from "@/store/entered";
import { isEnded, type JobView, lastOutputs, type NodeRun, shownJob, useJobs } from "@/store/jobs";

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

/** The job whose nodes the active document shows. */
export function useShownJob(): JobView | null {
  const document = useDocuments((state) => state.active);
  return useJobs((state) => shownJob(state, document));
}
