import { expect, it } from "vitest";
import { fitted, resized, toCanvas } from "./stageView";

const BOX = { x: 100, y: 50, width: 400, height: 300 };
const WIDE = { width: 1200, height: 800 };
const TALL = { width: 500, height: 900 };

it("fits again what was fitted, as the stage gets another size", () => {
  expect(resized(fitted(BOX, WIDE), BOX, WIDE, TALL)).toEqual(fitted(BOX, TALL));
});

it("keeps what is in the middle, as the stage gets another size", () => {
  const view = { x: -20, y: 30, zoom: 2 };
  const after = resized(view, BOX, WIDE, TALL);
  const middle = (size: typeof WIDE) => ({ x: size.width / 2, y: size.height / 2 });
  expect(after.zoom).toBe(2);
  expect(toCanvas(after, middle(TALL))).toEqual(toCanvas(view, middle(WIDE)));
});
