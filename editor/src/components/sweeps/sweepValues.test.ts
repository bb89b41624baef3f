import { expect, it } from "vitest";
import { sweepValues } from "./sweepValues";

it.each([
  ["1, 2,3", [1, 2, 3]],
  ["1..4", [1, 2, 3, 4]],
  ["0..1 step 0.25", [0, 0.25, 0.5, 0.75, 1]],
  ["3..1", [3, 2, 1]],
  ["0:1:0.5, 4:6", [0, 0.5, 1, 4, 5, 6]],
  ["7\n8..9; 1e2", [7, 8, 9, 100]],
  ["", []],
])("numbers of %j", (text, values) => {
  expect(sweepValues(text, "number")).toEqual(values);
});

it.each(["apple", "1..x", "0..1 step 0"])("%j isn't numbers", (text) => {
  expect(sweepValues(text, "number")).toBeNull();
});

it("texts are lines", () => {
  expect(sweepValues("a fox, red\n\n a hare ", "text")).toEqual(["a fox, red", "a hare"]);
});

it("there are no more than a hundred", () => {
  expect(sweepValues("1..5000", "number")).toHaveLength(100);
});
