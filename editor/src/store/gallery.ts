/**
 * What jobs gave, the newest first: looked through page by page, growing as files are written.
 * The same bytes are shown once, however many jobs gave them.
 */
import { create } from "zustand";
import { api, getJob, read } from "@/api/client";
import type { ArtifactEntry, JobDetail } from "@/api/schema";
import { fromPlain } from "@/model/json";
import { literalJson, targetOf } from "@/model/links";
import { withNode } from "@/model/scope";
import { titleWith } from "@/model/sweeps";
import { readWorkflow, type Workflow } from "@/model/workflow";
import { socket } from "./connection";
import { type Jobs, useJobs } from "./jobs";
import { jobsFollowing } from "./jobsFollowing";
import { type Told, toldOf } from "./notices";

export interface Gallery {
  readonly items: readonly ArtifactEntry[];
  /** Cursor of the next page; null if there is none. */
  readonly next: string | null;
  readonly state: "none" | "loading" | "ready" | "failed";
  /** What went wrong, in words. */
  readonly problem: Told | null;
  readonly text: string;
  /** Such as `image`; null for all. */
  readonly kind: string | null;
  readonly job: string | null;
  /** Id of the board that is looked at; null for all results. */
  readonly board: string | null;
  /** Whether the trash is looked at. */
  readonly isTrash: boolean;
  /** Digests of those that are marked to do something with. */
  readonly marked: ReadonlySet<string>;
  /** Load the first page, if that wasn't done. */
  readonly open: () => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly loadMore: () => Promise<void>;
  readonly search: (text: string) => Promise<void>;
  readonly filter: (by: {
    readonly kind?: string | null;
    readonly job?: string | null;
    readonly board?: string | null;
    readonly isTrash?: boolean;
  }) => Promise<void>;
  readonly mark: (digests: Iterable<string>) => void;
  /** Mark all that match, those that weren't looked through yet, too. */
  readonly markAll: () => Promise<void>;
  /** Delete for good, from all jobs that gave it. */
  readonly remove: (artifact: ArtifactEntry) => Promise<void>;
}

const PAGE = 60;
/** That the server gives at once. */
const LARGEST_PAGE = 1000;
/** Results that are marked together. */
const MOST_AT_ONCE = 20_000;
let question = 0;
let more: Promise<void> | null = null;
/** What was written while the server was being asked: its answer may be from before. */
let meanwhile: ArtifactEntry[] = [];

export const useGallery = create<Gallery>()((set, get) => {
  const asked = () => {
    const { text, kind, job, board, isTrash } = get();
    return {
      distinct: "true" as const,
      ...(text.trim() === "" ? {} : { text: text.trim() }),
      ...(kind === null ? {} : { kind }),
      ...(job === null ? {} : { job }),
      ...(board === null ? {} : { board }),
      ...(isTrash ? { trashed: "true" as const } : {}),
    };
  };
  const load = async (limit = PAGE) => {
    const mine = ++question;
    meanwhile = [];
    set({ state: "loading", problem: null });
    try {
      const query = { ...asked(), limit };
      const page = await api.GET("/artifacts", { params: { query } });
      if (mine !== question) return;
      const marked = kept(get().marked, page.items);
      set({ items: page.items, next: page.next, state: "ready", marked });
      if (meanwhile.length > 0) grow(meanwhile);
    } catch (error) {
      if (mine === question) set({ state: "failed", problem: toldOf(error) });
    }
  };
  const loadNext = async (limit = PAGE) => {
    const { next, items } = get();
    if (next === null) return;
    const mine = question;
    const query = { ...asked(), limit, cursor: next };
    const page = await api.GET("/artifacts", { params: { query } });
    if (mine !== question) return;
    // Whoever sees the list grow may ask for more at once.
    more = null;
    set({ items: [...get().items, ...without(page.items, items)], next: page.next });
  };
  return {
    items: [],
    next: null,
    state: "none",
    problem: null,
    text: "",
    kind: null,
    job: null,
    board: null,
    isTrash: false,
    marked: new Set(),
    open: async () => {
      if (get().state === "none" || get().state === "failed") await load();
    },
    // As far as it was looked through, so that nobody who scrolled loses the place.
    reload: () => load(Math.min(LARGEST_PAGE, Math.max(PAGE, get().items.length))),
    loadMore: () => {
      if (more !== null) return more;
      const asking = loadNext().finally(() => {
        if (more === asking) more = null;
      });
      more = asking;
      return asking;
    },
    search: (text) => {
      set({ text });
      return load();
    },
    filter: (by) => {
      set({ ...by, marked: new Set() });
      return load();
    },
    mark: (digests) => set({ marked: new Set(digests) }),
    markAll: async () => {
      const mine = question;
      await more;
      while (get().next !== null && get().items.length < MOST_AT_ONCE && mine === question)
        await loadNext(LARGEST_PAGE);
      if (mine === question) set({ marked: new Set(get().items.map(({ digest }) => digest)) });
    },
    remove: async (artifact) => {
      const job = artifact.jobs > 1 ? null : artifact.job;
      await api.DELETE("/artifacts/{digest}", {
        params: { path: { digest: artifact.digest }, query: { job } },
      });
      dropFromGallery([artifact.digest]);
      jobsFollowing()?.dropOutput(artifact.digest, job);
    },
  };
});

/** Let the gallery grow as files are written; gives what ends it. */
export function startGallery(): () => void {
  const stops = [
    useJobs.subscribe(({ jobs }, before) => {
      if (jobs !== before.jobs) follow(jobs, before.jobs);
    }),
    socket().on("notice", ({ kind }) => {
      // Perhaps somebody else's page or program did it. Jobs take along what they gave.
      const isLess = kind === "artifacts.deleted" || kind === "jobs.deleted";
      if (isLess && isOpen()) void useGallery.getState().reload();
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function isOpen(): boolean {
  const { state } = useGallery.getState();
  return state === "ready" || state === "loading";
}

function follow(jobs: Jobs["jobs"], before: Jobs["jobs"]): void {
  if (!isOpen()) return;
  const found: ArtifactEntry[] = [];
  for (const [id, job] of jobs) {
    const known = before.get(id)?.outputs ?? [];
    // One whose nodes are all cached may be first heard of together with what it gave.
    if (known !== job.outputs) {
      found.push(...job.outputs.filter((each) => !known.some((old) => isSame(old, each))));
    }
  }
  if (useGallery.getState().state === "loading") meanwhile.push(...found);
  else if (found.length > 0) grow(found);
}

/** The workflow that made something, with the values that it was run with. */
export async function workflowOf(artifact: Pick<ArtifactEntry, "job">): Promise<Workflow> {
  const params = { path: { id: artifact.job } };
  const [{ data }, job] = await Promise.all([
    read("text", "get", "/jobs/{id}/workflow", { params }),
    getJob(artifact.job),
  ]);
  const workflow = withParameters(readWorkflow(data), job.parameters);
  // Opened beside the one that was swept, it is told apart.
  return { ...workflow, title: titleWith(workflow.title, job.tags) };
}

/** A workflow with values of its named parameters put in. */
export function withParameters(workflow: Workflow, values: JobDetail["parameters"]): Workflow {
  let found = workflow;
  for (const [name, value] of Object.entries(values)) {
    const target = targetOf(workflow.parameters.get(name)?.input ?? "");
    if (target === null) continue;
    const written = literalJson(fromPlain(value));
    found = withNode(found, null, target.node, (entry) => ({
      ...entry,
      inputs: new Map(entry.inputs).set(target.port, written),
    }));
  }
  return found;
}

/** Those that are marked, in the order in which they are shown. */
export function markedResults({ items, marked }: Pick<Gallery, "items" | "marked">) {
  return items.filter(({ digest }) => marked.has(digest));
}

/** Show some no longer, as they were deleted, or aren't where one looks any more. */
export function dropFromGallery(digests: Iterable<string>): void {
  const gone = new Set(digests);
  const { items, marked } = useGallery.getState();
  useGallery.setState({
    items: items.filter(({ digest }) => !gone.has(digest)),
    marked: new Set([...marked].filter((digest) => !gone.has(digest))),
  });
}

/** The marks of what is still listed. */
function kept(marked: ReadonlySet<string>, items: readonly ArtifactEntry[]): ReadonlySet<string> {
  if (marked.size === 0) return marked;
  const listed = new Set(items.map(({ digest }) => digest));
  return new Set([...marked].filter((digest) => listed.has(digest)));
}

function grow(found: readonly ArtifactEntry[]): void {
  const { items, text, kind, job, board, isTrash, reload } = useGallery.getState();
  // What is new is on no board and not in the trash.
  if (board !== null || isTrash) return;
  // What fits a search is for the server to say.
  if (text.trim() !== "") return void reload();
  const fitting = found.filter(
    (each) => (kind === null || each.kind === kind) && (job === null || each.job === job),
  );
  const newest = items[0]?.created ?? 0;
  const fresh = fitting.filter((each) => each.created >= newest);
  const grown = fresh.reduce(withNewest, items);
  if (grown !== items) useGallery.setState({ items: grown });
}

/** With one more in front, which takes the place of an older one with the same bytes. */
function withNewest(items: readonly ArtifactEntry[], added: ArtifactEntry) {
  const known = items.find((each) => each.digest === added.digest);
  if (known === undefined) return [added, ...items];
  if (known.job === added.job) return items;
  const others = items.filter((each) => each !== known);
  return [{ ...added, jobs: known.jobs + 1 }, ...others];
}

function without(
  found: readonly ArtifactEntry[],
  known: readonly ArtifactEntry[],
): ArtifactEntry[] {
  const digests = new Set(known.map(({ digest }) => digest));
  return found.filter(({ digest }) => !digests.has(digest));
}

function isSame(a: ArtifactEntry, b: ArtifactEntry): boolean {
  return a.digest === b.digest && a.job === b.job && a.node === b.node;
}
