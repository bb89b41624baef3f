import { describe, expect, it } from "vitest";
import { BY_EDGES, type ObjectPrompt, segmentersOf, selectionWorkflow } from "./objects";

const NOTHING: ObjectPrompt = {
  points: [],
  excluded: [],
  box: null,
  words: "",
  size: { width: 64, height: 64 },
};

function maskOf(prompt: Partial<ObjectPrompt>, segmenter = BY_EDGES) {
  const text = selectionWorkflow("upload:a/a.png", { ...NOTHING, ...prompt }, segmenter);
  return text === null ? null : JSON.parse(text).nodes.mask;
}

const model = (name: string, part: string, more = {}) => ({
  name,
  node: "LoadVisionModel",
  part,
  problem: null,
  ...more,
});

describe("what selects objects", () => {
  it("are models that take points, then those that take words, and edges at last", () => {
    const models = [
      model("words", "a vision model (CLIPSegForImageSegmentation)"),
      model("points", "a vision model (Sam2Model)"),
      model("depth", "a vision model (DepthAnythingForDepthEstimation)"),
      model("broken", "a vision model (SamModel)", { problem: "it is cut off" }),
      model("other", "SamModel", { node: "LoadModel" }),
    ];
    expect(segmentersOf(models)).toEqual([
      { kind: "points", model: "points" },
      { kind: "words", model: "words" },
      BY_EDGES,
    ]);
  });

  it("is asked in the form that it takes", () => {
    const points = [{ x: 3, y: 4 }];
    const excluded = [{ x: 9, y: 9 }];
    const box = { x: 1, y: 2, width: 30, height: 40 };
    expect(maskOf({ points, excluded, box }, { kind: "points", model: "m" })).toMatchObject({
      type: "SegmentAnything",
      inputs: { points: "[[3,4]]", excluded: "[[9,9]]", boxes: "1, 2, 30, 40", unit: "pixels" },
    });
    expect(maskOf({ words: " a hat " }, { kind: "words", model: "m" })).toMatchObject({
      type: "SegmentByText",
      inputs: { text: "a hat" },
    });
    expect(maskOf({ points }).type).toBe("MagicWand");
    expect(maskOf({ points, excluded }).type).toBe("SelectByPoints");
    expect(maskOf({ box }).type).toBe("SelectByBox");
  });

  it("is not asked what it doesn't understand", () => {
    expect(maskOf({ words: "a hat" })).toBeNull();
    expect(maskOf({ points: [{ x: 1, y: 1 }] }, { kind: "words", model: "m" })).toBeNull();
  });
});
