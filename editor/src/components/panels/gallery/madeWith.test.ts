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

  const whole = { type: "int", default: 0 };
  const linked = (type: string) => ({ type, default: null, json_schema: null });
  const SPECS: Record<string, { inputs: Record<string, object>; output: string; of?: string }> = {
    KSampler: {
      inputs: {
        latent: linked("Latent"),
        seed: whole,
        steps: { default: 20 },
        cfg: { default: 7 },
      },
      output: "Latent",
      of: "sampling",
    },
    SampleCustom: {
      inputs: {
        noise: linked("Noise"),
        schedule: linked("Schedule"),
        guider: linked("Guider"),
        sampler: linked("Sampler"),
        latent: linked("Latent"),
      },
      output: "Latent",
      of: "sampling",
    },
    SampleDecoder: {
      inputs: { model: linked("Model"), seed: whole },
      output: "Latent",
      of: "sampling",
    },
    AttentionMaps: {
      inputs: { latent: linked("Latent"), seed: whole },
      output: "Mask",
      of: "sampling",
    },
    FineTune: { inputs: { seed: whole, steps: { default: 500 } }, output: "Model", of: "training" },
    Pipeline: {
      inputs: { image: linked("Image"), seed: whole, num_inference_steps: { default: 50 } },
      output: "Image",
      of: "pipelines/image",
    },
    RandomNoise: { inputs: { seed: whole }, output: "Noise" },
    ScaleNoise: { inputs: { noise: linked("Noise"), strength: { default: 1 } }, output: "Noise" },
    KarrasSchedule: { inputs: { steps: { default: 30 } }, output: "Schedule" },
    SetFirstLevel: { inputs: { schedule: linked("Schedule") }, output: "Schedule" },
    CFGGuider: { inputs: { cfg: { default: 5 } }, output: "Guider" },
    RescaleGuidance: { inputs: { guider: linked("Guider") }, output: "Guider" },
    SelectSampler: {
      inputs: { sampler: { default: "euler" }, eta: { default: 1 } },
      output: "Sampler",
    },
    Integer: { inputs: { value: whole }, output: "int" },
    Seed: { inputs: { seed: whole, offset: whole }, output: "int" },
    RandomNumber: { inputs: { seed: whole, low: { default: 0 } }, output: "int" },
    Repeat: {
      inputs: {
        state: linked("Any"),
        body: {
          body: { inputs: { state: "state" }, outputs: { state: ["state"] }, passes_on: true },
        },
      },
      output: "Any",
    },
  };
  const specOf: SpecOf = (entry) => {
    const spec = SPECS[entry.type];
    if (spec === undefined) return null;
    const inputs = Object.entries(spec.inputs).map(([name, rest]) => ({
      name,
      body: null,
      ...rest,
    }));
    const outputs = [{ name: "", type: spec.output }];
    return { inputs, outputs, category: spec.of ?? "" } as unknown as NodeSpec;
  };
  const told = (nodes: object, node: string, rest: object = {}) =>
    madeWith(
      readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes, ...rest })),
      node,
      specOf,
    ).map(({ name, value }) => `${name} ${value}`);

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

  const CUSTOM = {
    noise: { type: "RandomNoise", inputs: { seed: 7 } },
    scaled: { type: "ScaleNoise", inputs: { noise: { from: "noise" } } },
    levels: { type: "KarrasSchedule", inputs: {} },
    late: { type: "SetFirstLevel", inputs: { schedule: { from: "levels" } } },
    guide: { type: "CFGGuider", inputs: { cfg: 3 } },
    rescaled: { type: "RescaleGuidance", inputs: { guider: { from: "guide" } } },
    method: { type: "SelectSampler", inputs: { sampler: "heun" } },
  };
  const custom = (noise: string, schedule: string, guider: string) => ({
    type: "SampleCustom",
    inputs: {
      noise: { from: noise },
      schedule: { from: schedule },
      guider: { from: guider },
      sampler: { from: "method" },
      latent: { from: "first" },
    },
  });

  it("tells what links bring: numbers, noise, levels, a guider, a sampler", () => {
    const nodes = {
      ...CUSTOM,
      number: { type: "Integer", inputs: { value: 9 } },
      first: { type: "KSampler", inputs: { seed: { from: "number" }, steps: 3 } },
      custom: custom("noise", "levels", "guide"),
      changed: custom("scaled", "late", "rescaled"),
    };
    expect(told(nodes, "first")).toEqual(["seed 9", "steps 3", "cfg 7"]);
    expect(told(nodes, "custom")).toEqual(["seed 7", "steps 30", "cfg 3", "sampler heun"]);
    expect(told(nodes, "changed")).toEqual(["seed 7", "steps 30", "cfg 3", "sampler heun"]);
  });

  it("tells the seed that a Seed node gives, by the name of its parameter", () => {
    const nodes = {
      shared: { type: "Seed", inputs: { seed: 9, offset: 3 } },
      image: { type: "KSampler", inputs: { seed: { from: "shared" } } },
    };
    expect(told(nodes, "image")).toEqual(["seed 12", "steps 20", "cfg 7"]);
    const parameters = { "my seed": "shared.seed" };
    expect(told(nodes, "image", { parameters })[0]).toBe("my seed 12");
  });

  it("tells nothing rather than what isn't the value, or is another sampling's", () => {
    const nodes = {
      base: { type: "KSampler", inputs: { seed: 1, steps: 4 } },
      drawn: { type: "RandomNumber", inputs: { seed: 5 } },
      refine: {
        type: "KSampler",
        inputs: { seed: { from: "drawn" }, latent: { from: "base" } },
      },
    };
    expect(told(nodes, "refine")).toEqual(["steps 20", "cfg 7"]);
    const parameters = { seed: "base.seed" };
    expect(told(nodes, "refine", { parameters })).toEqual(["steps 20", "cfg 7", "base.seed 1"]);
  });

  it("takes what samples by what it is, and none that is muted or bypassed", () => {
    const nodes = {
      train: { type: "FineTune", inputs: { seed: 4 } },
      decoder: { type: "SampleDecoder", inputs: { model: { from: "train" }, seed: 6 } },
      skipped: {
        type: "KSampler",
        mode: "bypass",
        inputs: { seed: 8, latent: { from: "decoder" } },
      },
      maps: { type: "AttentionMaps", inputs: { latent: { from: "skipped" }, seed: 2 } },
      pipeline: { type: "Pipeline", inputs: { image: { from: "maps" }, seed: 3 } },
    };
    expect(told(nodes, "maps")).toEqual(["seed 6"]);
    expect(told(nodes, "pipeline")).toEqual(["seed 3", "num_inference_steps 50"]);
    expect(told(nodes, "train")).toEqual(["seed 4", "steps 500"]);
  });

  it("sees through blocks, and through those that run in loops", () => {
    const refine = {
      inputs: { state: { to: ["sample.latent"] }, seed: { to: ["sample.seed"] } },
      outputs: { state: "sample" },
      nodes: {
        sample: { type: "KSampler", inputs: { steps: 12 } },
        keep: { type: "SaveImage", inputs: { image: { from: "sample" } } },
      },
    };
    const nodes = {
      base: { type: "KSampler", inputs: { seed: 1, steps: 4 } },
      loop: {
        type: "Repeat",
        inputs: { state: { from: "base" }, body: "refine", seed: { from: "noise.seed" } },
      },
      noise: { type: "Integer", inputs: { value: 5 } },
      block: { type: "refine", inputs: { state: { from: "base" }, seed: 2 } },
      save: { type: "SaveImage", inputs: { image: { from: "block.state" } } },
      last: { type: "SaveImage", inputs: { image: { from: "loop" } } },
    };
    const rest = { subgraphs: { refine } };
    expect(told(nodes, "save", rest)).toEqual(["seed 2", "steps 12", "cfg 7"]);
    expect(told(nodes, "block/keep[1]", rest)).toEqual(["seed 2", "steps 12", "cfg 7"]);
    expect(told(nodes, "loop[2]/keep", rest)).toEqual(["seed 5", "steps 12", "cfg 7"]);
    expect(told(nodes, "last", rest)).toEqual(["seed 5", "steps 12", "cfg 7"]);
    const parameters = { seed: "block.seed" };
    expect(told(nodes, "save", { ...rest, parameters })).toEqual(["seed 2", "steps 12", "cfg 7"]);
  });
});
