import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EventSocket } from "@/api/socket";
import { setInput } from "@/model/edits";
import { input, spec } from "@/model/fixtures/specs";
import { changeLayout } from "@/model/layout";
import { type NodeSpec, nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { stubServer } from "@/test/answers";
import { ScriptedServer } from "@/test/scriptedServer";
import { useCatalogue } from "./catalogue";
import { setSocket } from "./connection";
import { activeDocument, currentWorkflow, useDocuments } from "./documents";
import { tagOf } from "./jobs";
import { useNotices } from "./notices";
import { run, useRunning } from "./running";

const TEXT =
  '{"format": "nodegraph/1", "title": "Apple", "nodes": {"sample": {"type": "Draw", "inputs": {"seed": 7}}}}';

let server: ScriptedServer;
let document: string;

beforeEach(() => {
  localStorage.clear();
  useNotices.setState({ items: [] });
  planTargets([]);
  server = new ScriptedServer();
  const socket = new EventSocket({ url: "ws://x", make: server.make });
  setSocket(socket);
  socket.start();
  server.now.welcome();
  useCatalogue.setState({ types: nodeTypesOf({ items: [drawing()], port_types: [] }) });
  document = useDocuments.getState().open(readWorkflow(TEXT), { replaceEmpty: false });
});

afterEach(() => setSocket(null));

function drawing(): NodeSpec {
  const more = { required: false, default: 0, json_schema: { type: "integer" }, widget: "seed" };
  return spec("Draw", { inputs: [input("seed", "int", more)], output: true });
}

function setMode(mode: string): void {
  useDocuments.getState().change("Mode", (workflow) =>
    changeLayout(workflow, null, (layout) => ({
      ...layout,
      seeds: new Map([["sample.seed", mode]]),
    })),
  );
}

/** Run, with the server taking in every job; gives the seeds that were submitted. */
async function seedsOf(options: Parameters<typeof run>[0] = {}): Promise<unknown[]> {
  const before = server.now.asked("submit").length;
  const running = run(options);
  const count = options.sweep?.axes[0]?.values.length ?? options.count ?? 1;
  for (let index = 0; index < count; index++) {
    await vi.waitUntil(() => server.now.asked("submit").length > before + index);
    server.now.reply(server.now.last("submit").id, { new: true, job: { id: `job_${index}` } });
  }
  await running;
  return server.now.asked("submit").slice(before).map(seedIn);
}

interface Submitted {
  readonly workflow: {
    readonly nodes: { readonly sample: { readonly inputs: { seed: unknown } } };
  };
}

function seedIn(message: object): unknown {
  return (message as Submitted).workflow.nodes.sample.inputs.seed;
}

function seedNow(): unknown {
  return currentWorkflow(activeDocument()).nodes.get("sample")?.inputs.get("seed");
}

test("a run is submitted with its document's tag, its title and a key", async () => {
  expect(await seedsOf()).toEqual([7]);
  const sent = server.now.last("submit");
  expect(sent).toMatchObject({ name: "Apple", tags: [tagOf(document)] });
  expect(String(sent.key)).toMatch(/^[0-9a-f]{32}$/);
});

test("a counting seed is run as it is shown first, and counts from then on", async () => {
  setMode("increment");
  expect(await seedsOf()).toEqual([7]);
  expect(await seedsOf()).toEqual([8]);
  expect(seedNow()).toBe(8);
});

test("a random seed is drawn before each run, and shown in the document", async () => {
  setMode("random");
  const [seed] = await seedsOf();
  expect(seed).not.toBe(7);
  expect(seedNow()).toBe(seed);
});

test("a random seed of a ComfyUI file is run as the file has it first: there it is drawn after a run", async () => {
  const text = TEXT.replace('"nodes"', '"ui": {"comfyui": {"format": "0.4"}}, "nodes"');
  document = useDocuments.getState().open(readWorkflow(text), { replaceEmpty: false });
  setMode("random");
  const [first, second] = await seedsOf({ count: 2 });
  expect(first).toBe(7);
  expect(second).not.toBe(7);
  expect(seedNow()).toBe(second);
  expect(await seedsOf()).not.toEqual([second]);
});

test("so is a number of a ComfyUI file that is no seed of a sampler", async () => {
  const more = { required: false, default: 0, json_schema: { type: "integer" } };
  const plain = spec("Draw", { inputs: [input("seed", "int", more)], output: true });
  useCatalogue.setState({ types: nodeTypesOf({ items: [plain], port_types: [] }) });
  const text = TEXT.replace('"nodes"', '"ui": {"comfyui": {"format": "0.4"}}, "nodes"');
  document = useDocuments.getState().open(readWorkflow(text), { replaceEmpty: false });
  setMode("random");
  expect(await seedsOf()).toEqual([7]);
  expect(await seedsOf()).not.toEqual([7]);
});

test("with all seeds fixed, a batch counts up and leaves the document alone", async () => {
  expect(await seedsOf({ count: 3 })).toEqual([7, 8, 9]);
  expect(seedNow()).toBe(7);
});

test("a batch with a counting seed ends at the seed of its last run", async () => {
  setMode("increment");
  expect(await seedsOf({ count: 3 })).toEqual([7, 8, 9]);
  expect(seedNow()).toBe(9);
});

test("a batch counts down, or draws a seed for each of its runs", async () => {
  setMode("decrement");
  expect(await seedsOf({ count: 3 })).toEqual([7, 6, 5]);
  expect(seedNow()).toBe(5);
  setMode("random");
  const drawn = await seedsOf({ count: 3 });
  expect(new Set(drawn).size).toBe(3);
  expect(seedNow()).toBe(drawn[2]);
});

test("a sweep runs once for each value and leaves the document alone", async () => {
  const sweep = { id: "abc", axes: [{ target: "sample.seed", values: [1, 5] }] };
  expect(await seedsOf({ sweep })).toEqual([1, 5]);
  const { name, tags } = server.now.last("submit");
  expect(name).toBe("Apple · sample.seed = 5");
  expect(tags).toEqual([expect.stringMatching("^editor:"), "sweep:abc", "x:1:sample.seed=5"]);
  expect(seedNow()).toBe(7);
});

test("what is run to is named", async () => {
  await seedsOf({ targets: ["sample"] });
  expect(server.now.last("submit").targets).toEqual(["sample"]);
});

/** The server's plan has these targets. */
function planTargets(targets: readonly string[]): void {
  stubServer(async (_, { body }) => {
    const isAsked = JSON.parse(String(body)).workflow.nodes.sample.type === "Draw";
    return Response.json({ nodes: {}, problems: [], targets: isAsked ? targets : [] });
  });
}

test("what isn't finished is left out of a run, and that is told in one line", async () => {
  planTargets(["other"]);
  const running = run({ count: 2 });
  const problems = [
    { code: "missing-input", message: "is missing", node: "sample", port: "image" },
    { code: "missing-input", message: "is missing", node: "sample", port: "mask" },
  ];
  await vi.waitUntil(() => server.now.asked("submit").length === 1);
  server.now.refuse(server.now.last("submit").id, { status: 422, title: "It can't run", problems });
  for (const index of [2, 3]) {
    await vi.waitUntil(() => server.now.asked("submit").length === index);
    const { id, targets } = server.now.last("submit");
    expect(targets).toEqual(["other"]);
    server.now.reply(id, { new: true, job: { id: `job_${index}` } });
  }
  expect(await running).toEqual(["job_2", "job_3"]);
  expect(useNotices.getState().items).toMatchObject([
    {
      kind: "info",
      title: "Without 1 incomplete node",
      detail: "sample: image is missing",
    },
  ]);
});

test("a refusal goes once the workflow is mended, or run once more", async () => {
  planTargets([]);
  for (const mend of [
    () => useDocuments.getState().change("Seed", (w) => setInput(w, null, "sample", "seed", 9)),
    () => void run(),
  ]) {
    const before = server.now.asked("submit").length;
    const running = run();
    await vi.waitUntil(() => server.now.asked("submit").length > before);
    const problems = [{ code: "wrong-literal", message: "has a wrong value", node: "sample" }];
    server.now.refuse(server.now.last("submit").id, { status: 422, title: "No", problems });
    await running;
    expect(useNotices.getState().items).toHaveLength(1);
    mend();
    expect(useNotices.getState().items).toEqual([]);
  }
});

test("a refusal is told, with the way to the node, and nothing more is submitted", async () => {
  const running = run({ count: 5 });
  await vi.waitUntil(() => server.now.asked("submit").length === 1);
  const problems = [
    { code: "wrong-literal", message: "has a wrong value", node: "sample", port: "seed" },
  ];
  server.now.refuse(server.now.last("submit").id, { status: 422, title: "It can't run", problems });
  expect(await running).toEqual([]);
  expect(useRunning.getState().refused.get(document)).toEqual(problems);
  expect(useNotices.getState().items.at(-1)).toMatchObject({
    kind: "error",
    title: "It can't run",
  });
  expect(useNotices.getState().items.at(-1)?.action).toBeDefined();
  expect(useRunning.getState().submitting.size).toBe(0);
});

test("a refusal is forgotten once the workflow is edited, and not when a node is moved", async () => {
  const running = run();
  await vi.waitUntil(() => server.now.asked("submit").length === 1);
  const problems = [{ code: "wrong-literal", message: "has a wrong value", node: "sample" }];
  server.now.refuse(server.now.last("submit").id, { status: 422, title: "It can't run", problems });
  await running;
  setMode("fixed");
  expect(useRunning.getState().refused.get(document)).toEqual(problems);
  useDocuments.getState().change("Seed", (w) => setInput(w, null, "sample", "seed", 8));
  expect(useRunning.getState().refused.has(document)).toBe(false);
});

test("a job whose answer was lost is submitted once more under the same key", async () => {
  vi.useFakeTimers();
  const running = run();
  await vi.advanceTimersByTimeAsync(0);
  const { key } = server.now.last("submit");
  server.now.lose();
  await vi.advanceTimersByTimeAsync(1000);
  server.now.welcome();
  expect(server.now.last("submit").key).toBe(key);
  server.now.reply(server.now.last("submit").id, { new: false, job: { id: "job_1" } });
  expect(await running).toEqual(["job_1"]);
  vi.useRealTimers();
});
