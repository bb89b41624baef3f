import { describe, expect, it } from "vitest";
import { blendPixels, operationOf } from "./blending";

type Pixel = readonly [number, number, number, number];

function blended(below: Pixel, above: Pixel, mode: string, opacity = 1): number[] {
  const pixels = Uint8ClampedArray.from(below);
  blendPixels(pixels, Uint8ClampedArray.from(above), opacity, mode);
  return [...pixels];
}

describe("blend modes", () => {
  it("are the browser's where it has them", () => {
    expect(["normal", "multiply", "color dodge"].map(operationOf)).toEqual([
      "source-over",
      "multiply",
      "color-dodge",
    ]);
    expect(["add", "subtract", "divide"].map(operationOf)).toEqual([null, null, null]);
  });

  it("add, subtract and divide channels", () => {
    const [below, above] = [
      [200, 100, 0, 255],
      [100, 200, 0, 255],
    ] as const;
    expect(blended(below, above, "add")).toEqual([255, 255, 0, 255]);
    expect(blended(below, above, "subtract")).toEqual([100, 0, 0, 255]);
    expect(blended([100, 100, 50, 255], [200, 0, 50, 255], "divide")).toEqual([128, 255, 255, 255]);
  });

  it("change less where the layer is less opaque", () => {
    expect(blended([100, 0, 0, 255], [100, 0, 0, 255], "add", 0.5)).toEqual([150, 0, 0, 255]);
  });

  it("show the layer as it is where nothing is below", () => {
    expect(blended([9, 9, 9, 0], [10, 20, 30, 128], "subtract")).toEqual([10, 20, 30, 128]);
  });

  it("leave what is below where the layer is transparent", () => {
    expect(blended([1, 2, 3, 4], [200, 200, 200, 0], "add")).toEqual([1, 2, 3, 4]);
  });
});
