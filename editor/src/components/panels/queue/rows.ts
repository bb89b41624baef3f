/** The jobs as rows: what runs, what waits in its order, and what has ended by day. */

import { dayOf } from "@/i18n/format";
import { isEnded, type JobView } from "@/store/jobs";

export type QueueRow =
  | {
      readonly kind: "heading";
      readonly id: string;
      readonly part: "running" | "waiting" | "ended";
      readonly count: number;
      readonly open: boolean;
      /** Of a day's heading: one of its moments, in Unix seconds. */
      readonly day: number | null;
    }
  | { readonly kind: "job"; readonly id: string; readonly job: JobView };

export function queueRows(
  jobs: readonly JobView[],
  closed: ReadonlySet<string>,
): readonly QueueRow[] {
  const running = jobs.filter((job) => job.state === "running");
  const waiting = jobs.filter((job) => job.state === "queued").sort(inOrder);
  const days = new Map<string, JobView[]>();
  for (const job of jobs.filter(isEnded)) {
    const day = dayOf(endOf(job));
    const known = days.get(day);
    if (known) known.push(job);
    else days.set(day, [job]);
  }
  const rows: QueueRow[] = [];
  const add = (
    part: "running" | "waiting" | "ended",
    id: string,
    found: readonly JobView[],
    day: number | null = null,
  ) => {
    if (found.length === 0) return;
    const open = !closed.has(id);
    rows.push({ kind: "heading", id, part, count: found.length, open, day });
    if (open) rows.push(...found.map((job) => ({ kind: "job", id: job.id, job }) as const));
  };
  add("running", "running", running);
  add("waiting", "waiting", waiting);
  for (const [day, found] of days) {
    const [first] = found;
    if (first) add("ended", `day:${day}`, found, endOf(first));
  }
  return rows;
}

export function endOf(job: JobView): number {
  return job.finished ?? job.created;
}

/** As they will be begun; those far behind, whose place isn't told, in the order they came. */
function inOrder(a: JobView, b: JobView): number {
  const place = (job: JobView) => job.position ?? Number.POSITIVE_INFINITY;
  if (place(a) !== place(b)) return place(a) - place(b);
  return b.priority - a.priority || a.created - b.created;
}

export type Step = "first" | "up" | "down" | "last";

/**
 * What to ask the server for to move a waiting job; null if it is there already.
 *
 * `waiting` may be in any order.
 */
export function moveOf(
  waiting: readonly JobView[],
  id: string,
  step: Step,
): { readonly to: "first" | "last" } | { readonly before: string } | null {
  const job = waiting.find((item) => item.id === id);
  // A job is moved among those of its client and its priority only.
  const peers = waiting
    .filter((item) => item.client === job?.client && item.priority === job.priority)
    .sort(inOrder);
  const at = peers.findIndex((item) => item.id === id);
  if (at < 0) return null;
  const last = peers.length - 1;
  if ((step === "first" || step === "up") && at === 0) return null;
  if ((step === "last" || step === "down") && at === last) return null;
  if (step === "first" || step === "last") return { to: step };
  const before = peers[step === "up" ? at - 1 : at + 2];
  return before === undefined ? { to: "last" } : { before: before.id };
}
