import fc from "fast-check";
import { expect, it } from "vitest";
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import type { Sight } from "./inSight";
import { Boxes } from "./inSight";

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
        const drawn = new Boxes(nodes, [link]);
        expect(drawn.hasNew(now, was)).toBe(expected);
        expect(drawn.inSight(now)).toEqual(
          nodes.filter((_, index) => isSeen(boxes[index] as (typeof boxes)[0], now)).map(idOf),
        );
      },
    ),
  );
});

it("what is kept is not new, nor are its links", () => {
  const nodes = [card("a", 0), card("b", 2000)];
  const link = { id: "l", source: "a", target: "b" } as CanvasEdge;
  const boxes = new Boxes(nodes, [link]);
  const at = (x: number): Sight => ({ transform: [-x, 0, 1], width: 300, height: 300 });
  expect(boxes.hasNew(at(2000), at(-900))).toBe(true);
  expect(boxes.hasNew(at(2000), at(-900), new Set(["b"]))).toBe(false);
  // The link alone.
  expect(boxes.hasNew(at(1000), at(-900), new Set())).toBe(true);
  expect(boxes.hasNew(at(1000), at(-900), new Set(["a"]))).toBe(false);
});

const idOf = ({ id }: CanvasNode) => id;

function card(id: string, x: number): CanvasNode {
  return { id, type: "card", position: { x, y: 0 }, width: 200, height: 100 } as CanvasNode;
}

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
