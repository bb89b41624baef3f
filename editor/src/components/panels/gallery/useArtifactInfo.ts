/** The job and the workflow behind a file, and the job that made it; read once each. */
import { useEffect, useState } from "react";
import { api, getJob } from "@/api/client";
import type { ArtifactEntry, JobDetail } from "@/api/schema";
import type { Workflow } from "@/model/workflow";
import { workflowOf } from "@/store/gallery";

export interface ArtifactInfo {
  readonly job: JobDetail;
  readonly workflow: Workflow;
}

const MOST = 50;
const MOST_FILES = 1000;
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

/** The job that made a file; null where the server has it no more. */
async function makerOf(artifact: ArtifactEntry): Promise<string | null> {
  if (!artifact.existed) return artifact.job;
  if (artifact.made_by !== null) return artifact.made_by;
  // What a job itself tells of a file that it found doesn't name who made it.
  const { items } = await api.GET("/artifacts", {
    params: { query: { job: artifact.job, limit: MOST_FILES } },
  });
  return items.find(({ digest }) => digest === artifact.digest)?.made_by ?? null;
}

async function makingOf(artifact: ArtifactEntry): Promise<ArtifactInfo | null> {
  const maker = await makerOf(artifact).catch(() => null);
  return maker === null ? null : infoOf(maker);
}

/** Undefined while it is being read. */
export function useArtifactInfo(artifact: ArtifactEntry | null): ArtifactInfo | null | undefined {
  return useRead(artifact, ({ job }) => infoOf(job));
}

/** Of the job that made the file, where another one found it there: undefined while it is read. */
export function useMaking(artifact: ArtifactEntry): ArtifactInfo | null | undefined {
  return useRead(artifact, makingOf);
}

function useRead(
  artifact: ArtifactEntry | null,
  read: (artifact: ArtifactEntry) => Promise<ArtifactInfo | null>,
): ArtifactInfo | null | undefined {
  const [state, setState] = useState<{ of: string; info: ArtifactInfo | null } | null>(null);
  const of = artifact === null ? null : `${artifact.job} ${artifact.digest}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same file of the same job may come anew
  useEffect(() => {
    if (artifact === null || of === null) return;
    let isWanted = true;
    void read(artifact).then((info) => isWanted && setState({ of, info }));
    return () => {
      isWanted = false;
    };
  }, [of]);
  return state?.of === of ? state.info : undefined;
}
