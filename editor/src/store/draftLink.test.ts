/** One window's tie to its draft, against a server that keeps one in memory. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiProblem } from "@/api/http";
import type { DraftMessage, EventSocket } from "@/api/socket";
import { renameNode, setInput } from "@/model/edits";
import { begin } from "@/model/history";
import { applyPatch } from "@/model/shared/applying";
import { readPatch } from "@/model/shared/patch";
import { readWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { currentWorkflow, documentById, newDocument, useDocuments } from "./documents";
import { DraftLink } from "./draftLink";
import { type Kept, keep, revive } from "./kept";
import { companyOf } from "./members";
import { useNotices } from "./notices";
import { point, pointersOf, usePointers } from "./pointers";

const ID = "doc";
const KEY = "saved/apple";
const START = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: { a: { type: "Number", inputs: { value: 1 } }, b: { type: "Number" } },
  }),
);
const ME = { member: "me", name: "ada", writes: true, since: 1, path: [], selection: [] };
const THEM = { ...ME, member: "them", name: "bea", since: 2 };

type Fields = Record<string, unknown>;

/** As nodegraph/server/content/drafts/rooms.py, for one window and what a test does besides. */
class Server {
  value = START;
  revision = 0;
  saved = 0;
  readonly asked: (Fields & { readonly type: string })[] = [];
  /** What requests of a kind are refused with, one after the other. */
  readonly refusals = new Map<string, ApiProblem[]>();
  /** Whether answers wait. */
  isSlow = false;
  private readonly waiting: (() => void)[] = [];
  /** Patches by their ids, with the revisions that they led to. */
  private readonly known = new Map<string, number>();
  link: DraftLink | null = null;
  readonly state = "open";
  readonly welcome = { limits: { frame: 5000 } };

  request = async (type: string, fields: Fields = {}): Promise<unknown> => {
    this.asked.push({ type, ...fields });
    const refusal = this.refusals.get(type)?.shift();
    if (refusal) throw refusal;
    if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (type === "draft.join") return this.joined(fields);
    if (type === "draft.patch") return { revision: this.take(fields) };
    return {};
  };

  answer(): void {
    this.isSlow = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  of(type: string): (Fields & { readonly type: string })[] {
    return this.asked.filter((each) => each.type === type);
  }

  private joined({ page, since, sent }: Fields): Fields {
    const { revision, saved } = this;
    const isLater = ([id, at]: readonly [string, number]) =>
      at > Number(since) && id !== sent && id.startsWith(String(page));
    const later = page !== undefined && [...this.known].some(isLater);
    const applied = this.known.has(String(sent));
    const text = writeWorkflow(this.value);
    const etag = `"${saved}"`;
    const members = [ME];
    return { draft: KEY, member: "me", revision, saved, etag, text, applied, later, members };
  }

  private take({ patch, operations }: Fields): number {
    this.value = applyPatch(this.value, readPatch(String(operations)));
    this.revision += 1;
    this.known.set(String(patch), this.revision);
    this.say({ event: "patch", revision: this.revision, patch: String(patch), member: "me" });
    return this.revision;
  }

  /** Another window's patch. */
  patch(...operations: unknown[]): void {
    const text = JSON.stringify(operations);
    this.value = applyPatch(this.value, readPatch(text));
    this.revision += 1;
    const { revision } = this;
    this.say({ event: "patch", revision, patch: `t${revision}`, member: "them", operations: text });
  }

  say(message: Fields): void {
    this.link?.hear({ draft: KEY, ...message } as unknown as DraftMessage);
  }
}

let server: Server;
let link: DraftLink;

/** Let what was sent be answered, and what waits for its time. */
async function pass(milliseconds = 200): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
}

function shown(): Workflow {
  const document = documentById(ID);
  if (document === null) throw new Error("the document is gone");
  return currentWorkflow(document);
}

function edit(change: (workflow: Workflow) => Workflow): void {
  useDocuments.getState().change("edit", change, { document: ID });
  link.changed();
}

function valueAt(node: string, port = "value"): unknown {
  return shown().nodes.get(node)?.inputs.get(port);
}

function open(workflow: Workflow, savedName: string | null = "apple"): void {
  useDocuments.getState().restore([newDocument(workflow, { id: ID, savedName })], ID);
  link = new DraftLink(server as unknown as EventSocket, ID, savedName);
  server.link = link;
}

/** The page is loaded anew and finds what was kept of the document. */
function reload(kept: Kept): void {
  link.leave();
  const document = revive(structuredClone(kept));
  if (document === null) throw new Error("nothing was kept");
  useDocuments.getState().restore([document], ID);
  link = new DraftLink(server as unknown as EventSocket, ID, "apple");
  server.link = link;
}

function kept(): Kept {
  const document = documentById(ID);
  if (document === null) throw new Error("the document is gone");
  return keep(document, "window", 1);
}

function addNumber(name: string): (workflow: Workflow) => Workflow {
  const text = `{"format":"nodegraph/1","nodes":{"${name}":{"type":"Number","inputs":{"value":1}}}}`;
  const { nodes } = readWorkflow(text);
  return (workflow) => ({ ...workflow, nodes: new Map([...workflow.nodes, ...nodes]) });
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
  open(START);
});

afterEach(() => {
  link.leave();
  vi.useRealTimers();
});

describe("changes", () => {
  it("are sent soon after they are made, with the revision that they were made for", async () => {
    await link.join();
    edit((w) => setInput(w, null, "a", "value", 2));
    edit((w) => setInput(w, null, "a", "value", 3));
    await pass();
    expect(server.of("draft.patch")).toHaveLength(1);
    expect(server.of("draft.patch")[0]).toMatchObject({ draft: KEY, base: 0 });
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(3);
    expect(await link.flush()).toBe(true);
  });

  it("of another window are shown, and one's own on top while they are on their way", async () => {
    await link.join();
    server.isSlow = true;
    edit((w) => setInput(w, null, "a", "value", 2));
    await pass();
    server.patch([["nodes", "b", "inputs", "value"], 7], [["nodes", "a", "inputs", "value"], 9]);
    expect([valueAt("a"), valueAt("b")]).toEqual([2, 7]);
    server.answer();
    await pass();
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(2);
    expect(documentById(ID)?.shared).toMatchObject({ revision: 2, sent: null });
  });

  it("of a node that another renames meanwhile are sent again, under its new name", async () => {
    await link.join();
    useDocuments.getState().select(["a"]);
    const behind = { status: 409, problems: [{ code: "draft-node-renamed" } as never] };
    server.refusals.set("draft.patch", [new ApiProblem(behind)]);
    edit((w) => setInput(w, null, "a", "value", 5));
    server.patch([["nodes", "a"], "z", "rename"]);
    await pass();
    await pass();
    expect(server.value.nodes.get("z")?.inputs.get("value")).toBe(5);
    expect(shown().nodes.has("a")).toBe(false);
    expect([...(documentById(ID)?.selection ?? [])]).toEqual(["z"]);
  });

  it("that came too fast are tried again, but not once they are sent another way", async () => {
    await link.join();
    const slower = (): ApiProblem => new ApiProblem({ status: 429 });
    server.refusals.set("draft.patch", [slower(), slower()]);
    edit((w) => setInput(w, null, "a", "value", 5));
    await pass(1600);
    server.patch([["nodes", "a"], "z", "rename"]);
    await pass(4000);
    const ids = server.of("draft.patch").map(({ patch }) => patch);
    expect(server.value.nodes.get("z")?.inputs.get("value")).toBe(5);
    // Twice under the first id, then once under another.
    expect([ids.length, new Set(ids).size]).toEqual([3, 2]);
  });

  it("that the server can't keep are said to be missing there, until it can", async () => {
    await link.join();
    const full = (): ApiProblem => new ApiProblem({ status: 507, detail: "the disk is full" });
    server.refusals.set("draft.patch", [full(), full()]);
    edit((w) => setInput(w, null, "a", "value", 5));
    await pass();
    expect(companyOf(ID).refusal).toBe("the disk is full");
    expect(await link.flush()).toBe(false);
    await pass(4000);
    expect(companyOf(ID).refusal).toBeNull();
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(5);
  });

  it("that the server refuses aren't sent again until something else is changed", async () => {
    await link.join();
    server.refusals.set("draft.patch", [new ApiProblem({ status: 422, detail: "no workflow" })]);
    edit((w) => setInput(w, null, "a", "value", 5));
    await pass(5000);
    expect(server.of("draft.patch")).toHaveLength(1);
    expect(companyOf(ID).refusal).toBe("no workflow");
    edit((w) => setInput(w, null, "b", "value", 6));
    await pass();
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(5);
    expect(companyOf(ID).refusal).toBeNull();
  });

  it("that are too large for a message are kept here, and the connection lives", async () => {
    await link.join();
    edit((w) => setInput(w, null, "a", "text", "ä".repeat(2000)));
    await pass();
    expect(server.of("draft.patch")).toHaveLength(0);
    expect(companyOf(ID).refusal).toContain("too large");
    edit((w) => setInput(w, null, "a", "text", "ä"));
    await pass();
    expect(server.value.nodes.get("a")?.inputs.get("text")).toBe("ä");
    open(setInput(START, null, "a", "text", "ä".repeat(2000)), null);
    await link.join();
    expect(server.of("draft.join")).toHaveLength(1);
  });

  it("of which one is missing are got as a whole", async () => {
    await link.join();
    server.value = setInput(server.value, null, "b", "value", 8);
    server.revision = 5;
    server.patch([["nodes", "a", "inputs", "value"], 9]);
    await pass();
    expect(server.of("draft.join")).toHaveLength(2);
    expect([valueAt("a"), valueAt("b")]).toEqual([9, 8]);
  });

  it("made without a connection are sent when it is back", async () => {
    await link.join();
    link.lost();
    edit((w) => renameNode(w, null, "b", "c"));
    server.value = setInput(server.value, null, "b", "value", 4);
    server.revision = 3;
    await pass();
    expect(server.of("draft.patch")).toHaveLength(0);
    await link.join();
    await pass();
    expect(server.value.nodes.get("c")?.inputs.get("value")).toBe(4);
  });
});

describe("joining", () => {
  it("is tried again when the server can't just now", async () => {
    server.refusals.set("draft.join", [new ApiProblem({ status: 429 })]);
    await link.join();
    expect(link.key).toBeNull();
    await pass(2000);
    expect(link.key).toBe(KEY);
  });

  it("hears what comes before its answer", async () => {
    server.isSlow = true;
    const joined = link.join();
    server.revision = 0;
    const early = { event: "members", members: [ME, THEM] } as const;
    server.say(early);
    server.answer();
    await joined;
    await pass(0);
    expect(companyOf(ID).others.map(({ name }) => name)).toEqual(["bea"]);
  });

  it("shows a newer draft rather than an old copy of which only the text was left", async () => {
    server.value = setInput(START, null, "a", "value", 70);
    server.revision = 9;
    open(setInput(START, null, "a", "value", 3), null);
    const document = documentById(ID);
    if (document) {
      const history = { ...begin(currentWorkflow(document), "history.opened"), saved: null };
      useDocuments.getState().restore([{ ...document, history }], ID);
    }
    await link.join();
    await pass();
    expect(valueAt("a")).toBe(70);
    expect(server.of("draft.patch")).toHaveLength(0);
    expect(JSON.stringify(useNotices.getState())).toContain(`newer ${ID}`);
    // Nothing is lost: the copy is one step back.
    useDocuments.getState().undo();
    expect(valueAt("a")).toBe(3);
  });

  it("goes on with what was changed since the draft was begun here", async () => {
    open(START, null);
    server.refusals.set("draft.join", [new ApiProblem({ status: 503 })]);
    await link.join();
    edit((w) => setInput(w, null, "a", "value", 2));
    await pass(2000);
    await pass();
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(2);
  });

  it("keeps what is there, without a name, when the workflow is gone", async () => {
    await link.join();
    edit((w) => setInput(w, null, "a", "value", 2));
    server.say({ event: "deleted", name: null });
    expect(documentById(ID)?.savedName).toBeNull();
    expect(valueAt("a")).toBe(2);
  });
});

describe("a reload", () => {
  it("adds nothing again that was sent after the document was kept", async () => {
    await link.join();
    edit(addNumber("c"));
    const before = kept();
    await pass();
    reload(before);
    await link.join();
    await pass();
    expect([...shown().nodes.keys()]).toEqual(["a", "b", "c"]);
    expect([...server.value.nodes.keys()]).toEqual(["a", "b", "c"]);
  });

  it("shows what was done after the document was kept, and leaves it on the server", async () => {
    await link.join();
    edit(addNumber("c"));
    const before = kept();
    edit((w) => setInput(w, null, "c", "value", 5));
    await pass();
    edit((w) => setInput(w, null, "c", "value", 6));
    await pass();
    reload(before);
    await link.join();
    await pass();
    expect(valueAt("c")).toBe(6);
    expect(server.value.nodes.get("c")?.inputs.get("value")).toBe(6);
  });

  it("keeps what is done before the server answers", async () => {
    await link.join();
    edit(addNumber("c"));
    const before = kept();
    await pass();
    reload(before);
    edit(addNumber("d"));
    reload(kept());
    edit((w) => setInput(w, null, "a", "value", 8));
    await link.join();
    await pass();
    expect([...server.value.nodes.keys()]).toEqual(["a", "b", "c", "d"]);
    expect(server.value.nodes.get("a")?.inputs.get("value")).toBe(8);
    expect(shown().nodes.size).toBe(4);
  });

  it("sends what never arrived", async () => {
    await link.join();
    edit((w) => setInput(w, null, "a", "value", 2));
    await pass();
    edit(addNumber("c"));
    reload(kept());
    await link.join();
    await pass();
    expect([...server.value.nodes.keys()]).toEqual(["a", "b", "c"]);
  });
});

describe("pointers", () => {
  it("are told a dozen times a second, and only where somebody sees them", async () => {
    await link.join();
    point(ID, { cursor: { x: 1, y: 2 } });
    link.point();
    await pass();
    expect(server.of("draft.point")).toHaveLength(0);
    server.say({ event: "members", members: [ME, THEM] });
    for (let x = 0; x < 50; x += 1) {
      point(ID, { cursor: { x, y: 2 } });
      link.point();
      await pass(20);
    }
    const told = server.of("draft.point");
    expect(told.length).toBeGreaterThan(9);
    expect(told.length).toBeLessThan(15);
    expect(told.at(-1)).toMatchObject({ path: [], moves: {} });
  });

  it("of others go with them, and what they drag stays until it is there", async () => {
    await link.join();
    server.say({ event: "members", members: [ME, THEM] });
    const live = { event: "live", member: "them", path: [], cursor: [5, 6] } as const;
    server.say({ ...live, moves: { a: [10, 20] } });
    const theirs = () => pointersOf(usePointers.getState(), ID).get("them");
    expect(theirs()?.moves.get("a")).toEqual({ x: 10, y: 20 });
    expect(documentById(ID)?.history.entries.size).toBe(1);
    // Dropped: until the change itself comes, it stays where it was dropped.
    server.say({ ...live, moves: {} });
    expect(theirs()?.moves.get("a")).toEqual({ x: 10, y: 20 });
    server.patch([
      ["ui", "positions", "a"],
      [10, 20],
    ]);
    expect(theirs()?.moves.size).toBe(0);
    server.say({ ...live, moves: { a: [11, 20] } });
    server.say({ event: "members", members: [ME] });
    expect(theirs()).toBeUndefined();
    // Nobody says that a window has frozen.
    server.say({ event: "members", members: [ME, THEM] });
    server.say({ ...live, moves: { a: [11, 20] } });
    await pass(4500);
    expect(theirs()?.moves.size).toBe(0);
  });

  it("are forgotten when the connection is lost", async () => {
    await link.join();
    server.say({ event: "live", member: "them", path: [], cursor: [5, 6], moves: {} });
    link.lost();
    expect(pointersOf(usePointers.getState(), ID).size).toBe(0);
  });
});
