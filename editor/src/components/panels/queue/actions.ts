/** What can be done with jobs; faults are told, never thrown. */
import { api } from "@/api/client";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import { workflowOf } from "@/store/gallery";
import { isEnded, type JobState, type JobView, useJobs } from "@/store/jobs";
import { jobsFollowing } from "@/store/jobsFollowing";
import { notify, notifyFault } from "@/store/notices";
import { confirm } from "@/store/ui";
import { moveOf, type Step } from "./rows";

async function attempt(work: () => Promise<unknown>, title: string): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t(title) });
    return false;
  }
}

function at({ id }: JobView) {
  return { params: { path: { id } } };
}

export function cancel(job: JobView): Promise<boolean> {
  return attempt(() => api.POST("/jobs/{id}/cancel", at(job)), "panels.queue.fault.cancel");
}

export function retry(job: JobView): Promise<boolean> {
  return attempt(() => api.POST("/jobs/{id}/retry", at(job)), "panels.queue.fault.retry");
}

export function setHeld(job: JobView, held: boolean): Promise<boolean> {
  const path = held ? "/jobs/{id}/hold" : "/jobs/{id}/unhold";
  return attempt(() => api.POST(path, at(job)), "panels.queue.fault.hold");
}

export async function move(waiting: readonly JobView[], job: JobView, step: Step): Promise<void> {
  const place = moveOf(waiting, job.id, step);
  if (place === null) return;
  const asked = () => api.POST("/jobs/{id}/move", { ...at(job), body: place });
  await attempt(asked, "panels.queue.fault.move");
}

export function setPaused(paused: boolean): Promise<boolean> {
  return attempt(
    () => api.POST(paused ? "/queue/pause" : "/queue/resume"),
    "panels.queue.fault.pause",
  );
}

export async function cancelWaiting(count: number): Promise<void> {
  const isSure = await confirm({
    title: t("panels.queue.clearTitle"),
    detail: t("panels.queue.clearDetail", { count }),
    confirm: t("panels.queue.clearConfirm"),
    danger: true,
  });
  if (isSure) await attempt(() => api.POST("/queue/clear"), "panels.queue.fault.clear");
}

/** Forget a job that has ended; its files go with it. */
export async function remove(job: JobView): Promise<void> {
  const isSure = await confirm({
    title: t("panels.queue.deleteTitle"),
    detail: t("panels.queue.deleteDetail", { name: job.name }),
    confirm: t("panels.queue.deleteConfirm"),
    danger: true,
  });
  if (!isSure) return;
  if (await attempt(() => api.DELETE("/jobs/{id}", at(job)), "panels.queue.fault.delete"))
    jobsFollowing()?.forget([job.id]);
}

/** Forget all jobs that have ended; the files that they gave go with them. */
export async function clearHistory(): Promise<void> {
  const isSure = await confirm({
    title: t("panels.queue.historyTitle"),
    detail: t("panels.queue.historyDetail"),
    confirm: t("panels.queue.historyConfirm"),
    danger: true,
  });
  if (!isSure) return;
  const state: JobState[] = ["finished", "failed", "cancelled"];
  const asked = () => api.DELETE("/jobs", { params: { query: { state } } });
  const done = await attempt(asked, "panels.queue.fault.delete");
  if (!done) return;
  const { jobs } = useJobs.getState();
  jobsFollowing()?.forget([...jobs.values()].filter(isEnded).map((job) => job.id));
}

/** Open the workflow that a job ran, in a tab of its own. */
export async function openJobWorkflow(id: string): Promise<boolean> {
  try {
    useDocuments.getState().open(await workflowOf({ job: id }), { origin: "picture" });
    return true;
  } catch (fault) {
    notifyFault(fault, { title: t("panels.queue.fault.workflow") });
    return false;
  }
}

export async function copyId(job: JobView): Promise<void> {
  try {
    await navigator.clipboard.writeText(job.id);
    notify({ kind: "success", title: t("panels.queue.copied") });
  } catch {
    notify({ kind: "info", title: job.id });
  }
}
