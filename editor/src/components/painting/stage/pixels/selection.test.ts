import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  clip,
  combined,
  contours,
  inverted,
  isNone,
  masked,
  NO_SELECTION,
  type Selection,
  selectEllipse,
  selectedAt,
  selectPolygon,
  selectRectangle,
} from "./selection";

const WINDOW = { x: -12, y: -12, width: 40, height: 40 };
const bytes = (selection: Selection) => [...masked(selection, WINDOW)];
const total = (selection: Selection) => bytes(selection).reduce((sum, byte) => sum + byte, 0) / 255;

const rectangle = fc
  .record({
    x: fc.integer({ min: -10, max: 15 }),
    y: fc.integer({ min: -10, max: 15 }),
    width: fc.integer({ min: 1, max: 10 }),
    height: fc.integer({ min: 1, max: 10 }),
  })
  .map(selectRectangle);

describe("what is selected", () => {
  it("is a rectangle of whole pixels", () => {
    const selection = selectRectangle({ x: 0.4, y: -0.6, width: 3.2, height: 2 });
    expect(selection.rect).toEqual({ x: 0, y: -1, width: 4, height: 2 });
    expect(total(selection)).toBe(8);
  });

  it("has the area of the ellipse, with smooth edges", () => {
    const selection = selectEllipse({ x: 0, y: 0, width: 20, height: 14 });
    expect(total(selection)).toBeGreaterThan(Math.PI * 10 * 7 * 0.98);
    expect(total(selection)).toBeLessThan(Math.PI * 10 * 7 * 1.01);
    expect(bytes(selection).some((byte) => byte > 0 && byte < 255)).toBe(true);
  });

  it("has the area of the polygon", () => {
    const triangle = [
      { x: 0, y: 0 },
      { x: 16, y: 0 },
      { x: 0, y: 16 },
    ];
    expect(total(selectPolygon(triangle))).toBeCloseTo(128, 0);
  });

  it("is all of a lasso that goes around twice", () => {
    const square = [
      { x: 0, y: 0 },
      { x: 8, y: 0 },
      { x: 8, y: 8 },
      { x: 0, y: 8 },
    ];
    expect(total(selectPolygon([...square, ...square]))).toBe(64);
  });

  it("is nothing of a line", () => {
    expect(
      isNone(
        selectPolygon([
          { x: 0, y: 0 },
          { x: 5, y: 5 },
        ]),
      ),
    ).toBe(true);
  });
});

describe("selections together", () => {
  it("have what either has, or what one has without the other", () => {
    fc.assert(
      fc.property(rectangle, rectangle, fc.boolean(), (a, b, isInverted) => {
        const first = isInverted ? inverted(a) : a;
        for (let y = -12; y < 28; y++)
          for (let x = -12; x < 28; x++) {
            const [one, two] = [selectedAt(first, x, y), selectedAt(b, x, y)];
            expect(selectedAt(combined(first, b, "add"), x, y)).toBe(Math.max(one, two));
            const left = Math.min(one, 255 - two);
            expect(selectedAt(combined(first, b, "subtract"), x, y)).toBe(left);
          }
      }),
      { numRuns: 10 },
    );
  });

  it("are the same when they are inverted twice, and nothing of each other once", () => {
    fc.assert(
      fc.property(rectangle, (selection) => {
        expect(bytes(inverted(inverted(selection)))).toEqual(bytes(selection));
        const none = combined(inverted(selection), inverted(selection), "subtract");
        expect(isNone(none)).toBe(true);
        expect(isNone(combined(selection, inverted(selection), "add"))).toBe(false);
      }),
    );
  });

  it("replace each other", () => {
    const next = selectRectangle({ x: 5, y: 5, width: 2, height: 2 });
    expect(combined(NO_SELECTION, next, "replace")).toBe(next);
  });
});

describe("clipping to a selection", () => {
  it("takes alpha where nothing is selected", () => {
    const rect = { x: 0, y: 0, width: 3, height: 1 };
    const pixels = new Uint8ClampedArray(12).fill(200);
    const selection: Selection = {
      rect: { x: 1, y: 0, width: 2, height: 1 },
      mask: Uint8Array.of(255, 128),
      outside: 0,
    };
    clip(pixels, rect, selection);
    expect([pixels[3], pixels[7], pixels[11]]).toEqual([0, 200, 100]);
    expect(pixels[0]).toBe(200);
  });
});

describe("the outline", () => {
  it("of a rectangle has its four corners", () => {
    const [line, ...more] = contours(selectRectangle({ x: 2, y: 3, width: 4, height: 5 }));
    expect(more).toEqual([]);
    expect(line).toHaveLength(4);
    expect(line).toContainEqual({ x: 2, y: 3 });
    expect(line).toContainEqual({ x: 6, y: 8 });
  });

  it("has a line for each hole", () => {
    const whole = selectRectangle({ x: 0, y: 0, width: 9, height: 9 });
    const hole = selectRectangle({ x: 3, y: 3, width: 2, height: 2 });
    expect(contours(combined(whole, hole, "subtract"))).toHaveLength(2);
  });

  it("is as long as the sides between what is selected and what isn't", () => {
    fc.assert(
      fc.property(rectangle, rectangle, (a, b) => {
        const both = combined(a, b, "add");
        let sides = 0;
        for (let y = -12; y < 28; y++)
          for (let x = -12; x < 28; x++) {
            const own = selectedAt(both, x, y);
            if (own !== selectedAt(both, x + 1, y)) sides++;
            if (own !== selectedAt(both, x, y + 1)) sides++;
          }
        const length = contours(both)
          .flatMap((line) =>
            line.map(({ x, y }, at) => {
              const from = line.at(at - 1) ?? { x, y };
              return Math.abs(x - from.x) + Math.abs(y - from.y);
            }),
          )
          .reduce((sum, part) => sum + part, 0);
        expect(length).toBe(sides);
      }),
    );
  });
});
