/** The job and the workflow behind a file, and the job that made it; read once each. */
import { api, getJob } from "@/api/client";
import type { ArtifactEntry, JobDetail } from "@/api/schema";
import { useAnswer } from "@/hooks/useAnswer";
import type { Workflow } from "@/model/workflow";
import { workflowOf } from "@/store/gallery";
import { answerTo } from "@/store/queries";

export interface ArtifactInfo {
  readonly job: JobDetail;
  readonly workflow: Workflow;
}

const MOST_FILES = 1000;
const ALWAYS = { staleTime: Number.POSITIVE_INFINITY };

function infoOf(job: string) {
  return {
    queryKey: ["artifact-info", job],
    queryFn: async (): Promise<ArtifactInfo> => {
      const [detail, workflow] = await Promise.all([getJob(job), workflowOf({ job })]);
      return { job: detail, workflow };
    },
    ...ALWAYS,
  };
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

/** Undefined while it is being read; null where the server has it no more, or can't be asked now. */
export function useArtifactInfo(artifact: ArtifactEntry | null): ArtifactInfo | null | undefined {
  return useRead({ ...infoOf(artifact?.job ?? ""), enabled: artifact !== null });
}

/** Of the job that made the file, where another one found it there: undefined while it is read. */
export function useMaking(artifact: ArtifactEntry): ArtifactInfo | null | undefined {
  return useRead({
    queryKey: ["artifact-maker", artifact.job, artifact.digest],
    queryFn: async () => {
      const maker = await makerOf(artifact);
      return maker === null ? null : answerTo(infoOf(maker));
    },
    ...ALWAYS,
  });
}

function useRead(asked: Parameters<typeof useAnswer<ArtifactInfo | null>>[0]) {
  const { data, fault } = useAnswer(asked);
  return fault ? null : data;
}
