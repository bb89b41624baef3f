import { describe, expect, test } from "vitest";
import { colorOf, converterBetween, fit, wayBetween } from "./compat";
import { builtInTypes, fixtureText } from "./fixtures";
import { input, output, spec } from "./fixtures/specs";
import type { NodeTypes } from "./spec";

const types = builtInTypes();
const withPack: NodeTypes = {
  ...types,
  portTypes: new Map([
    ...types.portTypes,
    ["pack:Photo", { name: "pack:Photo", color: "#112233", parents: ["Image"], description: "" }],
    [
      "pack:Portrait",
      {
        name: "pack:Portrait",
        color: "#445566",
        parents: ["pack:Photo", "pack:Portrait"],
        description: "",
      },
    ],
    ["pack:Count", { name: "pack:Count", color: "#778899", parents: ["int"], description: "" }],
  ]),
};

test("every pair of types fits as the engine says", () => {
  const rows = fixtureText("compat.tsv").trim().split("\n");
  const wrong = rows.filter((row) => {
    const [source = "", target = "", conversions, depth] = row.split("\t");
    const way = wayBetween(source, target, withPack.portTypes);
    const found = way ? [way.conversions.join(",") || "-", String(way.depth)] : ["no", "no"];
    return found[0] !== conversions || found[1] !== depth;
  });
  expect(rows.length).toBeGreaterThan(1000);
  expect(wrong).toEqual([]);
});

describe("a fit", () => {
  test("names the conversion and says it in words", () => {
    const found = fit(types, { type: "Mask" }, { type: "Image" });
    expect(found).toMatchObject({ fits: true, conversion: "mask_to_image", maps: false });
    expect(found.fits && found.note).toContain("grayscale");
  });

  test("says when the node runs once for each item", () => {
    const found = fit(types, { type: "list[str]" }, { type: "str" });
    expect(found).toMatchObject({ fits: true, conversion: null, maps: true, depth: 1 });
  });

  test("that isn't one says what was wanted and what is to be put between", () => {
    const found = fit(types, { type: "Latent" }, { type: "Image" });
    expect(found.fits).toBe(false);
    if (found.fits) return;
    expect(found.reason).toContain("Image");
    expect(found.hint).toContain("VAE decode");
  });

  test("of two nodes that could be put between names the one with fewer settings", () => {
    const decode = types.byName.get("VAEDecode");
    if (!decode) throw new Error("no VAEDecode");
    const plain = {
      ...decode,
      label: "Develop",
      inputs: decode.inputs.filter((port) => port.required),
    };
    const more: NodeTypes = { ...types, byName: new Map([...types.byName, ["Develop", plain]]) };
    const found = fit(more, { type: "Latent" }, { type: "Image" });
    expect(!found.fits && found.hint).toContain("Develop");
  });

  test("isn't mended by a node that only may take the one", () => {
    const film = spec("BeginFilm", {
      label: "Image to video",
      inputs: [input("image", "Image"), input("encoder", "TextEncoder", { required: false })],
      outputs: [output("latent", "Latent")],
    });
    const more: NodeTypes = { ...types, byName: new Map([...types.byName, ["BeginFilm", film]]) };
    expect(converterBetween(more, "TextEncoder", "Latent")).toBeNull();
    const found = fit(more, { type: "TextEncoder" }, { type: "Latent", port: "KSampler.latent" });
    expect(!found.fits && found.hint).toContain("Empty latent");
  });

  test("is mended by what is used for it, not by what comes first", () => {
    const early = spec("ADecoder", {
      inputs: [input("latent", "Latent")],
      outputs: [output("image", "Image")],
    });
    const more: NodeTypes = { ...types, byName: new Map([...types.byName, ["ADecoder", early]]) };
    expect(converterBetween(more, "Latent", "Image")?.type).toBe("VAEDecode");
  });

  test("isn't mended by a node that has to be linked more and is hardly used for that", () => {
    const describe = spec("DescribeFilm", {
      inputs: [input("image", "Image"), input("vae", "Vae")],
      outputs: [output("conditioning", "Conditioning")],
    });
    const more: NodeTypes = {
      ...types,
      byName: new Map([...types.byName, ["DescribeFilm", describe]]),
    };
    expect(converterBetween(more, "Vae", "Conditioning")).toBeNull();
    expect(converterBetween(more, "DiffusionModel", "Latent")?.type).toBe("KSampler");
    const found = fit(more, { type: "Vae" }, { type: "Conditioning", port: "KSampler.positive" });
    expect(!found.fits && found.hint).toContain("Encode prompt");
  });

  test("is mended by what people link there, though it takes such a value itself", () => {
    const found = fit(types, { type: "TextEncoder" }, { type: "Latent", port: "VAEDecode.latent" });
    expect(!found.fits && found.hint).toContain("Sample");
  });

  test("hints at another output of the same node", () => {
    const node = types.byName.get("LoadModel");
    const found = fit(types, { type: "DiffusionModel", node }, { type: "Vae" });
    expect(!found.fits && found.hint).toContain("vae");
  });

  test("of an unknown type is no fault of the program", () => {
    expect(fit(types, { type: "???" }, { type: "Image" }).fits).toBe(false);
    expect(fit(types, { type: "other:Thing" }, { type: "other:Thing" }).fits).toBe(true);
  });

  test("over too many levels of lists is refused", () => {
    const deep = `${"list[".repeat(9)}Image${"]".repeat(9)}`;
    expect(fit(types, { type: deep }, { type: "Latent | Image" }).fits).toBe(false);
  });
});

test("lists and unions have the colour of what they hold", () => {
  const image = types.portTypes.get("Image")?.color;
  expect(colorOf(types, "list[Image]")).toBe(image);
  expect(colorOf(types, "Image | Mask")).toBe(image);
  expect(colorOf(types, "Any")).toBe(types.portTypes.get("Any")?.color);
  expect(colorOf(types, "no type at all!")).toMatch(/^#/);
});
