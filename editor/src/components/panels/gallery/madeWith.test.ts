import { describe, expect, it } from "vitest";
import { readWorkflow } from "@/model/workflow";
import { madeWith } from "./madeWith";

function sampler(seed: number, latent: string) {
  return { type: "KSampler", inputs: { latent: { from: latent }, seed, steps: 4, cfg: 2 } };
}

const workflow = readWorkflow(
  JSON.stringify({
    format: "nodegraph/1",
    nodes: {
      empty: { type: "EmptyLatent", inputs: { width: 128 } },
      first: sampler(1, "empty"),
      second: sampler(2, "first"),
      other: sampler(3, "empty"),
      save: { type: "SaveImage", inputs: { image: { from: "second" } } },
      sketch: { type: "SaveImage", inputs: { image: { from: "other" }, name: "sketch" } },
    },
    parameters: {
      width: "empty.width",
      seed: "first.seed",
      "another seed": "other.seed",
      name: "sketch.name",
    },
  }),
);

function texts(node: string) {
  return madeWith(workflow, node).map(({ name, value }) => `${name} ${value}`);
}

describe("madeWith", () => {
  it("begins with the nearest sampling and leaves out what others were made with", () => {
    expect(texts("save")).toEqual(["seed 2", "steps 4", "cfg 2", "first.seed 1", "width 128"]);
    expect(texts("sketch[3]")).toEqual([
      "another seed 3",
      "steps 4",
      "cfg 2",
      "name sketch",
      "width 128",
    ]);
  });

  it("knows parameters of a node that is there no more", () => {
    expect(texts("gone")).toEqual(["width 128", "seed 1", "another seed 3", "name sketch"]);
  });
});
