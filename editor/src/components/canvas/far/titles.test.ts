import fc from "fast-check";
import { expect, it } from "vitest";
import { farTitle } from "./titles";

/** Letters that are all half as wide as they are high. */
const measure = (text: string) => text.length / 2;

it("makes a title as large as fits into its block in one line", () => {
  const short = farTitle("Load", { width: 240, height: 300 }, 0.3, measure);
  expect(short).toEqual({ text: "Load", size: 16 / 0.3 });
  const long = farTitle("Encode a prompt", { width: 320, height: 300 }, 0.3, measure);
  expect(long?.text).toBe("Encode a prompt");
  expect(long?.size).toBe(40);
});

it("leaves out letters only where smaller ones couldn't be read", () => {
  const found = farTitle("Encode a very long prompt", { width: 240, height: 300 }, 0.2, measure);
  expect(found).toEqual({ text: "Encode a…", size: 8.5 / 0.2 });
});

it("has none on a block that is too small for letters that could be read", () => {
  expect(farTitle("Load model", { width: 240, height: 300 }, 0.1, measure)).toBeNull();
  expect(farTitle("Load model", { width: 240, height: 36 }, 0.2, measure)).toBeNull();
});

it("never writes beyond its block", () => {
  const sides = fc.integer({ min: 40, max: 900 });
  const zooms = fc.double({ min: 0.02, max: 0.42, noNaN: true });
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), sides, sides, zooms, (title, width, height, zoom) => {
      const found = farTitle(title, { width, height }, zoom, measure);
      if (found === null) return;
      // Sizes are rounded to half a pixel of the screen.
      const slack = (0.25 / zoom) * measure(found.text);
      expect(found.size * measure(found.text)).toBeLessThanOrEqual(width + slack);
      expect(found.size).toBeLessThanOrEqual(height);
      expect(found.size * zoom).toBeGreaterThanOrEqual(8.4);
    }),
  );
});
