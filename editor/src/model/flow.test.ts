import { describe, expect, test } from "vitest";
import { builtInTypes, galleryWorkflow } from "./fixtures";
import { fitsOf, linkFit, outputType } from "./flow";
import { readWorkflow, type Workflow } from "./workflow";

const types = builtInTypes();

function workflow(nodes: object, subgraphs: object = {}): Workflow {
  return readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes, subgraphs }));
}

describe("what an output gives", () => {
  test("is a list where its node runs over one", () => {
    const grid = galleryWorkflow("prompt_grid");
    const decode = [...grid.nodes].find(([, entry]) => entry.type === "VAEDecode")?.[0] ?? "";
    expect(outputType(types, grid, null, { node: decode, port: "" })).toBe("list[Image]");
  });

  test("of a loop is of its subgraph's type", () => {
    const walk = galleryWorkflow("prompt_walk");
    expect(outputType(types, walk, null, { node: "walk", port: "results" })).toBe("list[Image]");
    expect(outputType(types, walk, null, { node: "walk", port: "result" })).toBe("Image");
  });

  test("of a block depends on what the block is given", () => {
    const block = {
      inputs: { seed: { to: ["sample.seed"] } },
      outputs: { latent: "sample" },
      nodes: { sample: { type: "KSampler" } },
    };
    const nodes = {
      seeds: { type: "SeedRange" },
      many: { type: "draw", inputs: { seed: { from: "seeds" } } },
      one: { type: "draw", inputs: { seed: 3 } },
    };
    const found = workflow(nodes, { draw: block });
    expect(outputType(types, found, null, { node: "many", port: "" })).toBe("list[Latent]");
    expect(outputType(types, found, null, { node: "one", port: "latent" })).toBe("Latent");
  });

  test("is unknown where the type isn't installed", () => {
    const found = workflow({ a: { type: "gone:Node" } });
    expect(outputType(types, found, null, { node: "a", port: "" })).toBeNull();
  });
});

describe("a link", () => {
  const found = workflow({
    load: { type: "LoadModel" },
    size: { type: "EmptyLatent" },
    sample: { type: "KSampler", inputs: { latent: { from: "size" } } },
    decode: { type: "VAEDecode", inputs: { latent: { from: "sample" } } },
    encode: { type: "VAEEncode", inputs: { image: { from: "decode" } } },
  });
  const link = (node: string, port: string, to: string, input: string) =>
    linkFit(types, found, null, { node, port }, { node: to, port: input });

  test("that no node could convert is advised with what gives such a value", () => {
    const refused = link("load", "text_encoder", "sample", "latent");
    expect(refused).toMatchObject({ fits: false, hint: "“Empty latent” outputs this type." });
  });

  test("that fits is allowed", () => {
    expect(link("load", "vae", "decode", "vae")).toMatchObject({ fits: true, conversion: null });
  });

  test("of the wrong type is refused with a hint", () => {
    expect(link("load", "model", "decode", "vae")).toMatchObject({
      fits: false,
      hint: "Link vae instead.",
    });
  });

  test("that closes a circle is refused", () => {
    expect(link("encode", "", "sample", "latent").fits).toBe(false);
    expect(link("sample", "", "sample", "latent").fits).toBe(false);
  });

  test("from or to a port that isn't there is refused", () => {
    expect(link("load", "", "decode", "vae").fits).toBe(false);
    expect(link("load", "vae", "decode", "image").fits).toBe(false);
  });

  test("in the graph tells how its value gets there", () => {
    const grid = galleryWorkflow("prompt_grid");
    const encoder = [...grid.nodes].find(([, entry]) => entry.type === "EncodePrompt")?.[0] ?? "";
    expect(fitsOf(types, grid, null, encoder).get("text")).toMatchObject({
      fits: true,
      maps: true,
    });
  });
});
