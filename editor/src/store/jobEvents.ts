/** What an event says of its job. */
import { type JobEvent, numberIn, textIn } from "@/api/events";
import type { ArtifactEntry } from "@/api/schema";
import { faultOf, type JobView, merged, UNMARKED } from "./jobs";

/** A job after something happened to it. */
export function afterEvent(job: JobView, event: JobEvent): JobView {
  const { data } = event;
  const at = event.at ?? null;
  switch (event.kind) {
    case "job.queued":
      return job;
    case "job.claimed":
      return {
        ...job,
        state: "running",
        started: at,
        finished: null,
        attempt: event.attempt,
        worker: textIn(data, "worker"),
        progress: 0,
        position: null,
      };
    case "job.requeued":
      return {
        ...job,
        state: "queued",
        wanted: null,
        held: data.held === true,
        progress: 0,
        deaths: numberIn(data, "deaths") ?? job.deaths,
      };
    case "job.cancelling":
      return { ...job, wanted: "cancel" };
    case "job.pausing":
      return { ...job, wanted: "pause" };
    case "job.held":
      return { ...job, held: true };
    case "job.unheld":
      return { ...job, held: false, wanted: null };
    case "job.prioritized":
      return { ...job, priority: numberIn(data, "priority") ?? job.priority };
    case "job.retried":
      return {
        ...job,
        state: "queued",
        finished: null,
        progress: 0,
        error: null,
        problems: [],
        isWhole: false,
      };
    case "job.finished":
      return ended(job, "finished", at);
    case "job.cancelled":
      return { ...ended(job, "cancelled", at), isWhole: true };
    case "job.failed": {
      const { error } = data;
      const fault = typeof error === "object" && error !== null ? error : null;
      return { ...ended(job, "failed", at), ...faultOf(fault as Record<string, unknown> | null) };
    }
    default:
      return job;
  }
}

function ended(job: JobView, state: JobView["state"], at: number | null): JobView {
  return { ...job, state, finished: at, wanted: null, held: false, position: null };
}

/** The file of an event; null if it tells of none, or of one that is only known at the job's end. */
export function outputOf(event: JobEvent, job_name: string): ArtifactEntry | null {
  const { data } = event;
  const digest = textIn(data, "digest");
  const href = textIn(data, "href");
  if (event.kind !== "node.wrote" || digest === null || href === null) return null;
  return {
    digest,
    href,
    name: textIn(data, "name") ?? "",
    media_type: textIn(data, "media_type") ?? "",
    size: numberIn(data, "size") ?? 0,
    width: numberIn(data, "width"),
    height: numberIn(data, "height"),
    kind: textIn(data, "file") ?? "file",
    node: event.node ?? "",
    job: event.job,
    job_name,
    jobs: 1,
    existed: data.existed === true,
    made_by: data.existed === true ? null : event.job,
    created: event.at ?? 0,
    thumbnail: textIn(data, "thumbnail"),
    ...UNMARKED,
  };
}

/** A job of which nothing is known but that something happened to it. */
export function placeholder(event: JobEvent): JobView {
  return merged(undefined, {
    id: event.job,
    client: event.client,
    name: "",
    state: event.attempt > 0 ? "running" : "queued",
    held: false,
    not_before: null,
    wanted: null,
    priority: 0,
    created: event.at ?? Date.now() / 1000,
    started: null,
    finished: null,
    attempt: event.attempt,
    deaths: 0,
    worker: null,
    tags: [],
    fault: null,
    links: { self: "", workflow: "", events: "" },
  });
}
