/** The jobs that the editor knows of, as they are just now. jobsFollowing.ts keeps them up to date. */
import { create } from "zustand";
import type {
  ArtifactEntry,
  Finding,
  JobDetail,
  JobEntry,
  OutputFile,
  StateCounts,
} from "@/api/schema";
import { sweepOf } from "@/model/sweeps";
import type { Workflow } from "@/model/workflow";
import type { NodeRun } from "./nodeRuns";

export type { Expected, NodeNote, NodeRun, NodeState } from "./nodeRuns";
export type JobState = JobEntry["state"];

export interface JobView {
  readonly id: string;
  readonly client: string;
  readonly name: string;
  readonly state: JobState;
  readonly held: boolean;
  /** What its worker is asked to do: it is being cancelled or paused. */
  readonly wanted: "cancel" | "pause" | null;
  readonly priority: number;
  /** Among those that wait, counted from 1; null if it doesn't wait, or far behind. */
  readonly position: number | null;
  /** Unix times, in seconds. */
  readonly created: number;
  readonly started: number | null;
  readonly finished: number | null;
  readonly attempt: number;
  /** How often its worker died. */
  readonly deaths: number;
  readonly worker: string | null;
  readonly tags: readonly string[];
  /** The open document that it was run from; null for others' jobs. */
  readonly document: string | null;
  /** The nodes to run that were asked for; null for all. */
  readonly targets: readonly string[] | null;
  /** What it runs; null if this page didn't submit it. */
  readonly workflow: Workflow | null;
  /** The document as it was when its run was sent; null if this page didn't. */
  readonly source: Workflow | null;
  /** 0 to 1. */
  readonly progress: number;
  /** Null if it can't be told. */
  readonly secondsLeft: number | null;
  /** By the run's names: a node within a block is "block/node"; a block's own name stands for all
   * that is in it. */
  readonly nodes: ReadonlyMap<string, NodeRun>;
  /** The files it gave. */
  readonly outputs: readonly ArtifactEntry[];
  /** Why it failed: the first problem. */
  readonly error: Finding | null;
  readonly problems: readonly Finding[];
  /** Whether `outputs` and `problems` are there; `loadJob` brings them. */
  readonly isWhole: boolean;
}

export interface QueueView {
  readonly paused: boolean;
  readonly counts: StateCounts;
}

export interface Jobs {
  readonly jobs: ReadonlyMap<string, JobView>;
  /** Ids, the newest first. */
  readonly order: readonly string[];
  readonly queue: QueueView | null;
  /** Whether the jobs that there were at the start have been loaded. */
  readonly isReady: boolean;
  /** Cursor of jobs that are older than those loaded; null if there are none. */
  readonly older: string | null;
  /** The job that each document shows, where somebody chose one. */
  readonly chosen: ReadonlyMap<string, string>;
}

export const NO_JOBS: Jobs = {
  jobs: new Map(),
  order: [],
  queue: null,
  isReady: false,
  older: null,
  chosen: new Map(),
};

export const useJobs = create<Jobs>()(() => NO_JOBS);

const TAG = "editor:";

/** The tag by which a job is known to be of a document. */
export function tagOf(document: string): string {
  return TAG + document;
}

export function documentOf(tags: readonly string[]): string | null {
  return tags.find((tag) => tag.startsWith(TAG))?.slice(TAG.length) ?? null;
}

/** The document whose values a job was run with: not that of a sweep, which gave it others. */
export function homeOf(tags: readonly string[]): string | null {
  return sweepOf(tags) === null ? documentOf(tags) : null;
}

export function isEnded(job: JobView): boolean {
  return job.state !== "queued" && job.state !== "running";
}

/** The job that runs, or else the one that runs next; null if all have ended. The newest comes first. */
export function currentJob(jobs: readonly JobView[]): JobView | null {
  const open = jobs.filter((job) => !isEnded(job));
  return open.find((job) => job.state === "running") ?? open.at(-1) ?? null;
}

/** The jobs of a document, the newest first. */
export function jobsOfDocument(state: Jobs, document: string): readonly JobView[] {
  return state.order.flatMap((id) => {
    const job = state.jobs.get(id);
    return job?.document === document ? [job] : [];
  });
}

/** Five hundred nodes ask the same of a state; it is found once. */
function oncePerState<T>(
  find: (state: Jobs, document: string) => T,
): (state: Jobs, document: string) => T {
  const known = new WeakMap<Jobs, Map<string, T>>();
  return (state, document) => {
    const found = known.get(state) ?? new Map<string, T>();
    known.set(state, found);
    if (!found.has(document)) found.set(document, find(state, document));
    return found.get(document) as T;
  };
}

/** The job whose nodes a document shows: the one chosen, the one that runs, or the last that ran. */
export const shownJob = oncePerState((state: Jobs, document: string): JobView | null => {
  const chosen = state.jobs.get(state.chosen.get(document) ?? "");
  if (chosen !== undefined) return chosen;
  let waiting: JobView | null = null;
  let ended: JobView | null = null;
  for (const id of state.order) {
    const job = state.jobs.get(id);
    if (job?.document !== document) continue;
    if (job.state === "running") return job;
    // Of those that wait, the next one; of those that ended, the last one that began at all.
    if (job.state === "queued") waiting = job;
    else if (ended === null && job.attempt > 0) ended = job;
  }
  return ended ?? waiting;
});

/** Have a document show what a job did; null: what it would show by itself. */
export function chooseJob(document: string, job: string | null): void {
  const chosen = new Map(useJobs.getState().chosen);
  if (job === null) chosen.delete(document);
  else chosen.set(document, job);
  useJobs.setState({ chosen });
}

const MOST_LOOKED_AT = 20;

/** The jobs whose results a document shows, the newest first: of a chosen one, only its own. */
export function jobsLookedAt(state: Jobs, document: string): readonly JobView[] {
  const chosen = state.jobs.get(state.chosen.get(document) ?? "");
  if (chosen !== undefined) return [chosen];
  return jobsOfDocument(state, document).slice(0, MOST_LOOKED_AT);
}

export type Outputs = ReadonlyMap<string, readonly ArtifactEntry[]>;

/** The files that each node gave last, by the node's name in the run. */
export const lastOutputs = oncePerState((state: Jobs, document: string): Outputs => {
  const found = new Map<string, ArtifactEntry[]>();
  for (const job of jobsLookedAt(state, document)) {
    const its = new Map<string, ArtifactEntry[]>();
    for (const output of job.outputs) {
      for (const key of outputKeys(output.node)) {
        const known = its.get(key);
        if (known === undefined) its.set(key, [output]);
        else known.push(output);
      }
    }
    for (const [node, outputs] of its) if (!found.has(node)) found.set(node, outputs);
  }
  return found;
});

/** A node's name without calls, and without what may be the rounds of loops. */
function outputKeys(node: string): ReadonlySet<string> {
  const name = node.replace(/\[\d+\]/g, "");
  return new Set([name, name.replace(/(?<=\/)\d+\//g, "")]);
}

/** A job as a list has it. */
export function viewOf(entry: JobEntry): JobView {
  return {
    ...ofEntry(entry),
    position: null,
    targets: null,
    workflow: null,
    source: null,
    progress: entry.state === "finished" ? 1 : 0,
    secondsLeft: null,
    nodes: new Map(),
    outputs: [],
    error: entry.fault ?? null,
    problems: entry.fault ? [entry.fault] : [],
    isWhole: false,
  };
}

/** What an entry says of a job, on top of what was known of it. */
export function merged(known: JobView | undefined, entry: JobEntry): JobView {
  if (known === undefined) return viewOf(entry);
  const isDone = entry.state === "finished";
  const error = known.error ?? entry.fault ?? null;
  return { ...known, ...ofEntry(entry), error, progress: isDone ? 1 : known.progress };
}

/** What the whole of a job says, on top of what was known of it. */
export function mergedDetail(known: JobView | undefined, detail: JobDetail): JobView {
  const { targets, error, outputs } = detail;
  const hasEnded = detail.state !== "queued" && detail.state !== "running";
  return {
    ...merged(known, detail),
    targets,
    ...faultOf(error),
    outputs:
      outputs === null ? (known?.outputs ?? []) : outputs.files.map((file) => madeBy(detail, file)),
    isWhole: hasEnded,
  };
}

/** A file as the gallery has it; of one that was there already, a job doesn't say who made it. */
function madeBy(job: JobEntry, file: OutputFile): ArtifactEntry {
  const created = job.finished ?? job.created;
  const made_by = file.existed ? null : job.id;
  return { ...UNMARKED, ...file, job: job.id, job_name: job.name, jobs: 1, created, made_by };
}

/** What people noted of a file that they noted nothing of; jobs don't tell of it. */
export const UNMARKED: Pick<ArtifactEntry, "stars" | "tags" | "note" | "board" | "trashed"> = {
  stars: 0,
  tags: [],
  note: null,
  board: null,
  trashed: null,
};

/** With a file that it has just written; the same job if that is known. */
export function withOutput(job: JobView, output: ArtifactEntry): JobView {
  const isKnown = job.outputs.some(
    (each) => each.digest === output.digest && each.node === output.node,
  );
  return isKnown ? job : { ...job, outputs: [...job.outputs, output] };
}

/** The problems in what a failed job tells. */
export function faultOf(
  error: Readonly<Record<string, unknown>> | null,
): Pick<JobView, "error" | "problems"> {
  if (error === null) return { error: null, problems: [] };
  const first = error as unknown as Finding;
  const problems = Array.isArray(error.problems) ? (error.problems as Finding[]) : [first];
  return { error: problems[0] ?? first, problems };
}

function ofEntry(entry: JobEntry) {
  return {
    id: entry.id,
    client: entry.client,
    name: entry.name,
    state: entry.state,
    held: entry.held,
    wanted: entry.wanted,
    priority: entry.priority,
    created: entry.created,
    started: entry.started,
    finished: entry.finished,
    attempt: entry.attempt,
    deaths: entry.deaths,
    worker: entry.worker,
    tags: entry.tags,
    document: documentOf(entry.tags),
  };
}
