import fc from "fast-check";
import { expect, it } from "vitest";
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { edgesOfBoxes, hasNew } from "./inSight";
import type { Sight } from "./movingView";

const place = fc.record({
  x: fc.integer({ min: -900, max: 900 }),
  y: fc.integer({ min: -900, max: 900 }),
});
const sight = fc.record({
  transform: fc.tuple(
    fc.integer({ min: -900, max: 900 }),
    fc.integer({ min: -900, max: 900 }),
    fc.constantFrom(0.5, 1, 2),
  ),
  width: fc.integer({ min: 100, max: 900 }),
  height: fc.integer({ min: 100, max: 900 }),
});

it("finds each card, and each link between two, that comes into sight", () => {
  fc.assert(
    fc.property(
      fc.array(place, { minLength: 2, maxLength: 6 }),
      sight,
      sight,
      (places, now, was) => {
        const nodes = places.map(
          (position, index) =>
            ({ id: `n${index}`, type: "card", position, width: 200, height: 100 }) as CanvasNode,
        );
        const link = { id: "l", source: "n0", target: "n1" } as CanvasEdge;
        const boxes = places.map(({ x, y }) => [x, y, x + 200, y + 100] as const);
        const [a, b] = boxes as [(typeof boxes)[0], (typeof boxes)[0]];
        const around = [
          Math.min(a[0], b[0]),
          Math.min(a[1], b[1]),
          Math.max(a[2], b[2]),
          Math.max(a[3], b[3]),
        ] as const;
        const expected = [...boxes, around].some((box) => isSeen(box, now) && !isSeen(box, was));
        expect(hasNew(edgesOfBoxes(nodes, [link]), now, was)).toBe(expected);
      },
    ),
  );
});

/** As told on the screen. */
function isSeen(
  [left, top, right, bottom]: readonly [number, number, number, number],
  { transform: [x, y, zoom], width, height }: Sight,
): boolean {
  return (
    left * zoom + x < width &&
    right * zoom + x > 0 &&
    top * zoom + y < height &&
    bottom * zoom + y > 0
  );
}
