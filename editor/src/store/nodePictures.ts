/** The pictures and files that a card shows: those of the values that stand on it. */
import type { ArtifactEntry } from "@/api/schema";
import { changedSince } from "@/model/changed";
import type { Workflow } from "@/model/workflow";
import type { FoundFiles } from "./plan";

/** What is known of a node's files. */
export interface KnownFiles {
  /** By its name in the run. */
  readonly node: string;
  /** As it is edited. */
  readonly workflow: Workflow;
  /** Those that a plan found last; null if none did. */
  readonly found: FoundFiles | null;
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
  const { node, workflow, found, last } = known;
  const isOf = (other: Workflow | null) => other !== null && !changedSince(other, workflow)(node);
  const isFound = found !== null && isOf(found.workflow);
  if (found !== null && (last.length === 0 || (isFound && !known.isChosen))) {
    return { files: found.files, isEarlier: !isFound };
  }
  const digests = new Set(isFound ? found.files.map(({ digest }) => digest) : []);
  const isCurrent = isOf(known.lastFor) || last.every(({ digest }) => digests.has(digest));
  return { files: last, isEarlier: !isCurrent };
}
