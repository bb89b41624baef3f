import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addNode,
  connect,
  disconnect,
  moveItems,
  removeNodes,
  renameNode,
  setCollapsed,
  setInput,
  setMeta,
  setMode,
  setSeedMode,
} from "../edits";
import { graphs, TYPES } from "../fixtures/graphs";
import { makeSubgraph, unpackSubgraph } from "../subgraphs";
import { readWorkflow, type Workflow, writeWorkflow } from "../workflow";
import { changesBetween } from ".";
import { changesText, changeText } from "./words";

const CHAIN = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: {
      load: { type: "Load", inputs: { path: "a.png" } },
      blur: { type: "Blur", inputs: { image: { from: "load.image" }, amount: 20 } },
      save: { type: "Save", inputs: { image: { from: "blur" } } },
    },
    ui: { positions: { load: [0, 0], blur: [200, 0], save: [400, 0] } },
  }),
);

function said(after: Workflow, before = CHAIN): string {
  return changesText(changesBetween(before, after, TYPES));
}

test("a value is told as it was and as it is", () => {
  expect(said(setInput(CHAIN, null, "blur", "amount", 30))).toBe("blur: amount 20 → 30");
  expect(said(setInput(CHAIN, null, "load", "path", "two words"))).toBe(
    "load: path a.png → “two words”",
  );
  expect(said(setInput(CHAIN, null, "load", "path", undefined))).toBe("load: path reset");
});

test("of a long text the words that differ are told", () => {
  const written = (text: string) => setInput(CHAIN, null, "load", "path", text);
  const before = written("a red apple on the table in front of the house");
  const after = written("a green pear on the table in front of the house");
  expect(said(after, before)).toBe("load: path “… red apple …” → “… green pear …”");
  const longer = written("a red apple on the table in front of the old house");
  expect(said(longer, before)).toBe("load: path “… the …” → “… the old …”");
  // What it is now is told where there isn't room for both.
  expect(said(written("a fox"), before)).toBe(
    "load: path “… red apple on the table in front…” → “… fox”",
  );
  const other = written("two old teapots made of green glass, seen from above");
  expect(said(other, before)).toBe("load: path “a red apple on…” → “two old teapots made of…”");
});

test("nodes and links are told by name", () => {
  const added = addNode(CHAIN, null, { type: "Cut", at: { x: 0, y: 300 } });
  expect(said(added.workflow)).toBe("Cut added");
  expect(said(removeNodes(CHAIN, null, ["blur"]))).toBe("Blur deleted");
  expect(said(removeNodes(CHAIN, null, ["blur", "save"]))).toBe("2 nodes deleted: Blur, Save");
  const cut = disconnect(CHAIN, null, ["save.image"]);
  expect(said(cut)).toBe("blur no longer linked to save.image");
  const linked = connect(
    cut,
    null,
    { node: "load", port: "image" },
    { node: "save", port: "image" },
  );
  expect(said(linked, cut)).toBe("load.image linked to save.image");
  expect(said(renameNode(CHAIN, null, "blur", "soft"))).toBe("blur renamed to soft");
  expect(said(setMode(CHAIN, null, ["blur"], "mute"))).toBe("blur muted");
});

test("looks are told where nothing else was done", () => {
  const moved = moveItems(
    CHAIN,
    null,
    new Map([
      ["load", { x: 9, y: 9 }],
      ["blur", { x: 300, y: 9 }],
    ]),
  );
  expect(said(moved)).toBe("2 nodes moved");
  expect(said(setCollapsed(CHAIN, null, ["blur"], true))).toBe("blur collapsed");
  expect(said(setInput(moved, null, "blur", "amount", 21))).toBe("blur: amount 20 → 21");
  expect(said(setSeedMode(CHAIN, null, "blur", "amount", "random"))).toBe(
    "blur: amount randomized before each run",
  );
});

test("blocks, parameters and the file's own words are told", () => {
  const made = makeSubgraph(CHAIN, null, ["blur"], "Soften", TYPES);
  expect(said(made.workflow)).toBe("Subgraph Soften created from 1 node");
  const inner = setInput(made.workflow, "Soften", "blur", "amount", 25);
  expect(said(inner, made.workflow)).toBe("Soften › blur: amount 20 → 25");
  const unpacked = unpackSubgraph(made.workflow, null, made.node, TYPES).workflow;
  expect(said(unpacked, made.workflow)).toBe("Subgraph Soften unpacked");
  expect(said(setMeta(CHAIN, { title: "Apple" }))).toBe("Title changed to Apple");
});

test("of many changes the first ones are told, and how many are left", () => {
  const many = setMeta(
    setInput(setInput(CHAIN, null, "blur", "amount", 1), null, "load", "path", "b.png"),
    { title: "x", description: "y" },
  );
  expect(said(many)).toBe("load: path a.png → b.png · blur: amount 20 → 1 · 2 more");
});

test("the same graph read again has no changes, and those of another lead to nodes", () => {
  fc.assert(
    fc.property(graphs, graphs, (before, after) => {
      const again = readWorkflow(writeWorkflow(before));
      expect(changesBetween(before, again, TYPES)).toEqual([]);
      const changes = changesBetween(before, after, TYPES);
      if (before.nodes.size !== after.nodes.size) expect(changes).not.toEqual([]);
      for (const change of changes) expect(changeText(change)).not.toContain("history.");
      for (const { node } of changes) if (node !== null) expect(after.nodes.has(node)).toBe(true);
    }),
  );
});
