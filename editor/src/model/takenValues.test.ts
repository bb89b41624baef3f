import { describe, expect, it } from "vitest";
import { takeValues } from "./takenValues";
import { readWorkflow, writeWorkflow } from "./workflow";

const workflow = (nodes: unknown, more: object = {}) =>
  readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes, ...more }));
const nodesIn = (found: ReturnType<typeof workflow>) => JSON.parse(writeWorkflow(found)).nodes;

describe("values of a result", () => {
  it("are put in by node and port, seeds to the last digit", () => {
    const from = readWorkflow(
      '{"format": "nodegraph/1", "nodes": {"sample": {"type": "S", "inputs": {"seed": 18446744073709551557, "cfg": 4}}}}',
    );
    const to = workflow({ sample: { type: "S", inputs: { seed: 1, cfg: 4 } } });
    const taken = takeValues(from, to, null);
    expect(taken.changed).toEqual(["sample.seed"]);
    expect(taken.left).toEqual([]);
    expect(writeWorkflow(taken.workflow)).toContain("18446744073709551557");
  });

  it("that were left to a default are left to it", () => {
    const from = workflow({ sample: { type: "S", inputs: { seed: 1 } } });
    const to = workflow({ sample: { type: "S", inputs: { seed: 1, cfg: 9 } } });
    const taken = takeValues(from, to, null);
    expect(taken.changed).toEqual(["sample.cfg"]);
    expect(nodesIn(taken.workflow).sample.inputs).toEqual({ seed: 1 });
  });

  it("leave links as they are, and tell what couldn't be taken", () => {
    const from = workflow({
      sample: { type: "S", inputs: { seed: 5, text: "a" } },
      gone: { type: "G", inputs: { strength: 2 } },
      other: { type: "A", inputs: { x: 1 } },
    });
    const to = workflow({
      sample: { type: "S", inputs: { seed: 1, text: { from: "words" } } },
      words: { type: "W" },
      other: { type: "B", inputs: { x: 2 } },
    });
    const taken = takeValues(from, to, null);
    expect(taken.changed).toEqual(["sample.seed"]);
    expect(taken.left).toEqual([
      { place: "sample.text", why: "linked" },
      { place: "gone.strength", why: "node" },
      { place: "other.x", why: "type" },
    ]);
    expect(nodesIn(taken.workflow).sample.inputs.text).toEqual({ from: "words" });
  });

  it("go by the names of parameters where the nodes are called otherwise", () => {
    const from = workflow(
      { a: { type: "S", inputs: { seed: 7 } } },
      { parameters: { seed: "a.seed" } },
    );
    const to = workflow(
      { b: { type: "T", inputs: { noise: 1 } } },
      { parameters: { seed: "b.noise" } },
    );
    const taken = takeValues(from, to, null);
    expect(taken).toMatchObject({ changed: ["b.noise"], left: [] });
    expect(nodesIn(taken.workflow).b.inputs.noise).toBe(7);
  });

  it("change nothing where they are the same", () => {
    const to = workflow({ a: { type: "S", inputs: { seed: 7 } } });
    expect(takeValues(to, to, null).workflow).toBe(to);
  });
});
