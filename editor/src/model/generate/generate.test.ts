import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { builtInTypes, galleryWorkflow } from "../fixtures";
import { ExactNumber } from "../json";
import { linkOf, literalOf, parseLink } from "../links";
import { inputOf, outputOf } from "../spec";
import { checkValue } from "../widgets";
import { readWorkflow, type Workflow, writeWorkflow } from "../workflow";
import {
  DEFAULT_SETTINGS,
  faceDetector,
  fieldOf,
  foregroundModel,
  type GenerateSettings,
  type Ground,
  type InstalledModel,
  lackingFor,
  modelFault,
  promptsOf,
  RATIOS,
  ratioOf,
  ratioOfSize,
  seedAfter,
  settingsFrom,
  settingsOf,
  sizeFor,
  TASKS,
  usualOf,
  workflowOf,
} from ".";
import SIZES from "./familySizes.json";

function model(name: string, more: Partial<InstalledModel> = {}): InstalledModel {
  const use = more.node === "LoadLora" ? "lora" : "model";
  return { name, family: null, node: "LoadModel", use, part: null, problem: null, ...more };
}

const TINY = model("tiny", { family: "sd1", kind: "embedded" });
const FLUX = model("flux.gguf", {
  family: "flux",
  node: "LoadDiffusionModel",
  part: "the transformer of Flux.1",
});
const CLIPSEG = model("clipseg", {
  node: "LoadVisionModel",
  part: "a vision model (CLIPSegForImageSegmentation)",
});
const BIREFNET = model("birefnet.safetensors", {
  node: "LoadVisionModel",
  part: "a model that masks the foreground",
});
const UPSCALER = model("tiny/upscaler", { node: "LoadUpscaleModel" });
const MODELS = [TINY, FLUX, UPSCALER];

function ground(models: readonly InstalledModel[] = MODELS): Ground {
  return { types: builtInTypes(), models };
}

function settings(more: Partial<GenerateSettings> = {}): GenerateSettings {
  return { ...DEFAULT_SETTINGS, prompt: "a red apple", ...more };
}

/** What is wrong with a workflow: unknown types, inputs, outputs, values, and what isn't given. */
function faults(workflow: Workflow): readonly string[] {
  const { byName } = builtInTypes();
  const found: string[] = [];
  for (const [name, entry] of workflow.nodes) {
    const spec = byName.get(entry.type);
    if (!spec) {
      found.push(`${name}: no type ${entry.type}`);
      continue;
    }
    for (const [port, written] of entry.inputs) {
      const input = inputOf(spec, port);
      const link = linkOf(written);
      if (input === null) found.push(`${name}.${port}: no such input`);
      else if (link !== null) found.push(...linkFaults(workflow, `${name}.${port}`, link.node));
      else if (checkValue(input, literalOf(written) ?? null) !== null)
        found.push(`${name}.${port}: ${checkValue(input, literalOf(written) ?? null)}`);
    }
    const lacks = spec.inputs.filter(
      ({ required, name: port }) => required && !entry.inputs.has(port),
    );
    found.push(...lacks.map((input) => `${name}.${input.name} isn't given`));
  }
  for (const [name, { input }] of workflow.parameters) {
    const target = parseLink(input);
    if (!workflow.nodes.get(target?.node ?? "")?.inputs.has(target?.port ?? ""))
      found.push(`parameter ${name}: no ${input}`);
  }
  return found;

  function linkFaults(w: Workflow, at: string, node: string): readonly string[] {
    const source = w.nodes.get(node);
    const spec = byName.get(source?.type ?? "");
    const link = linkOf(w.nodes.get(at.split(".")[0] ?? "")?.inputs.get(at.split(".")[1] ?? ""));
    if (!spec || !link || outputOf(spec, link.port) === null) return [`${at}: bad link to ${node}`];
    return [];
  }
}

const names = fc.constantFrom("tiny", "flux.gguf", "my/model.safetensors");
const someText = fc.string({ maxLength: 20 });
const styles = fc.array(
  fc.record({
    name: fc.string({ minLength: 1, maxLength: 8 }),
    prompt: fc.oneof(
      someText,
      someText.map((text) => `${text} {prompt}`),
    ),
    negative: someText,
  }),
  { maxLength: 2 },
);
const decimals = (max: number) => fc.integer({ min: 0, max: max * 100 }).map((n) => n / 100);

const anySettings: fc.Arbitrary<GenerateSettings> = fc.record({
  prompt: fc.string({ unit: "grapheme", maxLength: 40 }),
  negative: fc.oneof(fc.constant(""), someText),
  styles,
  model: names,
  encoders: fc.array(fc.constantFrom("clip_l", "t5xxl"), { minLength: 1, maxLength: 2 }),
  vae: fc.constantFrom("", "ae.safetensors"),
  loras: fc.array(fc.record({ name: fc.constantFrom("a", "b"), strength: decimals(2) }), {
    maxLength: 3,
  }),
  embeddings: fc.array(fc.constantFrom("easy", "bad-hands"), { maxLength: 2 }),
  width: fc.integer({ min: 8, max: 256 }).map((n) => n * 8),
  height: fc.integer({ min: 8, max: 256 }).map((n) => n * 8),
  count: fc.integer({ min: 1, max: 16 }),
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  isRandom: fc.boolean(),
  steps: fc.integer({ min: 1, max: 100 }),
  cfg: decimals(20),
  sampler: fc.constantFrom("euler", "dpmpp_2m", "lcm"),
  schedule: fc.constantFrom("karras", "simple"),
  clipSkip: fc.constantFrom(null, 2),
  guidance: fc.oneof(fc.constant(null), decimals(10)),
  convention: fc.constantFrom("", "comfyui"),
  draw: fc.constantFrom("", "per batch"),
  start: fc.oneof(
    fc.constant(null),
    fc.record({ value: fc.constantFrom("upload:1", "apple.png"), isMasked: fc.boolean() }),
  ),
  strength: decimals(1),
  hires: fc.oneof(
    fc.constant(null),
    fc.record({
      factor: fc.constantFrom(1.5, 2),
      denoise: decimals(1),
      upscaler: fc.constantFrom("", "tiny/upscaler"),
      method: fc.constant(""),
      steps: fc.constant(null),
      runsAll: fc.boolean(),
    }),
  ),
});

describe("a workflow of settings", () => {
  test("is of known node types, whole, and the same again as its settings are read", () => {
    fc.assert(
      fc.property(anySettings, fc.constantFrom(...TASKS), (some, task) => {
        const here = ground([...MODELS, CLIPSEG, BIREFNET]);
        const wanted = task === "image" ? some : { ...some, start: some.start ?? START };
        const made = workflowOf(wanted, here, { task });
        // What a model that comes in parts lacks, the page tells.
        if (modelFault(wanted, here) === null) expect(faults(made)).toEqual([]);
        const read = settingsOf(readWorkflow(writeWorkflow(made)));
        if (read === null) throw new Error("it can't be read");
        expect(read.prompt).toBe(wanted.prompt);
        expect(read.styles).toEqual(wanted.styles);
        if (task !== "image") return;
        expect(writeWorkflow(workflowOf(read, here))).toBe(writeWorkflow(made));
      }),
    );
  });

  // tests/diffusion/families/test_generate_page.py runs them with a model of each family.
  const FAMILY_WORKFLOWS = "../../../../tests/diffusion/families/page_workflows.json";
  test("is kept for a model of each family, as the server's tests run it", async () => {
    const made = Object.keys(SIZES).map((family) => {
      const whole = model("MODEL", { family });
      const usual = usualOf(family === "tiny" ? "sd1" : family);
      const some = settings({ model: "MODEL", ...usual, seed: "3", isRandom: false });
      return [family, JSON.parse(writeWorkflow(workflowOf(some, ground([whole]))))];
    });
    const text = `${JSON.stringify(Object.fromEntries(made), null, 1)}\n`;
    await expect(text).toMatchFileSnapshot(FAMILY_WORKFLOWS);
  });

  const START = { value: "apple.png", isMasked: false };

  test("has the nodes of the gallery's text to image", () => {
    const made = workflowOf(settings({ seed: "7", loras: [] }), ground());
    const known = galleryWorkflow("text_to_image");
    expect([...made.nodes.keys()].sort()).toEqual([...known.nodes.keys()].sort());
    for (const [name, { type }] of known.nodes) expect(made.nodes.get(name)?.type).toBe(type);
    expect([...made.parameters.keys()]).toEqual([
      "prompt",
      "width",
      "height",
      "seed",
      "steps",
      "cfg",
    ]);
  });

  test("reads the gallery's text to image, too", () => {
    expect(settingsOf(galleryWorkflow("text_to_image"))).toMatchObject({
      prompt: "a red apple on a white background",
      model: "tiny",
      width: 128,
      seed: "7",
      cfg: 4,
      isRandom: false,
    });
    // Others are of other nodes, or of none that the page knows.
    expect(settingsOf(galleryWorkflow("xy_grid"))).toBeNull();
    expect(settingsOf(readWorkflow('{"format": "nodegraph/1", "nodes": {}}'))).toBeNull();
  });

  test("puts LoRAs one after the other, on the text encoder too", () => {
    const loras = [
      { name: "first", strength: 0.5 },
      { name: "second", strength: 1 },
    ];
    const { nodes } = workflowOf(settings({ loras, embeddings: ["easy"] }), ground());
    const from = (node: string, port: string) => linkOf(nodes.get(node)?.inputs.get(port));
    expect(from("lora", "model")).toEqual({ node: "load", port: "model" });
    expect(from("lora_2", "model")).toEqual({ node: "lora", port: "model" });
    expect(from("sample", "model")).toEqual({ node: "lora_2", port: "model" });
    expect(from("embedding", "text_encoder")).toEqual({ node: "lora_2", port: "text_encoder" });
    expect(from("positive", "encoder")).toMatchObject({ node: "embedding" });
  });

  test("leaves the negative prompt out where there is none", () => {
    expect(workflowOf(settings(), ground()).nodes.has("negative")).toBe(false);
    const { nodes } = workflowOf(settings({ negative: "blurry" }), ground());
    expect(linkOf(nodes.get("sample")?.inputs.get("negative"))?.node).toBe("negative");
  });

  test("loads text encoder and VAE of a model that comes without", () => {
    const parts = { model: "flux.gguf", encoders: ["clip_l", "t5xxl"], vae: "ae" };
    const { nodes } = workflowOf(settings(parts), ground());
    expect(nodes.get("load")?.type).toBe("LoadDiffusionModel");
    expect(nodes.get("encoder")?.inputs.get("family")).toBe("flux");
    expect(nodes.get("encoder")?.inputs.get("file_2")).toBe("t5xxl");
    expect(linkOf(nodes.get("decode")?.inputs.get("vae"))?.node).toBe("vae");
  });

  test("holds seeds of 64 bits", () => {
    const { nodes } = workflowOf(settings({ seed: "18446744073709551615" }), ground());
    expect(nodes.get("sample")?.inputs.get("seed")).toEqual(
      new ExactNumber("18446744073709551615"),
    );
    expect(seedAfter("18446744073709551615", 1)).toBe("0");
  });

  test("keeps what is written in a prompt that was edited in the graph", () => {
    const style = { name: "film", prompt: "a film still of {prompt}", negative: "" };
    const made = workflowOf(settings({ styles: [style] }), ground());
    expect(promptsOf(settings({ styles: [style] })).positive).toBe("a film still of a red apple");
    expect(settingsOf(made)).toMatchObject({ prompt: "a red apple", styles: [style] });
    const entry = made.nodes.get("positive");
    if (!entry) throw new Error("no prompt");
    const inputs = new Map(entry.inputs).set("text", "a green apple");
    const edited = { ...made, nodes: new Map(made.nodes).set("positive", { ...entry, inputs }) };
    expect(settingsOf(edited)).toMatchObject({ prompt: "a green apple", styles: [] });
  });
});

describe("settings", () => {
  test("come from whatever was kept", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (stored) => {
        expect(settingsFrom(settingsFrom(stored))).toEqual(settingsFrom(stored));
      }),
    );
    expect(
      settingsFrom({ width: "wide", steps: -4, seed: "x", loras: [{}, { name: "a" }] }),
    ).toEqual({
      ...DEFAULT_SETTINGS,
      steps: 1,
      loras: [{ name: "a", strength: 1 }],
    });
  });

  test("know the field of a problem", () => {
    const problems = [
      ["load", "model", "model"],
      ["lora_2", "lora", "loras"],
      ["sample", "steps", "steps"],
      ["size", "width", "size"],
      ["picture", "path", "start"],
      ["save", "name", null],
    ] as const;
    for (const [node, port, field] of problems) expect(fieldOf({ node, port })).toBe(field);
  });
});

describe("models", () => {
  test("say what they lack", () => {
    const choice = (name: string, parts: Partial<GenerateSettings> = {}) =>
      modelFault(settings({ model: name, ...parts }), ground([...MODELS, FILM, SHAPES]));
    expect(choice("tiny")).toBeNull();
    expect(choice("")).toBe("none");
    expect(choice("gone")).toBe("missing");
    expect(choice("shapes")).toBe("unusable");
    expect(choice("film")).toBe("films");
    expect(choice("flux.gguf")).toBe("encoder");
    expect(choice("flux.gguf", { encoders: ["t5xxl"] })).toBe("vae");
    expect(choice("flux.gguf", { encoders: ["t5xxl"], vae: "ae" })).toBeNull();
  });

  const FILM = model("film", { family: "wan", node: "LoadDiffusionModel" });
  const SHAPES = model("shapes", { family: "shapes", node: "LoadDiffusionModel" });

  test("of tasks say what the server lacks", () => {
    expect(lackingFor("face", ground())).toBe("detector");
    expect(lackingFor("face", ground([...MODELS, CLIPSEG]))).toBeNull();
    expect(lackingFor("upscale", ground([TINY]))).toBe("upscaler");
    expect(lackingFor("cutout", ground([TINY]))).toBeNull();
    const types = { ...builtInTypes(), byName: new Map() };
    expect(lackingFor("image", { types, models: MODELS })).toBe("nodes");
  });

  test("of vision are told apart by what they do", () => {
    const node = "LoadVisionModel";
    const yolos = model("yolos", { node, part: "a vision model (YolosForObjectDetection)" });
    const depth = model("depth", { node, part: "a vision model (DPTForDepthEstimation)" });
    expect(faceDetector([depth])).toBeNull();
    expect(faceDetector([depth, yolos])).toEqual({ name: "yolos", by: "boxes" });
    expect(faceDetector([yolos, CLIPSEG])).toEqual({ name: "clipseg", by: "text" });
    expect(foregroundModel([depth, yolos])).toBeNull();
    expect(foregroundModel([depth, BIREFNET])).toBe("birefnet.safetensors");
    const folder = model("rmbg", { node, part: "a vision model (U2Net)" });
    expect(foregroundModel([folder])).toBe("rmbg");
  });

  test("have sizes by ratio", () => {
    expect(sizeFor("tiny", 1)).toEqual({ width: 128, height: 128 });
    expect(sizeFor("sdxl", ratioOf("3:2"))).toEqual({ width: 1216, height: 832 });
    expect(sizeFor("qwen-image", ratioOf("16:9"))).toEqual({ width: 1664, height: 928 });
    expect(sizeFor("sdxl", 1 / ratioOf("3:2"))).toEqual({ width: 832, height: 1216 });
    for (const ratio of RATIOS) {
      expect(ratioOfSize("sdxl", sizeFor("sdxl", ratioOf(ratio)))).not.toBeNull();
    }
    expect(ratioOfSize("sd1", { width: 500, height: 500 })).toBeNull();
    expect(usualOf("tiny")).toMatchObject({ width: 128, cfg: 4, sampler: "dpmpp_2m" });
    expect(usualOf("something new")).toMatchObject({ width: 1024, sampler: "euler" });
  });
});
