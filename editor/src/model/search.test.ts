import { describe, expect, test } from "vitest";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { searchTypes, usedPort } from "./search";
import { emptyWorkflow } from "./workflow";

const types = builtInTypes();
const nothing = emptyWorkflow();

function names(query: string, options = {}) {
  return searchTypes(types, nothing, query, options).map((found) => found.spec.type);
}

describe("searching", () => {
  test.each([
    ["ksam", "KSampler"],
    ["sampler", "KSampler"],
    ["vae dec", "VAEDecode"],
    ["vd", "VAEDecode"],
    ["decode vae", "VAEDecode"],
    ["prompt", "EncodePrompt"],
    ["img2img", "VAEEncode"],
    ["checkpoint", "LoadModel"],
    ["svimg", "SaveImage"],
    ["smapler", "KSampler"],
    ["lod model", "LoadModel"],
    ["load model", "LoadModel"],
    ["resize", "ResizeImage"],
  ])("%s finds %s first", (query, type) => {
    expect(names(query)[0]).toBe(type);
  });

  test("without a query lists everything by label", () => {
    expect(names("")).toHaveLength(types.byName.size);
    expect(names("")[0]).toBe("AddNoise");
  });

  test("what matches nothing finds nothing", () => {
    expect(names("zzzz")).toEqual([]);
  });

  test("marks what matched in the label", () => {
    const found = searchTypes(types, nothing, "dec")[0];
    expect(found?.spec.label).toBe("VAE decode");
    expect(found?.matches).toEqual([[4, 7]]);
  });

  test("finds the workflow's own subgraphs", () => {
    const found = searchTypes(types, galleryWorkflow("prompt_walk"), "repaint");
    expect(found[0]?.spec.type).toBe("repaint");
  });
});

describe("a loose link", () => {
  test("from an output leads to what takes it, the exact type first", () => {
    const found = searchTypes(types, nothing, "", { accepts: "Latent" });
    expect(found[0]?.port).toBe("latent");
    expect(names("", { accepts: "Latent" })).toContain("VAEDecode");
    expect(names("", { accepts: "Latent" })).not.toContain("LoadImage");
    expect(names("", { accepts: "Latent" }).indexOf("VAEDecode")).toBeLessThan(
      names("", { accepts: "Latent" }).indexOf("Gate"),
    );
  });

  test("from an input leads to what gives it", () => {
    const vae = { gives: "Vae", ...from("VAEDecode.vae", "input") };
    const found = searchTypes(types, nothing, "", vae);
    expect(found[0]).toMatchObject({ spec: { type: "LoadModel" }, port: "vae" });
  });

  const from = (port: string, side: "input" | "output", family: string | null = null) => ({
    from: { port, side, family },
  });

  test("leads to what is linked there most often", () => {
    const model = { accepts: "DiffusionModel", ...from("LoadModel.model", "output") };
    expect(names("", model)[0]).toBe("KSampler");
    const latent = { accepts: "Latent", ...from("KSampler.latent", "output") };
    expect(names("", latent)[0]).toBe("VAEDecode");
    const image = { accepts: "Image", ...from("VAEDecode.image", "output") };
    expect(names("", image)[0]).toBe("SaveImage");
    const positive = { gives: "Conditioning", ...from("KSampler.positive", "input") };
    expect(names("", positive)[0]).toBe("EncodePrompt");
  });

  test("takes words before use", () => {
    const model = { accepts: "DiffusionModel", ...from("LoadModel.model", "output") };
    expect(names("load lora", model)[0]).toBe("LoadLora");
  });

  test("goes to the port that is used most for it", () => {
    const [decode] = searchTypes(types, nothing, "ksampler", {
      accepts: "Conditioning",
      ...from("EncodePrompt.conditioning", "output"),
    });
    expect(decode?.port).toBe("positive");
  });

  test("knows the family of the model that its node is led by", () => {
    const workflow = galleryWorkflow("text_to_image");
    const [node = ""] = [...workflow.nodes].flatMap(([name, { type }]) =>
      type === "KSampler" ? [name] : [],
    );
    const end = { side: "input", from: { node, port: "positive" } } as const;
    const found = usedPort(types, workflow, null, end, new Map([["tiny", "sd1"]]));
    expect(found).toEqual({ side: "input", port: "KSampler.positive", family: "sd1" });
  });

  test("may be converted on its way", () => {
    const found = searchTypes(types, nothing, "load image", { accepts: "Mask" });
    expect(found).toEqual([]);
    const saved = searchTypes(types, nothing, "save image", { accepts: "Mask" })[0];
    expect(saved?.fit).toMatchObject({ conversion: "mask_to_image" });
  });
});
