import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maskedName, maskedPng, maskOf } from "./picture";
import { decodePng, encodePng } from "./png";

const PIXELS = fc
  .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }) })
  .chain(({ width, height }) =>
    fc
      .uint8Array({ minLength: width * height * 4, maxLength: width * height * 4 })
      .map((data) => ({ width, height, data })),
  );

describe("a PNG by hand", () => {
  it("keeps every byte, colours under transparent pixels too", () => {
    fc.assert(
      fc.property(PIXELS, (pixels) => {
        expect(decodePng(encodePng(pixels))).toEqual(pixels);
      }),
    );
  });

  it("leaves to the browser what it can't read", () => {
    expect(decodePng(new Uint8Array([1, 2, 3]))).toBeNull();
    const whole = encodePng({ width: 2, height: 2, data: new Uint8Array(16) });
    expect(decodePng(whole.subarray(0, 40))).toBeNull();
  });

  it("refuses a size that no page could hold", () => {
    const png = encodePng({ width: 1, height: 1, data: new Uint8Array(4) });
    new DataView(png.buffer).setUint32(16, 2 ** 20);
    new DataView(png.buffer).setUint32(20, 2 ** 20);
    expect(decodePng(png)).toBeNull();
  });
});

describe("a masked picture", () => {
  it("is transparent where the mask is, with its colours as they were", () => {
    const picture = { width: 2, height: 1, data: new Uint8Array([9, 8, 7, 255, 6, 5, 4, 255]) };
    const found = decodePng(maskedPng(picture, new Uint8Array([255, 64])));
    expect(found?.data).toEqual(new Uint8Array([9, 8, 7, 0, 6, 5, 4, 191]));
    expect(found && maskOf(found)).toEqual(new Uint8Array([255, 64]));
  });

  it("gets a name of its own, once", () => {
    expect(maskedName("fruit/apple.jpg")).toBe("apple_masked.png");
    expect(maskedName("apple_masked.png")).toBe("apple_masked.png");
    expect(maskedName("")).toBe("picture_masked.png");
  });
});
