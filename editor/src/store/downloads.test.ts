import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ModelDownloadEntry } from "@/api/schema";
import { EventSocket } from "@/api/socket";
import { stubServer } from "@/test/answers";
import { ScriptedServer } from "@/test/scriptedServer";
import { setSocket, socket } from "./connection";
import { downloadFor, startDownloads, sumOf, useDownloads } from "./downloads";
import { useNotices } from "./notices";

const INK: ModelDownloadEntry = {
  id: "one",
  name: "loras/ink.safetensors",
  source: "civitai:7",
  state: "running",
  bytes: 1000,
  done: 100,
  speed: 50,
  seconds_left: 18,
  error: null,
  created: 1,
};

let listed: readonly ModelDownloadEntry[];
let refusal: object | null;
let asked: [string, string][];
let server: ScriptedServer;
let stop: () => void;

beforeEach(() => {
  [listed, refusal, asked] = [[INK], null, []];
  stubServer(async (path: string, { method = "GET" }: RequestInit = {}) => {
    asked.push([method, path.replace(/^.*\/api\/v1/, "")]);
    if (method === "POST" && refusal !== null) return Response.json(refusal, { status: 422 });
    if (method === "DELETE") return new Response(null, { status: 204 });
    if (path.endsWith("/pause")) return Response.json({ ...INK, state: "paused" });
    if (method === "POST") return Response.json(INK, { status: 202 });
    return Response.json({ items: path.endsWith("/models/downloads") ? listed : [], folders: [] });
  });
  useDownloads.setState({ items: [], asked: new Map(), refused: new Map(), starting: new Set() });
  useNotices.setState({ items: [] });
  server = new ScriptedServer();
  setSocket(new EventSocket({ url: "ws://test", make: server.make }));
  stop = startDownloads();
});

afterEach(() => {
  stop();
  setSocket(null);
});

const items = () => useDownloads.getState().items;
const tell = (data: object) => server.now.say({ type: "notice", kind: "models.download", data });

async function connected(): Promise<void> {
  socket().start();
  server.now.welcome();
  await vi.waitFor(() => expect(items()).toEqual([INK]));
}

it("what runs is known as soon as the page is connected", connected);

it("progress is followed, and the end is told once", async () => {
  await connected();
  tell({ id: "one", name: INK.name, state: "running", done: 600, speed: 80, bytes: 1000 });
  expect(items()[0]).toMatchObject({ done: 600, speed: 80, source: "civitai:7" });
  tell({ id: "one", name: INK.name, state: "finished", done: 1000 });
  tell({ id: "one", name: INK.name, state: "finished", done: 1000 });
  expect(useNotices.getState().items.map(({ title }) => title)).toEqual([`${INK.name} is here`]);
});

it("why one failed, and what others started, is asked for", async () => {
  await connected();
  listed = [{ ...INK, state: "failed", error: "the disk is full" }];
  tell({ id: "one", name: INK.name, state: "failed" });
  await vi.waitFor(() => expect(items()[0]?.error).toBe("the disk is full"));
  listed = [{ ...INK, id: "two" }, INK];
  tell({ id: "two", name: "b", state: "running" });
  await vi.waitFor(() => expect(items().map(({ id }) => id)).toEqual(["two", "one"]));
});

it("one that is started is known by what it was asked for, and by its source", async () => {
  await useDownloads.getState().start("starter:ink", { source: "civitai:7" });
  const state = useDownloads.getState();
  expect(downloadFor(state, "starter:ink", null)?.id).toBe("one");
  expect(downloadFor(state, "another", "civitai:7")?.id).toBe("one");
  expect(downloadFor(state, "another", "civitai:8")).toBeNull();
  await state.pause("one");
  expect(items()[0]?.state).toBe("paused");
  await state.cancel("one");
  expect(items()).toEqual([]);
  expect(asked.at(-1)).toEqual(["DELETE", "/models/downloads/one"]);
});

it("why one was refused stands beside what was asked for", async () => {
  const message = "There is no room on the disk";
  const hint = "Remove something.";
  refusal = {
    title: "Refused",
    status: 422,
    detail: message,
    problems: [{ code: "x", message, hint }],
  };
  await useDownloads.getState().start("starter:ink", { source: "civitai:7" });
  const { refused, starting } = useDownloads.getState();
  expect(refused.get("starter:ink")).toBe("There is no room on the disk. Remove something.");
  expect(starting.size).toBe(0);
});

it("all that come are one sum", () => {
  const other = { ...INK, id: "two", done: 300, speed: 50 };
  const held = { ...INK, id: "three", state: "paused" as const };
  expect(sumOf([INK, other, held])).toEqual({ count: 2, done: 400, total: 2000, secondsLeft: 16 });
  expect(sumOf([{ ...INK, bytes: null }])).toMatchObject({ total: null, secondsLeft: null });
});
