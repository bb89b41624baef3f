import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextBrushSize } from "@/model/painting/brushKeys";
import { type Brush, MaskLayer } from "./maskLayer";
import { painterKey } from "./painterKeys";

const HARD: Brush = { size: 4, feather: 0, erases: false };
const SOFT: Brush = { size: 8, feather: 1, erases: false };

function painted(layer: MaskLayer, brush: Brush, x: number, y: number): void {
  layer.begin();
  layer.stroke({ x, y }, { x, y }, brush);
  layer.end();
}

function at(layer: MaskLayer, x: number, y: number): number {
  return layer.bytes[y * layer.width + x] ?? -1;
}

describe("painting a mask", () => {
  it("masks fully under the brush and nothing far from it", () => {
    const layer = new MaskLayer(20, 20);
    painted(layer, HARD, 10, 10);
    expect(at(layer, 10, 10)).toBe(255);
    expect(at(layer, 15, 10)).toBe(0);
  });

  it("joins two points by a stroke without gaps", () => {
    const layer = new MaskLayer(40, 10);
    layer.begin();
    layer.stroke({ x: 3, y: 5 }, { x: 36, y: 5 }, HARD);
    layer.end();
    for (let x = 3; x <= 36; x++) expect(at(layer, x, 5)).toBe(255);
  });

  it("fades out over the feather", () => {
    const layer = new MaskLayer(20, 20);
    painted(layer, SOFT, 10, 10);
    const row = [10, 11, 12, 13, 14].map((x) => at(layer, x, 10));
    expect(row).toEqual([...row].sort((a, b) => b - a));
    expect(row.at(-1)).toBeLessThan(60);
  });

  it("doesn't harden a soft edge by going over it again", () => {
    const layer = new MaskLayer(20, 20);
    painted(layer, SOFT, 10, 10);
    const once = layer.bytes.slice();
    painted(layer, SOFT, 10, 10);
    expect(layer.bytes).toEqual(once);
  });

  it("takes away with the eraser", () => {
    const layer = new MaskLayer(20, 20);
    layer.fill();
    painted(layer, { ...HARD, erases: true }, 10, 10);
    expect(at(layer, 10, 10)).toBe(0);
    expect(at(layer, 0, 0)).toBe(255);
  });

  it("takes back a stroke that was broken off", () => {
    const layer = new MaskLayer(20, 20);
    layer.begin();
    layer.stroke({ x: 5, y: 5 }, { x: 9, y: 9 }, HARD);
    layer.cancel();
    expect(layer.share).toBe(0);
    expect(layer.canUndo).toBe(false);
  });

  it("undoes and redoes every step exactly", () => {
    const stroke = fc.record({
      x: fc.integer({ min: -5, max: 25 }),
      y: fc.integer({ min: -5, max: 25 }),
      erases: fc.boolean(),
    });
    const step = fc.oneof(
      stroke,
      fc.constantFrom("clear" as const, "fill" as const, "invert" as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const layer = new MaskLayer(20, 16);
        const states = [layer.bytes.slice()];
        for (const one of steps) {
          if (typeof one === "string") layer[one]();
          else painted(layer, { ...SOFT, erases: one.erases }, one.x, one.y);
          states.push(layer.bytes.slice());
        }
        for (const state of states.slice(0, -1).reverse()) {
          layer.undo();
          expect(layer.bytes).toEqual(state);
        }
        for (const state of states.slice(1)) {
          layer.redo();
          expect(layer.bytes).toEqual(state);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("the painter's keys", () => {
  const press = (key: string, more = {}) =>
    painterKey({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more });

  it("move, paint, undo and redo", () => {
    expect(press("ArrowLeft", { shiftKey: true })).toEqual({
      kind: "move",
      x: -1,
      y: 0,
      shift: true,
    });
    expect(press(" ")?.kind).toBe("hold");
    expect(press("z", { ctrlKey: true })?.kind).toBe("undo");
    expect(press("Z", { metaKey: true, shiftKey: true })?.kind).toBe("redo");
  });

  it("leave the browser its own", () => {
    expect(press("b", { ctrlKey: true })).toBeNull();
    expect(press("Tab")).toBeNull();
  });

  it("change the size by steps that fit it", () => {
    expect(nextBrushSize(3, 1, 100)).toBe(4);
    expect(nextBrushSize(60, -1, 100)).toBe(54);
    expect(nextBrushSize(1, -1, 100)).toBe(1);
    expect(nextBrushSize(99, 1, 100)).toBe(100);
  });
});
