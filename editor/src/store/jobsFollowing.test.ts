import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { JobEvent } from "@/api/events";
import { ApiProblem } from "@/api/http";
import type { ArtifactEntry, JobDetail, JobEntry, QueueEntry } from "@/api/schema";
import type { Follower } from "@/api/socket";
import { event } from "@/test/scriptedServer";
import { jobsOfDocument, lastOutputs, NO_JOBS, shownJob, tagOf, UNMARKED, useJobs } from "./jobs";
import { type JobsApi, JobsFollowing } from "./jobsFollowing";

let jobs: JobEntry[];
let past: Map<string, JobEvent[]>;
let details: Map<string, Partial<JobDetail>>;
let follower: Follower;
let following: JobsFollowing;
let loadedEvents: string[];
let files: ArtifactEntry[];
let tell: (notice: { kind: string }) => void;

const COUNTS = { queued: 0, running: 0, finished: 0, failed: 0, cancelled: 0, held: 0 };

const api: JobsApi = {
  listJobs: async ({ state } = {}) => ({
    items: jobs.filter((job) => state == null || state.includes(job.state)),
    next: null,
  }),
  getJob: async (id) => {
    const found = jobs.find((job) => job.id === id);
    if (found === undefined) throw new ApiProblem({ status: 404 });
    return detail(found, details.get(id));
  },
  listJobEvents: async (id, query) => {
    const after = query.after ?? 0;
    loadedEvents.push(id);
    if (!jobs.some((job) => job.id === id)) throw new ApiProblem({ status: 404 });
    const items = (past.get(id) ?? []).filter((each) => (each.seq ?? 0) > after);
    return { items: items as never, last: items.at(-1)?.seq ?? after, complete: true };
  },
  listArtifacts: async () => ({ items: files, next: null }),
  getQueue: async () => ({
    paused: false,
    counts: COUNTS,
    upcoming: jobs.filter((job) => job.state === "queued"),
  }),
};

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  jobs = [];
  past = new Map();
  details = new Map();
  loadedEvents = [];
  files = [];
  useJobs.setState(NO_JOBS);
  const socket = {
    follow: (given: Follower) => {
      follower = given;
      return () => {};
    },
    on: (_kind: string, listener: unknown) => {
      tell = listener as typeof tell;
      return () => {};
    },
  };
  following = new JobsFollowing({
    socket,
    api,
    pictures: { make: () => "blob:1", drop: () => {} },
  });
  following.start();
});

afterEach(() => {
  following.stop();
  vi.useRealTimers();
});

function entry(id: string, more: Partial<JobEntry> = {}): JobEntry {
  return {
    id,
    client: "local",
    name: "Apple",
    state: "queued",
    held: false,
    not_before: null,
    wanted: null,
    priority: 0,
    created: 100,
    started: null,
    finished: null,
    attempt: 0,
    deaths: 0,
    worker: null,
    tags: [tagOf("doc")],
    fault: null,
    links: { self: "", workflow: "", events: "" },
    ...more,
  };
}

function detail(found: JobEntry, more: Partial<JobDetail> = {}): JobDetail {
  const rest = { workflow: "", parameters: {}, targets: null, options: {}, plan: null };
  return { ...found, ...rest, outputs: null, error: null, ...more };
}

const FILE = {
  name: "a.png",
  node: "save",
  kind: "image",
  media_type: "image/png",
  size: 1,
  digest: "d",
  width: 8,
  height: 8,
  href: "/api/v1/artifacts/d",
  thumbnail: "/api/v1/artifacts/d/thumbnail",
  existed: false,
};
const OUTPUTS = {
  files: [FILE],
  outputs: {},
  nodes: {},
  seconds: 1,
  run: "r",
  ui: {},
  warnings: [],
};

async function open(isNew = true): Promise<void> {
  follower.onOpen?.(isNew);
  await vi.advanceTimersByTimeAsync(500);
}

async function told(...events: JobEvent[]): Promise<void> {
  follower.onEvents(events);
  await vi.advanceTimersByTimeAsync(500);
}

function job(id = "job_1") {
  const found = useJobs.getState().jobs.get(id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}

test("at the start it loads what there is, and what running jobs did so far", async () => {
  jobs = [entry("job_2", { created: 200 }), entry("job_1", { state: "running", attempt: 1 })];
  past.set("job_1", [
    event("job.claimed", { seq: 1 }),
    event("node.started", { seq: 2, node: "sample", seconds: 0 }),
  ]);
  await open();
  const state = useJobs.getState();
  expect(state.isReady).toBe(true);
  expect(state.order).toEqual(["job_2", "job_1"]);
  expect(job("job_1").nodes.get("sample")?.state).toBe("running");
  expect(job("job_2").position).toBe(1);
});

test("a job that is told of just before the queue answers has its place", async () => {
  await open();
  jobs = [entry("job_1")];
  follower.onEvents([event("job.queued", { job: "job_1", seq: 1, attempt: 0 })]);
  await vi.advanceTimersByTimeAsync(190);
  jobs = [entry("job_1"), entry("job_2")];
  // The queue is asked once for both, and answers before the second one is on the screen.
  await told(event("job.queued", { job: "job_2", seq: 1, attempt: 0 }));
  expect([job("job_1").position, job("job_2").position]).toEqual([1, 2]);
});

test("a job that only the queue told of has its place", async () => {
  await open();
  jobs = [entry("job_1")];
  await following.loadQueue();
  expect(job("job_1").position).toBe(1);
});

test("an answer of the queue that comes after a newer one is passed over", async () => {
  jobs = [entry("job_1"), entry("job_2")];
  await open();
  const answers: ((names: readonly string[]) => void)[] = [];
  const later = () =>
    new Promise<QueueEntry>((resolve) => {
      answers.push((names) =>
        resolve({ paused: false, counts: COUNTS, upcoming: names.map((name) => entry(name)) }),
      );
    });
  vi.spyOn(api, "getQueue").mockImplementationOnce(later).mockImplementationOnce(later);
  const asked = [following.loadQueue()];
  await vi.waitFor(() => expect(answers).toHaveLength(1));
  asked.push(following.loadQueue());
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.(["job_1", "job_2"]);
  answers[0]?.(["job_1"]);
  await Promise.all(asked);
  expect([job("job_1").position, job("job_2").position]).toEqual([1, 2]);
});

test("of each document the last job that ran is loaded with what it gave", async () => {
  const ended = { state: "finished" as const, attempt: 1 };
  jobs = [entry("job_2", { ...ended, created: 200 }), entry("job_1", { ...ended, created: 100 })];
  details.set("job_2", { outputs: OUTPUTS });
  past.set("job_2", [event("nodes.cached", { seq: 5, data: { nodes: ["save"] } })]);
  await open();
  expect(loadedEvents).toEqual(["job_2"]);
  const found = lastOutputs(useJobs.getState(), "doc").get("save");
  expect(found).toMatchObject([
    { digest: "d", job: "job_2", thumbnail: "/api/v1/artifacts/d/thumbnail" },
  ]);
  expect(shownJob(useJobs.getState(), "doc")?.id).toBe("job_2");
});

test("what another window deleted is shown no more", async () => {
  const gone = { ...FILE, name: "b.png", digest: "e" };
  jobs = [entry("job_1", { state: "finished", attempt: 1 })];
  details.set("job_1", { outputs: { ...OUTPUTS, files: [FILE, gone] } });
  await open();
  const listed = { job: "job_1", job_name: "Apple", jobs: 1, made_by: "job_1", ...UNMARKED };
  files = [{ ...FILE, ...listed, created: 100 }];
  tell({ kind: "artifacts.deleted" });
  await vi.advanceTimersByTimeAsync(500);
  expect(job().outputs.map(({ digest }) => digest)).toEqual(["d"]);
});

test("of what is deleted, older jobs keep what may stand on another page", async () => {
  jobs = [entry("job_1", { state: "finished", attempt: 1, created: 50 })];
  details.set("job_1", { outputs: OUTPUTS });
  await open();
  const listed = { job: "job_2", job_name: "", jobs: 1, made_by: "job_2", ...UNMARKED };
  const newer = { ...FILE, ...listed, digest: "f", created: 100 };
  vi.spyOn(api, "listArtifacts").mockResolvedValueOnce({ items: [newer], next: "more" });
  tell({ kind: "artifacts.deleted" });
  await vi.advanceTimersByTimeAsync(500);
  expect(job().outputs).toHaveLength(1);
});

test("a job is followed from its submission to its outputs", async () => {
  await open();
  jobs = [entry("job_1")];
  following.enter(entry("job_1"), new Map([["save", { seconds: 1, calls: 1 }]]));
  expect(job().state).toBe("queued");
  await told(
    event("job.queued", { seq: 1, attempt: 0 }),
    event("job.claimed", { seq: 2, data: { worker: "worker-1" }, at: 101 }),
    event("node.started", { seq: 3, node: "save", seconds: 0 }),
  );
  expect(job()).toMatchObject({
    state: "running",
    started: 101,
    worker: "worker-1",
    secondsLeft: 1,
  });
  jobs = [entry("job_1", { state: "finished", attempt: 1, started: 101, finished: 102 })];
  details.set("job_1", { outputs: OUTPUTS });
  await told(
    event("node.finished", { seq: 4, node: "save", seconds: 1, data: { seconds: 1 } }),
    event("job.finished", { seq: 5, at: 102 }),
  );
  expect(job()).toMatchObject({ state: "finished", progress: 1, isWhole: true });
  expect(job().outputs).toHaveLength(1);
});

test("a file is there as soon as it is written, even if the job fails then", async () => {
  await open();
  following.enter(entry("job_1"));
  const { name, digest, href, media_type } = FILE;
  const data = { name, digest, href, media_type, file: "image", existed: false };
  await told(
    event("job.queued", { seq: 1 }),
    event("job.claimed", { seq: 2 }),
    event("node.wrote", { seq: 3, node: "save", data }),
  );
  expect(job()).toMatchObject({ state: "running", outputs: [{ digest: "d", node: "save" }] });
  jobs = [entry("job_1", { state: "failed" })];
  await told(event("job.failed", { seq: 4 }));
  expect(job()).toMatchObject({ state: "failed", outputs: [{ digest: "d" }] });
});

test("another page's job gets its name and its document", async () => {
  await open();
  jobs = [entry("job_1", { name: "From the command line" })];
  await told(event("job.queued", { seq: 1, attempt: 0 }));
  expect(job()).toMatchObject({ name: "From the command line", document: "doc" });
});

test("a job that is met in its midst is loaded from its start, each event taken once", async () => {
  await open();
  jobs = [entry("job_1", { state: "running", attempt: 1 })];
  const done = { seconds: 1, calls: 1, cached: 0 };
  past.set("job_1", [
    event("node.started", { seq: 1, node: "a[0]", seconds: 0 }),
    event("call.ended", { seq: 2, node: "a[0]", seconds: 1, data: done }),
    event("node.started", { seq: 3, node: "a[1]", seconds: 1 }),
  ]);
  await told(
    event("node.started", { seq: 3, node: "a[1]", seconds: 1 }),
    event("call.ended", { seq: 4, node: "a[1]", seconds: 2, data: done }),
  );
  expect(job().nodes.get("a")?.calls?.done).toBe(2);
});

test("an answer that is older than an event doesn't undo it", async () => {
  await open();
  jobs = [entry("job_1")];
  const { getJob } = api;
  const answers: ((value: JobDetail) => void)[] = [];
  api.getJob = () => new Promise((answer) => answers.push(answer));
  await told(event("job.queued", { seq: 1 }));
  await told(event("job.claimed", { seq: 2 }));
  answers.shift()?.(detail(entry("job_1")));
  await vi.advanceTimersByTimeAsync(500);
  expect(job().state).toBe("running");
  answers.shift()?.(detail(entry("job_1", { state: "running", attempt: 1 })));
  await vi.advanceTimersByTimeAsync(500);
  expect(job().name).toBe("Apple");
  expect(job().state).toBe("running");
  api.getJob = getJob;
});

test("a list that is older than an event doesn't undo it", async () => {
  const { listJobs } = api;
  const answers: (() => void)[] = [];
  api.listJobs = async (query) => {
    const old = await listJobs(query);
    return new Promise((answer) => answers.push(() => answer(old)));
  };
  jobs = [entry("job_1")];
  await open();
  await told(event("job.claimed", { seq: 2 }));
  jobs = [entry("job_1", { state: "running", attempt: 1 })];
  past.set("job_1", [event("job.queued", { seq: 1 }), event("job.claimed", { seq: 2 })]);
  for (const answer of answers) answer();
  await vi.advanceTimersByTimeAsync(500);
  expect(job().state).toBe("running");
  api.listJobs = listJobs;
});

test("what is told of a job counts, even if its history tells of it, too", async () => {
  jobs = [entry("job_1", { state: "cancelled", attempt: 1, tags: [] })];
  await open();
  past.set("job_1", [event("job.claimed", { seq: 1 }), event("job.cancelled", { seq: 2 })]);
  past.get("job_1")?.push(event("job.retried", { seq: 3 }));
  await told(event("job.retried", { seq: 3 }));
  expect(job().state).toBe("queued");
});

test("a failed job tells all its problems", async () => {
  await open();
  following.enter(entry("job_1"));
  jobs = [entry("job_1", { state: "failed" })];
  const first = { code: "invalid-value", message: "no such item", node: "it", port: "index" };
  const error = { ...first, problems: [first, { ...first, port: "items" }] };
  details.set("job_1", { error });
  await told(event("job.queued", { seq: 1 }), event("job.failed", { seq: 2, data: { error } }));
  expect(job().error).toMatchObject({ node: "it", port: "index" });
  expect(job().problems).toHaveLength(2);
});

test("a job whose worker died waits, counts the death, and goes on", async () => {
  await open();
  following.enter(entry("job_1"));
  const requeued = { reason: "died", deaths: 1, held: false };
  await told(
    event("job.queued", { seq: 1 }),
    event("job.claimed", { seq: 2 }),
    event("node.started", { seq: 3, node: "a", seconds: 0 }),
    event("job.requeued", { seq: 4, data: requeued }),
  );
  expect(job()).toMatchObject({ state: "queued", deaths: 1 });
  expect(job().nodes.get("a")?.state).toBe("waiting");
  await told(event("job.claimed", { seq: 5, attempt: 2 }));
  expect(job()).toMatchObject({ state: "running", attempt: 2 });
});

test("after a loss, jobs that were deleted meanwhile are gone, and the others stay", async () => {
  const ended = { state: "finished" as const, attempt: 1 };
  jobs = [entry("job_2", { ...ended, created: 200 }), entry("job_1", { ...ended, created: 100 })];
  await open();
  const before = job("job_1");
  jobs = jobs.filter((each) => each.id !== "job_2");
  await open(false);
  expect(useJobs.getState().order).toEqual(["job_1"]);
  expect(job("job_1")).toBe(before);
});

test.each([
  ["before its end is told", 0],
  ["just after", 1],
])("a job that is deleted right after it was cancelled is gone: %s", async (_, early) => {
  const cancelled = event("job.cancelled", { seq: 2, attempt: 0 });
  jobs = [entry("job_1"), entry("job_2", { state: "finished", attempt: 1, created: 50 })];
  await open();
  if (early) follower.onEvents([cancelled]);
  jobs = [entry("job_3")];
  following.enter(entry("job_3"));
  tell({ kind: "jobs.deleted" });
  await vi.advanceTimersByTimeAsync(0);
  if (!early) follower.onEvents([cancelled]);
  await vi.advanceTimersByTimeAsync(500);
  expect(useJobs.getState().order).toEqual(["job_3"]);
});

test("a deleted job of which an event comes late is asked for once", async () => {
  await open();
  await told(event("job.cancelled", { job: "job_1", seq: 2 }));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(useJobs.getState().order).toEqual([]);
  expect(loadedEvents.length).toBeLessThan(3);
});

test("when the server says that all is void, all is loaded anew", async () => {
  jobs = [entry("job_1")];
  await open();
  jobs = [entry("job_9")];
  await open();
  expect(useJobs.getState().order).toEqual(["job_9"]);
});

test("a server that isn't there yet is asked again", async () => {
  const listed = vi.spyOn(api, "listJobs").mockRejectedValueOnce(new Error("not yet"));
  jobs = [entry("job_1")];
  await open();
  expect(useJobs.getState().isReady).toBe(false);
  await vi.advanceTimersByTimeAsync(1000);
  expect(useJobs.getState().isReady).toBe(true);
  expect(listed).toHaveBeenCalled();
});

test("a page that is loaded anew still knows what was expected", async () => {
  jobs = [entry("job_1", { state: "running", attempt: 1 })];
  following.expect("job_1", new Map([["decode", { seconds: 2, calls: 1 }]]));
  following.stop();
  following = new JobsFollowing({
    socket: {
      follow: (given) => {
        follower = given;
        return () => {};
      },
      on: () => () => {},
    },
    api,
  });
  following.start();
  await open();
  expect(job().nodes.get("decode")?.state).toBe("waiting");
});

test("a document shows the job that runs rather than newer ones that wait", async () => {
  jobs = [
    entry("job_3", { created: 300 }),
    entry("job_2", { created: 200, state: "running", attempt: 1 }),
    entry("job_1", { created: 100, state: "finished", attempt: 1 }),
    entry("other", { created: 400, tags: [] }),
  ];
  await open();
  expect(shownJob(useJobs.getState(), "doc")?.id).toBe("job_2");
  expect(jobsOfDocument(useJobs.getState(), "doc").map(({ id }) => id)).toEqual([
    "job_3",
    "job_2",
    "job_1",
  ]);
});
