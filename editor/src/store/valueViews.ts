/** Looking at a value that no node has written: a small job of its own shows it, from what is cached. */
import { api, getJob } from "@/api/client";
import type { ArtifactEntry, JobDetail, JobEntry } from "@/api/schema";
import { t } from "@/i18n";
import { type Workflow, workflowToJson } from "@/model/workflow";
import { socket } from "./connection";
import { mergedDetail } from "./jobs";
import { newKey } from "./running";

const POLL = 120;
const PRIORITY = 1;
/** Jobs of no document: no card takes their pictures for its own. */
const TAG = "look";

let last: string | null = null;

interface Looked {
  readonly looking: string;
  readonly node: string;
  readonly title: string;
}

/**
 * The files that show it; none if the job was cancelled, null if another look was asked for by then.
 *
 * @param looking Where the added node is, by its name in the run.
 * @param node The one that is looked at, by its name in the run.
 * @param title As people call it.
 */
export async function valueFiles(
  workflow: Workflow,
  { looking, node, title }: Looked,
): Promise<readonly ArtifactEntry[] | null> {
  const name = t("running.look", { node: title });
  const job = await submitLook(workflow, name, looking);
  forgetLast(job);
  const ended = await endOfJob(job);
  if (last !== job) {
    // While it ran it couldn't be.
    forgetLook(job);
    return null;
  }
  const { outputs, error } = mergedDetail(undefined, ended);
  if (ended.state === "failed") throw new Error(error?.message ?? t("running.lookFailed"));
  return outputs.map((file, index) => ({ ...file, node, name: nameOf(file, title, index) }));
}

/** What it is of, instead of the digest that such files are called by. */
function nameOf({ name }: ArtifactEntry, title: string, index: number): string {
  const suffix = name.slice(name.lastIndexOf("."));
  return `${title}${index > 0 ? ` ${index + 1}` : ""}${suffix}`;
}

/** Nobody needs the one before any more. */
function forgetLast(job: string): void {
  if (last !== null && last !== job) forgetLook(last);
  last = job;
}

/** Start the job that runs one added node; gives its id. */
export async function submitLook(
  workflow: Workflow,
  name: string,
  looking: string,
): Promise<string> {
  const { job } = await socket().request<{ job: JobEntry }>("submit", {
    workflow: workflowToJson(workflow),
    name: name.slice(0, 256),
    tags: [TAG],
    key: newKey(),
    targets: [looking],
    priority: PRIORITY,
  });
  return job.id;
}

/** Delete the job of a look, with what only it made. */
export function forgetLook(job: string, keepalive = false): void {
  api.DELETE("/jobs/{id}", { params: { path: { id: job } }, keepalive }).catch(() => undefined);
}

/** Let the last one go with the page; gives what ends that. */
export function startForgettingViews(): () => void {
  const leave = () => {
    if (last !== null) forgetLook(last, true);
    last = null;
  };
  addEventListener("pagehide", leave);
  return () => removeEventListener("pagehide", leave);
}

/** A job once it is through, be it finished, failed or cancelled. */
export async function endOfJob(id: string): Promise<JobDetail> {
  for (;;) {
    const job = await getJob(id);
    if (job.state !== "queued" && job.state !== "running") return job;
    await new Promise((done) => setTimeout(done, POLL));
  }
}
