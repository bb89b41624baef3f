import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fromPlain } from "@/model/json";
import { workflowFromJson } from "@/model/workflow";
import { stubServer } from "@/test/answers";
import { startForgettingViews, valueFiles } from "./valueViews";

let jobs = 0;
vi.mock("./connection", () => ({
  socket: () => ({ request: async () => ({ job: { id: `job_${jobs++}` } }) }),
}));

const LOOKED = { looking: "look", node: "decode", title: "Decode" };
const workflow = workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: {} }));

let deleted: [string, boolean | undefined][];
let isRunning: boolean;
let refused = 0;
let stop: () => void;

beforeEach(() => {
  deleted = [];
  isRunning = false;
  stubServer(async (path: string, { method, keepalive }: RequestInit) => {
    if (method !== "DELETE") {
      if (isRunning) return Response.json({ state: "running" });
      return Response.json({ state: "finished", tags: [], outputs: { files: [] }, error: null });
    }
    if (isRunning) {
      refused += 1;
      return Response.json({ title: "Conflict" }, { status: 409 });
    }
    deleted.push([path.slice(path.lastIndexOf("/") + 1), keepalive]);
    return new Response(null, { status: 204 });
  });
  stop = startForgettingViews();
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

test("of two that are asked for at once, the first isn't shown, and goes when it has ended", async () => {
  isRunning = true;
  const first = valueFiles(workflow, LOOKED);
  await vi.waitUntil(() => jobs === 1);
  const second = valueFiles(workflow, LOOKED);
  // While it runs it can't be deleted.
  await vi.waitUntil(() => jobs === 2 && refused === 1);
  isRunning = false;
  expect(await first).toBeNull();
  expect(await second).toEqual([]);
  expect(deleted).toEqual([["job_0", false]]);
});

test("what was looked at last goes with the page", async () => {
  await valueFiles(workflow, LOOKED);
  const before = deleted.length;
  await valueFiles(workflow, LOOKED);
  const [forgotten] = deleted.slice(before);
  expect(forgotten?.[1]).toBe(false);
  dispatchEvent(new Event("pagehide"));
  dispatchEvent(new Event("pagehide"));
  expect(deleted.slice(before + 1)).toEqual([[`job_${jobs - 1}`, true]]);
});
