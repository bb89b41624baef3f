import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cornersOf, extentOf, isOn, matrixOf, middleOf, resolved, turned } from "./geometry";
import { fitted, toCanvas, toScreen, zoomedAbout } from "./stageView";
import { HANDLES, movedBox, resizedBox, rotated, scaled } from "./transform";

const START = { x: 10, y: 20, width: 100, height: 50, rotation: 0 };
const named = (name: string) => {
  const handle = HANDLES.find((each) => each.name === name);
  if (handle === undefined) throw new Error(name);
  return handle;
};
const placed = fc.record({
  x: fc.integer({ min: -500, max: 500 }),
  y: fc.integer({ min: -500, max: 500 }),
  width: fc.integer({ min: 20, max: 400 }),
  height: fc.integer({ min: 20, max: 400 }),
  rotation: fc.integer({ min: -180, max: 180 }),
});

describe("a placed picture", () => {
  it("has its own size where none is set", () => {
    expect(resolved({ ...START, width: 0, height: 0 }, { width: 7, height: 8 })).toMatchObject({
      width: 7,
      height: 8,
    });
  });

  it("is drawn from corner to corner", () => {
    fc.assert(
      fc.property(placed, (placement) => {
        const [a, b, c, d, e, f] = matrixOf(placement, { width: 10, height: 10 });
        const [, , corner] = cornersOf(placement);
        expect(a * 10 + c * 10 + e).toBeCloseTo(corner.x, 6);
        expect(b * 10 + d * 10 + f).toBeCloseTo(corner.y, 6);
      }),
    );
  });

  it("covers whole pixels, more of them when it is turned", () => {
    expect(extentOf(START)).toEqual({ x: 10, y: 20, width: 100, height: 50 });
    expect(extentOf({ ...START, rotation: 90 })).toMatchObject({ width: 50, height: 100 });
  });

  it("is hit where it is drawn", () => {
    const upright = { ...START, rotation: 90 };
    expect(isOn(upright, { x: 60, y: 0 })).toBe(true);
    expect(isOn(upright, { x: 15, y: 45 })).toBe(false);
  });
});

describe("scaling by a handle", () => {
  it("leaves the opposite corner where it is", () => {
    const drag = fc.record({
      x: fc.integer({ min: -60, max: 60 }),
      y: fc.integer({ min: -60, max: 60 }),
    });
    fc.assert(
      fc.property(placed, drag, fc.boolean(), (start, by, keepsAspect) => {
        const next = scaled(start, named("bottomRight"), by, keepsAspect);
        const [[before], [after]] = [cornersOf(start), cornersOf(next)];
        expect(Math.hypot(after.x - before.x, after.y - before.y)).toBeLessThan(0.75);
      }),
    );
  });

  it("keeps the aspect with Shift", () => {
    expect(scaled(START, named("topLeft"), { x: -100, y: 0 }, true)).toEqual({
      x: -90,
      y: -30,
      width: 200,
      height: 100,
      rotation: 0,
    });
  });

  it("goes along the picture's own sides", () => {
    const next = scaled({ ...START, rotation: 90 }, named("right"), { x: 0, y: 30 }, false);
    expect(next).toMatchObject({ width: 130, height: 50 });
  });

  it("leaves at least one pixel", () => {
    expect(scaled(START, named("left"), { x: 500, y: 0 }, false)).toMatchObject({ width: 1 });
  });
});

describe("turning", () => {
  it("follows the pointer around the middle", () => {
    const middle = middleOf(START);
    const from = { x: middle.x, y: middle.y - 80 };
    const to = turned(from, middle, 37);
    expect(rotated(START, from, to, false).rotation).toBeCloseTo(37, 1);
    expect(rotated(START, from, to, true).rotation).toBe(30);
  });

  it("stays between half turns", () => {
    const middle = middleOf(START);
    const from = { x: middle.x + 10, y: middle.y };
    const next = rotated({ ...START, rotation: 170 }, from, turned(from, middle, 40), false);
    expect(next.rotation).toBeCloseTo(-150, 1);
  });
});

describe("the box", () => {
  const box = { x: 0, y: 0, width: 512, height: 512 };

  it("moves by steps", () => {
    expect(movedBox(box, { x: 13, y: -3 }, 8)).toEqual({ ...box, x: 16, y: 0 });
  });

  it("grows by steps at the side that is dragged", () => {
    const next = resizedBox(box, named("topLeft"), { x: -100, y: 3 }, 64, false);
    expect(next).toEqual({ x: -128, y: 0, width: 640, height: 512 });
  });

  it("keeps one step at least, and the far side", () => {
    fc.assert(
      fc.property(fc.integer({ min: -900, max: 900 }), fc.constantFrom(8, 16, 64), (by, step) => {
        const next = resizedBox(box, named("left"), { x: by, y: 0 }, step, false);
        expect(next.x + next.width).toBe(512);
        expect(next.width).toBeGreaterThanOrEqual(step);
        expect(next.width % step).toBe(0);
      }),
    );
  });

  it("keeps its aspect with Shift", () => {
    const wide = { x: 0, y: 0, width: 512, height: 256 };
    expect(resizedBox(wide, named("right"), { x: 512, y: 0 }, 8, true)).toEqual({
      x: 0,
      y: 0,
      width: 1024,
      height: 512,
    });
  });
});

describe("the view", () => {
  it("keeps what lies under the pointer when it is zoomed", () => {
    const coordinate = fc.integer({ min: -900, max: 900 });
    fc.assert(
      fc.property(
        coordinate,
        coordinate,
        fc.double({ min: 0.2, max: 5, noNaN: true }),
        (x, y, factor) => {
          const view = { x: 13, y: -7, zoom: 0.5 };
          const next = zoomedAbout(view, { x, y }, factor);
          const back = toScreen(next, toCanvas(view, { x, y }));
          expect(back.x).toBeCloseTo(x, 6);
          expect(back.y).toBeCloseTo(y, 6);
        },
      ),
    );
  });

  it("shows a part of the canvas in the middle", () => {
    const size = { width: 1000, height: 600 };
    const view = fitted({ x: 100, y: 100, width: 2000, height: 2000 }, size);
    expect(toScreen(view, { x: 1100, y: 1100 })).toEqual({ x: 500, y: 300 });
    expect(2000 * view.zoom).toBeLessThan(600);
  });
});
