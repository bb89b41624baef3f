import { act, renderHook } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";
import { addNode, removeItems, setMeta } from "@/model/edits";
import { nodesOf } from "@/model/scope";
import { difference } from "@/model/shared/difference";
import { nextPatch, received } from "@/model/shared/rebase";
import { addSubgraph, renameSubgraph } from "@/model/subgraphs";
import { emptyWorkflow } from "@/model/workflow";
import {
  activeDocument,
  createDocuments,
  currentScope,
  currentWorkflow,
  type DocumentsStore,
  isDirty,
  useActive,
  useDocuments,
} from "./documents";

let store: DocumentsStore;

beforeEach(() => {
  store = createDocuments();
});

const state = () => store.getState();
const shown = () => activeDocument(state());
const names = () => [...currentWorkflow(shown()).nodes.keys()];

function add(type: string, select = false): void {
  state().change(
    "added",
    (w) => addNode(w, currentScope(shown()), { type, at: { x: 0, y: 0 } }).workflow,
    {
      select: select ? [type.toLowerCase()] : undefined,
    },
  );
}

describe("documents", () => {
  it("open in place of the untouched first one, later ones beside it", () => {
    const first = state().open(emptyWorkflow("one"));
    expect(state().documents.map(({ id }) => id)).toEqual([first]);
    add("A");
    state().open(emptyWorkflow("two"));
    expect(state().documents).toHaveLength(2);
  });

  it("go to what is open already under a saved name", () => {
    const id = state().open(emptyWorkflow("one"), { savedName: "one", origin: "saved" });
    add("A");
    state().open(emptyWorkflow("two"));
    expect(state().open(emptyWorkflow("one"), { savedName: "one" })).toBe(id);
    expect(state().active).toBe(id);
  });

  it("come back to a snapshot as one step that can be undone", () => {
    add("A");
    state().takeSnapshot("one node");
    add("B");
    const [snapshot] = shown().snapshots;
    state().restoreSnapshot(snapshot?.id ?? "", "one node restored");
    expect(names()).toEqual(["a"]);
    state().undo();
    expect(names()).toEqual(["a", "b"]);
    state().renameSnapshot(snapshot?.id ?? "", "first");
    expect(shown().snapshots.map(({ name }) => name)).toEqual(["first"]);
    state().deleteSnapshot(snapshot?.id ?? "");
    expect(shown().snapshots).toEqual([]);
  });

  it("are changed in steps that can be undone and done again", () => {
    add("A");
    add("B");
    state().undo();
    expect(names()).toEqual(["a"]);
    state().redo();
    expect(names()).toEqual(["a", "b"]);
    state().jump(0);
    expect(names()).toEqual([]);
  });

  it("keep a branch that was left", () => {
    add("A");
    const entry = shown().history.current;
    state().undo();
    add("B");
    state().jump(entry);
    expect(names()).toEqual(["a"]);
  });

  it("are changed by what gives another workflow only", () => {
    const before = shown();
    state().change("nothing", (w) => w);
    expect(shown()).toBe(before);
  });

  it("know whether they hold changes that aren't saved", () => {
    add("A");
    expect(isDirty(shown())).toBe(true);
    state().markSaved(shown().id, { name: "a", etag: "1" });
    expect(isDirty(shown())).toBe(false);
    expect([shown().savedName, shown().savedEtag, shown().origin]).toEqual(["a", "1", "saved"]);
    state().undo();
    expect(isDirty(shown())).toBe(true);
    state().redo();
    expect(isDirty(shown())).toBe(false);
  });

  it("say that what was sent is saved, though typing went on", () => {
    add("A");
    const sent = shown().history.current;
    add("B");
    state().markSaved(shown().id, { name: "a", entry: sent });
    expect(isDirty(shown())).toBe(true);
  });

  it("are reopened with their undo steps", () => {
    add("A");
    add("B");
    state().close(shown().id);
    expect(names()).toEqual([]);
    state().reopenClosed();
    expect(names()).toEqual(["a", "b"]);
    state().undo();
    expect(names()).toEqual(["a"]);
  });

  it("show the neighbour of one that is closed, and change places", () => {
    for (const title of ["1", "2", "3"]) {
      state().open(setMeta(emptyWorkflow(), { title }), { origin: "file" });
    }
    const [one, two, three] = state().documents.map(({ id }) => id);
    state().activate(two ?? "");
    state().close(two ?? "");
    expect(state().active).toBe(three);
    state().move(three ?? "", 0);
    expect(state().documents.map(({ id }) => id)).toEqual([three, one]);
  });
});

describe("selection", () => {
  it("is replaced, added to, toggled, and follows what is gone", () => {
    add("A");
    add("B", true);
    expect([...shown().selection]).toEqual(["b"]);
    state().select(["a"], "add");
    state().select(["b"], "toggle");
    expect([...shown().selection]).toEqual(["a"]);
    state().select(["a", "b"]);
    state().change("removed", (w) => removeItems(w, null, ["a"]));
    expect([...shown().selection]).toEqual(["b"]);
    const before = shown();
    state().select(["b"]);
    expect(shown()).toBe(before);
  });
});

describe("blocks", () => {
  it("are entered and left, each graph with its own view", () => {
    state().change("block", (w) => addSubgraph(w, "Inner").workflow);
    state().setViewport({ x: 1, y: 2, zoom: 3 });
    state().enter("Inner");
    expect([currentScope(shown()), shown().viewport]).toEqual(["Inner", null]);
    state().setViewport({ x: 0, y: 0, zoom: 1 });
    state().leave();
    expect([currentScope(shown()), shown().viewport]).toEqual([null, { x: 1, y: 2, zoom: 3 }]);
    state().enter("Nothing");
    expect(shown().path).toEqual([]);
  });

  it("stay entered under a new name, and are left when they go", () => {
    state().change("block", (w) => addSubgraph(w, "Inner").workflow);
    state().enter("Inner");
    add("A");
    state().change("renamed", (w) => renameSubgraph(w, "Inner", "Core"));
    expect(shown().path).toEqual(["Core"]);
    state().jump(0);
    expect(shown().path).toEqual([]);
  });

  it("stay entered under the name that another window gives them", () => {
    state().change("block", (w) => addSubgraph(w, "Inner").workflow);
    state().enter("Inner");
    add("A");
    const { id, history } = shown();
    const base = currentWorkflow(shown());
    const patch = difference(base, renameSubgraph(base, "Inner", "Core"));
    const next = received({ base, revision: 0, sent: null }, history, patch, 1);
    state().setShared(id, next.shared, next.history);
    expect(shown().path).toEqual(["Core"]);
    expect([...nodesOf(currentWorkflow(shown()), "Core").keys()]).toEqual(["a"]);
  });

  it("keep what is done in them while another window gives them a name, and its undo", () => {
    state().change("block", (w) => addSubgraph(w, "Inner").workflow);
    state().enter("Inner");
    const base = currentWorkflow(shown());
    const patch = difference(base, renameSubgraph(base, "Inner", "Core"));
    add("A");
    const { id, history } = shown();
    const sent = { id: "mine", patch: difference(base, currentWorkflow(shown())) };
    const next = received({ base, revision: 0, sent }, history, patch, 1);
    state().setShared(id, next.shared, next.history);
    const nodes = () => [...nodesOf(currentWorkflow(shown()), "Core").keys()];
    expect([shown().path, nodes()]).toEqual([["Core"], ["a"]]);
    // What the server has left out goes to it again.
    expect(nextPatch(next.shared, currentWorkflow(shown()))).toHaveLength(2);
    state().undo();
    expect([shown().path, nodes()]).toEqual([["Core"], []]);
    state().redo();
    expect(nodes()).toEqual(["a"]);
  });
});

it("useActive renders anew only when what it reads changes", () => {
  let renders = 0;
  const { result } = renderHook(() => {
    renders += 1;
    return useActive((_, workflow) => [...workflow.nodes.keys()]);
  });
  act(() => useDocuments.getState().setViewport({ x: 5, y: 5, zoom: 1 }));
  expect(renders).toBe(1);
  act(() =>
    useDocuments
      .getState()
      .change("added", (w) => addNode(w, null, { type: "A", at: { x: 0, y: 0 } }).workflow),
  );
  expect(result.current).toEqual(["a"]);
});
