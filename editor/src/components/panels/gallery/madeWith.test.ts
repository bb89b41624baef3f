import { describe, expect, it } from "vitest";
import type { NodeSpec } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { madeWith, type SpecOf } from "./madeWith";

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

  const DEFAULTS: Record<string, Record<string, unknown>> = {
    KSampler: { seed: 0, steps: 20, cfg: 7, latent: null },
    SampleCustom: { noise: null, schedule: null, guider: null, latent: null },
    RandomNoise: { seed: 0 },
    Levels: { steps: 30 },
    Guide: { cfg: 5 },
    Seed: { value: 0 },
  };
  const specOf: SpecOf = (entry) => {
    const inputs = Object.entries(DEFAULTS[entry.type] ?? {});
    return {
      inputs: inputs.map(([name, value]) => ({ name, default: value })),
    } as unknown as NodeSpec;
  };
  const told = (nodes: object, node: string) =>
    madeWith(readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes })), node, specOf).map(
      ({ name, value }) => `${name} ${value}`,
    );

  it("tells defaults of the nearest sampling, never values of another", () => {
    const nodes = {
      base: { type: "KSampler", inputs: { seed: 1, steps: 4, cfg: 2 } },
      refine: { type: "KSampler", inputs: { seed: 2, latent: { from: "base" } } },
      save: { type: "SaveImage", inputs: { image: { from: "refine" } } },
    };
    expect(told(nodes, "save")).toEqual(["seed 2", "steps 20", "cfg 7"]);
    const alone = { only: { type: "KSampler", inputs: {} } };
    expect(told(alone, "only")).toEqual(["seed 0", "steps 20", "cfg 7"]);
  });

  it("tells what links bring: a number's node, noise, levels, a guider", () => {
    const nodes = {
      number: { type: "Seed", inputs: { value: 9 } },
      first: { type: "KSampler", inputs: { seed: { from: "number" }, steps: 3 } },
      noise: { type: "RandomNoise", inputs: { seed: 7 } },
      levels: { type: "Levels", inputs: {} },
      guide: { type: "Guide", inputs: { cfg: 3 } },
      custom: {
        type: "SampleCustom",
        inputs: {
          noise: { from: "noise" },
          schedule: { from: "levels" },
          guider: { from: "guide" },
          latent: { from: "first" },
        },
      },
    };
    expect(told(nodes, "first")).toEqual(["seed 9", "steps 3", "cfg 7"]);
    expect(told(nodes, "custom")).toEqual(["seed 7", "steps 30", "cfg 3"]);
  });
});
