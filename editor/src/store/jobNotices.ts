/** Tells of jobs that have ended, when it isn't to be seen on the canvas anyway. */
import { t } from "@/i18n";
import { sentences } from "@/i18n/format";
import { useDocuments } from "./documents";
import { type JobView, useJobs } from "./jobs";
import { dismissNotice, dismissNoticeOf, notify, useNotices } from "./notices";
import { showAction } from "./running";

/** Seconds after which people are likely to be doing something else. */
const LONG = 20;

/** Tell of the jobs that were run from this page; gives what ends it. */
export function startJobNotices(): () => void {
  const stops = [
    useJobs.subscribe(({ jobs }, before) => {
      if (jobs === before.jobs) return;
      for (const [id, job] of jobs) {
        const known = before.jobs.get(id);
        if (known !== undefined && known !== job && isOurs(job)) compare(known, job);
      }
    }),
    useDocuments.subscribe(({ active }, before) => {
      if (active !== before.active) dismissSeen(active);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function isOurs(job: JobView): boolean {
  const { documents } = useDocuments.getState();
  return documents.some((document) => document.id === job.document);
}

function compare(before: JobView, now: JobView): void {
  if (now.deaths > before.deaths && now.state !== "failed") {
    const title = t("running.workerDied", { name: now.name });
    notify({ kind: "warning", title, detail: t("running.workerDiedDetail"), key: now.id });
  }
  if (before.state === now.state) return;
  // It is tried once more, or was mended.
  if (before.state === "failed" || now.state === "finished")
    dismissNoticeOf(now.document ?? now.id);
  if (now.state === "failed") tellFailed(now);
  else if (now.state === "finished" && isUnseen(now)) tellFinished(now);
}

function tellFailed(job: JobView): void {
  const { error, document } = job;
  const node = error?.node ?? null;
  notify({
    kind: "error",
    title: t("running.failed", { name: job.name }),
    detail: sentences(error?.message, error?.hint),
    key: job.document ?? job.id,
    ...(node === null || document === null
      ? {}
      : { action: showAction(document, node, error?.port ?? null) }),
  });
}

function tellFinished(job: JobView): void {
  const { document } = job;
  const node = job.outputs.at(-1)?.node ?? null;
  notify({
    kind: "success",
    title: t("running.finished", { name: job.name }),
    key: document ?? job.id,
    ...(node === null || document === null ? {} : { action: showAction(document, node) }),
    // Whoever does something else finds it on coming back.
    ...(isAway(job) ? { lasts: null } : {}),
  });
}

/** A workflow that one looks at tells itself that it is done. */
function dismissSeen(document: string): void {
  const seen = useNotices
    .getState()
    .items.filter(({ key, kind }) => key === document && kind === "success");
  for (const each of seen) dismissNotice(each.id);
}

/** Whether nobody was likely to be looking when it ended. */
function isUnseen(job: JobView): boolean {
  const seconds = (job.finished ?? 0) - (job.started ?? 0);
  return isAway(job) || seconds > LONG;
}

/** Whether its workflow isn't what is on the screen. */
function isAway(job: JobView): boolean {
  if (job.document !== useDocuments.getState().active) return true;
  return document.visibilityState === "hidden";
}
