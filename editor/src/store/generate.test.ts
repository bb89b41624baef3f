import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ModelEntry } from "@/api/schema";
import { EventSocket } from "@/api/socket";
import { builtInTypes } from "@/model/fixtures";
import { DEFAULT_SETTINGS } from "@/model/generate";
import { modelEntry } from "@/test/models";
import { type Message, ScriptedServer } from "@/test/scriptedServer";
import { useCatalogue } from "./catalogue";
import { setSocket } from "./connection";
import {
  addStyles,
  cancelGenerating,
  choose,
  chooseModel,
  generate,
  removeStyle,
  runTask,
  useGenerate,
} from "./generate";
import { tagOf } from "./jobs";
import { useNotices } from "./notices";
import { keptPrompts } from "./promptHistory";
import { setSetting } from "./settings";

let server: ScriptedServer;

beforeEach(() => {
  localStorage.clear();
  useNotices.setState({ items: [] });
  server = new ScriptedServer();
  const socket = new EventSocket({ url: "ws://x", make: server.make });
  setSocket(socket);
  socket.start();
  server.now.welcome();
  const models = [
    model("tiny", { family: "sd1", kind: "embedded" }),
    model("sdxl.safetensors", { family: "sdxl" }),
    model("flux.gguf", { family: "flux", node: "LoadDiffusionModel" }),
    model("ae.safetensors", { family: null, node: "LoadVae" }),
  ];
  useCatalogue.setState({ types: builtInTypes(), models });
  choose({ ...DEFAULT_SETTINGS, prompt: "an apple" });
});

afterEach(() => setSocket(null));

function model(name: string, more: Partial<ModelEntry>): ModelEntry {
  return modelEntry(name, { bytes: 1, family: null, ...more });
}

async function answered(index: number, answer: (id: unknown) => void): Promise<Message> {
  await vi.waitUntil(() => server.now.asked("submit").length > index);
  const asked = server.now.last("submit");
  answer(asked.id);
  return asked;
}

const accept = (job: string) => (id: unknown) =>
  server.now.reply(id, { new: true, job: { id: job, tags: [] } });

function seedOf(message: Message): unknown {
  const { nodes } = message.workflow as { nodes: { sample: { inputs: { seed: unknown } } } };
  return nodes.sample.inputs.seed;
}

/** The catalogue is empty until what is given back is called. */
function emptyCatalogue(): { readonly come: () => void; readonly fail: (fault: Error) => void } {
  const { types, models, load, needModels } = useCatalogue.getState();
  let settle = { resolve: () => {}, reject: (_: Error) => {} };
  const coming = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  useCatalogue.setState({
    types: null,
    models: null,
    load: () => coming.catch(() => undefined),
    needModels: () => coming,
  });
  const restore = () => useCatalogue.setState({ types, models, load, needModels });
  return {
    come: () => {
      restore();
      settle.resolve();
    },
    fail: (fault) => {
      useCatalogue.setState({ load, needModels });
      settle.reject(fault);
    },
  };
}

test("what is wanted before node types and models are there is generated once they are", async () => {
  const { come } = emptyCatalogue();
  const done = generate();
  expect(useGenerate.getState().isSending).toBe(true);
  // A second press is no second image, and what is written meanwhile is for the next.
  await generate();
  choose({ prompt: "a pear" });
  expect(server.now.asked("submit")).toEqual([]);
  come();
  const asked = await answered(0, accept("job_1"));
  await done;
  expect(JSON.stringify(asked.workflow)).toContain("an apple");
  expect(server.now.asked("submit")).toHaveLength(1);
  expect(useGenerate.getState().isSending).toBe(false);
});

test("what is called off before node types are there isn't generated", async () => {
  const { come } = emptyCatalogue();
  const done = generate();
  await cancelGenerating();
  come();
  await done;
  expect(server.now.asked("submit")).toEqual([]);
});

test("why node types or models don't come is told, and the next press may be luckier", async () => {
  const { fail } = emptyCatalogue();
  const done = generate();
  fail(new Error("no disk"));
  await done;
  expect(useNotices.getState().items).toHaveLength(1);
  expect(useGenerate.getState().isSending).toBe(false);
});

test("each image is a job of the page, with the seed after the one before", async () => {
  choose({ count: 2, seed: "7", isRandom: false });
  const done = generate();
  const first = await answered(0, accept("job_1"));
  const second = await answered(1, accept("job_2"));
  await done;
  const { id, sent, isSending } = useGenerate.getState();
  expect(first).toMatchObject({ name: "an apple", tags: [tagOf(id)] });
  expect([seedOf(first), seedOf(second)]).toEqual([7, 8]);
  expect([sent, isSending]).toEqual([["job_1", "job_2"], false]);
  expect(keptPrompts()).toEqual(["an apple"]);
});

test("a random seed is drawn, and is shown as the one that was used", async () => {
  const done = generate();
  const sent = await answered(0, accept("job_1"));
  await done;
  expect(String(seedOf(sent))).toBe(useGenerate.getState().settings.seed);
});

test("what is refused is told at its fields until something is changed", async () => {
  const done = generate();
  const problems = [
    { node: "load", port: "model", code: "x", message: "there is no model", hint: "Choose one." },
    { node: "save", port: "name", code: "x", message: "is wrong" },
  ];
  const refusal = { type: "about:blank", status: 422, title: "Invalid", detail: "Invalid" };
  await answered(0, (id) => server.now.refuse(id, { ...refusal, problems }));
  await done;
  const { faults } = useGenerate.getState();
  expect(faults.get("model")).toBe("There is no model. Choose one.");
  expect(faults.has("")).toBe(true);
  choose({ prompt: "another" });
  expect(useGenerate.getState().faults.size).toBe(0);
});

test("a model that lacks parts isn't sent", async () => {
  choose({ model: "gone" });
  await generate();
  expect(useGenerate.getState().faults.get("model")).toMatch(/does not have this model/);
  chooseModel("flux.gguf");
  await generate();
  expect(useGenerate.getState().faults.get("encoders")).toMatch(/no text encoder/);
  expect(server.now.asked("submit")).toEqual([]);
});

test("what was called off while it was on its way is cancelled, and the rest not sent", async () => {
  choose({ count: 3 });
  const done = generate();
  await vi.waitUntil(() => server.now.asked("submit").length === 1);
  await cancelGenerating();
  accept("job_1")(server.now.last("submit").id);
  await vi.waitUntil(() => server.now.asked("cancel").length === 1);
  expect(server.now.last("cancel")).toMatchObject({ job: "job_1" });
  server.now.reply(server.now.last("cancel").id, { job: { id: "job_1", tags: [], attempt: 0 } });
  await done;
  expect(server.now.asked("submit")).toHaveLength(1);
});

test("a task is a job of its own name", async () => {
  const start = { value: "apple.png", isMasked: false };
  const done = runTask("upscale", { ...DEFAULT_SETTINGS, start });
  const sent = await answered(0, accept("job_1"));
  await done;
  expect(sent.name).toBe("Upscale");
});

test("a model of another family brings what suits it, one of the same changes nothing", () => {
  choose({ width: 160, steps: 3 });
  chooseModel("sdxl.safetensors");
  expect(useGenerate.getState().settings).toMatchObject({ width: 1024, steps: 28, cfg: 6 });
  choose({ width: 512 });
  chooseModel("sdxl.safetensors");
  expect(useGenerate.getState().settings.width).toBe(512);
  chooseModel("flux.gguf");
  expect(useGenerate.getState().settings).toMatchObject({ vae: "ae.safetensors", cfg: 1 });
});

test("settings and styles are kept, settings where the browser may keep what is done", () => {
  const kept = () => JSON.parse(localStorage.getItem("nodegraph.generate") ?? "null");
  choose({ prompt: "a pear" });
  expect(kept().settings.prompt).toBe("a pear");
  setSetting("autosave", false);
  choose({ prompt: "a secret" });
  expect(kept()).toEqual({ id: useGenerate.getState().id });
  setSetting("autosave", true);
  addStyles([{ name: "Film", prompt: "a film still of {prompt}", negative: "" }]);
  addStyles([{ name: "Film", prompt: "again", negative: "" }]);
  expect(JSON.parse(localStorage.getItem("nodegraph.styles") ?? "")).toEqual([
    { name: "Film", prompt: "again", negative: "" },
  ]);
  removeStyle("Film");
  expect(useGenerate.getState().styles).toEqual([]);
});
