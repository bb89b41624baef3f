/**
 * Keeps the jobs up to date: what there is at the start, and what happens from then on, through
 * lost connections and servers that were started again.
 */
import { api, getJob, isMissing, type QueryOf } from "@/api/client";
import type { JobEvent } from "@/api/events";
import type { EventList, JobEntry } from "@/api/schema";
import type { EventSocket } from "@/api/socket";
import type { Workflow } from "@/model/workflow";
import { storedExpectations, storeExpectations } from "./expectations";
import { afterEvent, outputOf, placeholder } from "./jobEvents";
import {
  isEnded,
  type Jobs,
  type JobView,
  merged,
  mergedDetail,
  useJobs,
  withOutput,
} from "./jobs";
import { type Expected, NodeRuns, type Pictures } from "./nodeRuns";
import { answerTo, newAnswerTo, outdate, queries } from "./queries";

/** The requests that it makes. */
const SERVER = {
  getJob,
  listJobs: (query: QueryOf<"get", "/jobs">) => api.GET("/jobs", { params: { query } }),
  listJobEvents: (id: string, query: QueryOf<"get", "/jobs/{id}/events">) =>
    // Without an answer only if asked for a stream.
    api.GET("/jobs/{id}/events", { params: { path: { id }, query } }) as Promise<EventList>,
  getQueue: (limit: number) => api.GET("/queue", { params: { query: { limit } } }),
  listArtifacts: (query: QueryOf<"get", "/artifacts">) =>
    api.GET("/artifacts", { params: { query } }),
};

export type JobsApi = typeof SERVER;

export interface FollowingOptions {
  readonly socket: Pick<EventSocket, "follow" | "on">;
  readonly api?: JobsApi;
  readonly pictures?: Pictures;
  /** Milliseconds between two changes of the screen. */
  readonly pace?: number;
}

const DETAIL = "job";
const QUEUE = "queue";
/** What is merged into the jobs isn't kept here, too. */
const ONCE = { staleTime: 0, gcTime: 0 };
const PAGE = 100;
const EVENTS = 1000;
const QUEUE_WAIT = 200;
const LISTED = 500;
/** Files that the server lists at once. */
const FILES = 1000;
/** Ended jobs whose previews are kept. */
const PREVIEWED = 10;
const FOLLOWED = 60;

const QUEUE_KINDS: ReadonlySet<string> = new Set([
  "job.queued",
  "job.claimed",
  "job.requeued",
  "job.held",
  "job.unheld",
  "job.moved",
  "job.prioritized",
  "job.retried",
  "job.finished",
  "job.failed",
  "job.cancelled",
]);

/** What is followed of one job besides what is shown. */
interface Tracked {
  readonly runs: NodeRuns;
  /** The number of the last event that was taken in. */
  seen: number;
  /** Events that wait for those before them to be loaded; null if nothing is missing. */
  held: JobEvent[] | null;
}

/** What of a job the server's first answer doesn't say. */
type Sent = Pick<JobView, "workflow" | "source" | "targets">;

const UNKNOWN: Sent = { workflow: null, source: null, targets: null };

export class JobsFollowing {
  private readonly tracked = new Map<string, Tracked>();
  private readonly expected = storedExpectations();
  private readonly changed = new Map<string, JobView>();
  private readonly stirred = new Set<string>();
  /** How often events have changed what a job is: an answer that was asked for before may be old. */
  private readonly turns = new Map<string, number>();
  private readonly api: JobsApi;
  private readonly pictures: Pictures;
  private readonly pace: number;
  private stopFollowing: () => void = () => {};
  private flushTimer: ReturnType<typeof setTimeout> | undefined;
  private queueTimer: ReturnType<typeof setTimeout> | undefined;
  private isStopped = false;
  /** Counts the times that all was loaded, so that answers to older questions are passed over. */
  private round = 0;

  constructor(private readonly options: FollowingOptions) {
    this.api = options.api ?? SERVER;
    this.pictures = options.pictures ?? browserPictures;
    this.pace = options.pace ?? 60;
  }

  start(): void {
    const { socket } = this.options;
    const stopNotices = socket.on("notice", ({ kind }) => {
      if (kind === "jobs.deleted") void this.refresh();
      else if (kind === "queue.changed") void this.loadQueue();
      else if (kind === "artifacts.deleted") void this.dropLostFiles().catch(() => undefined);
    });
    const stopEvents = socket.follow({
      onEvents: (events) => this.take(events),
      onOpen: (isNew) => void (isNew ? this.load() : this.refresh()),
    });
    this.stopFollowing = () => {
      stopNotices();
      stopEvents();
    };
  }

  stop(): void {
    this.isStopped = true;
    this.stopFollowing();
    clearTimeout(this.flushTimer);
    clearTimeout(this.queueTimer);
    for (const { runs } of this.tracked.values()) runs.dropPreviews();
  }

  /** Show a job at once that the server has just told of; with what was submitted. */
  enter(
    entry: JobEntry,
    expected?: ReadonlyMap<string, Expected>,
    { workflow, source, targets }: Sent = UNKNOWN,
  ): void {
    if (expected !== undefined) this.expect(entry.id, expected);
    const known = this.view(entry.id);
    // Its events may have come before: they know better.
    const isNew = known === undefined || known.name === "";
    const view = isNew ? merged(known, entry) : known;
    this.put({ ...view, workflow, source, targets: targets ?? view.targets });
    this.flush();
  }

  /** All of a run is submitted; with its document as it was when the last of it was sent. */
  submittedFrom(ids: Iterable<string>, source: Workflow): void {
    for (const id of ids) {
      const known = this.view(id);
      if (known !== undefined) this.put({ ...known, source });
    }
    this.flush();
  }

  /** What a job's nodes are expected to take. */
  expect(id: string, expected: ReadonlyMap<string, Expected>): void {
    this.expected.set(id, expected);
    storeExpectations(this.expected);
    this.tracked.get(id)?.runs.expect(expected);
    this.stir(id);
  }

  /** What an answer says of a job that was steered. */
  steered(entry: JobEntry): void {
    this.put(merged(this.view(entry.id), entry));
    this.flush();
    this.askQueue();
  }

  /** A job is deleted. */
  forget(ids: Iterable<string>): void {
    const gone = new Set(ids);
    for (const id of gone) {
      this.tracked.get(id)?.runs.dropPreviews();
      this.tracked.delete(id);
      this.changed.delete(id);
      this.expected.delete(id);
      this.turns.delete(id);
    }
    const { jobs, order } = useJobs.getState();
    useJobs.setState({
      jobs: new Map([...jobs].filter(([id]) => !gone.has(id))),
      order: order.filter((id) => !gone.has(id)),
    });
    this.askQueue();
  }

  /** Load what a job gave, and what became of its nodes. */
  async loadJob(id: string): Promise<void> {
    const known = this.view(id);
    await Promise.all([
      known?.isWhole ? undefined : this.detail(id),
      this.tracked.has(id) ? undefined : this.history(id),
    ]);
    this.flush();
  }

  /** Load older jobs. */
  async loadOlder(): Promise<void> {
    const cursor = useJobs.getState().older;
    if (cursor === null) return;
    const { round } = this;
    const turns = new Map(this.turns);
    const page = await this.api.listJobs({ limit: PAGE, cursor });
    if (round !== this.round || cursor !== useJobs.getState().older) return;
    this.enterAll(page.items, turns);
    useJobs.setState({ older: page.next });
    this.flush();
  }

  /** All anew: what was known may be void. */
  private async load(): Promise<void> {
    const round = ++this.round;
    this.reset();
    await this.tryUntilDone(round, async () => {
      const turns = new Map(this.turns);
      const [newest, active] = await Promise.all([
        this.api.listJobs({ limit: PAGE }),
        this.api.listJobs({ limit: LISTED, state: ["queued", "running"] }),
      ]);
      if (round !== this.round) return;
      useJobs.setState({ older: newest.next });
      this.enterAll([...active.items, ...newest.items], turns);
      await this.loadPast(newest.items);
      if (round !== this.round) return;
      this.flush();
      useJobs.setState({ isReady: true });
    });
    this.askQueue();
  }

  /** Jobs of a list; `turns` were theirs when it was asked for. */
  private enterAll(entries: readonly JobEntry[], turns: ReadonlyMap<string, number>): void {
    for (const entry of entries) {
      this.put(merged(this.view(entry.id), entry));
      if (this.turns.get(entry.id) !== turns.get(entry.id)) void this.detail(entry.id);
    }
  }

  /** What jobs did before: those that run, and of each document what it showed. */
  private async loadPast(entries: readonly JobEntry[]): Promise<void> {
    const views = [...this.changed.values()];
    const running = views.filter((job) => job.state === "running" || isBegun(job));
    const last = new Map<string, string>();
    for (const entry of entries) {
      const view = this.view(entry.id);
      const document = view?.document ?? null;
      if (document === null || view === undefined || !isEnded(view) || view.attempt === 0) continue;
      if (!last.has(document)) last.set(document, view.id);
    }
    const ids = new Set([...running.map((job) => job.id), ...last.values()]);
    await Promise.all([
      ...[...ids].map((id) => this.history(id)),
      ...[...last.values()].map((id) => this.detail(id)),
    ]);
  }

  /** What events don't tell: jobs that were deleted meanwhile, and the queue's own state. */
  private async refresh(): Promise<void> {
    if (!useJobs.getState().isReady) return this.load();
    const { round } = this;
    this.askQueue();
    try {
      const page = await this.api.listJobs({ limit: PAGE });
      if (round !== this.round) return;
      this.dropDeleted(page.items, page.next === null);
    } catch {
      // It is asked again after the next loss; events go on in any case.
    }
  }

  private dropDeleted(items: readonly JobEntry[], isAll: boolean): void {
    const there = new Set(items.map((item) => item.id));
    const oldest = isAll ? 0 : Math.min(...items.map((item) => item.created));
    const known = [...new Map([...useJobs.getState().jobs, ...this.changed]).values()];
    const missing = known.filter((job) => job.created > oldest && !there.has(job.id));
    const gone = missing.filter(isEnded);
    if (gone.length > 0) this.forget(gone.map((job) => job.id));
    // One that was submitted a moment ago may be newer than the list; one that was cancelled may be
    // gone before its end is told.
    for (const job of missing) if (!isEnded(job)) void this.detail(job.id);
  }

  private reset(): void {
    for (const { runs } of this.tracked.values()) runs.dropPreviews();
    this.tracked.clear();
    this.changed.clear();
    this.stirred.clear();
    void outdate([DETAIL]);
    this.turns.clear();
    useJobs.setState({ jobs: new Map(), order: [], isReady: false, older: null, queue: null });
  }

  private async tryUntilDone(round: number, work: () => Promise<void>): Promise<void> {
    for (
      let wait = 1000;
      round === this.round && !this.isStopped;
      wait = Math.min(15_000, wait * 2)
    ) {
      try {
        return await work();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  private take(events: readonly JobEvent[]): void {
    for (const event of events) {
      if (QUEUE_KINDS.has(event.kind)) {
        this.turns.set(event.job, (this.turns.get(event.job) ?? 0) + 1);
        void outdate([DETAIL, event.job]);
      }
      const tracked = this.tracked.get(event.job) ?? this.meet(event);
      if (tracked.held === null) this.apply(tracked, event);
      else tracked.held.push(event);
    }
    this.planFlush();
  }

  /** A job of which no event came before. */
  private meet(event: JobEvent): Tracked {
    const isFirst = event.kind === "job.queued";
    const tracked = this.track(event.job, isFirst ? null : []);
    const known = this.view(event.job);
    if (known === undefined) {
      this.put(placeholder(event));
      void this.detail(event.job).then(() => this.planFlush());
    }
    if (isFirst) return tracked;
    // A job that waited until now has nothing to tell of before that is of interest.
    if (known?.attempt === 0) tracked.held = null;
    else void this.fill(event.job, tracked);
    return tracked;
  }

  private track(id: string, held: JobEvent[] | null): Tracked {
    const tracked: Tracked = { runs: new NodeRuns(this.pictures), seen: 0, held };
    const expected = this.expected.get(id);
    if (expected !== undefined) tracked.runs.expect(expected);
    this.tracked.set(id, tracked);
    return tracked;
  }

  /** Load a job's events from the first one on. */
  private history(id: string): Promise<void> {
    if (this.tracked.has(id)) return Promise.resolve();
    return this.fill(id, this.track(id, []));
  }

  private async fill(id: string, tracked: Tracked): Promise<void> {
    const { round } = this;
    await this.tryUntilDone(round, async () => {
      for (;;) {
        // Gone, as what else was asked has found: it would be asked for again and again.
        if (this.tracked.get(id) !== tracked) return;
        const page = await this.api.listJobEvents(id, { after: tracked.seen, limit: EVENTS });
        if (this.tracked.get(id) !== tracked) return;
        for (const event of page.items) {
          tracked.runs.apply(event);
          this.written(event);
        }
        tracked.seen = page.last;
        if (page.complete) break;
      }
      const held = tracked.held ?? [];
      tracked.held = null;
      for (const event of held) {
        // What was loaded tells what became of its nodes, not what the job is now.
        if ((event.seq ?? 0) <= tracked.seen) this.turn(event);
        else this.apply(tracked, event);
      }
    }).catch(() => {});
    this.stir(id);
  }

  private apply(tracked: Tracked, event: JobEvent): void {
    if (event.seq !== undefined) {
      if (event.seq <= tracked.seen) return;
      tracked.seen = event.seq;
    }
    tracked.runs.apply(event);
    this.stirred.add(event.job);
    this.written(event);
    this.turn(event);
  }

  /** What an event makes of its job. */
  private turn(event: JobEvent): void {
    if (QUEUE_KINDS.has(event.kind)) this.askQueue();
    const known = this.view(event.job);
    if (known === undefined) return;
    const next = afterEvent(known, event);
    if (next !== known) this.put(next);
    if (event.kind === "job.finished" || event.kind === "job.failed") {
      void this.detail(event.job).then(() => this.flush());
    }
  }

  /** A file is there as soon as it is written, whatever becomes of its job. */
  private written(event: JobEvent): void {
    const known = this.view(event.job);
    const output = outputOf(event, known?.name ?? "");
    if (known === undefined || output === null) return;
    const next = withOutput(known, output);
    if (next !== known) this.put(next);
  }

  /** A file was deleted. */
  dropOutput(digest: string, job: string | null): void {
    const known = job === null ? [...useJobs.getState().jobs.keys()] : [job];
    for (const id of known) {
      const view = this.view(id);
      const outputs = view?.outputs.filter((each) => each.digest !== digest) ?? [];
      if (view && outputs.length < view.outputs.length) this.put({ ...view, outputs });
    }
    this.flush();
  }

  /** Files that are gone, perhaps by another window, are shown no more. */
  private async dropLostFiles(): Promise<void> {
    const known = [...useJobs.getState().jobs.values()].filter(
      (job) => isEnded(job) && job.outputs.length > 0,
    );
    if (known.length === 0) return;
    const { items, next } = await this.api.listArtifacts({ distinct: "true", limit: FILES });
    const there = new Set(items.map(({ digest }) => digest));
    // What an older job gave may stand on a later page.
    const since = next === null ? 0 : (items.at(-1)?.created ?? 0);
    for (const { created, outputs } of known) {
      if (created < since) continue;
      for (const { digest } of outputs) if (!there.has(digest)) this.dropOutput(digest, null);
    }
  }

  /** Ask for a job: several who want it share a request, and an event on its way begins it anew. */
  private async detail(id: string): Promise<void> {
    const { round } = this;
    try {
      const found = await answerTo({
        queryKey: [DETAIL, id],
        queryFn: () => this.api.getJob(id),
        ...ONCE,
      });
      if (round !== this.round) return;
      this.put(mergedDetail(this.view(id), found));
      this.planFlush();
    } catch (error) {
      if (isMissing(error)) this.forget([id]);
    }
  }

  private view(id: string): JobView | undefined {
    return this.changed.get(id) ?? useJobs.getState().jobs.get(id);
  }

  private put(view: JobView): void {
    this.changed.set(view.id, view);
    this.stirred.add(view.id);
  }

  private stir(id: string): void {
    this.stirred.add(id);
    this.planFlush();
  }

  private planFlush(): void {
    this.flushTimer ??= setTimeout(() => this.flush(), this.pace);
  }

  /** Show what has changed. */
  flush(): void {
    clearTimeout(this.flushTimer);
    this.flushTimer = undefined;
    if (this.stirred.size === 0 || this.isStopped) return;
    const state = useJobs.getState();
    const jobs = new Map(state.jobs);
    let isOther = false;
    for (const id of this.stirred) {
      const view = this.changed.get(id) ?? jobs.get(id);
      if (view === undefined) continue;
      isOther ||= !jobs.has(id);
      jobs.set(id, this.withRuns(view));
    }
    this.stirred.clear();
    this.changed.clear();
    const order = isOther ? orderOf(jobs) : state.order;
    useJobs.setState({ jobs, order });
    if (isOther) this.prune(order);
  }

  private withRuns(view: JobView): JobView {
    const runs = this.tracked.get(view.id)?.runs;
    if (runs === undefined) return view;
    const isRunning = view.state === "running";
    return {
      ...view,
      nodes: runs.nodes(),
      progress: view.state === "finished" ? 1 : isRunning ? runs.progress() : view.progress,
      secondsLeft: isRunning ? runs.secondsLeft() : null,
    };
  }

  /** Of ended jobs, keep the previews of the last ones, and the rest of what their nodes did of
   * some more; `loadJob` brings it back. */
  private prune(order: readonly string[]): void {
    const { jobs } = useJobs.getState();
    const ended = order.filter((id) => {
      const job = jobs.get(id);
      return job !== undefined && isEnded(job);
    });
    for (const id of ended.slice(PREVIEWED)) this.tracked.get(id)?.runs.dropPreviews();
    for (const id of ended.slice(FOLLOWED)) this.tracked.delete(id);
  }

  private askQueue(): void {
    this.queueTimer ??= setTimeout(() => {
      this.queueTimer = undefined;
      // What is under way comes first: where many jobs come and go there would never be an answer.
      if (queries.isFetching({ queryKey: [QUEUE] }) > 0) this.askQueue();
      else void this.loadQueue();
    }, QUEUE_WAIT);
  }

  /** Who waits, in which order. */
  async loadQueue(): Promise<void> {
    const { round } = this;
    const queryFn = () => this.api.getQueue(LISTED);
    const found = await newAnswerTo({ queryKey: [QUEUE], queryFn, ...ONCE }).catch(() => null);
    if (found === null || round !== this.round || this.isStopped) return;
    const places = new Map(found.upcoming.map((entry, index) => [entry.id, index + 1]));
    for (const entry of found.upcoming) {
      if (this.view(entry.id) === undefined) this.put(merged(undefined, entry));
    }
    // Those that aren't on the screen yet, too: nobody may ask for them again.
    for (const view of new Map([...useJobs.getState().jobs, ...this.changed]).values()) {
      const position = view.state === "queued" ? (places.get(view.id) ?? null) : null;
      if (view.position !== position) this.put({ ...view, position });
    }
    const { paused, counts } = found;
    useJobs.setState({ queue: { paused, counts } });
    this.flush();
  }
}

/** Jobs that ran before and wait again have done something already. */
function isBegun(job: JobView): boolean {
  return job.state === "queued" && job.attempt > 0;
}

function orderOf(jobs: Jobs["jobs"]): readonly string[] {
  return [...jobs.values()]
    .sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1))
    .map((job) => job.id);
}

/** Pictures as the browser holds them. */
const browserPictures: Pictures = {
  make: (bytes, mime) => URL.createObjectURL(new Blob([bytes], { type: mime })),
  // An image that is being loaded at this moment should still find it.
  drop: (address) => setTimeout(() => URL.revokeObjectURL(address), 2000),
};

let current: JobsFollowing | null = null;

/** Follow the jobs; gives what ends it. */
export function startJobs(options: FollowingOptions): () => void {
  current?.stop();
  const following = new JobsFollowing(options);
  current = following;
  following.start();
  return () => {
    following.stop();
    if (current === following) current = null;
  };
}

/** What keeps the jobs up to date; null before it is started. */
export function jobsFollowing(): JobsFollowing | null {
  return current;
}

/** Load what a job gave and did, if that isn't known yet. */
export async function loadJob(id: string): Promise<void> {
  await current?.loadJob(id);
}

/** Load jobs that are older than those known. */
export async function loadOlderJobs(): Promise<void> {
  await current?.loadOlder();
}
