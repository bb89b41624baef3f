import { describe, expect, it } from "vitest";
import { builtInTypes } from "./fixtures";
import { searchTypes } from "./search";
import { categoryOf, inputOf, labelOf, type NodeTypes, portLabel } from "./spec";
import { withNames } from "./translatedTypes";
import { emptyWorkflow } from "./workflow";

const GERMAN = withNames(builtInTypes(), {
  types: { LoadImage: "Bild laden", SaveImage: "Bild speichern", VAEDecode: "VAE-Dekodierung" },
  categories: { image: "Bild", filter: "Filter" },
  ports: { "": { latent: "Latent", sampler_name: "Sampler" }, other: { image: "Foto" } },
});
const JAPANESE = withNames(builtInTypes(), {
  types: { LoadImage: "画像を読み込む", SaveImage: "画像を保存", ResizeImage: "画像のサイズ変更" },
  categories: { image: "画像" },
  ports: { "": { seed: "シード" } },
});

function typed(types: NodeTypes, query: string): readonly string[] {
  return searchTypes(types, emptyWorkflow(), query).map(({ spec }) => spec.type);
}

function specOf(types: NodeTypes, type: string) {
  const spec = types.byName.get(type);
  if (spec === undefined) throw new Error(`no ${type}`);
  return spec;
}

describe("node types in a language", () => {
  it("show its names and keep the English ones that workflows have", () => {
    const spec = specOf(GERMAN, "VAEDecode");
    const port = inputOf(spec, "latent");
    expect([labelOf(spec), spec.englishLabel]).toEqual(["VAE-Dekodierung", "VAE decode"]);
    expect([port?.name, port && portLabel(port)]).toEqual(["latent", "Latent"]);
    expect(specOf(GERMAN, "LoadImage").category).toBe("image");
    expect(categoryOf(specOf(GERMAN, "LoadImage"))).toBe("Bild");
  });

  it("stay English where there is no translation", () => {
    const spec = specOf(GERMAN, "KSampler");
    expect([labelOf(spec), categoryOf(spec)]).toEqual(["KSampler", "sampling"]);
    expect(spec).not.toHaveProperty("englishLabel");
    const port = inputOf(spec, "seed");
    expect(port && portLabel(port)).toBe("seed");
  });

  it("take names of ports from their own pack alone", () => {
    const port = specOf(GERMAN, "SaveImage").inputs.find(({ type }) => type.includes("Image"));
    expect(port && portLabel(port)).toBe(port?.name.replaceAll("_", " "));
  });
});

describe("searching in another language", () => {
  it.each([
    ["bild laden", "LoadImage"],
    ["laden", "LoadImage"],
    ["load image", "LoadImage"],
    ["save image", "SaveImage"],
    ["speichern", "SaveImage"],
    ["vae dec", "VAEDecode"],
    ["dekod", "VAEDecode"],
    ["vd", "VAEDecode"],
    ["speihcern", "SaveImage"],
  ])("%s finds %s first in German", (query, type) => {
    expect(typed(GERMAN, query)[0]).toBe(type);
  });

  it.each([
    ["読み込", "LoadImage"],
    ["画像を保", "SaveImage"],
    ["保存", "SaveImage"],
    ["サイズ", "ResizeImage"],
    ["画像　保存", "SaveImage"],
    ["load image", "LoadImage"],
  ])("%s finds %s first in Japanese, which has no spaces", (query, type) => {
    expect(typed(JAPANESE, query)[0]).toBe(type);
  });

  it("marks what matched in the translated label", () => {
    const found = searchTypes(JAPANESE, emptyWorkflow(), "保存")[0];
    expect(found?.matches).toEqual([[3, 5]]);
    // Found by its English name, which is not on the screen.
    expect(searchTypes(GERMAN, emptyWorkflow(), "load image")[0]?.matches).toEqual([]);
  });

  it("finds categories and ports by both names", () => {
    expect(typed(GERMAN, "bild")).toContain("ResizeImage");
    expect(typed(GERMAN, "image")).toContain("ResizeImage");
    expect(typed(JAPANESE, "シード")).toContain("KSampler");
    expect(typed(JAPANESE, "seed")).toContain("KSampler");
  });
});
