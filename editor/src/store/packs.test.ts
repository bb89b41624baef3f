import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { AvailablePack, PackChange, PackEntry } from "@/api/schema";
import { EventSocket } from "@/api/socket";
import { stubServer } from "@/test/answers";
import { ScriptedServer } from "@/test/scriptedServer";
import { setSocket, socket } from "./connection";
import { useNotices } from "./notices";
import { startPacks, stepOf, usePacks } from "./packs";

const BLUR: AvailablePack = {
  name: "blur",
  version: "1.0",
  kind: "native",
  summary: "Blurs",
  license: "MIT",
  index: "/srv/index",
  requires: [],
  node_types: ["blur:Blur", "Soften"],
  installed: null,
};
const INSTALLED = {
  name: "blur",
  version: "1.0",
  enabled: true,
  earlier: [],
} as unknown as PackEntry;
const RUNNING: PackChange = {
  name: "blur",
  action: "install",
  state: "running",
  step: "",
  costs: [],
  notes: [],
  error: null,
  started: 1,
};

let installed: readonly PackEntry[];
let change: PackChange | null;
let refusal: object | null;
let asked: string[];
let server: ScriptedServer;
let stop: () => void;

beforeEach(() => {
  [installed, change, refusal, asked] = [[], null, null, []];
  stubServer(async (path: string, { method = "GET" }: RequestInit = {}) => {
    const place = path.replace(/^.*\/api\/v1/, "");
    asked.push(`${method} ${place}`);
    if (refusal !== null && method !== "GET") return Response.json(refusal, { status: 409 });
    if (method === "DELETE") return new Response(null, { status: 204 });
    if (place.startsWith("/packs/available"))
      return Response.json({ items: [BLUR], problem: null, next: null });
    if (method === "POST") return Response.json(RUNNING, { status: 202 });
    if (place === "/packs")
      return Response.json({ items: installed, has_index: true, change, next: null });
    return Response.json({ items: [] });
  });
  usePacks.setState({ items: null, change: null, providers: new Map() });
  useNotices.setState({ items: [] });
  server = new ScriptedServer();
  setSocket(new EventSocket({ url: "ws://test", make: server.make }));
  stop = startPacks();
  socket().start();
  server.now.welcome();
});

afterEach(() => {
  stop();
  setSocket(null);
});

const tell = (data: object) => server.now.say({ type: "notice", kind: "packs.changed", data });

it("a pack is found by its name, a type's prefix and a type that it lists, and asked for once", async () => {
  const { provide } = usePacks.getState();
  await provide(["blur"], ["blur:Blur", "Soften", "other:Sharp"]);
  const { providers } = usePacks.getState();
  expect([...providers].map(([name, found]) => [name, found?.name])).toEqual([
    ["blur", "blur"],
    ["blur:Blur", "blur"],
    ["Soften", "blur"],
    ["other:Sharp", undefined],
  ]);
  await provide(["blur"], ["Soften"]);
  expect(asked.filter((each) => each.includes("available"))).toHaveLength(1);
});

it("an installation is followed to its end, and says so", async () => {
  await usePacks.getState().install("blur");
  tell({ name: "blur", action: "install", state: "running", step: "packages" });
  await vi.waitFor(() => expect(usePacks.getState().change?.step).toBe("packages"));
  installed = [INSTALLED];
  change = { ...RUNNING, state: "done" };
  tell({ name: "blur", action: "install", state: "done", step: "" });
  await vi.waitFor(() => expect(usePacks.getState().items).toEqual([INSTALLED]));
  await vi.waitFor(() =>
    expect(useNotices.getState().items.map(({ title }) => title)).toContain(
      "The pack blur is installed",
    ),
  );
});

it("why one failed is read from the list", async () => {
  await usePacks.getState().install("blur");
  change = { ...RUNNING, state: "failed", error: "it has no node types" };
  tell({ name: "blur", action: "install", state: "failed", step: "" });
  await vi.waitFor(() => expect(usePacks.getState().change?.error).toBe("it has no node types"));
});

it("a change that is refused says why", async () => {
  refusal = { title: "Conflict", detail: "the packs are being changed", problems: [] };
  await usePacks.getState().act("blur", "remove");
  expect(useNotices.getState().items).toHaveLength(1);
});

it("shows a change that another administrator started, while the list is open", async () => {
  const begun = { name: "soft", action: "remove", state: "running", step: "files" };
  tell(begun);
  expect(usePacks.getState().change).toBeNull();
  await usePacks.getState().load();
  tell(begun);
  await vi.waitFor(() => expect(usePacks.getState().change).toMatchObject(begun));
  const { change } = usePacks.getState();
  expect(change && stepOf(change)).toBe("Changing…");
});
