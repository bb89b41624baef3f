import { expect, it } from "vitest";
import { fittingSize } from "./cellSize";

const WINDOW = { width: 1440, height: 900 };

it("gives the cells of a small grid all of the window", () => {
  const size = fittingSize(3, 2, WINDOW);
  expect(size).toBeGreaterThan(300);
  expect(3 * size).toBeLessThan(WINDOW.width);
  expect(2 * size).toBeLessThan(WINDOW.height);
});

it("is no larger than the slider goes, and small only as far as pictures can be compared", () => {
  expect(fittingSize(1, 1, { width: 4000, height: 3000 })).toBe(512);
  expect(fittingSize(40, 40, WINDOW)).toBe(128);
});
