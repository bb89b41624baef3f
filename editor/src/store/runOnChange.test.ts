import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiProblem } from "@/api/http";
import { EventSocket } from "@/api/socket";
import { setInput } from "@/model/edits";
import { input, spec } from "@/model/fixtures/specs";
import { changeLayout } from "@/model/layout";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { ScriptedServer } from "@/test/scriptedServer";
import { useCatalogue } from "./catalogue";
import { followComposing } from "./composing";
import { setSocket, useConnection } from "./connection";
import { activeDocument, currentWorkflow, useDocuments } from "./documents";
import { type JobView, NO_JOBS, tagOf, useJobs, viewOf } from "./jobs";
import { startJobs } from "./jobsFollowing";
import { NO_PLAN, type Plan, usePlan } from "./plan";
import { ON_CHANGE, run } from "./running";
import { runOnly, startRunningOnChange, useRunOnChange } from "./runOnChange";

const TEXT =
  '{"format": "nodegraph/1", "nodes": {"sample": {"type": "Draw", "inputs": {"seed": 7, "steps": 20}}}}';
const SETTLED = 600;

let server: ScriptedServer;
let document_: string;
let isUnread: boolean;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  isUnread = false;
  server = new ScriptedServer();
  const socket = new EventSocket({ url: "ws://x", make: server.make });
  setSocket(socket);
  socket.start();
  server.now.welcome();
  useConnection.setState({ state: "open" });
  useJobs.setState(NO_JOBS);
  const seed = { required: false, default: 0, json_schema: { type: "integer" }, widget: "seed" };
  const types = [spec("Draw", { inputs: [input("seed", "int", seed)], output: true })];
  useCatalogue.setState({ types: nodeTypesOf({ items: types, port_types: [] }) });
  document_ = useDocuments.getState().open(readWorkflow(TEXT), { replaceEmpty: false });
  stop = startRunningOnChange({ isUnread: () => isUnread });
  useDocuments.getState().setOnChange({ on: true });
});

afterEach(() => {
  stop();
  setSocket(null);
  vi.useRealTimers();
});

function edit(steps: number): void {
  useDocuments.getState().change("steps", (w) => setInput(w, null, "sample", "steps", steps));
}

/** What the server foresees of the document as it is. */
function plan(more: Partial<Plan> = {}): void {
  const workflow = currentWorkflow(activeDocument());
  const counts = { run: 1, hit: 0, lazy: 0, skip: 0 };
  usePlan.setState({ ...NO_PLAN, state: "ready", counts, seconds: 1, workflow, ...more });
  usePlan.setState({ isAsking: false });
}

const settle = (time = SETTLED) => vi.advanceTimersByTimeAsync(time);
const sent = () => server.now.asked("submit");
const state = () => useRunOnChange.getState().state;

async function accepted(id: string): Promise<void> {
  server.now.reply(server.now.last("submit").id, { new: true, job: { id } });
  await settle(0);
}

function jobs(...views: Partial<JobView>[]): void {
  const all = views.map((view) => ({ ...viewOf({ tags: [] } as never), ...view }) as JobView);
  useJobs.setState({
    jobs: new Map(all.map((job) => [job.id, job])),
    order: all.map((job) => job.id),
  });
}

const own = (id: string, more: Partial<JobView> = {}): Partial<JobView> => ({
  id,
  document: document_,
  state: "running",
  tags: [tagOf(document_), ON_CHANGE],
  ...more,
});

test("an edit is run once it is settled and planned, with the seeds that stand there", async () => {
  useDocuments.getState().change("Mode", (workflow) =>
    changeLayout(workflow, null, (layout) => ({
      ...layout,
      seeds: new Map([["sample.seed", "random"]]),
    })),
  );
  edit(29);
  edit(30);
  await settle();
  expect([sent().length, state()]).toEqual([0, "waiting"]);
  plan();
  await settle(0);
  expect(sent()).toHaveLength(1);
  expect(sent()[0]).toMatchObject({
    tags: [tagOf(document_), ON_CHANGE],
    workflow: { nodes: { sample: { inputs: { steps: 30, seed: 7 } } } },
  });
  await accepted("job_1");
  await settle();
  expect([sent().length, state()]).toEqual([1, "idle"]);
});

test("what takes too long, or nobody knows how long, waits for the button", async () => {
  edit(30);
  plan({ seconds: 6 });
  await settle();
  expect(state()).toBe("long");
  plan({ seconds: 1, unknownSeconds: 1 });
  expect(state()).toBe("unknown");
  expect(sent()).toEqual([]);
  useDocuments.getState().setOnChange({ limit: null });
  await settle(0);
  expect(sent()).toHaveLength(1);
});

test("while a canvas is shown, edits are run for its result alone", async () => {
  const end = runOnly(() => ["sample"]);
  edit(30);
  plan();
  await settle();
  expect(sent()[0]).toMatchObject({ targets: ["sample"] });
  await accepted("job_1");
  end();
  edit(31);
  plan();
  await settle();
  expect(sent().at(-1)?.targets).not.toEqual(["sample"]);
});

test("nothing is run for what is cached, faulty, unread, or only moved", async () => {
  edit(30);
  isUnread = true;
  plan();
  await settle();
  expect(state()).toBe("problems");
  isUnread = false;
  plan({ state: "invalid" });
  expect(state()).toBe("problems");
  plan({ counts: { run: 0, hit: 1, lazy: 0, skip: 0 } });
  expect(state()).toBe("idle");
  useDocuments.getState().change("title", (w) => ({ ...w, title: "Other" }));
  await settle();
  expect([sent().length, state()]).toEqual([0, "idle"]);
});

test("a card that isn't finished keeps nothing else from running", async () => {
  edit(30);
  plan({ state: "partial" });
  await settle();
  expect(sent()).toHaveLength(1);
});

test("a newer edit cancels the run of the last one, and no other, and waits for its end", async () => {
  jobs(own("old"), { id: "other", state: "running", document: null, tags: [] });
  edit(30);
  plan();
  await settle();
  expect(server.now.asked("cancel")).toMatchObject([{ job: "old" }]);
  expect([sent().length, state()]).toEqual([0, "waiting"]);
  jobs(own("old", { state: "cancelled" }), { id: "other", state: "running", tags: [] });
  await settle(0);
  expect(sent()).toHaveLength(1);
});

test("a run by the button goes before, and what it ran isn't run again", async () => {
  jobs(own("manual", { tags: [tagOf(document_)] }));
  edit(30);
  plan();
  await settle();
  expect(state()).toBe("busy");
  const source = currentWorkflow(activeDocument());
  jobs(own("manual", { tags: [tagOf(document_)], source }));
  expect([server.now.asked("cancel").length, state()]).toEqual([0, "idle"]);
});

/** Have the jobs that are sent be known; the server has none else. */
function followJobs(): () => void {
  const counts = { queued: 0, running: 0, finished: 0, failed: 0, cancelled: 0, held: 0 };
  return startJobs({
    socket: { follow: () => () => undefined, on: () => () => undefined },
    api: {
      listJobs: async () => ({ items: [], next: null }),
      listArtifacts: async () => ({ items: [], next: null }),
      getJob: () => Promise.reject(new ApiProblem({ status: 404 })),
      listJobEvents: async () => ({ items: [], last: 0, complete: true }),
      getQueue: async () => ({ paused: false, counts, upcoming: [] }),
    },
  });
}

async function finished(id: string): Promise<void> {
  const job = { id, name: "Apple", state: "finished", tags: [tagOf(document_)] };
  server.now.reply(server.now.last("submit").id, { new: true, job });
  await settle(0);
}

test("a run by the button whose job isn't known yet is waited for, with the seeds it drew", async () => {
  useDocuments.getState().change("Mode", (workflow) =>
    changeLayout(workflow, null, (layout) => ({
      ...layout,
      seeds: new Map([["sample.seed", "random"]]),
    })),
  );
  const unfollow = followJobs();
  void run();
  await settle();
  plan();
  await settle(0);
  expect([sent().length, state()]).toEqual([1, "busy"]);
  await finished("job_1");
  await settle();
  expect(sent()).toHaveLength(1);
  unfollow();
});

test("an edit made while the button's run is being sent is run after it", async () => {
  const unfollow = followJobs();
  void run();
  edit(30);
  await finished("job_1");
  plan();
  await settle();
  expect(sent()).toHaveLength(2);
  expect(sent()[1]).toMatchObject({ workflow: { nodes: { sample: { inputs: { steps: 30 } } } } });
  unfollow();
});

test("a run of a part of it is none of the rest", async () => {
  const unfollow = followJobs();
  edit(30);
  plan({ seconds: 6 });
  await settle();
  void run({ targets: ["sample"] });
  await finished("job_1");
  expect(state()).toBe("long");
  unfollow();
});

test("words of an input method aren't run before they are taken", async () => {
  const unfollow = followComposing();
  const field = document.body.appendChild(document.createElement("textarea"));
  field.focus();
  field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
  edit(30);
  plan();
  await settle(10_000);
  expect([sent().length, state()]).toEqual([0, "waiting"]);
  field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
  await settle(2000);
  expect(sent()).toHaveLength(1);
  field.remove();
  unfollow();
});

test("within a word it is waited longer", async () => {
  const field = document.createElement("textarea");
  document.body.append(field);
  field.value = "a gree";
  field.focus();
  field.setSelectionRange(6, 6);
  edit(30);
  plan();
  await settle();
  expect(sent()).toEqual([]);
  await settle(1000);
  expect(sent()).toHaveLength(1);
  field.remove();
});

test("without the switch nothing is run", async () => {
  useDocuments.getState().setOnChange({ on: false });
  edit(30);
  plan();
  await settle();
  expect([sent().length, state()]).toEqual([0, "off"]);
});
