/** Tells of the run in the page's title, so that it can be seen from another tab. */
import { useEffect, useState } from "react";
import { t } from "@/i18n";
import { useActive } from "@/store/documents";
import { useGenerate } from "@/store/generate";
import { shownJob, useJobs } from "@/store/jobs";
import { useSettings } from "@/store/settings";
import { useUi } from "@/store/ui";
import { useShownJob } from "./useNodeRun";

const NAME = "nodegraph";

/** Keep the page's title up to date; once for a page. */
export function useTitle(): void {
  const isGenerate = useUi(({ view }) => view === "generate");
  const workflow = useActive((_, shown) => shown.title) || t("running.untitled");
  const title = isGenerate ? t("shell.view.generate") : workflow;
  const ofDocument = useShownJob();
  const page = useGenerate(({ id }) => id);
  const ofPage = useJobs((state) => shownJob(state, page));
  const job = isGenerate ? ofPage : ofDocument;
  const state = job?.state ?? null;
  const percent = state === "running" ? Math.floor(100 * (job?.progress ?? 0)) : 0;
  const isEndTold = useSettings(({ endTitle }) => endTitle);
  const endedUnseen = useEndedUnseen(job?.id ?? null, state);
  const ended = isEndTold ? endedUnseen : null;
  useEffect(() => {
    document.title = `${marked(title, state === "running" ? percent : null, ended)} – ${NAME}`;
  }, [title, state, percent, ended]);
}

function marked(title: string, percent: number | null, ended: string | null): string {
  if (percent !== null) return t("running.titleRunning", { percent, title });
  if (ended === "finished") return t("running.titleDone", { title });
  if (ended === "failed") return t("running.titleFailed", { title });
  return title;
}

/** How a job ended while the page wasn't looked at; null once it is. */
function useEndedUnseen(job: string | null, state: string | null): string | null {
  const [seen, setSeen] = useState<{ job: string | null; ran: boolean }>({ job: null, ran: false });
  useEffect(() => {
    if (state === "running") setSeen({ job, ran: true });
  }, [job, state]);
  useEffect(() => {
    const look = () => {
      if (document.visibilityState === "visible") setSeen({ job: null, ran: false });
    };
    // What ends before one's eyes needs no mark.
    if (state !== "running") look();
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [state]);
  return seen.ran && seen.job === job && state !== "running" ? state : null;
}
