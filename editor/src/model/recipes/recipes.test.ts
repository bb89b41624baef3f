import { describe, expect, it } from "vitest";
import { setInput } from "../edits";
import { builtInTypes, galleryWorkflow } from "../fixtures";
import { edgesOf } from "../graph";
import { fromPlain, toPlain } from "../json";
import { layoutOf } from "../layout";
import { linkOf } from "../links";
import { nodesOf } from "../scope";
import { boxAt, sizesOf } from "../sizes";
import { inputOf, typeOf } from "../spec";
import { readWorkflow, type Workflow, workflowFromJson, writeWorkflow } from "../workflow";
import {
  asInput,
  framed,
  freePicturePort,
  type Ground,
  inpaint,
  originOf,
  pictureInputs,
  upscale,
  vary,
  wireMask,
} from ".";

const types = builtInTypes();
const RESULT = `upload:${"a".repeat(64)}/apple.png`;
const AT = { x: 40, y: 60 };

function ground(workflow: Workflow): Ground {
  return { workflow, scope: null, types };
}

function picture(node: string | null, side = 128) {
  return { value: RESULT, width: side, height: side, node };
}

/** A node's inputs as its file says them, links by what they come from. */
function inputs(workflow: Workflow, node: string | undefined): Record<string, unknown> {
  const entry = workflow.nodes.get(node ?? "");
  return Object.fromEntries(
    [...(entry?.inputs ?? [])].map(([port, value]) => {
      const link = linkOf(value);
      return [port, link ? `<${link.node}${link.port && `.${link.port}`}` : toPlain(value)];
    }),
  );
}

/** What every recipe has to give: a file that can be read, and all required inputs given. */
function expectComplete(workflow: Workflow): void {
  expect(writeWorkflow(readWorkflow(writeWorkflow(workflow)))).toBe(writeWorkflow(workflow));
  for (const [name, entry] of workflow.nodes) {
    const spec = typeOf(types, workflow, entry);
    for (const port of entry.inputs.keys())
      expect(spec && inputOf(spec, port), `${name}.${port}`).not.toBeNull();
    const lacking = spec?.inputs.filter((port) => port.required && !entry.inputs.has(port.name));
    expect(lacking?.map((port) => `${name}.${port.name}`)).toEqual([]);
  }
  for (const { from } of edgesOf(workflow.nodes)) expect(workflow.nodes.has(from.node)).toBe(true);
}

const PLACED = workflowFromJson(
  fromPlain({
    format: "nodegraph/1",
    nodes: {
      resize: { type: "ResizeImage", inputs: {} },
      show: { type: "PreviewImage", inputs: {} },
    },
    ui: { positions: { resize: [0, 0], show: [320, 0] } },
  }),
);

describe("using a result as input", () => {
  it("loads it beside the node that gave it, clear of all others", () => {
    const { workflow, names } = asInput(ground(PLACED), picture("resize"), null, AT);
    const name = names.get("load") ?? "";
    expect(inputs(workflow, name)).toEqual({ path: RESULT });
    const { positions } = layoutOf(workflow, null);
    const own = positions.get(name) ?? AT;
    expect(own.x).toBe(304);
    expect(own.y).toBeGreaterThan(boxAt({ x: 320, y: 0 }, { width: 248, height: 60 }).height);
  });

  it("stays near to where it was put: a little above what would be in its way", () => {
    const at = { x: 320, y: -250 };
    const { workflow, names } = asInput(ground(PLACED), picture(null), null, at);
    const own = layoutOf(workflow, null).positions.get(names.get("load") ?? "") ?? AT;
    const height = sizesOf(workflow, null, layoutOf(workflow, null), types).get(
      names.get("load") ?? "",
    )?.height;
    expect(own.x).toBe(320);
    expect(own.y + (height ?? 0)).toBeLessThan(0);
    expect(own.y).toBeGreaterThan(-400);
  });

  it("links it to the one free input for pictures of what is selected", () => {
    const port = freePicturePort(ground(PLACED), ["show"]);
    expect(port).toEqual({ node: "show", port: "image" });
    const { workflow } = asInput(ground(PLACED), picture(null), port, AT);
    expect(inputs(workflow, "show")).toEqual({ image: "<load_image.image" });
  });

  it("links nothing where several inputs are free, or none", () => {
    expect(freePicturePort(ground(PLACED), ["show", "resize"])).toBeNull();
    expect(freePicturePort(ground(PLACED), [])).toBeNull();
  });
});

describe("varying a result", () => {
  const flow = galleryWorkflow("text_to_image");

  it("samples it again by what made it", () => {
    const { workflow, names } = vary(ground(flow), picture("save"), 5, AT);
    expectComplete(workflow);
    expect(inputs(workflow, names.get("encode"))).toEqual({
      vae: "<load.vae",
      image: "<load_image.image",
    });
    expect(inputs(workflow, names.get("sample"))).toEqual({
      ...inputs(flow, "sample"),
      latent: `<${names.get("encode")}`,
      seed: 5,
      denoise: 0.5,
    });
    expect(inputs(workflow, names.get("save"))).toMatchObject({ image: `<${names.get("decode")}` });
  });

  it("takes the last pass of several", () => {
    const two = galleryWorkflow("hires_fix");
    const samplers = [...two.nodes].filter(([, { type }]) => type === "KSampler");
    expect(samplers.length).toBeGreaterThan(1);
    // The first pass begins with noise alone.
    expect(originOf(ground(two), "save")?.sampler.inputs.has("denoise")).toBe(true);
  });

  it("stands clear of each other, however wide the cards are", () => {
    const { workflow, names } = vary(ground(PLACED), picture("show"), 5, AT);
    const layout = layoutOf(workflow, null);
    const sizes = sizesOf(workflow, null, layout, types);
    const rights = ["load", "encode", "sample", "decode", "save"].map((key) => {
      const name = names.get(key) ?? "";
      const x = layout.positions.get(name)?.x ?? 0;
      return { x, right: x + (sizes.get(name)?.width ?? 0) };
    });
    for (const [index, { x }] of rights.entries()) {
      if (index > 0) expect(x).toBeGreaterThanOrEqual((rights[index - 1]?.right ?? 0) + 40);
    }
  });

  it("reads from left to right", () => {
    const { workflow, names } = inpaint(ground(PLACED), picture("show"), 5, AT);
    const { positions } = layoutOf(workflow, null);
    const own = new Set(names.values());
    const inner = edgesOf(nodesOf(workflow, null)).filter(
      ({ from, to }) => own.has(from.node) && own.has(to.node),
    );
    expect(inner.length).toBeGreaterThan(6);
    for (const { from, to } of inner) {
      expect(positions.get(from.node)?.x).toBeLessThan(positions.get(to.node)?.x ?? 0);
    }
  });

  it("leaves at least one step of few", () => {
    const quick = setInput(flow, null, "sample", "steps", 1);
    const { workflow, names } = vary(ground(quick), picture("save"), 5, AT);
    expect(inputs(workflow, names.get("sample"))).toMatchObject({ denoise: 1 });
  });

  it("cuts what doesn't fill a cell of the latent", () => {
    const { workflow, names } = vary(ground(flow), picture("save", 101), 5, AT);
    expect(inputs(workflow, names.get("encode"))).toMatchObject({ crop: true });
  });

  it("adds a model and a prompt where nothing is sampled", () => {
    const { workflow, names } = vary(ground(PLACED), picture(null), 5, AT);
    expect(inputs(workflow, names.get("sample"))).toMatchObject({
      model: `<${names.get("model")}.model`,
      positive: `<${names.get("prompt")}`,
    });
  });
});

describe("inpainting a result", () => {
  it("samples what is masked and leaves all else", () => {
    const flow = galleryWorkflow("text_to_image");
    const { workflow, names } = inpaint(ground(flow), picture("save"), 5, AT);
    expectComplete(workflow);
    const load = names.get("load");
    expect(inputs(workflow, names.get("masked"))).toEqual({
      latent: `<${names.get("encode")}`,
      mask: `<${load}.mask`,
    });
    expect(inputs(workflow, names.get("sample"))).toMatchObject({
      latent: `<${names.get("masked")}`,
      denoise: 1,
    });
    expect(inputs(workflow, names.get("result"))).toEqual({
      base: `<${load}.image`,
      overlay: `<${names.get("decode")}`,
      mask: `<${names.get("soft")}`,
    });
  });
});

describe("making a result larger", () => {
  it("is done by a network", () => {
    const flow = galleryWorkflow("text_to_image");
    const { workflow, names } = upscale(ground(flow), picture("save"), "4x.safetensors", AT);
    expectComplete(workflow);
    expect(inputs(workflow, names.get("model"))).toEqual({ model: "4x.safetensors" });
    expect(workflow.nodes.get(names.get("larger") ?? "")?.type).toBe("UpscaleImage");
  });

  it("doubles it where the server has none", () => {
    const few = {
      ...types,
      byName: new Map([...types.byName].filter(([name]) => name !== "UpscaleImage")),
    };
    const { workflow, names } = upscale(
      { workflow: PLACED, scope: null, types: few },
      picture(null),
      null,
      AT,
    );
    expect(inputs(workflow, names.get("larger"))).toMatchObject({ width: 256, height: 256 });
  });
});

describe("the pictures that a workflow reads", () => {
  it("are its inputs for them, parameters first", () => {
    const flow = galleryWorkflow("image_to_image");
    expect(pictureInputs(flow, types)).toEqual([
      { target: "picture.path", label: "image", isParameter: true },
    ]);
  });
});

describe("a painted mask", () => {
  it("goes in between the latent and its sampler", () => {
    const flow = galleryWorkflow("image_to_image");
    const wired = wireMask(ground(flow), "picture");
    const mask = linkOf(wired.nodes.get("sample")?.inputs.get("latent"))?.node;
    expect(inputs(wired, mask)).toEqual({ latent: "<encode", mask: "<picture.mask" });
    expectComplete(wired);
    expect(wireMask(ground(wired), "picture")).toBe(wired);
  });

  it("goes where a mask is wanted and not given", () => {
    const flow = galleryWorkflow("image_to_image");
    const masked = wireMask(ground(flow), "picture");
    const name = linkOf(masked.nodes.get("sample")?.inputs.get("latent"))?.node ?? "";
    const nodes = new Map(masked.nodes);
    const entry = nodes.get(name);
    const left = new Map(entry?.inputs);
    left.delete("mask");
    if (entry) nodes.set(name, { ...entry, inputs: left });
    const wired = wireMask(ground({ ...masked, nodes }), "picture");
    expect(inputs(wired, name)).toMatchObject({ mask: "<picture.mask" });
    expect(wired.nodes.size).toBe(nodes.size);
  });

  it("goes nowhere where nothing samples the picture", () => {
    const { workflow } = asInput(ground(PLACED), picture(null), null, AT);
    expect(wireMask(ground(workflow), "load_image")).toBe(workflow);
  });
});

describe("the frame of a recipe", () => {
  const grown = (graph: Workflow) =>
    framed(ground(graph), vary(ground(graph), picture("decode"), 7, AT), "Vary");

  it("has its title, and all that was added in it", () => {
    const { workflow, names } = grown(PLACED);
    const layout = layoutOf(workflow, null);
    expect(layout.groups.map(({ title }) => title)).toEqual(["Vary"]);
    const frame = layout.groups[0]?.box ?? { x: 0, y: 0, width: 0, height: 0 };
    const sizes = sizesOf(workflow, null, layout, types);
    const isIn = (name: string) => {
      const { x, y } = layout.positions.get(name) ?? { x: 0, y: 0 };
      const { width, height } = sizes.get(name) ?? { width: 0, height: 0 };
      const right = Math.min(x + width, frame.x + frame.width);
      const bottom = Math.min(y + height, frame.y + frame.height);
      return right > Math.max(x, frame.x) && bottom > Math.max(y, frame.y);
    };
    expect([...workflow.nodes.keys()].filter(isIn)).toEqual([...names.values()]);
  });

  it("isn't there for one node, nor where nobody has placed any", () => {
    const one = asInput(ground(PLACED), picture(null), null, AT);
    expect(framed(ground(PLACED), one, "Use")).toBe(one);
    const { ui: _, ...bare } = PLACED;
    const unplaced = { ...bare, ui: new Map() };
    expect(layoutOf(grown(unplaced).workflow, null).groups).toEqual([]);
  });
});
