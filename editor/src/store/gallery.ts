/**
 * What jobs gave, the newest first: looked through page by page, growing as files are written.
 * The same bytes are shown once, however many jobs gave them.
 */
import {
  hashKey,
  type InfiniteData,
  InfiniteQueryObserver,
  infiniteQueryOptions,
  keepPreviousData,
  useInfiniteQuery,
} from "@tanstack/react-query";
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
import { notifyFault, type Told, toldOf } from "./notices";
import { outdate, queries, uncancelled } from "./queries";

/** Which results are looked at. */
interface Choice {
  readonly text: string;
  /** Such as `image`; null for all. */
  readonly kind: string | null;
  readonly job: string | null;
  /** Id of the board that is looked at; null for all results. */
  readonly board: string | null;
  /** Whether the trash is looked at. */
  readonly isTrash: boolean;
}

export interface Gallery extends Choice {
  /** Digests of those that are marked to do something with. */
  readonly marked: ReadonlySet<string>;
  readonly search: (text: string) => void;
  readonly filter: (by: Partial<Omit<Choice, "text">>) => void;
  readonly mark: (digests: Iterable<string>) => void;
}

interface Page {
  readonly items: readonly ArtifactEntry[];
  /** Cursor of the next page; null if there is none. */
  readonly next: string | null;
}

/** All pages that were asked for. */
export type Results = InfiniteData<Page>;

interface PageParam {
  readonly cursor: string | null;
  readonly limit: number;
}

const PAGE = 60;
/** That the server gives at once. */
const LARGEST_PAGE = 1000;
/** Results that are marked together. */
const MOST_AT_ONCE = 20_000;
const PAGES = ["artifacts", "pages"];
const NONE: readonly ArtifactEntry[] = [];

export const useGallery = create<Gallery>()((set) => ({
  text: "",
  kind: null,
  job: null,
  board: null,
  isTrash: false,
  marked: new Set(),
  search: (text) => set({ text }),
  filter: (by) => set({ ...by, marked: new Set() }),
  mark: (digests) => set({ marked: new Set(digests) }),
}));

// The list

function pagesOf({ text, kind, job, board, isTrash }: Choice, limit = PAGE) {
  const query = {
    distinct: "true" as const,
    ...(text.trim() === "" ? {} : { text: text.trim() }),
    ...(kind === null ? {} : { kind }),
    ...(job === null ? {} : { job }),
    ...(board === null ? {} : { board }),
    ...(isTrash ? { trashed: "true" as const } : {}),
  };
  const first: PageParam = { cursor: null, limit: PAGE };
  return infiniteQueryOptions({
    queryKey: [...PAGES, query],
    queryFn: ({ pageParam, signal }): Promise<Page> =>
      api.GET("/artifacts", { params: { query: { ...query, ...pageParam } }, signal }),
    initialPageParam: first,
    getNextPageParam: ({ next }): PageParam | null =>
      next === null ? null : { cursor: next, limit },
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const shownPages = () => pagesOf(useGallery.getState());

/** What is known of the list that is looked at. */
export function knownResults(): Results | undefined {
  return queries.getQueryData<Results>(shownPages().queryKey);
}

/** The results that are listed, as far as they were looked through. */
export function listedResults(): readonly ArtifactEntry[] {
  return itemsOf(knownResults());
}

const listed = new WeakMap<Results, readonly ArtifactEntry[]>();

/** The items of all pages; the same array for the same pages. */
function itemsOf(results: Results | undefined): readonly ArtifactEntry[] {
  if (results === undefined) return NONE;
  const known = listed.get(results);
  if (known !== undefined) return known;
  // One that was written anew came to the front, and may be on a later page as it was before.
  const items = new Map<string, ArtifactEntry>();
  for (const page of results.pages)
    for (const item of page.items) if (!items.has(item.digest)) items.set(item.digest, item);
  const all = [...items.values()];
  listed.set(results, all);
  return all;
}

interface Shown {
  /** Those of the choice before until the ones of the new choice are there. */
  readonly items: readonly ArtifactEntry[];
  readonly isLoading: boolean;
  /** Why nothing is known. */
  readonly fault: Told | null;
  readonly loadMore: () => Promise<void>;
}

/** The list that is looked at, asked for as it appears. */
export function useResults(): Shown {
  const pages = useInfiniteQuery(
    { ...pagesOf(useGallery()), placeholderData: keepPreviousData },
    queries,
  );
  const { data, error, hasNextPage, fetchNextPage } = pages;
  return {
    items: itemsOf(data),
    isLoading: data === undefined ? error === null : pages.isPlaceholderData,
    fault: data === undefined && error !== null ? toldOf(error) : null,
    loadMore: async () => {
      if (!hasNextPage) return;
      const { error: why, isFetchNextPageError } = await fetchNextPage({ cancelRefetch: false });
      if (isFetchNextPageError) notifyFault(why, { key: "gallery-more" });
    },
  };
}

/** What is known of the list, for parts that don't ask for it. */
export function useListedResults(): readonly ArtifactEntry[] {
  return itemsOf(useInfiniteQuery({ ...pagesOf(useGallery()), enabled: false }, queries).data);
}

/** The first page at least, asked for if need be. */
export async function loadResults(): Promise<readonly ArtifactEntry[]> {
  return itemsOf(await uncancelled(() => queries.fetchInfiniteQuery(shownPages())));
}

/**
 * Lists may be others by now: the one that is looked at is asked for again, in one go and as far
 * as it was looked through, so that nobody who scrolled loses the place.
 */
export async function outdateResults(): Promise<void> {
  for (const [queryKey, results] of queries.getQueriesData<Results>({ queryKey: PAGES })) {
    if (results !== undefined && results.pages.length > 1)
      queries.setQueryData<Results>(queryKey, inOnePage(results));
  }
  await outdate(PAGES);
}

function inOnePage(results: Results): Results {
  const items = itemsOf(results);
  const limit = Math.min(LARGEST_PAGE, Math.max(PAGE, items.length));
  const next = results.pages.at(-1)?.next ?? null;
  return { pages: [{ items, next }], pageParams: [{ cursor: null, limit }] };
}

/** Change what is known of the list that is looked at; other lists are asked for when they are. */
function changeResults(change: (results: Results) => Results): void {
  const { queryKey } = shownPages();
  const [own, known] = [hashKey(queryKey), queries.getQueryState<Results>(queryKey)];
  void queries.invalidateQueries({
    queryKey: PAGES,
    refetchType: "none",
    predicate: ({ queryHash }) => queryHash !== own,
  });
  if (known?.data === undefined) return;
  const changed = change(known.data);
  if (changed === known.data) return;
  queries.setQueryData<Results>(queryKey, changed);
  // To write it would make it new.
  if (known.isInvalidated) void queries.invalidateQueries({ queryKey, refetchType: "none" });
}

/** Change the items that are listed, each on its own; null leaves it out. */
export function changeListed(change: (item: ArtifactEntry) => ArtifactEntry | null): void {
  const changed = (page: Page): Page => ({
    ...page,
    items: page.items.map(change).filter((item) => item !== null),
  });
  changeResults(({ pages, pageParams }) => ({ pages: pages.map(changed), pageParams }));
}

/** List again what was known before a change that came to nothing. */
export function restoreResults(results: Results | undefined): void {
  if (results !== undefined) changeResults(() => results);
}

/** Show some no longer, as they were deleted, or aren't where one looks any more. */
export function dropFromGallery(digests: Iterable<string>): void {
  const gone = new Set(digests);
  changeListed((item) => (gone.has(item.digest) ? null : item));
  const { marked, mark } = useGallery.getState();
  mark([...marked].filter((digest) => !gone.has(digest)));
}

/** Delete for good, from all jobs that gave it. */
export async function removeResult(artifact: ArtifactEntry): Promise<void> {
  const job = artifact.jobs > 1 ? null : artifact.job;
  await api.DELETE("/artifacts/{digest}", {
    params: { path: { digest: artifact.digest }, query: { job } },
  });
  dropFromGallery([artifact.digest]);
  jobsFollowing()?.dropOutput(artifact.digest, job);
}

// Marked ones

/** Those that are marked, in the order in which they are shown. */
export function markedResults(items = listedResults()): readonly ArtifactEntry[] {
  const { marked } = useGallery.getState();
  return items.filter(({ digest }) => marked.has(digest));
}

/** Mark all that match, those that weren't looked through yet, too. */
export async function markAllResults(): Promise<void> {
  const asked = pagesOf(useGallery.getState(), LARGEST_PAGE);
  const isSame = () => hashKey(shownPages().queryKey) === hashKey(asked.queryKey);
  const rest = new InfiniteQueryObserver(queries, asked);
  await loadResults();
  while (isSame()) {
    const results = knownResults();
    const isMore = typeof results?.pages.at(-1)?.next === "string";
    if (!isMore || itemsOf(results).length >= MOST_AT_ONCE) break;
    await uncancelled(() => rest.fetchNextPage({ cancelRefetch: false, throwOnError: true }));
  }
  if (isSame()) useGallery.getState().mark(listedResults().map(({ digest }) => digest));
}

// What happens meanwhile

/** What was written while the server was being asked: its answer may be from before. */
let meanwhile: ArtifactEntry[] = [];

/** Let the gallery grow as files are written; gives what ends it. */
export function startGallery(): () => void {
  const stops = [
    useJobs.subscribe(({ jobs }, before) => {
      if (jobs !== before.jobs) grow(written(jobs, before.jobs));
    }),
    socket().on("notice", ({ kind }) => {
      // Perhaps somebody else's page or program did it. Jobs take along what they gave.
      const isLess = kind === "artifacts.deleted" || kind === "jobs.deleted";
      if (isLess) void outdateResults();
    }),
    queries.getQueryCache().subscribe((event) => {
      if (event.type !== "updated" || event.action.type !== "success") return;
      const isAnswer = event.action.manual !== true;
      if (isAnswer && event.query.queryHash === hashKey(shownPages().queryKey)) takeAnswer();
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function written(jobs: Jobs["jobs"], before: Jobs["jobs"]): readonly ArtifactEntry[] {
  const found: ArtifactEntry[] = [];
  for (const [id, job] of jobs) {
    const known = before.get(id)?.outputs ?? [];
    // One whose nodes are all cached may be first heard of together with what it gave.
    if (known !== job.outputs) {
      found.push(...job.outputs.filter((each) => !known.some((old) => isSame(old, each))));
    }
  }
  return found;
}

/** What was written meanwhile may lack in the answer, and what is marked may be gone. */
function takeAnswer(): void {
  const late = meanwhile;
  meanwhile = [];
  grow(late);
  const { marked, mark } = useGallery.getState();
  if (marked.size === 0) return;
  const there = new Set(listedResults().map(({ digest }) => digest));
  mark([...marked].filter((digest) => there.has(digest)));
}

function grow(found: readonly ArtifactEntry[]): void {
  if (found.length === 0) return;
  const { text, kind, job, board, isTrash } = useGallery.getState();
  const known = queries.getQueryState<Results>(shownPages().queryKey);
  if (known?.fetchStatus === "fetching") meanwhile.push(...found);
  // What fits a search is for the server to say.
  else if (text.trim() !== "") return void outdateResults();
  const fitting = found.filter(
    (each) => (kind === null || each.kind === kind) && (job === null || each.job === job),
  );
  // What is new is on no board and not in the trash.
  const isHere = board === null && !isTrash && text.trim() === "";
  changeResults((results) => (isHere ? fitting.reduce(withNewest, results) : results));
}

/** With one more in front, which takes the place of an older one with the same bytes. */
function withNewest(results: Results, added: ArtifactEntry): Results {
  const [first, ...others] = results.pages;
  const items = itemsOf(results);
  if (first === undefined || added.created < (items[0]?.created ?? 0)) return results;
  const known = items.find((each) => each.digest === added.digest);
  if (known?.job === added.job) return results;
  const newest = known === undefined ? added : { ...added, jobs: known.jobs + 1 };
  const without = first.items.filter((each) => each.digest !== added.digest);
  return { ...results, pages: [{ ...first, items: [newest, ...without] }, ...others] };
}

function isSame(a: ArtifactEntry, b: ArtifactEntry): boolean {
  return a.digest === b.digest && a.job === b.job && a.node === b.node;
}

// Its workflow

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
