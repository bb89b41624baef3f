import { expect, it } from "vitest";
import { mayMove } from "./moving";

const bytes = (...parts: readonly (string | readonly number[])[]) =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string" ? [...part].map((letter) => letter.charCodeAt(0)) : part,
    ),
  );
const chunk = (kind: string) => bytes([0, 0, 0, 2], kind, [1, 1], [0, 0, 0, 0]);
const png = (...kinds: readonly string[]) =>
  bytes([0x89], "PNG", [13, 10, 26, 10], ...kinds.map((kind) => [...chunk(kind)]));

it("is told by a PNG's chunks before its pixels, by a WebP's mark, and of any GIF", () => {
  expect(mayMove(png("IHDR", "tEXt", "acTL", "IDAT"))).toBe(true);
  expect(mayMove(png("IHDR", "IDAT", "acTL"))).toBe(false);
  const webp = (marks: number) => bytes("RIFF", [0, 0, 0, 0], "WEBPVP8X", [10, 0, 0, 0], [marks]);
  expect([mayMove(webp(2)), mayMove(webp(0x10))]).toEqual([true, false]);
  expect(mayMove(bytes("GIF89a"))).toBe(true);
});

it("is not told of what is cut, or no picture", () => {
  expect([png("IHDR"), png(), bytes("RIFF"), bytes()].map(mayMove)).toEqual(Array(4).fill(false));
});
