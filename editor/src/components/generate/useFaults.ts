/** What is wrong with what is chosen, by field: as it was refused, or as its job failed. */
import { useMemo } from "react";
import type { Finding } from "@/api/schema";
import type { Field } from "@/model/generate";
import { type Faults, faultsOf, useGenerate } from "@/store/generate";
import { useJobs } from "@/store/jobs";

const NONE: readonly Finding[] = [];

export function useFaults(): Faults {
  const faults = useGenerate((page) => page.faults);
  const sent = useGenerate((page) => page.sent);
  const problems = useJobs(({ jobs }) => {
    const failed = sent.map((id) => jobs.get(id)).find((job) => job?.state === "failed");
    return failed?.problems ?? NONE;
  });
  return useMemo(() => (faults.size > 0 ? faults : faultsOf(problems)), [faults, problems]);
}

export function useFault(field: Field | ""): string | null {
  return useFaults().get(field) ?? null;
}
