import { describe, expect, it } from "vitest";
import { removeNodes, setInput } from "../edits";
import {
  byType,
  canvasOf,
  expectSound,
  ground,
  layers,
  only,
  PLACE,
  source,
  started,
  types,
  typesIn,
  upload,
  value,
  withLayer,
} from "../fixtures/canvas";
import { fromPlain } from "../json";
import { linkOf } from "../links";
import { emptyWorkflow, workflowFromJson, writeWorkflow } from "../workflow";
import {
  addLayer,
  isGroup,
  isLayer,
  moveLayer,
  readCanvas,
  removeLayer,
  setBox,
  setControl,
  setLayer,
  setPrompt,
  setRegion,
  ungroup,
} from ".";

describe("masks", () => {
  it("keep what isn't masked, and are gone without a trace with the last of them", () => {
    const before = started();
    const { workflow, node } = withLayer(before, "mask");
    expectSound(workflow);
    expect(layers(workflow, "mask")).toEqual([node]);
    const sampler = canvasOf(workflow).sampler?.node;
    expect(source(workflow, sampler, "latent")).toBe("SetNoiseMask.latent");
    const composite = only(workflow, "CompositeMasked");
    expect(source(workflow, composite, "base")).toBe("FlattenLayers.image");
    expect(source(workflow, composite, "overlay")).toBe("VAEDecode.image");
    expect(source(workflow, composite, "mask")).toBe("FeatherMask.mask");
    expect(source(workflow, canvasOf(workflow).result ?? "", "image")).toBe(
      "CompositeMasked.image",
    );
    const left = removeLayer(ground(workflow), canvasOf(workflow), node);
    expectSound(left);
    expect(typesIn(left)).toEqual(typesIn(before));
  });

  it("of a second layer join the first one's chain", () => {
    const first = withLayer(started(), "mask");
    const second = withLayer(first.workflow, "mask");
    expectSound(second.workflow);
    expect(layers(second.workflow, "mask")).toEqual([first.node, second.node]);
    expect(byType(second.workflow, "SetNoiseMask")).toHaveLength(1);
  });

  it("are composed with the first raster layer, too, that comes after them", () => {
    const masked = withLayer(started(false), "mask");
    expectSound(masked.workflow);
    expect(byType(masked.workflow, "CompositeMasked")).toEqual([]);
    const both = withLayer(masked.workflow, "raster");
    expectSound(both.workflow);
    expect(byType(both.workflow, "CompositeMasked")).toHaveLength(1);
    const left = removeLayer(ground(both.workflow), canvasOf(both.workflow), both.node);
    expectSound(left);
    expect(typesIn(left)).toEqual(typesIn(masked.workflow));
    expect(layers(left, "mask")).toEqual([masked.node]);
  });

  it("join what the box holds beyond the raster layers, until it holds nothing more of it", () => {
    const before = started();
    const wider = setBox(ground(before), canvasOf(before), { width: 640 });
    expectSound(wider);
    const masked = only(wider, "SetNoiseMask");
    expect(source(wider, masked, "mask")).toBe("InvertMask.mask");
    expect(source(wider, only(wider, "InvertMask"), "mask")).toBe("FlattenLayers.mask");
    expect(canvasOf(wider).sampler?.denoise).toBe(1);
    const { workflow } = withLayer(wider, "mask");
    expectSound(workflow);
    expect(source(workflow, only(workflow, "SetNoiseMask"), "mask")).toBe("CombineMasks.mask");
    expect(source(workflow, only(workflow, "FeatherMask"), "mask")).toBe("CombineMasks.mask");
    const back = setBox(ground(workflow), canvasOf(workflow), { width: 512 });
    expectSound(back);
    expect(source(back, only(back, "SetNoiseMask"), "mask")).toBe("FlattenLayers.mask");
    expect(value(back, only(back, "FeatherMask"), "side")).toBe("inward");
    const narrow = setBox(ground(wider), canvasOf(wider), { width: 512 });
    expect(typesIn(narrow)).toEqual(typesIn(before));
    expect(canvasOf(narrow).sampler?.denoise).toBe(0.75);
  });

  it("have the colours around them in what is empty, as a low denoise keeps them", () => {
    const before = started();
    const wider = setBox(ground(before), canvasOf(before), { width: 640 });
    const [flatten, fill] = [only(wider, "FlattenLayers"), only(wider, "FillMasked")];
    expect(source(wider, fill, "image")).toBe("FlattenLayers.image");
    expect(source(wider, only(wider, "VAEEncode"), "image")).toBe("FillMasked.image");
    expect(source(wider, only(wider, "CompositeMasked"), "base")).toBe("FillMasked.image");
    // Layers on paper would leave nothing transparent.
    expect(value(wider, flatten, "color")).toBe("");
    const narrow = setBox(ground(wider), canvasOf(wider), { width: 512 });
    expect(value(narrow, only(narrow, "FlattenLayers"), "color")).toBe("white");
    const [layer = ""] = layers(wider);
    const empty = removeLayer(ground(wider), canvasOf(wider), layer);
    expectSound(empty);
    expect(typesIn(empty)).toEqual(typesIn(started(false)));
  });

  it("keep the paper of their own that a graph has", () => {
    const before = started();
    const own = setInput(before, null, only(before, "FlattenLayers"), "color", "teal");
    const wider = setBox(ground(own), canvasOf(own), { width: 640 });
    expect(byType(wider, "FillMasked")).toEqual([]);
    expect(value(wider, only(wider, "FlattenLayers"), "color")).toBe("teal");
  });

  it("aren't changed by a layer whose size nobody knows", () => {
    const { workflow } = withLayer(started(false), "raster", {
      placement: { ...PLACE, width: 0, height: 0 },
    });
    expect(byType(workflow, "InvertMask")).toEqual([]);
    const known = { ...ground(workflow), sizeOf: () => ({ width: 100, height: 100 }) };
    expect(byType(setBox(known, canvasOf(workflow), { x: 8 }), "InvertMask")).toHaveLength(1);
  });

  it("that the graph has of its own stay", () => {
    const json = JSON.parse(writeWorkflow(started()));
    const canvas = canvasOf(started());
    json.nodes.own = { type: "LoadMask", inputs: { path: "mask.png" } };
    json.nodes.noise = {
      type: "SetNoiseMask",
      inputs: {
        latent: json.nodes[canvas.sampler?.node ?? ""].inputs.latent,
        mask: { from: "own" },
      },
    };
    json.nodes[canvas.sampler?.node ?? ""].inputs.latent = { from: "noise" };
    const before = workflowFromJson(fromPlain(json));
    const { workflow, node } = withLayer(before, "mask");
    expectSound(workflow);
    expect(source(workflow, "noise", "mask")).toBe("CombineMasks.mask");
    const left = removeLayer(ground(workflow), canvasOf(workflow), node);
    expect(source(left, "noise", "mask")).toBe("LoadMask.mask");
  });
});

describe("control layers", () => {
  it("lead the sampler by the picture that a preprocessor makes of them", () => {
    const before = started();
    const control = { preprocessor: "canny edges" };
    const { workflow, node } = withLayer(before, "control", { control });
    expectSound(workflow);
    const sampler = canvasOf(workflow).sampler?.node;
    expect(source(workflow, sampler, "positive")).toBe("ApplyControlNet.positive");
    const layer = canvasOf(workflow).entries.find((each) => each.node === node);
    expect(layer).toMatchObject({
      kind: "control",
      control: { preprocessor: only(workflow, "Preprocess"), strength: 1, start: 0, end: 1 },
    });
    const set = setControl(ground(workflow), canvasOf(workflow), node, { strength: 0.5, end: 0.8 });
    expect(canvasOf(set).entries.find((each) => each.node === node)).toMatchObject({
      control: { strength: 0.5, end: 0.8 },
    });
    const left = removeLayer(ground(set), canvasOf(set), node);
    expectSound(left);
    expect(typesIn(left)).toEqual(typesIn(before));
    expect(source(left, sampler, "positive")).toBe("EncodePrompt.conditioning");
  });

  it("have one chain each, and are off without a layer that shows", () => {
    const first = withLayer(started(), "control");
    const second = withLayer(first.workflow, "control");
    expectSound(second.workflow);
    expect(byType(second.workflow, "ApplyControlNet")).toHaveLength(2);
    const hidden = setLayer(ground(second.workflow), canvasOf(second.workflow), first.node, {
      visible: false,
    });
    const off = byType(hidden, "ApplyControlNet").filter(
      (name) => hidden.nodes.get(name)?.mode === "bypass",
    );
    expect(off).toHaveLength(1);
    const seen = canvasOf(hidden).entries.map((entry) => [entry.node, entry.visible]);
    expect(seen).toContainEqual([first.node, false]);
    expect(seen).toContainEqual([second.node, true]);
  });
});

describe("regions", () => {
  it("have a prompt that counts where they are painted", () => {
    const before = started();
    const first = withLayer(before, "region", { text: "a cat" });
    expectSound(first.workflow);
    expect(canvasOf(first.workflow).prompt?.text).toBe("");
    const second = withLayer(first.workflow, "region", { text: "a dog" });
    expectSound(second.workflow);
    const named = setPrompt(ground(second.workflow), canvasOf(second.workflow), "a room");
    const set = setRegion(ground(named), canvasOf(named), first.node, "a tiger");
    const texts = canvasOf(set).entries.flatMap((entry) =>
      isLayer(entry) && entry.region ? [entry.region.text] : [],
    );
    expect(texts.toSorted()).toEqual(["a dog", "a tiger"]);
    expect(canvasOf(set).prompt?.text).toBe("a room");
    const one = removeLayer(ground(set), canvasOf(set), first.node);
    expectSound(one);
    expect(layers(one, "region")).toEqual([second.node]);
    const none = removeLayer(ground(one), canvasOf(one), second.node);
    expectSound(none);
    expect(typesIn(none)).toEqual(typesIn(before));
  });
});

describe("references", () => {
  it.each(["ip-adapter", "redux", "latents"] as const)("lead the sampler by %s", (by) => {
    const before = started();
    const { workflow, node } = withLayer(before, "reference", {
      reference: { by, model: "adapter" },
    });
    expectSound(workflow);
    expect(canvasOf(workflow).entries.find((each) => each.node === node)).toMatchObject({
      kind: "reference",
      picture: { node, value: upload("b") },
      visible: true,
    });
    const hidden = setLayer(ground(workflow), canvasOf(workflow), node, { visible: false });
    expect(canvasOf(hidden).entries.find((each) => each.node === node)?.visible).toBe(false);
    const left = removeLayer(ground(workflow), canvasOf(workflow), node);
    expectSound(left);
    expect(typesIn(left)).toEqual(typesIn(before));
  });
});

describe("what isn't understood", () => {
  it("is no canvas without a box", () => {
    expect(readCanvas(emptyWorkflow(), null, types)).toBeNull();
  });

  it("is shown below the layers, and stays there", () => {
    const json = JSON.parse(writeWorkflow(withLayer(started(), "raster").workflow));
    const [lowest = "", upper = ""] = layers(workflowFromJson(fromPlain(json)));
    json.nodes.file = { type: "LoadLayers", inputs: { path: "boat.ora" } };
    json.nodes[lowest].inputs.layers = { from: "file" };
    const workflow = workflowFromJson(fromPlain(json));
    const canvas = canvasOf(workflow);
    const [base, ...others] = canvas.entries;
    expect(others.map(({ node }) => node)).toEqual([lowest, upper]);
    expect(base).toMatchObject({ node: "file", picture: null, source: "file", locked: true });
    const moved = moveLayer(ground(workflow), canvas, upper, { index: 0, parent: null });
    expect(canvasOf(moved).entries.map(({ node }) => node)).toEqual(["file", upper, lowest]);
    for (const edit of [removeLayer, ungroup])
      expect(edit(ground(workflow), canvas, "file")).toBe(workflow);
    const cleared = [upper, lowest].reduce(
      (w, node) => removeLayer(ground(w), canvasOf(w), node),
      workflow,
    );
    expectSound(cleared);
    expect(source(cleared, only(cleared, "FlattenLayers"), "layers")).toBe("LoadLayers.layers");
  });

  it("takes all layers still, when there are others on top", () => {
    const json = JSON.parse(writeWorkflow(started()));
    const [lowest = ""] = layers(started());
    json.nodes.keep = { type: "SaveLayers", inputs: { layers: { from: lowest } } };
    const { workflow, node } = withLayer(workflowFromJson(fromPlain(json)), "raster");
    expect(linkOf(workflow.nodes.get("keep")?.inputs.get("layers"))?.node).toBe(node);
    const left = removeLayer(ground(workflow), canvasOf(workflow), node);
    expect(linkOf(left.nodes.get("keep")?.inputs.get("layers"))?.node).toBe(lowest);
  });

  it("leaves a canvas without a sampler as it is", () => {
    const sampler = canvasOf(started()).sampler?.node ?? "";
    const workflow = removeNodes(started(), null, [sampler]);
    const canvas = canvasOf(workflow);
    expect(canvas.sampler).toBeNull();
    expect(canvas.entries.some(isGroup)).toBe(false);
    const layer = { value: upload("b"), placement: PLACE, title: "" };
    expect(addLayer(ground(workflow), canvas, "mask", layer)).toEqual({ workflow, node: null });
    expect(addLayer(ground(workflow), canvas, "raster", layer).node).not.toBeNull();
  });
});
