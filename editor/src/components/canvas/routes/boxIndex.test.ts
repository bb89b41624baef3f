import fc from "fast-check";
import { expect, it } from "vitest";
import type { Box } from "@/model/layout";
import { BoxIndex, spanOf } from "./boxIndex";

const numbers = fc.integer({ min: -4000, max: 4000 });
const sizes = fc.integer({ min: 1, max: 1500 });
const boxes = fc.array(fc.record({ x: numbers, y: numbers, width: sizes, height: sizes }));

function meet(a: Box, b: Box): boolean {
  return (
    a.x <= b.x + b.width && b.x <= a.x + a.width && a.y <= b.y + b.height && b.y <= a.y + a.height
  );
}

it("finds all boxes that meet a span", () => {
  fc.assert(
    fc.property(
      boxes,
      fc.record({ x: numbers, y: numbers, width: sizes, height: sizes }),
      (some, asked) => {
        const named = new Map(some.map((box, index) => [`${index}`, box]));
        const found = [...new BoxIndex(named).near(spanOf(asked))];
        const wanted = [...named].filter(([, box]) => meet(box, asked)).map(([name]) => name);
        expect(found).toEqual(expect.arrayContaining(wanted));
        expect(new Set(found).size).toBe(found.length);
      },
    ),
  );
});

it("leaves out what is far away", () => {
  const row = new Map(
    Array.from({ length: 100 }, (_, at) => [
      `${at}`,
      { x: at * 1000, y: 0, width: 200, height: 200 },
    ]),
  );
  const found = new BoxIndex(row).near({ left: 5000, right: 5100, top: 0, bottom: 100 });
  expect([...found]).toEqual(["5"]);
});
