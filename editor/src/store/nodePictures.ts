/** The pictures and files that a card shows: those of the values that stand on it. */
import type { ArtifactEntry } from "@/api/schema";
import { changedSince } from "@/model/changed";
import type { Workflow } from "@/model/workflow";

/** What is known of a node's files. */
export interface KnownFiles {
  /** By its name in the run. */
  readonly node: string;
  /** As it is edited. */
  readonly workflow: Workflow;
  /** Those that the plan finds for the values of `plannedFor`; nothing if the node would run. */
  readonly planned: readonly ArtifactEntry[];
  readonly plannedFor: Workflow | null;
  /** Those that a job gave, of `lastFor` if this page submitted it. */
  readonly last: readonly ArtifactEntry[];
  readonly lastFor: Workflow | null;
  /** Whether somebody wants to see this job and no other. */
  readonly isChosen: boolean;
}

export interface NodePictures {
  readonly files: readonly ArtifactEntry[];
  /** Whether they may be of other values than the node has now. */
  readonly isEarlier: boolean;
}

export function picturesOf(known: KnownFiles): NodePictures {
  const { node, workflow, planned, last } = known;
  const isOf = (other: Workflow | null) => other !== null && !changedSince(other, workflow)(node);
  const isPlanned = planned.length > 0 && isOf(known.plannedFor);
  if (isPlanned && (last.length === 0 || !known.isChosen)) {
    return { files: planned, isEarlier: false };
  }
  const digests = new Set(isPlanned ? planned.map(({ digest }) => digest) : []);
  const isCurrent = isOf(known.lastFor) || last.every(({ digest }) => digests.has(digest));
  return { files: last, isEarlier: !isCurrent };
}
