/** Graphs that somebody has made, or changed, by hand. */
import { describe, expect, it } from "vitest";
import { addGroup, setMode } from "../edits";
import { makeSubgraph } from "../edits/makeSubgraph";
import {
  byType,
  canvasOf,
  expectSound,
  ground,
  layers,
  only,
  PLACE,
  started,
  types,
  upload,
  withLayer,
} from "../fixtures/canvas";
import { fromPlain } from "../json";
import { layoutOf } from "../layout";
import { linkOf } from "../links";
import { boxAt, sizesOf } from "../sizes";
import { type Workflow, workflowFromJson } from "../workflow";
import {
  addLayer,
  isLayer,
  isPaintable,
  moveLayer,
  readCanvas,
  removeLayer,
  setBox,
  setLayer,
  setPicture,
} from ".";

type Nodes = Readonly<Record<string, readonly [string, Readonly<Record<string, unknown>>]>>;

/** "<node.port" is a link. */
function graph(nodes: Nodes): Workflow {
  const written = Object.entries(nodes).map(([name, [type, inputs]]) => {
    const values = Object.entries(inputs).map(([port, value]) => [
      port,
      typeof value === "string" && value.startsWith("<") ? { from: value.slice(1) } : value,
    ]);
    return [name, { type, inputs: Object.fromEntries(values) }];
  });
  return workflowFromJson(fromPlain({ format: "nodegraph/1", nodes: Object.fromEntries(written) }));
}

/** Inpainting with a grown mask and a second pass; nodes in no order, names as somebody liked. */
const INPAINTING: Nodes = {
  show: ["SaveImage", { image: "<decode2" }],
  decode2: ["VAEDecode", { vae: "<model.vae", latent: "<again" }],
  again: [
    "KSampler",
    { model: "<model.model", positive: "<words", latent: "<larger", seed: 3, denoise: 0.4 },
  ],
  larger: ["ResizeLatent", { latent: "<first" }],
  first: [
    "KSampler",
    { model: "<model.model", positive: "<words", latent: "<masked", seed: 7, denoise: 0.8 },
  ],
  early: ["PreviewImage", { image: "<decode1" }],
  decode1: ["VAEDecode", { vae: "<model.vae", latent: "<first" }],
  masked: ["SetNoiseMask", { latent: "<latent", mask: "<grown" }],
  grown: ["GrowMask", { mask: "<flat_mask.mask", pixels: 4 }],
  latent: ["VAEEncode", { vae: "<model.vae", image: "<flat.image" }],
  flat: ["FlattenLayers", { layers: "<sky", box: "<frame.box", color: "white" }],
  flat_mask: ["FlattenLayers", { layers: "<hole", box: "<frame.box" }],
  sky: ["AddLayer", { image: "<blurred", layers: "<land", opacity: 0.5, name: "Sky" }],
  blurred: ["ResizeImage", { image: "<sky_file.image" }],
  sky_file: ["LoadImage", { path: "sky.png" }],
  hole: ["AddLayer", { image: "<hole_file.image", x: 10, y: 20 }],
  hole_file: ["LoadImage", { path: upload("b") }],
  land: ["AddLayer", { image: "<land_file.image", box: "<frame.box" }],
  land_file: ["LoadImage", { path: "land.png" }],
  words: ["EncodePrompt", { encoder: "<model.text_encoder", text: "a hill" }],
  model: ["LoadModel", {}],
  frame: ["BoundingBox", { x: -8, width: 640 }],
};

describe("a graph made by hand", () => {
  it("is read, whatever its nodes are called and wherever they stand", () => {
    const canvas = canvasOf(graph(INPAINTING));
    expect(canvas.box).toMatchObject({ node: "frame", x: -8, y: 0, width: 640, height: 512 });
    expect(canvas.entries.map(({ node, kind }) => [node, kind])).toEqual([
      ["land", "raster"],
      ["sky", "raster"],
      ["hole", "mask"],
    ]);
    const [land, sky] = canvas.entries.filter(isLayer);
    expect(land?.placement).toEqual({ x: -8, y: 0, width: 640, height: 512, rotation: 0 });
    expect(sky).toMatchObject({ title: "Sky", opacity: 0.5, picture: null, source: "blurred" });
    expect(canvas.sampler).toEqual({ node: "first", denoise: 0.8, seed: 7, steps: null });
    expect(canvas.prompt).toEqual({ node: "words", port: "text", text: "a hill" });
    expect(canvas.result).toBe("show");
  });

  it("has layers that can't be painted on: what another node makes", () => {
    const workflow = graph(INPAINTING);
    const canvas = canvasOf(workflow);
    expect(canvas.entries.filter(isPaintable).map(({ node }) => node)).toEqual(["land", "hole"]);
    expect(setPicture(ground(workflow), canvas, "sky", upload("c"))).toBe(workflow);
  });

  it("paints on what a bypassed node would have changed", () => {
    const workflow = setMode(graph(INPAINTING), null, ["blurred"], "bypass");
    const sky = canvasOf(workflow).entries.find(({ node }) => node === "sky");
    expect(sky).toMatchObject({ picture: { node: "sky_file", value: "sky.png" }, source: null });
  });

  it("keeps its masks in view while the node that applies them is bypassed", () => {
    const workflow = setMode(graph(INPAINTING), null, ["masked", "grown"], "bypass");
    expect(layers(workflow, "mask")).toEqual(["hole"]);
    expect(canvasOf(workflow).sampler?.node).toBe("first");
  });

  it("loses the nodes that only changed a mask with its last layer, and no others", () => {
    const before = graph(INPAINTING);
    const workflow = removeLayer(ground(before), canvasOf(before), "hole");
    expectSound(workflow);
    const gone = [...before.nodes.keys()].filter((name) => !workflow.nodes.has(name));
    expect(gone.toSorted()).toEqual(["flat_mask", "grown", "hole", "hole_file", "masked"]);
    expect(linkOf(workflow.nodes.get("first")?.inputs.get("latent"))?.node).toBe("latent");
  });

  it("keeps nodes of its own that take the last mask, too", () => {
    const nodes = { ...INPAINTING, seen: ["SaveImage", { image: "<flat_mask.image" }] } as Nodes;
    const before = graph(nodes);
    const workflow = removeLayer(ground(before), canvasOf(before), "hole");
    expectSound(workflow);
    expect(workflow.nodes.has("flat_mask")).toBe(true);
    expect(workflow.nodes.has("masked")).toBe(false);
  });

  it("gets layers in places where nothing stands, in the frame that it has", () => {
    let workflow = started();
    for (const kind of ["raster", "mask", "control", "region"] as const)
      workflow = withLayer(workflow, kind).workflow;
    const layout = layoutOf(workflow, null);
    const sizes = sizesOf(workflow, null, layout, types);
    const boxes = [...workflow.nodes.keys()].map((name) => {
      const at = layout.positions.get(name);
      expect(at, name).toBeDefined();
      return boxAt(at ?? { x: 0, y: 0 }, sizes.get(name) ?? { width: 0, height: 0 });
    });
    for (const [index, a] of boxes.entries()) {
      for (const b of boxes.slice(index + 1)) {
        const apart =
          a.x + a.width <= b.x ||
          b.x + b.width <= a.x ||
          a.y + a.height <= b.y ||
          b.y + b.height <= a.y;
        expect(apart, JSON.stringify([a, b])).toBe(true);
      }
    }
  });

  it("keeps a picture that was sampled without layers as the lowest of them", () => {
    const workflow = graph({
      frame: ["BoundingBox", {}],
      size: ["EmptyLatent", { width: "<frame.width", height: "<frame.height" }],
      ...Object.fromEntries(
        Object.entries(INPAINTING).filter(([name]) =>
          ["model", "words", "land_file"].includes(name),
        ),
      ),
      latent: ["VAEEncode", { vae: "<model.vae", image: "<resized" }],
      resized: ["ResizeImage", { image: "<land_file.image", width: "<frame.width" }],
      first: ["KSampler", { model: "<model.model", positive: "<words", latent: "<latent" }],
      decode: ["VAEDecode", { vae: "<model.vae", latent: "<first" }],
      show: ["PreviewImage", { image: "<decode" }],
    });
    const canvas = canvasOf(workflow);
    expect(canvas.sampler?.node).toBe("first");
    const layer = { value: upload("b"), placement: PLACE, title: "" };
    const made = addLayer(ground(workflow), canvas, "raster", layer);
    expectSound(made.workflow);
    const [lowest, upper] = canvasOf(made.workflow).entries.filter(isLayer);
    expect(lowest).toMatchObject({ picture: null, source: "resized" });
    expect(upper?.node).toBe(made.node);
  });
});

describe("a layer that is added and removed again", () => {
  const GRAPHS: Readonly<Record<string, () => Workflow>> = {
    "an empty canvas": () => started(false),
    "a picture": () => started(),
    "a picture with a mask": () => withLayer(started(), "mask").workflow,
    "a picture that the box reaches beyond": () =>
      setBox(ground(started()), canvasOf(started()), { x: -64 }),
    "a graph made by hand": () => graph(INPAINTING),
    "a graph with regions and a control net": () =>
      withLayer(withLayer(started(), "region").workflow, "control").workflow,
  };
  const KINDS = ["raster", "mask", "control", "region", "reference"] as const;
  const cases = Object.keys(GRAPHS).flatMap((name) => KINDS.map((kind) => [kind, name] as const));

  it.each(cases)("leaves all as it was: a %s layer in %s", (kind, name) => {
    const before = GRAPHS[name]?.() ?? started();
    const placement = { ...PLACE, x: 9000 };
    const { workflow, node } = withLayer(before, kind, { placement });
    expectSound(workflow);
    const after = removeLayer(ground(workflow), canvasOf(workflow), node);
    // In which order a file has its nodes says nothing.
    const nodes = ({ nodes: all }: Workflow) =>
      Object.fromEntries([...all].map(([key, { type, inputs }]) => [key, { type, inputs }]));
    expect(nodes(after)).toEqual(nodes(before));
  });
});

describe("graphs that can't run", () => {
  it("are read all the same: layers and latents in a circle", () => {
    const nodes = {
      ...INPAINTING,
      land: ["AddLayer", { image: "<land_file.image", layers: "<sky" }],
      larger: ["ResizeLatent", { latent: "<again" }],
    } as Nodes;
    const canvas = canvasOf(graph(nodes));
    expect(canvas.entries.filter(({ kind }) => kind === "raster")).toHaveLength(2);
    expect(
      moveLayer(ground(graph(nodes)), canvas, "sky", { index: 0, parent: null }),
    ).toBeDefined();
  });

  it("are read all the same: values of other kinds, and types that nobody knows", () => {
    const nodes = {
      ...INPAINTING,
      frame: ["BoundingBox", { x: "left", width: null }],
      sky: ["AddLayer", { image: 3, layers: "<land", opacity: "much", visible: "no", name: 7 }],
      again: ["Unknown", { latent: "<larger" }],
      words: ["EncodePrompt", { text: 12 }],
    } as Nodes;
    const canvas = canvasOf(graph(nodes));
    expect(canvas.box).toMatchObject({ x: 0, width: 0, height: 512 });
    expect(canvas.entries.find(({ node }) => node === "sky")).toMatchObject({
      opacity: 1,
      title: "",
      picture: null,
      source: null,
    });
  });
});

describe("blocks", () => {
  it("may hold what samples the layers", () => {
    const workflow = graph(INPAINTING);
    const inner = ["latent", "masked", "grown", "first", "larger", "again", "decode2"];
    const packed = makeSubgraph(workflow, null, inner, "Two passes", types).workflow;
    const canvas = canvasOf(packed);
    expect(canvas.entries.map(({ node, kind }) => [node, kind])).toEqual([
      ["land", "raster"],
      ["sky", "raster"],
      ["hole", "mask"],
    ]);
    expect(canvas.sampler).toBeNull();
    expect(canvas.result).toBe("show");
    const hidden = setLayer(ground(packed), canvas, "sky", { visible: false });
    expect(canvasOf(hidden).entries.find(({ node }) => node === "sky")?.visible).toBe(false);
  });

  it("may hold the whole canvas", () => {
    const workflow = graph(INPAINTING);
    const inner = [...workflow.nodes.keys()].filter((name) => name !== "show");
    const { workflow: packed, subgraph } = makeSubgraph(workflow, null, inner, "All", types);
    expect(readCanvas(packed, null, types)).toBeNull();
    const canvas = readCanvas(packed, subgraph, types);
    expect(canvas?.entries).toHaveLength(3);
    const at = { workflow: packed, scope: subgraph, types };
    const layer = { value: upload("b"), placement: PLACE, title: "" };
    const made = canvas && addLayer(at, canvas, "raster", layer);
    expect(made && readCanvas(made.workflow, subgraph, types)?.entries).toHaveLength(4);
  });

  it("of the layout that have titles are no part of the canvas", () => {
    const before = graph(INPAINTING);
    const box = { x: 0, y: 0, width: 9000, height: 9000 };
    const workflow = addGroup(before, null, { title: "Layers", box }).workflow;
    expect(canvasOf(workflow)).toEqual(canvasOf(before));
    expect(byType(workflow, "BoundingBox")).toEqual([only(before, "BoundingBox")]);
  });
});
