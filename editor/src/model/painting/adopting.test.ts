import { describe, expect, it } from "vitest";
import { removeNodes } from "../edits";
import {
  byType,
  canvasOf,
  expectSound,
  ground,
  layers,
  started,
  types,
  withLayer,
} from "../fixtures/canvas";
import { fromPlain } from "../json";
import { emptyWorkflow, workflowFromJson } from "../workflow";
import { adoptLayers, canAdoptLayers, readCanvas } from ".";

function graph(nodes: Record<string, unknown>) {
  return workflowFromJson(fromPlain({ format: "nodegraph/1", title: "", nodes }));
}

const FILE = { type: "LoadImage", inputs: { path: "upload:a/a.png" } };
const LAYER = {
  type: "AddLayer",
  inputs: { image: { from: "file" }, x: 10, y: -20, width: 100, height: 60 },
};
const UPPER = {
  type: "AddLayer",
  inputs: { image: { from: "file" }, layers: { from: "low" }, x: 50, y: 0, width: 100, height: 90 },
};

describe("layers without a box", () => {
  it("become a canvas whose box holds them all, in whole steps", () => {
    const workflow = graph({
      file: FILE,
      low: LAYER,
      high: UPPER,
      save: { type: "SaveLayers", inputs: { layers: { from: "high" } } },
    });
    expect(readCanvas(workflow, null, types)).toBeNull();
    const adopted = adoptLayers(ground(workflow)).workflow;
    expectSound(adopted);
    expect(canvasOf(adopted).box).toMatchObject({
      x: 10,
      y: -20,
      width: 144,
      height: 112,
    });
    expect(layers(adopted)).toEqual(["low", "high"]);
  });

  it("keep what flattens them, which gets the box", () => {
    const flat = { type: "FlattenLayers", inputs: { layers: { from: "high" } } };
    const adopted = adoptLayers(
      ground(graph({ file: FILE, low: LAYER, high: UPPER, flat })),
    ).workflow;
    expect(byType(adopted, "FlattenLayers")).toHaveLength(1);
    expect(layers(adopted)).toEqual(["low", "high"]);
  });

  it("are what is asked for: neither a graph without layers nor a canvas is changed", () => {
    for (const workflow of [emptyWorkflow(), started()]) {
      expect(canAdoptLayers(ground(workflow))).toBe(false);
      expect(adoptLayers(ground(workflow)).workflow).toBe(workflow);
    }
  });

  it("give back a canvas whose box was deleted", () => {
    const { workflow } = withLayer(started(), "raster");
    const broken = removeNodes(workflow, null, byType(workflow, "BoundingBox"));
    expect(canAdoptLayers(ground(broken))).toBe(true);
    expect(layers(adoptLayers(ground(broken)).workflow)).toEqual(layers(workflow));
  });
});
