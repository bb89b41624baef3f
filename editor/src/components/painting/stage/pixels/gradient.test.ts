import { describe, expect, it } from "vitest";
import { type Gradient, gradientPixels } from "./gradient";

const ROW = { x: 0, y: 0, width: 11, height: 1 };
const LINEAR: Gradient = {
  kind: "linear",
  from: { x: 0.5, y: 0.5 },
  to: { x: 10.5, y: 0.5 },
  first: [0, 0, 0],
  second: [255, 100, 50],
};

function pixel(bytes: Uint8ClampedArray, at: number): number[] {
  return [...bytes.subarray(at * 4, at * 4 + 4)];
}

describe("a gradient", () => {
  it("goes from one color to the other", () => {
    const bytes = gradientPixels(ROW, LINEAR);
    expect(pixel(bytes, 0)).toEqual([0, 0, 0, 255]);
    expect(pixel(bytes, 10)).toEqual([255, 100, 50, 255]);
    expect(Math.abs((pixel(bytes, 5)[0] ?? 0) - 127.5)).toBeLessThanOrEqual(1);
  });

  it("has its end colors beyond its ends", () => {
    const bytes = gradientPixels({ x: -50, y: 7, width: 200, height: 1 }, LINEAR);
    expect(pixel(bytes, 0)).toEqual([0, 0, 0, 255]);
    expect(pixel(bytes, 199)).toEqual([255, 100, 50, 255]);
  });

  it("fades out in its own color", () => {
    const bytes = gradientPixels(ROW, { ...LINEAR, first: [9, 8, 7], second: null });
    expect(pixel(bytes, 0)).toEqual([9, 8, 7, 255]);
    expect(pixel(bytes, 10)).toEqual([9, 8, 7, 0]);
  });

  it("goes outwards from its middle", () => {
    const bytes = gradientPixels(
      { x: -10, y: -10, width: 21, height: 21 },
      {
        ...LINEAR,
        kind: "radial",
      },
    );
    const at = (x: number, y: number) => pixel(bytes, (y + 10) * 21 + x + 10);
    expect(at(0, 0)).toEqual([0, 0, 0, 255]);
    expect(at(5, 0)).toEqual(at(0, -5));
    expect(at(10, 10)).toEqual([255, 100, 50, 255]);
  });
});
