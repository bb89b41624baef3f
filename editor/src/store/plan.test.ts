import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EventSocket } from "@/api/socket";
import { changeLayout } from "@/model/layout";
import { literalJson } from "@/model/links";
import { withNode } from "@/model/scope";
import { readWorkflow } from "@/model/workflow";
import { ScriptedServer } from "@/test/scriptedServer";
import { setSocket } from "./connection";
import { useDocuments } from "./documents";
import { type JobView, useJobs } from "./jobs";
import { expectedOf, planFrom, startPlanning, usePlan } from "./plan";

const TEXT =
  '{"format": "nodegraph/1", "nodes": {"size": {"type": "EmptyLatent", "inputs": {"width": 64}}}}';
const NODE = { status: "run", reason: "new", certain: true, seconds: 2, calls: 1 };
const ANSWER = {
  valid: true,
  nodes: { size: NODE },
  totals: { seconds: 2, unknown_seconds: 0, counts: { run: 1, hit: 0, lazy: 0, skip: 0 } },
  targets: ["size"],
  missing: { models: [], packs: [] },
  problems: [],
  warnings: [],
};
/** One of which nobody knows yet how long it takes. */
const TIMELESS = { ...ANSWER, totals: { ...ANSWER.totals, seconds: 0, unknown_seconds: 1 } };

let server: ScriptedServer;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  server = new ScriptedServer();
  const socket = new EventSocket({ url: "ws://x", make: server.make });
  setSocket(socket);
  socket.start();
  server.now.welcome();
  useDocuments.getState().open(readWorkflow(TEXT), { replaceEmpty: false });
  stop = startPlanning();
});

afterEach(() => {
  stop();
  setSocket(null);
  vi.useRealTimers();
});

async function wait(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
}

function setWidth(width: number): void {
  useDocuments.getState().change("Edit", (workflow) =>
    withNode(workflow, null, "size", (entry) => ({
      ...entry,
      inputs: new Map(entry.inputs).set("width", literalJson(width)),
    })),
  );
}

function endJob(): void {
  for (const state of ["running", "finished"] as const)
    useJobs.setState({ jobs: new Map([["job_1", { id: "job_1", state } as JobView]]) });
}

async function answer(): Promise<void> {
  server.now.reply(server.now.last("plan").id, ANSWER);
  await wait(0);
}

test("a document that was opened is planned a moment later", async () => {
  expect(usePlan.getState()).toMatchObject({ state: "none", isAsking: true });
  await wait(250);
  await answer();
  expect(usePlan.getState()).toMatchObject({ state: "ready", seconds: 2, isAsking: false });
  expect(usePlan.getState().nodes.get("size")).toMatchObject({ status: "run", seconds: 2 });
});

test("a node that loads weights first takes that much longer", async () => {
  await wait(250);
  const nodes = { size: { ...NODE, load_seconds: 0.5 } };
  server.now.reply(server.now.last("plan").id, { ...ANSWER, nodes });
  await wait(0);
  expect(usePlan.getState().nodes.get("size")?.seconds).toBe(2.5);
});

test("edits in a row are one question, and the last good plan stays meanwhile", async () => {
  await wait(250);
  await answer();
  setWidth(65);
  await wait(200);
  setWidth(66);
  await wait(200);
  expect(server.now.asked("plan")).toHaveLength(1);
  expect(usePlan.getState()).toMatchObject({ state: "ready", isAsking: true });
  await wait(50);
  expect(server.now.asked("plan")).toHaveLength(2);
});

test("moving a node asks nothing", async () => {
  await wait(250);
  await answer();
  const positions = new Map([["size", { x: 5, y: 5 }]]);
  useDocuments
    .getState()
    .change("Move", (workflow) =>
      changeLayout(workflow, null, (layout) => ({ ...layout, positions })),
    );
  await wait(1000);
  expect(server.now.asked("plan")).toHaveLength(1);
});

test("an answer to an older question is passed over", async () => {
  await wait(250);
  const older = server.now.last("plan").id;
  setWidth(65);
  await wait(250);
  server.now.reply(older, { ...ANSWER, totals: { seconds: 99 } });
  await answer();
  expect(usePlan.getState().seconds).toBe(2);
});

test("a workflow that can't be read is told with its problems", async () => {
  await wait(250);
  const problems = [{ code: "invalid-file", message: "it is damaged", node: "size" }];
  server.now.refuse(server.now.last("plan").id, { status: 422, problems });
  await wait(0);
  expect(usePlan.getState()).toMatchObject({ state: "invalid", problems });
});

test("a planner that is busy is asked again", async () => {
  await wait(250);
  server.now.refuse(server.now.last("plan").id, { status: 503 });
  await wait(3000);
  expect(server.now.asked("plan")).toHaveLength(2);
});

test("after a run it is asked again for what nodes take, until that is known", async () => {
  await wait(250);
  await answer();
  endJob();
  for (const [asked, found] of [
    [2, TIMELESS],
    [3, TIMELESS],
    [4, ANSWER],
  ] as const) {
    await wait(3000);
    expect(server.now.asked("plan")).toHaveLength(asked);
    server.now.reply(server.now.last("plan").id, found);
    await wait(0);
    expect(usePlan.getState().isAsking).toBe(false);
  }
  await wait(30_000);
  expect(server.now.asked("plan")).toHaveLength(4);
});

test("what nobody ever tells isn't asked for for ever", async () => {
  await wait(250);
  await answer();
  endJob();
  const before = server.now.asked("plan").length;
  for (let second = 0; second < 600; second += 1) {
    await wait(1000);
    server.now.reply(server.now.last("plan").id, TIMELESS);
  }
  expect(server.now.asked("plan")).toHaveLength(before + 8);
});

test("what isn't finished leaves the rest as it is, and nothing only if nothing else runs", () => {
  const problems = [{ code: "missing-input", message: "is missing", node: "save", port: "image" }];
  const told = (targets: string[]) =>
    planFrom({ ...ANSWER, valid: false, problems, targets }, readWorkflow(TEXT)).state;
  expect(told(["size"])).toBe("partial");
  expect(told([])).toBe("invalid");
});

test("what a node takes includes weights that have to be loaded first", () => {
  const nodes = {
    size: { ...NODE, load_seconds: 1.5 },
    other: { ...NODE, seconds: null, load_seconds: 1.5 },
  };
  const plan = planFrom({ ...ANSWER, nodes }, readWorkflow(TEXT));
  expect(expectedOf(plan).get("size")?.seconds).toBe(3.5);
  expect(expectedOf(plan).get("other")?.seconds).toBeNull();
});

test("what is short of memory is told with what it needs", () => {
  const short = { ...NODE, device: "cuda:0", weights: 10e9, memory: 4.2e9, fit: "parts" };
  const nodes = {
    whole: { ...short, fit: "whole" },
    unknown: { ...short, fit: "" },
    kept: { ...short, status: "hit" },
    "make/parts": { ...short, transfer_seconds: 8 },
    "make/none": { ...short, fit: "none", weights: 90e9 },
    budget: { ...short, weights: 1e9 },
  };
  const totals = { ...ANSWER.totals, room: { "cuda:0": 12e9 } };
  const plan = planFrom({ ...ANSWER, nodes, totals }, readWorkflow(TEXT));
  const shortage = (name: string) => plan.nodes.get(name)?.shortage;
  for (const name of ["whole", "unknown", "kept"]) expect(shortage(name)).toBeNull();
  expect(shortage("make/parts")).toEqual({
    fit: "parts",
    needed: 14.2e9,
    room: 12e9,
    seconds: 8,
  });
  expect(shortage("make")).toEqual({ fit: "none", needed: 94.2e9, room: 12e9, seconds: 8 });
  expect(shortage("budget")).toMatchObject({ fit: "parts", needed: null, room: null });
});

test("a block is planned as what is in it comes to", () => {
  const nodes = {
    "make/a": { ...NODE, status: "hit", seconds: null },
    "make/b": NODE,
    "make/c": { ...NODE, seconds: 3, certain: false },
  };
  const plan = planFrom({ ...ANSWER, nodes }, readWorkflow(TEXT));
  expect(plan.nodes.get("make")).toMatchObject({ status: "run", seconds: 5, certain: true });
  expect([...expectedOf(plan).keys()]).toEqual(["make/a", "make/b", "make/c"]);
  expect(expectedOf(plan).get("make/a")?.seconds).toBe(0);
});

test("files that a plan found are known until others are, or some are deleted", async () => {
  const find = async (digest: string) => {
    await wait(250);
    const nodes = { size: { ...NODE, status: "hit", files: [{ digest }] } };
    server.now.reply(server.now.last("plan").id, { ...ANSWER, nodes });
    await wait(0);
  };
  await find("kept");
  const planned = usePlan.getState().workflow;
  setWidth(65);
  await wait(250);
  await answer();
  expect(usePlan.getState().found.get("size")).toEqual({
    files: [{ digest: "kept" }],
    workflow: planned,
  });
  setWidth(66);
  await find("other");
  const ever = () =>
    usePlan.getState().everFound.flatMap(({ files }) => files.map((f) => f.digest));
  expect(ever()).toEqual(["kept", "other"]);
  server.now.say({ type: "notice", kind: "artifacts.deleted" });
  expect(usePlan.getState().found.size).toBe(0);
  expect(ever()).toEqual([]);
});
