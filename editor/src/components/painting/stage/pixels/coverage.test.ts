import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Coverage, type Dab, FULL, tip } from "./coverage";
import type { Rect } from "./geometry";

const dab = (x: number, y: number, more: Partial<Dab> = {}): Dab => ({
  x,
  y,
  radius: 4,
  hardness: 1,
  alpha: 1,
  ...more,
});

function values(coverage: Coverage, { x, y, width, height }: Rect): number[] {
  return Array.from({ length: width * height }, (_, at) =>
    coverage.at(x + (at % width), y + Math.floor(at / width)),
  );
}

describe("what a stroke covers", () => {
  it("is full between two touches and nothing beyond the brush", () => {
    const coverage = new Coverage();
    coverage.segment(dab(-20, 5), dab(40, 5));
    for (let x = -20; x <= 40; x++) expect(coverage.at(x, 5)).toBe(FULL);
    expect([coverage.at(10, 10), coverage.at(10, -1), coverage.at(46, 5)]).toEqual([0, 0, 0]);
  });

  it("is as even where the stroke crosses itself", () => {
    const coverage = new Coverage();
    const soft = { hardness: 0, alpha: 0.5 };
    coverage.segment(dab(0, 0, soft), dab(30, 0, soft));
    const once = values(coverage, { x: -5, y: -5, width: 40, height: 10 });
    coverage.segment(dab(0, 0, soft), dab(30, 0, soft));
    expect(values(coverage, { x: -5, y: -5, width: 40, height: 10 })).toEqual(once);
  });

  it("gets wider and stronger with the pressure along the way", () => {
    const coverage = new Coverage();
    coverage.segment(dab(0, 0, { radius: 2, alpha: 0.2 }), dab(40, 0, { radius: 8 }));
    expect(coverage.at(2, 6)).toBe(0);
    expect(coverage.at(36, 6)).toBeGreaterThan(0);
    expect(coverage.at(10, 0)).toBeLessThan(coverage.at(30, 0));
  });

  it("builds up by stamps, up to their strength", () => {
    const coverage = new Coverage();
    const seen = Array.from({ length: 400 }, () => {
      coverage.stamp(dab(10.5, 10.5, { alpha: 0.5 }), 0.02);
      return coverage.at(10, 10);
    });
    expect(seen[0]).toBeCloseTo(0.5 * 0.02 * FULL, -1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBeGreaterThanOrEqual(Math.floor(FULL / 2));
    expect(seen.at(-1)).toBeLessThanOrEqual(Math.ceil(FULL / 2));
  });

  it("is as before once a provisional part is taken back", () => {
    const point = fc.record({
      x: fc.integer({ min: -60, max: 60 }),
      y: fc.integer({ min: -60, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 4, maxLength: 4 }), (points) => {
        const [a, b, c, d] = points.map(({ x, y }) => dab(x, y, { hardness: 0.3 }));
        if (!a || !b || !c || !d) throw new Error("four points");
        const area = { x: -70, y: -70, width: 140, height: 140 };
        const coverage = new Coverage();
        coverage.segment(a, b);
        const before = values(coverage, area);
        coverage.mark({ x: -66, y: -66, width: 132, height: 132 });
        coverage.segment(c, d);
        coverage.revert();
        expect(values(coverage, area)).toEqual(before);
      }),
      { numRuns: 30 },
    );
  });

  it("is given as pixels of one color", () => {
    const coverage = new Coverage();
    coverage.fill({ x: 5, y: 5, width: 2, height: 1 }, Uint8Array.of(255, 51));
    const pixels = coverage.colored({ x: 4, y: 5, width: 3, height: 1 }, [10, 20, 30]);
    expect([...pixels]).toEqual([0, 0, 0, 0, 10, 20, 30, 255, 10, 20, 30, 51]);
  });
});

describe("the tip of a brush", () => {
  it("fades from its hard part to its edge", () => {
    expect([tip(0, 10, 0.5), tip(5, 10, 0.5), tip(11, 10, 0.5)]).toEqual([1, 1, 0]);
    const fading = [6, 7, 8, 9, 10].map((away) => tip(away, 10, 0.5));
    expect(fading).toEqual([...fading].sort((a, b) => b - a));
  });

  it("covers half of a pixel that its hard edge goes through", () => {
    expect(tip(10, 10, 1)).toBeCloseTo(0.5);
  });
});
