import { describe, expect, it } from "vitest";
import { changedSince } from "./changed";
import { fromPlain } from "./json";
import { type Workflow, workflowFromJson } from "./workflow";

const NODES = {
  size: { type: "Size", inputs: { width: 64 } },
  text: { type: "Text", inputs: { text: "an apple" } },
  sample: { type: "Sample", inputs: { size: { from: "size" }, text: { from: "text" } } },
  save: { type: "Save", inputs: { image: { from: "sample" } } },
  other: { type: "Save", inputs: { image: { from: "size" } } },
  block: { type: "Twice", inputs: { image: { from: "sample" } } },
};

const BEFORE = workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: NODES }));

function after(changes: Record<string, unknown>): Workflow {
  const nodes = Object.fromEntries(
    Object.entries({ ...NODES, ...changes }).filter(([, node]) => node !== null),
  );
  const now = workflowFromJson(fromPlain({ format: "nodegraph/1", nodes }));
  const { subgraphs, requires } = BEFORE;
  return { ...now, subgraphs, requires };
}

function reached(now: Workflow): readonly string[] {
  const isChanged = changedSince(BEFORE, now);
  return [...now.nodes.keys(), "block/inner"].filter(isChanged);
}

describe("what an edit reaches", () => {
  it("is the node and all that depends on it, blocks with what is in them", () => {
    const text = { type: "Text", inputs: { text: "9" } };
    expect(reached(after({ text }))).toEqual(["text", "sample", "save", "block", "block/inner"]);
  });

  it("is nothing once the same is written again, and for a label or a place", () => {
    expect(reached(BEFORE)).toEqual([]);
    expect(reached(after({}))).toEqual([]);
    expect(reached(after({ text: { ...NODES.text, label: "What" } }))).toEqual([]);
  });

  it("is what a node that is gone, muted or new has to do with", () => {
    expect(reached(after({ size: null }))).toEqual([
      "sample",
      "save",
      "other",
      "block",
      "block/inner",
    ]);
    expect(reached(after({ sample: { ...NODES.sample, mode: "bypass" } }))).toEqual([
      "sample",
      "save",
      "block",
      "block/inner",
    ]);
    expect(reached(after({ extra: NODES.other }))).toEqual(["extra"]);
  });

  it("is everything once a block is another", () => {
    const now = { ...BEFORE, subgraphs: new Map(BEFORE.subgraphs) };
    expect(reached(now)).toHaveLength(BEFORE.nodes.size + 1);
  });
});
