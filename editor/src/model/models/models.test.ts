import { describe, expect, it } from "vitest";
import { modelEntry } from "@/test/models";
import { builtInTypes, galleryWorkflow } from "../fixtures";
import { fromPlain, toPlain } from "../json";
import { workflowFromJson } from "../workflow";
import {
  addLoader,
  chooseModel,
  facetsOf,
  libraryOf,
  modelIn,
  modelInput,
  modelKind,
  modelTitle,
  NO_FILTER,
  onlyLoader,
  type Suits,
} from ".";

const types = builtInTypes();
const TINY = suits({ width: 128, height: 128, steps: 20, guidance: 4, sampler: "dpmpp_2m" });
const XL = suits({ width: 1024, height: 1024, steps: 28, guidance: 6, schedule: "karras" });

function suits(more: Partial<Suits>): Suits {
  const none = { width: null, height: null, steps: null, guidance: null };
  return { ...none, sampler: null, schedule: null, ...more };
}

const of = (name: string) => ({ tiny: TINY, "xl.safetensors": XL })[name] ?? null;

function chosen(nodes: object, name = "xl.safetensors") {
  const workflow = workflowFromJson(fromPlain({ format: "nodegraph/1", nodes }));
  const found = chooseModel(
    { workflow, scope: null, types },
    { node: "load", port: "model" },
    name,
    of,
  );
  const value = (node: string, port: string) =>
    toPlain(found.workflow.nodes.get(node)?.inputs.get(port) ?? null);
  return { ...found, value };
}

const GRAPH = {
  load: { type: "LoadModel", inputs: {} },
  lora: { type: "LoadLora", inputs: { model: { from: "load.model" } } },
  size: { type: "EmptyLatent", inputs: {} },
  sample: {
    type: "KSampler",
    inputs: { model: { from: "lora.model" }, latent: { from: "size" }, steps: 33 },
  },
};

describe("choosing a model", () => {
  it("sets what stands at its default behind the loader, through LoRAs", () => {
    const { value, set } = chosen(GRAPH);
    expect(value("load", "model")).toBe("xl.safetensors");
    expect([value("size", "width"), value("size", "height")]).toEqual([1024, 1024]);
    expect(value("sample", "cfg")).toBe(6);
    expect(set.map(({ what }) => what)).not.toContain("steps");
  });

  it("leaves what somebody has set, and what is linked", () => {
    const { value } = chosen({
      ...GRAPH,
      number: { type: "Integer", inputs: { value: 640 } },
      size: { type: "EmptyLatent", inputs: { width: 777, height: { from: "number" } } },
    });
    expect(value("sample", "steps")).toBe(33);
    expect(value("size", "width")).toBe(777);
    expect(value("size", "height")).toEqual({ from: "number" });
  });

  it("sets anew what suited the model before", () => {
    const workflow = galleryWorkflow("text_to_image");
    const found = chooseModel(
      { workflow, scope: null, types },
      { node: "load", port: "model" },
      "xl.safetensors",
      of,
    );
    const size = found.workflow.nodes.get("size")?.inputs;
    expect([...(size?.values() ?? [])].map(String)).toEqual(["1024", "1024"]);
    const back = chooseModel(
      { workflow: found.workflow, scope: null, types },
      { node: "load", port: "model" },
      "tiny",
      of,
    );
    expect(String(back.workflow.nodes.get("size")?.inputs.get("width"))).toBe("128");
  });

  it("sets nothing for a model of which nothing is known", () => {
    const { set, value } = chosen(GRAPH, "other.safetensors");
    expect(set).toEqual([]);
    expect(value("load", "model")).toBe("other.safetensors");
  });
});

describe("the library", () => {
  const ink = modelEntry("loras/ink_v2.safetensors", {
    use: "lora",
    node: "LoadLora",
    trigger_words: ["ink drawing"],
    tags: ["drawing"],
    stars: 4,
    added: 20,
    bytes: 5,
  });
  const xl = modelEntry("sdxl.safetensors", {
    title: "Big one",
    family: "sdxl",
    used: 9,
    added: 10,
    duplicates: ["copy.safetensors"],
  });
  const vae = modelEntry("vae.safetensors", { node: "LoadVae", family: null });
  const all = [vae, xl, ink];
  const names = (filter: object, sort: "name" | "added" | "used" | "size" = "name") =>
    libraryOf(all, { ...NO_FILTER, ...filter }, sort).map(modelTitle);

  it("is called by its folder where its file has no name of its own", () => {
    const title = (name: string) => modelTitle({ name, title: null });
    expect(title("clipseg/model.safetensors")).toBe("clipseg");
    expect(title("ink/pytorch_lora_weights.safetensors")).toBe("ink");
    expect(title("sd/ink.safetensors")).toBe("ink");
    expect(title("model.safetensors")).toBe("model");
  });

  it("is found by its folder", () => {
    const models = [{ name: "ink.safetensors" }, { name: "clipseg/model.safetensors" }];
    expect(modelIn(models, "clipseg")).toBe(models[1]);
    expect(modelIn(models, "ink.safetensors")).toBe(models[0]);
    expect(modelIn(models, "clip")).toBeNull();
  });

  it("is searched by all words, in whatever is known", () => {
    expect(names({ text: "INK drawing" })).toEqual(["ink_v2"]);
    expect(names({ text: "big" })).toEqual(["Big one"]);
  });

  it("is filtered", () => {
    expect(names({ kind: "lora" })).toEqual(["ink_v2"]);
    expect(names({ family: "sdxl" })).toEqual(["Big one"]);
    expect(names({ tag: "drawing", stars: 4 })).toEqual(["ink_v2"]);
    expect(names({ stars: 5 })).toEqual([]);
    expect(names({ only: "unused" })).toEqual(["ink_v2", "vae"]);
    expect(names({ only: "duplicates" })).toEqual(["Big one"]);
  });

  it("is sorted, what isn't known last", () => {
    expect(names({}, "added")).toEqual(["ink_v2", "Big one", "vae"]);
    expect(names({}, "used")[0]).toBe("Big one");
    expect(names({}, "size").at(-1)).toBe("ink_v2");
  });

  it("offers the kinds, families and tags that there are", () => {
    expect(facetsOf(all)).toEqual({
      kinds: ["model", "lora", "vae"],
      families: ["sd1", "sdxl"],
      tags: ["drawing"],
    });
    expect(modelKind({ node: "pack:Loader", use: "model" })).toBe("other");
  });
});

describe("loaders", () => {
  const workflow = workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: GRAPH }));
  const ground = { workflow, scope: null, types };
  const model = modelEntry("new.safetensors");

  it("take models of their kind", () => {
    expect(modelInput(ground, "load", model)).toEqual({ node: "load", port: "model" });
    expect(modelInput(ground, "sample", model)).toBeNull();
    expect(modelInput(ground, "load", modelEntry("v", { node: "LoadVae" }))).toBeNull();
    expect(onlyLoader(ground, model)).toEqual({ node: "load", port: "model" });
  });

  it("are added, for the family where they ask for it", () => {
    const encoder = modelEntry("t5.safetensors", { node: "LoadTextEncoder", family: "flux" });
    const added = addLoader(ground, encoder, { x: 1, y: 2 });
    const entry = added?.workflow.nodes.get(added.at.node);
    expect(entry?.type).toBe("LoadTextEncoder");
    expect(entry?.inputs.get("family")).toBe("flux");
    expect(addLoader(ground, modelEntry("x", { node: null }), { x: 0, y: 0 })).toBeNull();
  });
});
