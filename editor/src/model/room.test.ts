import fc from "fast-check";
import { expect, test } from "vitest";
import type { Box } from "./layout";
import { roomFor } from "./room";

const CARD = { width: 240, height: 160 };

/** The boxes after room was made for "new" between "a" and "b". */
function after(boxes: ReadonlyMap<string, Box>): Map<string, Box> {
  const { moves } = roomFor(boxes, "new", "a", "b");
  return new Map([...boxes].map(([name, box]) => [name, { ...box, ...moves.get(name) }]));
}

/** Whom it covers by more than the one pixel that roundings may cost. */
function covered(boxes: ReadonlyMap<string, Box>, name: string): readonly string[] {
  const own = boxes.get(name) as Box;
  return [...boxes].flatMap(([other, box]) => {
    const isBeside = own.x >= box.x + box.width - 1 || box.x >= own.x + own.width - 1;
    const isAbove = own.y >= box.y + box.height - 1 || box.y >= own.y + own.height - 1;
    return other === name || isBeside || isAbove ? [] : [other];
  });
}

test("what follows moves to the right, all of it alike, and what is before stays", () => {
  const boxes = new Map<string, Box>([
    ["a", { x: 0, y: 0, ...CARD }],
    ["b", { x: 312, y: 0, ...CARD }],
    ["c", { x: 624, y: 300, ...CARD }],
    ["new", { x: 156, y: 0, ...CARD }],
  ]);
  const found = after(boxes);
  expect(found.get("a")).toEqual(boxes.get("a"));
  expect(found.get("new")?.x).toBe(280);
  expect([found.get("b")?.x, found.get("c")?.x]).toEqual([560, 872]);
  expect(covered(found, "new")).toEqual([]);
});

test("where there is room, nothing moves", () => {
  const boxes = new Map<string, Box>([
    ["a", { x: 0, y: 0, ...CARD }],
    ["b", { x: 800, y: 0, ...CARD }],
    ["new", { x: 400, y: 20, ...CARD }],
  ]);
  expect(after(boxes)).toEqual(boxes);
});

test("it covers nobody, wherever it was put", () => {
  const place = fc.record({
    x: fc.integer({ min: -900, max: 900 }),
    y: fc.integer({ min: -900, max: 900 }),
  });
  const drawn = fc.tuple(place, place, place, fc.array(place, { maxLength: 8 }));
  fc.assert(
    fc.property(drawn, ([a, b, own, others]) => {
      const named = [["a", a], ["b", b], ["new", own], ...others.map((at, i) => [`o${i}`, at])];
      const boxes = new Map(
        named.map(([name, at]) => [name as string, { ...(at as Box), ...CARD }]),
      );
      expect(covered(after(boxes), "new")).toEqual([]);
    }),
  );
});
