import { expect, test } from "vitest";
import { isLookedAt, seenAfter, viewportWith } from "./staySeen";

const bounds = { x: 0, y: 0, width: 1000, height: 500 };
const wide = { viewport: { x: 100, y: 100, zoom: 1 }, screen: { width: 1200, height: 700 } };
const narrow = { width: 760, height: 700 };

test("a graph that was all seen still is beside a panel, and as before once that is closed", () => {
  const beside = seenAfter(bounds, wide, narrow);
  expect(beside?.viewport.zoom).toBeCloseTo(0.7, 1);
  expect(beside?.viewport.x).toBeGreaterThan(0);
  const right = (beside?.viewport.x ?? 0) + bounds.width * (beside?.viewport.zoom ?? 1);
  expect(right).toBeLessThan(narrow.width);
  if (beside === null) return;
  const lower = seenAfter(bounds, beside, { width: 760, height: 400 });
  expect(lower && seenAfter(bounds, lower, wide.screen)).toEqual(wide);
});

test("the view stays where the graph has room, was not all seen, or could not be read", () => {
  expect(seenAfter(bounds, wide, { width: 1150, height: 700 })).toBeNull();
  const moved = { ...wide, viewport: { x: -300, y: 100, zoom: 1 } };
  expect(seenAfter(bounds, moved, narrow)).toBeNull();
  expect(seenAfter(bounds, wide, { width: 300, height: 700 })).toBeNull();
});

test("what is added comes into view by no more than that takes", () => {
  expect(viewportWith(bounds, wide, 0.4)).toBe(wide.viewport);
  const lower = { x: 0, y: 300, width: 200, height: 400 };
  const moved = viewportWith(lower, wide, 0.4);
  expect(moved).toMatchObject({ x: 100, zoom: 1 });
  expect((moved?.y ?? 0) + 700).toBeLessThan(700);
  const wider = viewportWith({ ...bounds, width: 1400 }, wide, 0.4);
  expect(wider?.zoom).toBeCloseTo(0.8, 1);
  expect((wider?.x ?? 0) + 1400 * (wider?.zoom ?? 1)).toBeLessThan(1200);
  expect(viewportWith({ ...bounds, width: 4000 }, wide, 0.4)).toBeNull();
});

test("less than half of a card isn't looked at, and a part of one that fills the window is", () => {
  expect(isLookedAt(bounds, wide)).toBe(true);
  expect(isLookedAt({ ...bounds, x: -700 }, wide)).toBe(false);
  expect(isLookedAt({ ...bounds, x: -9000, width: 18_000, y: -100, height: 9000 }, wide)).toBe(
    true,
  );
});
