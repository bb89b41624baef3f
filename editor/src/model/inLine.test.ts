import fc from "fast-check";
import { expect, test } from "vitest";
import { align, distribute } from "./inLine";
import type { Box } from "./layout";

const some = new Map<string, Box>([
  ["a", { x: 0, y: 0, width: 100, height: 50 }],
  ["b", { x: 150, y: 40, width: 60, height: 80 }],
  ["c", { x: 400, y: 10, width: 40, height: 40 }],
]);

test("boxes stand in line", () => {
  expect(align(some, "left").get("c")).toEqual({ x: 0, y: 10 });
  expect(align(some, "right").get("a")).toEqual({ x: 340, y: 0 });
  expect(align(some, "bottom").get("a")).toEqual({ x: 0, y: 70 });
  expect(align(some, "middle").get("a")).toEqual({ x: 0, y: 35 });
});

test("gaps become even, and the ends stay", () => {
  const placed = distribute(some, "horizontal");
  expect(placed.get("a")?.x).toBe(0);
  expect(placed.get("b")?.x).toBe(220);
  expect(placed.get("c")?.x).toBe(400);
});

test("distributing twice changes nothing more", () => {
  const box = fc.record({
    x: fc.integer({ min: -500, max: 500 }),
    y: fc.integer({ min: -500, max: 500 }),
    width: fc.integer({ min: 1, max: 200 }),
    height: fc.integer({ min: 1, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(box, { minLength: 2, maxLength: 8 }), (items) => {
      const before = new Map(items.map((item, index) => [`n${index}`, item]));
      const once = distribute(before, "vertical");
      const moved = new Map(
        [...before].map(([name, item]) => [name, { ...item, ...once.get(name) }]),
      );
      const twice = distribute(moved, "vertical");
      for (const [name, at] of once) {
        expect(Math.abs((twice.get(name)?.y ?? NaN) - at.y)).toBeLessThanOrEqual(items.length);
      }
    }),
  );
});
