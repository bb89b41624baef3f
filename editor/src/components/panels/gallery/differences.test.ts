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
});
