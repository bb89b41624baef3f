import { describe, expect, it } from "vitest";
import { connect, renameNode, setInput, setMode } from "../edits";
import {
  byType,
  canvasOf,
  expectSound,
  ground,
  layers,
  only,
  PICTURE,
  PLACE,
  SIZE,
  source,
  started,
  types,
  typesIn,
  upload,
  value,
  withLayer,
} from "../fixtures/canvas";
import { fromPlain } from "../json";
import { layoutOf } from "../layout";
import { linkOf } from "../links";
import { boxAt, isWithin, sizesOf } from "../sizes";
import { type Workflow, workflowFromJson, writeWorkflow } from "../workflow";
import {
  acceptResult,
  duplicateLayer,
  groupLayers,
  isLayer,
  isPaintable,
  layerBelow,
  mergeDown,
  moveLayer,
  readCanvas,
  removeLayer,
  setLayer,
  setPicture,
  setPrompt,
  startCanvas,
  ungroup,
} from ".";

describe("a canvas is started", () => {
  it("with a picture, which is its lowest layer and is sampled", () => {
    const workflow = started();
    expectSound(workflow);
    const canvas = canvasOf(workflow);
    const [layer, ...others] = canvas.entries.filter(isLayer);
    expect(others).toEqual([]);
    expect(layer).toMatchObject({ kind: "raster", placement: PLACE, source: null, locked: false });
    expect(layer?.picture?.value).toBe(upload("a"));
    expect(canvas.box).toMatchObject({ x: 0, y: 0, ...SIZE, sampledWidth: 0 });
    expect(canvas.sampler).toMatchObject({ denoise: 0.75, seed: 0 });
    expect(canvas.prompt?.text).toBe("");
    expect(workflow.nodes.get(canvas.result ?? "")?.type).toBe("PreviewImage");
  });

  it("empty, with a latent of the box's sampled size", () => {
    const workflow = started(false);
    expectSound(workflow);
    expect(canvasOf(workflow).entries).toEqual([]);
    expect(canvasOf(workflow).sampler?.denoise).toBe(1);
    const latent = only(workflow, "EmptyLatent");
    expect(source(workflow, latent, "width")).toBe("BoundingBox.width");
    expect(source(workflow, latent, "height")).toBe("BoundingBox.height");
  });

  it("in a frame that holds all its nodes", () => {
    const workflow = started();
    const layout = layoutOf(workflow, null);
    const [frame] = layout.groups;
    expect(frame?.title).toBe("Canvas");
    const sizes = sizesOf(workflow, null, layout, types);
    for (const [name, at] of layout.positions) {
      const box = boxAt(at, sizes.get(name) ?? { width: 0, height: 0 });
      expect(frame && isWithin(box, frame.box), name).toBe(true);
    }
  });

  it("below what is there, its frame on nothing of that", () => {
    const before = started(false);
    const { workflow, names } = startCanvas(ground(before), PICTURE, SIZE);
    const layout = layoutOf(workflow, null);
    const [first, second] = layout.groups.map(({ box }) => box);
    expect(second?.y).toBeGreaterThan((first?.y ?? 0) + (first?.height ?? 0));
    const added = new Set(names.values());
    const sizes = sizesOf(workflow, null, layout, types);
    for (const [name, at] of layout.positions) {
      const box = boxAt(at, sizes.get(name) ?? { width: 0, height: 0 });
      const frame = added.has(name) ? second : first;
      expect(frame && isWithin(box, frame), name).toBe(true);
    }
  });

  it("in a graph that samples, with the same model and prompts", () => {
    const before = started(false);
    const prompt = setPrompt(ground(before), canvasOf(before), "a boat");
    const { workflow, names } = startCanvas(ground(prompt), PICTURE, SIZE);
    expectSound(workflow);
    const box = names.get("box") ?? null;
    const canvas = readCanvas(workflow, null, types, box);
    expect(canvas?.prompt?.text).toBe("a boat");
    expect(canvas?.boxes).toHaveLength(2);
    expect(byType(workflow, "LoadModel")).toHaveLength(1);
    expect(canvas?.sampler?.node).not.toBe(canvasOf(workflow).sampler?.node);
  });
});

describe("raster layers", () => {
  it("come on top of each other, and go out of the middle of the chain", () => {
    const first = withLayer(started(), "raster");
    const second = withLayer(first.workflow, "raster", { title: "Sky" });
    expectSound(second.workflow);
    const [lowest = "", ...others] = layers(second.workflow);
    expect(others).toEqual([first.node, second.node]);
    const left = removeLayer(ground(second.workflow), canvasOf(second.workflow), first.node);
    expectSound(left);
    expect(layers(left)).toEqual([lowest, second.node]);
    expect(byType(left, "LoadImage")).toHaveLength(2);
  });

  it("leave a picture that another node takes", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const load = linkOf(workflow.nodes.get(node)?.inputs.get("image"))?.node ?? "";
    const [other = ""] = layers(workflow);
    const shared = connect(
      workflow,
      null,
      { node: load, port: "mask" },
      { node: other, port: "mask" },
    );
    const left = removeLayer(ground(shared), canvasOf(shared), node);
    expectSound(left);
    expect(left.nodes.has(load)).toBe(true);
  });

  it("are sampled from the first one on, and the empty latent comes back with the last", () => {
    const empty = started(false);
    const { workflow, node } = withLayer(empty, "raster");
    expectSound(workflow);
    expect(byType(workflow, "EmptyLatent")).toEqual([]);
    expect(source(workflow, canvasOf(workflow).sampler?.node, "latent")).toBe("VAEEncode.latent");
    expect(canvasOf(workflow).sampler?.denoise).toBe(0.75);
    const left = removeLayer(ground(workflow), canvasOf(workflow), node);
    expectSound(left);
    expect(typesIn(left)).toEqual(typesIn(empty));
    expect(source(left, canvasOf(left).sampler?.node, "latent")).toBe("EmptyLatent.latent");
    expect(canvasOf(left).sampler?.denoise).toBe(1);
  });

  it("are put above the one that is named", () => {
    const first = withLayer(started(), "raster");
    const [lowest = ""] = layers(first.workflow);
    const between = withLayer(first.workflow, "raster", { above: lowest });
    expect(layers(between.workflow)).toEqual([lowest, between.node, first.node]);
  });

  it("change places, but not so that a picture is made of itself", () => {
    const first = withLayer(started(), "raster");
    const [lowest = ""] = layers(first.workflow);
    const moved = moveLayer(ground(first.workflow), canvasOf(first.workflow), lowest, {
      index: 1,
      parent: null,
    });
    expectSound(moved);
    expect(layers(moved)).toEqual([first.node, lowest]);
    const json = JSON.parse(writeWorkflow(first.workflow));
    json.nodes.below = { type: "FlattenLayers", inputs: { layers: { from: lowest } } };
    json.nodes[first.node].inputs.image = { from: "below.image" };
    const computed = workflowFromJson(fromPlain(json));
    const canvas = canvasOf(computed);
    const layer = canvas.entries.find(({ node }) => node === first.node);
    expect(layer && isLayer(layer) && [layer.picture, layer.source]).toEqual([null, "below"]);
    const swapped = moveLayer(ground(computed), canvas, lowest, { index: 1, parent: null });
    expect(swapped).toBe(computed);
  });

  it("are grouped where the highest was, and come out again", () => {
    const first = withLayer(started(), "raster");
    const second = withLayer(first.workflow, "raster");
    const [lowest = ""] = layers(second.workflow);
    const { workflow, node } = groupLayers(
      ground(second.workflow),
      canvasOf(second.workflow),
      [first.node, lowest],
      "Ground",
    );
    expectSound(workflow);
    const entries = canvasOf(workflow).entries;
    expect(entries.map((entry) => [entry.node, entry.parent])).toEqual([
      [lowest, node],
      [first.node, node],
      [node, null],
      [second.node, null],
    ]);
    expect(entries.find((entry) => entry.node === node)?.title).toBe("Ground");
    const opened = ungroup(ground(workflow), canvasOf(workflow), node ?? "");
    expectSound(opened);
    expect(layers(opened)).toEqual([lowest, first.node, second.node]);
    expect(byType(opened, "GroupLayers")).toEqual([]);
  });

  it("take a group along with them that they were the last of", () => {
    const first = withLayer(started(), "raster");
    const { workflow } = groupLayers(ground(first.workflow), canvasOf(first.workflow), [
      first.node,
    ]);
    const left = removeLayer(ground(workflow), canvasOf(workflow), first.node);
    expectSound(left);
    expect(byType(left, "GroupLayers")).toEqual([]);
    expect(layers(left)).toHaveLength(1);
  });

  it("are doubled with pictures of their own", () => {
    const first = withLayer(started(), "raster", { title: "Sky" });
    const { workflow, node } = duplicateLayer(
      ground(first.workflow),
      canvasOf(first.workflow),
      first.node,
    );
    expectSound(workflow);
    expect(layers(workflow).slice(1)).toEqual([first.node, node]);
    const painted = setPicture(ground(workflow), canvasOf(workflow), node ?? "", upload("c"));
    const pictures = canvasOf(painted)
      .entries.filter(isLayer)
      .map(({ picture }) => picture?.value);
    expect(pictures).toEqual([upload("a"), upload("b"), upload("c")]);
  });

  it("are merged with what is below them", () => {
    const first = withLayer(started(), "raster");
    const place = { ...PLACE, width: 600 };
    const merged = mergeDown(
      ground(first.workflow),
      canvasOf(first.workflow),
      first.node,
      upload("d"),
      place,
    );
    expectSound(merged);
    const [layer, ...others] = canvasOf(merged).entries.filter(isLayer);
    expect(others).toEqual([]);
    expect(layer).toMatchObject({ placement: place, picture: { value: upload("d") } });
    expect(byType(merged, "LoadImage")).toHaveLength(1);
  });

  it("are merged with what is seen alone", () => {
    const upper = withLayer(started(), "raster");
    const below = layerBelow(ground(upper.workflow), canvasOf(upper.workflow), upper.node ?? "");
    expect(below).not.toBeNull();
    for (const node of [upper.node ?? "", below ?? ""]) {
      const hidden = setLayer(ground(upper.workflow), canvasOf(upper.workflow), node, {
        visible: false,
      });
      expect(layerBelow(ground(hidden), canvasOf(hidden), upper.node ?? "")).toBeNull();
    }
  });

  it("are what results become, in the box in which they were made", () => {
    const workflow = started(false);
    const place = { x: 64, y: -32, width: 512, height: 512, rotation: 0 };
    const accepted = acceptResult(
      ground(workflow),
      canvasOf(workflow),
      [upload("e"), upload("f")],
      place,
    );
    expectSound(accepted.workflow);
    const found = canvasOf(accepted.workflow).entries.filter(isLayer);
    expect(found.map(({ placement }) => placement)).toEqual([place, place]);
    expect(found.at(-1)?.node).toBe(accepted.node);
  });
});

describe("a layer's picture", () => {
  it("is loaded with its transparency, in graphs made by hand once it is painted on, too", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const load = canvasOf(workflow).entries.filter(isLayer).at(-1)?.picture?.node ?? "";
    expect(value(workflow, load, "alpha")).toBe(true);
    const opaque = setInput(workflow, null, load, "alpha", undefined);
    const painted = setPicture(ground(opaque), canvasOf(opaque), node, upload("c"));
    expect(value(painted, load, "alpha")).toBe(true);
  });
});

describe("a layer's look", () => {
  it("is what its node says", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const changes = {
      title: "Sky",
      opacity: 0.5,
      mode: "multiply",
      visible: false,
      locked: true,
      alphaLocked: true,
    };
    const changed = setLayer(ground(workflow), canvasOf(workflow), node, changes);
    expectSound(changed);
    expect(canvasOf(changed).entries.find((each) => each.node === node)).toMatchObject(changes);
    expect(value(changed, node, "name")).toBe("Sky");
  });

  it("stays locked under another name, and is forgotten with the layer", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const locked = setLayer(ground(workflow), canvasOf(workflow), node, { locked: true });
    const renamed = renameNode(locked, null, node, "sky");
    expect(canvasOf(renamed).entries.find((each) => each.node === "sky")).toMatchObject({
      locked: true,
    });
    expect(canvasOf(renamed).entries.filter(isPaintable)).toHaveLength(1);
    const left = removeLayer(ground(renamed), canvasOf(renamed), "sky");
    expect(layoutOf(left, null).locked.size).toBe(0);
  });

  it("is hidden where its node is bypassed, and shown by running it again", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const bypassed = setMode(workflow, null, [node], "bypass");
    const seen = (w: Workflow) => canvasOf(w).entries.find((each) => each.node === node)?.visible;
    expect(seen(bypassed)).toBe(false);
    expect(seen(setLayer(ground(bypassed), canvasOf(bypassed), node, { visible: true }))).toBe(
      true,
    );
  });

  it("stands by itself once it is moved out of a box that it was linked to", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const box = { node: canvasOf(workflow).box.node, port: "box" };
    const linked = connect(workflow, null, box, { node, port: "box" });
    const placed = setLayer(ground(linked), canvasOf(linked), node, { x: 20 });
    const layer = canvasOf(placed).entries.find((each) => each.node === node);
    expect(layer).toMatchObject({ placement: { ...PLACE, x: 20 } });
    expect(source(placed, node, "box")).toBeNull();
  });

  it("leaves a picture alone that two layers show, once one of them is painted on", () => {
    const { workflow, node } = withLayer(started(), "raster");
    const [lowest = ""] = layers(workflow);
    const load = linkOf(workflow.nodes.get(lowest)?.inputs.get("image"))?.node ?? "";
    const shared = connect(workflow, null, { node: load, port: "image" }, { node, port: "image" });
    const painted = setPicture(ground(shared), canvasOf(shared), node, upload("c"));
    expectSound(painted);
    const found = canvasOf(painted).entries.filter(isLayer);
    expect(found.map(({ picture }) => picture?.value)).toEqual([upload("a"), upload("c")]);
  });
});
