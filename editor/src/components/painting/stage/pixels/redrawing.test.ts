import { expect, it } from "vitest";
import { takePainted } from "./redrawing";

const RED = [204, 0, 0, 255];
const BLUE = [0, 0, 204, 255];
const CLEAR = [0, 0, 0, 0];

const row = (...pixels: number[][]) => Uint8ClampedArray.from(pixels.flat());

it("takes what another has painted into a state, and leaves out what that did not touch", () => {
  // A stroke on the first two pixels; then another's on the second and the third.
  const blank = row(CLEAR, CLEAR, CLEAR, CLEAR);
  takePainted(blank, row(RED, RED, CLEAR, CLEAR), row(RED, BLUE, BLUE, CLEAR));
  expect([...blank]).toEqual([...row(CLEAR, BLUE, BLUE, CLEAR)]);
});

it("takes rounding of soft edges for no paint", () => {
  const state = row(CLEAR);
  takePainted(state, row([200, 0, 0, 3]), row([255, 0, 0, 3]));
  expect([...state]).toEqual(CLEAR);
});
