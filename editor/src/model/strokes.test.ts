import { describe, expect, it } from "vitest";
import {
  drawStrokes,
  isPainted,
  isWider,
  NO_MARGINS,
  type Pen,
  type Stroke,
  withMargin,
} from "./strokes";

const LINE: Stroke = {
  layer: "sketch",
  color: "#ff0000",
  size: 4,
  erases: false,
  points: [
    { x: 1, y: 2 },
    { x: 5, y: 6 },
  ],
};

/** What a canvas was told to draw. */
function drawn(strokes: readonly Stroke[], margins = NO_MARGINS, color: string | null = null) {
  const told: unknown[] = [];
  const pen: Pen = {
    lineWidth: 0,
    lineCap: "butt",
    lineJoin: "miter",
    strokeStyle: "",
    globalCompositeOperation: "source-over",
    beginPath: () => undefined,
    moveTo: (x, y) => told.push(["move", x, y]),
    lineTo: (x, y) => told.push(["line", x, y]),
    stroke: () => told.push([pen.strokeStyle, pen.lineWidth, pen.globalCompositeOperation]),
  };
  drawStrokes(pen, strokes, "sketch", margins, color);
  return told;
}

describe("strokes", () => {
  it("are drawn where they are on the picture, whatever the frame", () => {
    expect(drawn([LINE], { ...NO_MARGINS, left: 8, top: 16 })).toEqual([
      ["move", 9, 18],
      ["line", 13, 22],
      ["#ff0000", 4, "source-over"],
    ]);
  });

  it("are dots where nothing was dragged, and erase", () => {
    const dot = { ...LINE, erases: true, points: [{ x: 3, y: 3 }] };
    expect(drawn([dot], NO_MARGINS, "#ffffff")).toEqual([
      ["move", 3, 3],
      ["line", 3, 3],
      ["#ffffff", 4, "destination-out"],
    ]);
  });

  it("are of their layer only", () => {
    expect(drawn([{ ...LINE, layer: "mask" }])).toEqual([]);
    expect(isPainted([LINE], "mask")).toBe(false);
    expect(isPainted([LINE], "sketch")).toBe(true);
    expect(isPainted([{ ...LINE, erases: true }], "sketch")).toBe(false);
  });
});

describe("a frame", () => {
  it("grows in steps and never into the picture", () => {
    expect(withMargin(NO_MARGINS, "left", 61).left).toBe(64);
    expect(withMargin(NO_MARGINS, "left", -90).left).toBe(0);
    expect(isWider(NO_MARGINS)).toBe(false);
    expect(isWider(withMargin(NO_MARGINS, "top", 8))).toBe(true);
  });
});
