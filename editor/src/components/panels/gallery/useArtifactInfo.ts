/** The job and the workflow behind a file, read once each. */
import { useEffect, useState } from "react";
import { getJob } from "@/api/client";
import type { ArtifactEntry, JobDetail } from "@/api/schema";
import type { Workflow } from "@/model/workflow";
import { workflowOf } from "@/store/gallery";

export interface ArtifactInfo {
  readonly job: JobDetail;
  readonly workflow: Workflow;
}

const MOST = 50;
const known = new Map<string, Promise<ArtifactInfo | null>>();

/** Null where the server has them no more, or can't be asked now. */
function infoOf(job: string): Promise<ArtifactInfo | null> {
  const found = known.get(job);
  if (found !== undefined) return found;
  const loading = Promise.all([getJob(job), workflowOf({ job })]).then(
    ([detail, workflow]) => ({ job: detail, workflow }),
    () => {
      known.delete(job); // may be there the next time
      return null;
    },
  );
  if (known.size >= MOST) known.delete(known.keys().next().value ?? "");
  known.set(job, loading);
  return loading;
}

/** Undefined while it is being read. */
export function useArtifactInfo(artifact: ArtifactEntry | null): ArtifactInfo | null | undefined {
  const job = artifact?.job ?? null;
  const [state, setState] = useState<{ job: string; info: ArtifactInfo | null } | null>(null);
  useEffect(() => {
    if (job === null) return;
    let isWanted = true;
    void infoOf(job).then((info) => isWanted && setState({ job, info }));
    return () => {
      isWanted = false;
    };
  }, [job]);
  return state?.job === job ? state.info : undefined;
}
