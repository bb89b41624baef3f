import { createStore, entries, type UseStore } from "idb-keyval";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addNode, setInput } from "@/model/edits";
import { ExactNumber, readJson } from "@/model/json";
import { emptyWorkflow, type Workflow, writeWorkflow } from "@/model/workflow";
import { eventually } from "@/test/eventually";
import { Keeper } from "./autosave";
import { createDocuments, currentWorkflow, type DocumentsStore, isDirty } from "./documents";
import type { Kept } from "./kept";
import type { Presence } from "./presence";

let store: UseStore;
let alive: Set<string>;
let count = 0;
let moment = 0;

beforeEach(() => {
  store = createStore(`test-${count++}`, "documents");
  alive = new Set();
});

afterEach(() => void vi.useRealTimers());

/** No two moments are the same, however fast the machine is. */
const now = () => ++moment;

interface Window {
  readonly id: string;
  readonly documents: DocumentsStore;
  readonly keeper: Keeper;
  readonly recovered: readonly string[];
}

/** The windows of a browser know of each other by a set of ids. */
function presence(): Presence {
  return {
    claim: (id) => Promise.resolve(!alive.has(id) && Boolean(alive.add(id))),
    alive: () => Promise.resolve(new Set(alive)),
    release: () => undefined,
  };
}

async function openWindow(window: string | null = null): Promise<Window> {
  const documents = createDocuments();
  const keeper = new Keeper({ documents, presence: presence(), store, window, now });
  const { window: id, recovered } = await keeper.start();
  return { id, documents, keeper, recovered };
}

/** Time passes as the test says; what is then left over waits for ever once the clock is real. */
function stopClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
}

/** The browser is closed, or killed: nothing more is written. */
function crash({ keeper, id }: Window): void {
  keeper.stop();
  alive.delete(id);
}

function edit(documents: DocumentsStore, type: string): void {
  documents
    .getState()
    .change("added", (w) => addNode(w, null, { type, at: { x: 0, y: 0 } }).workflow);
}

function workflows({ documents }: Window): readonly Workflow[] {
  return documents.getState().documents.map(currentWorkflow);
}

function types(window: Window): readonly string[][] {
  return workflows(window).map(({ nodes }) => [...nodes.values()].map(({ type }) => type));
}

describe("autosave", () => {
  it("writes a change within half a second, without being asked", async () => {
    stopClock();
    const window = await openWindow();
    edit(window.documents, "LoadModel");
    vi.advanceTimersByTime(500);
    vi.useRealTimers();
    await eventually(async () => {
      const records = await entries<string, Kept>(store);
      expect(records.some(([, { text }]) => text?.includes("LoadModel"))).toBe(true);
    });
    window.keeper.stop();
  });

  it("writes while changes go on", async () => {
    stopClock();
    const window = await openWindow();
    for (let passed = 0; passed < 600; passed += 20) {
      edit(window.documents, "Note");
      vi.advanceTimersByTime(20);
    }
    vi.useRealTimers();
    await eventually(async () => expect(await entries(store)).not.toEqual([]));
    window.keeper.stop();
  });

  it("brings back documents, undo steps and exact numbers after a reload", async () => {
    const before = await openWindow();
    edit(before.documents, "KSampler");
    before.documents
      .getState()
      .change("seed", (w) =>
        setInput(w, null, "ksampler", "seed", readJson("18446744073709551615")),
      );
    const text = workflows(before).map(writeWorkflow);
    await before.keeper.save();
    crash(before);
    const after = await openWindow(before.id);
    expect(after.id).toBe(before.id);
    expect(workflows(after).map(writeWorkflow)).toEqual(text);
    expect(workflows(after)[0]?.nodes.get("ksampler")?.inputs.get("seed")).toBeInstanceOf(
      ExactNumber,
    );
    after.documents.getState().undo();
    after.documents.getState().undo();
    expect(types(after)).toEqual([[]]);
    crash(after);
  });

  it("takes over the documents of a window that is gone", async () => {
    const before = await openWindow();
    edit(before.documents, "A");
    before.documents.getState().open(emptyWorkflow("two"));
    edit(before.documents, "B");
    await before.keeper.save();
    crash(before);
    const after = await openWindow();
    expect(types(after)).toEqual([["A"], ["B"]]);
    expect(after.recovered).toHaveLength(2);
    crash(after);
  });

  it("leaves the documents of a window that is there alone", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    const two = await openWindow();
    expect(types(two)).toEqual([[]]);
    edit(two.documents, "B");
    await two.keeper.save();
    edit(one.documents, "A2");
    await one.keeper.save();
    crash(one);
    crash(two);
    const three = await openWindow();
    expect(types(three).flat().sort()).toEqual(["A", "A2", "B"]);
    crash(three);
  });

  it("makes two documents of one that two windows come to hold", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    const { documents } = one.documents.getState();
    const two = await openWindow();
    two.documents.getState().restore(documents, documents[0]?.id ?? null);
    edit(two.documents, "B");
    await two.keeper.save();
    await two.keeper.save();
    edit(one.documents, "C");
    await one.keeper.save();
    crash(one);
    crash(two);
    const three = await openWindow();
    expect(types(three)).toEqual([
      ["A", "C"],
      ["A", "B"],
    ]);
    crash(three);
  });

  it("gives a copied tab a window of its own", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    const copy = await openWindow(one.id);
    expect(copy.id).not.toBe(one.id);
    expect(types(copy)).toEqual([[]]);
    crash(one);
    crash(copy);
  });

  it("forgets documents that were closed", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    one.documents.getState().close(one.documents.getState().active);
    await one.keeper.save();
    expect(await entries(store)).toEqual([]);
    crash(one);
  });

  it("writes a mere look elsewhere without the document, and brings it back", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    const written = async () =>
      (await entries<string, Kept>(store)).find(([, { text }]) => text !== undefined)?.[1].at;
    const first = await written();
    const view = { x: 5, y: 6, zoom: 0.5 };
    one.documents.getState().setViewport(view);
    one.documents.getState().select(["a"]);
    await one.keeper.save();
    expect(await written()).toBe(first);
    crash(one);
    const two = await openWindow();
    const [document] = two.documents.getState().documents;
    expect([document?.viewport, document?.selection]).toEqual([view, new Set(["a"])]);
    two.documents.getState().setViewport({ ...view, x: 7 });
    edit(two.documents, "B");
    await two.keeper.save();
    crash(two);
    const three = await openWindow();
    expect(types(three)).toEqual([["A", "B"]]);
    expect(three.documents.getState().documents[0]?.viewport?.x).toBe(7);
    crash(three);
  });

  it("keeps snapshots of a saved workflow by its name while it is closed", async () => {
    const names = ({ documents }: Window) =>
      documents.getState().documents.flatMap(({ snapshots }) => snapshots.map(({ name }) => name));
    const open = async (savedName: string) => {
      const window = await openWindow();
      window.documents.getState().open(emptyWorkflow("fox"), { savedName, origin: "saved" });
      return window;
    };
    const close = async ({ documents, keeper }: Window) => {
      documents.getState().close(documents.getState().active);
      await keeper.save();
    };
    const one = await open("fox");
    edit(one.documents, "A");
    one.documents.getState().takeSnapshot("first");
    await one.keeper.save();
    one.documents.getState().takeSnapshot("second");
    await close(one);
    crash(one);
    const two = await open("fox");
    await eventually(() => expect(names(two)).toEqual(["first", "second"]));
    const [first] = two.documents.getState().documents[0]?.snapshots ?? [];
    expect(first && [...first.value.nodes.keys()]).toEqual(["a"]);
    await two.keeper.save();
    two.documents.getState().deleteSnapshot(first?.id ?? "");
    await close(two);
    crash(two);
    const three = await open("fox");
    await eventually(() => expect(names(three)).toEqual(["second"]));
    await three.keeper.forgetSnapshots("fox");
    crash(three);
    expect((await entries<string>(store)).filter(([key]) => key.startsWith("snap"))).toEqual([]);
  });

  it("reads the text where the rest of a record can't be read", async () => {
    const one = await openWindow();
    edit(one.documents, "A");
    await one.keeper.save();
    crash(one);
    const [[key, kept] = []] = (await entries<string, Kept>(store)).filter(([, item]) => item.text);
    await store("readwrite", (records) => {
      records.put({ ...kept, version: 99 }, key);
    });
    const two = await openWindow();
    expect(types(two)).toEqual([["A"]]);
    const [document] = two.documents.getState().documents;
    expect(document && isDirty(document)).toBe(true);
    crash(two);
  });
});
