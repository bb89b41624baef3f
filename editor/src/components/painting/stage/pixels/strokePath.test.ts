import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Brush, StrokePath, type Touch, touchAt } from "./strokePath";

const NONE = { size: false, opacity: false, flow: false, hardness: false };
const BRUSH: Brush = { size: 20, hardness: 1, flow: 1, pressure: NONE };
const at = (x: number, y: number, pressure = 1) => ({ x, y, pressure });

/** All touches of a stroke that has ended. */
function drawn(
  brush: Brush,
  points: readonly { x: number; y: number; pressure: number }[],
): Touch[] {
  const path = new StrokePath(brush);
  return [...points.flatMap((point) => [...path.add(point)]), ...path.tail([])];
}

describe("the path of a stroke", () => {
  it("is one touch for one point", () => {
    const [first, ...more] = drawn(BRUSH, [at(3, 4)]);
    expect(first).toMatchObject({ x: 3, y: 4, radius: 10 });
    expect(more.every(({ x, y }) => x === 3 && y === 4)).toBe(true);
  });

  it("begins and ends at the pointer", () => {
    const points = fc.array(fc.record({ x: fc.integer(), y: fc.integer() }), { minLength: 1 });
    fc.assert(
      fc.property(points, (all) => {
        const small = all.map(({ x, y }) => at(x % 500, y % 500));
        const touches = drawn(BRUSH, small);
        const [first, last] = [touches[0], touches.at(-1)];
        expect([first?.x, first?.y]).toEqual([small[0]?.x, small[0]?.y]);
        expect(last?.x).toBeCloseTo(small.at(-1)?.x ?? Number.NaN);
        expect(last?.y).toBeCloseTo(small.at(-1)?.y ?? Number.NaN);
      }),
    );
  });

  it("bends around a corner instead of breaking there", () => {
    const touches = drawn({ ...BRUSH, size: 4 }, [at(0, 0), at(100, 0), at(100, 100)]);
    expect(touches.some(({ x, y }) => x > 80 && x < 98 && y > 2 && y < 20)).toBe(true);
  });

  it("shows a prediction without keeping it", () => {
    const path = new StrokePath(BRUSH);
    path.add(at(0, 0));
    path.add(at(10, 0));
    expect(path.tail([at(30, 0)]).at(-1)?.x).toBeCloseTo(30);
    expect(path.tail([]).at(-1)?.x).toBeCloseTo(10);
  });

  it("stamps at even distances, however many points the pointer gave", () => {
    const brush = { ...BRUSH, flow: 0.5 };
    const points = Array.from({ length: 41 }, (_, index) => at(index * 5, 0));
    const xs = drawn(brush, points).map(({ x }) => x);
    const gaps = xs.slice(1).map((x, index) => x - (xs[index] ?? 0));
    for (const gap of gaps) expect(gap).toBeCloseTo(2, 5);
    expect(xs.length).toBe(101);
  });
});

describe("pressure", () => {
  it("changes only what is chosen", () => {
    const light = at(0, 0, 0.5);
    expect(touchAt(light, BRUSH)).toMatchObject({ radius: 10, hardness: 1, alpha: 1, flow: 1 });
    const all = { size: true, opacity: true, flow: true, hardness: true };
    expect(touchAt(light, { ...BRUSH, pressure: all })).toMatchObject({
      radius: 5,
      hardness: 0.5,
      alpha: 0.5,
      flow: 0.5,
    });
  });
});
