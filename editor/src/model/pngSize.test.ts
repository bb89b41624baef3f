import { expect, test } from "vitest";
import { pngSize } from "./pngSize";

const BLANK =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNgYGBgAAAABQABeqhXUAAAAABJRU5ErkJggg==";

test("the size of a PNG file, also of one within other bytes, and of nothing else", () => {
  const bytes = Uint8Array.from(atob(BLANK), (letter) => letter.charCodeAt(0));
  expect(pngSize(bytes)).toEqual({ width: 1, height: 1 });
  const wide = new Uint8Array([0, 0, 0, ...bytes]).subarray(3);
  new DataView(wide.buffer, wide.byteOffset).setUint32(16, 2048);
  expect(pngSize(wide)).toEqual({ width: 2048, height: 1 });
  expect(pngSize(bytes.subarray(0, 20))).toBeNull();
  expect(pngSize(new TextEncoder().encode("GIF89a and so on and so on"))).toBeNull();
});
