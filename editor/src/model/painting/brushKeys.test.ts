import { expect, it } from "vitest";
import { nextBrushSize } from "./brushKeys";

it("changes the size by steps that fit it", () => {
  expect(nextBrushSize(3, 1, 100)).toBe(4);
  expect(nextBrushSize(60, -1, 100)).toBe(54);
  expect(nextBrushSize(1, -1, 100)).toBe(1);
  expect(nextBrushSize(99, 1, 100)).toBe(100);
});
