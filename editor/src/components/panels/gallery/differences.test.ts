import { describe, expect, it } from "vitest";
import { readWorkflow } from "@/model/workflow";
import { differences, literalsOf } from "./differences";

function workflow(nodes: unknown) {
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
}
const base = {
  load: { type: "LoadModel", inputs: { model: "tiny" } },
  sample: { type: "KSampler", inputs: { model: { from: "load.model" }, seed: 7 } },
};

describe("differences", () => {
  it("tells changed, added and removed values", () => {
    const sample = { type: "KSampler", inputs: { model: { from: "load" }, steps: 4 } };
    expect(differences(workflow(base), workflow({ ...base, sample }))).toEqual([
      { place: "sample.model", left: "→ load.model", right: "→ load" },
      { place: "sample.seed", left: "7", right: undefined },
      { place: "sample.steps", left: undefined, right: "4" },
    ]);
  });

  it("tells nodes that only one has", () => {
    const found = differences(workflow(base), workflow({ load: base.load }));
    expect(found).toEqual([{ place: "sample", left: "KSampler", right: undefined }]);
  });

  it("finds nothing between equals", () => {
    expect(differences(workflow(base), workflow(base))).toEqual([]);
  });
});

describe("literalsOf", () => {
  it("lists what isn't linked", () => {
    expect(literalsOf(workflow(base))).toEqual([
      { place: "load.model", value: "tiny" },
      { place: "sample.seed", value: "7" },
    ]);
  });

  it("has all digits of numbers that JavaScript can't hold, in lists too", () => {
    const text = `{"format": "nodegraph/1", "nodes": {"sample": {"type": "KSampler", "inputs": {
      "seed": 18446744073709551615, "more": [9007199254740993, 4.0, "a"], "map": {"a": 1}}}}}`;
    expect(literalsOf(readWorkflow(text)).map(({ value }) => value)).toEqual([
      "18446744073709551615",
      '[9007199254740993, 4.0, "a"]',
      '{"a": 1}',
    ]);
  });
});
