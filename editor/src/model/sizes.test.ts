import { describe, expect, it, test } from "vitest";
import { input, output, spec } from "./fixtures/specs";
import { fieldsHeight, pictureHeight, showsPictures, USUAL_WIDTH, usualWidth } from "./sizes";
import type { NodeEntry } from "./workflow";

const SAVE = spec("Save", { output: true, inputs: [input("image", "list[Image]")] });
const BLEND = spec("Blend", {
  inputs: [input("image", "Image")],
  outputs: [output("image", "Image")],
});

const ENTRY: NodeEntry = {
  type: "Load",
  version: null,
  inputs: new Map(),
  label: "",
  note: "",
  always: false,
  mode: null,
  extra: new Map(),
};

describe("a card's usual width", () => {
  it("is larger for long texts and for samplers, and largest for what shows pictures", () => {
    const text = { widget: "multiline", json_schema: { type: "string" } };
    const words = spec("Words", { inputs: [input("text", "str", text)] });
    const sampler = spec("Sample", { category: "sampling" });
    expect(usualWidth(BLEND)).toBe(USUAL_WIDTH);
    expect(usualWidth(null)).toBe(USUAL_WIDTH);
    expect(usualWidth(sampler)).toBeGreaterThan(USUAL_WIDTH);
    expect(usualWidth(words)).toBe(usualWidth(sampler));
    expect(usualWidth(SAVE)).toBeGreaterThan(usualWidth(sampler));
  });
});

test("a seed has a line of its own where a narrow card has no room for it beside its label", () => {
  const seed = input("seed", "int", { widget: "seed", json_schema: { type: "integer" } });
  const high = (width: number) => fieldsHeight(ENTRY, [seed], 0, width);
  expect(high(284)).toBe(high(600));
  expect(high(USUAL_WIDTH)).toBe(high(284) + 26);
  expect(high(176)).toBe(high(USUAL_WIDTH));
});

describe("the place for pictures", () => {
  it("is there before the first run, in what a run is for", () => {
    expect(showsPictures(SAVE)).toBe(true);
    expect(showsPictures(BLEND)).toBe(false);
    expect(pictureHeight(BLEND, undefined, 300)).toBe(0);
  });

  it("grows with the card where a picture is chosen, up to a limit", () => {
    const chosen = input("image", "str", { widget: "file:image", json_schema: { type: "string" } });
    const high = (width: number) => fieldsHeight(ENTRY, [chosen], 0, width);
    expect(high(304)).toBe(high(200));
    expect(high(704) - high(504)).toBe(200);
    expect(high(2000)).toBe(high(1000));
  });

  it("is as high as wide, unless somebody chose a height", () => {
    const usual = pictureHeight(SAVE, undefined, 300);
    expect(usual).toBeGreaterThan(280);
    expect(pictureHeight(SAVE, { width: 300 }, 300)).toBe(usual);
    expect(pictureHeight(SAVE, { width: 300, height: 200 }, 300)).toBeLessThan(usual / 2);
  });
});
