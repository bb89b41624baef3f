/** All that is wrong with the active document, as the panel, the status line and F8 tell it. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import { useQuietly } from "@/store/asked";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { useJobs } from "@/store/jobs";
import { usePlan } from "@/store/plan";
import { failures, findingsOf, type Problem, problemsOf, warningsOf } from "@/store/problems";
import { useRunning } from "@/store/running";

/** What the check finds, or as a run was refused; what failed in runs; broken packs. */
export function useProblems(): readonly Problem[] {
  const document = useDocuments((documents) => documents.active);
  const workflow = useActive((_, found) => found);
  const running = useRunning();
  const check = usePlan((plan) => findingsOf(plan, running, document));
  const failed = useJobs(useShallow((jobs) => failures(jobs, document, workflow)));
  const packs = useCatalogue((catalogue) => catalogue.packProblems);
  const warnings = usePlan((plan) => warningsOf(plan, document));
  return useMemo(
    () => problemsOf(check, failed, packs, warnings),
    [check, failed, packs, warnings],
  );
}

/** How many problems there are, and whether they keep nothing from running that was finished. */
export function useProblemCount(): { readonly count: number; readonly isCalm: boolean } {
  const problems = useProblems();
  const quietly = useQuietly();
  const isCalm = problems.every(
    ({ origin, isWarning, finding }) => isWarning || (origin === "check" && quietly(finding)),
  );
  return { count: problems.length, isCalm };
}
