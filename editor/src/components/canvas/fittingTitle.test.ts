import { expect, it } from "vitest";
import { fittingTitle } from "./fittingTitle";

it("breaks a title between words, and within those that are too long", () => {
  expect(fittingTitle("Load model", 248, 200, 34)).toBe("Load model");
  expect(fittingTitle("Encode prompt", 248, 200, 34)).toBe("Encode\nprompt");
  expect(fittingTitle("Classification", 248, 200, 50)).toBe("Classif\nication");
});

it("leaves out what a block has no room for", () => {
  expect(fittingTitle("Encode prompt", 248, 60, 34)).toBe("Encode…");
  expect(fittingTitle("Encode prompt", 248, 30, 34)).toBe("");
  expect(fittingTitle("Encode prompt", 120, 300, 77)).toBe("");
});
