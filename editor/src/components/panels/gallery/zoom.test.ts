import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contained, fitScale, nextScale, zoomAt } from "./zoom";

describe("fitScale", () => {
  it("shrinks large pictures and enlarges small ones by whole numbers", () => {
    expect(fitScale({ width: 2000, height: 1000 }, { width: 1000, height: 1000 })).toBe(0.5);
    expect(fitScale({ width: 128, height: 128 }, { width: 700, height: 500 })).toBe(3);
    expect(fitScale({ width: 0, height: 0 }, { width: 700, height: 500 })).toBe(1);
  });
});

describe("zoomAt", () => {
  it("keeps the point under the pointer where it is", () => {
    const number = fc.integer({ min: -500, max: 500 });
    const factor = fc.double({ min: 0.2, max: 5, noNaN: true });
    fc.assert(
      fc.property(number, number, factor, (x, y, by) => {
        const view = { scale: 1, x: 10, y: -20 };
        const after = zoomAt(view, by, { x, y }, 0.01);
        expect((x - after.x) / after.scale).toBeCloseTo((x - view.x) / view.scale, 6);
        expect((y - after.y) / after.scale).toBeCloseTo((y - view.y) / view.scale, 6);
      }),
    );
  });

  it("stops at its limits", () => {
    expect(zoomAt({ scale: 1, x: 0, y: 0 }, 1e9, { x: 0, y: 0 }, 0.5).scale).toBe(64);
    expect(zoomAt({ scale: 1, x: 0, y: 0 }, 1e-9, { x: 0, y: 0 }, 0.5).scale).toBe(0.5);
  });
});

describe("contained", () => {
  const frame = { width: 100, height: 100 };
  it("centres what is smaller and lets what is larger move to its edges", () => {
    const picture = { width: 50, height: 200 };
    expect(contained({ scale: 1, x: 30, y: 80 }, picture, frame)).toEqual({
      scale: 1,
      x: 0,
      y: 50,
    });
  });
});

describe("nextScale", () => {
  it("walks over round numbers", () => {
    expect(nextScale(1, 1)).toBeCloseTo(Math.SQRT2);
    expect(nextScale(1, -1)).toBeCloseTo(Math.SQRT1_2);
    expect(nextScale(0.9, 1)).toBeCloseTo(1);
    expect(nextScale(1.1, -1)).toBeCloseTo(1);
  });
});
