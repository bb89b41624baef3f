import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floodFill } from "./floodFill";

const ALL = { tolerance: 0, contiguous: true };

/** Gray pixels from rows of digits; "." is transparent. */
function picture(...rows: readonly string[]) {
  const pixels = rows.flatMap((row) =>
    [...row].flatMap((sign) => {
      const gray = sign === "." ? 99 : Number(sign) * 10;
      return [gray, gray, gray, sign === "." ? 0 : 255];
    }),
  );
  const size = { width: rows[0]?.length ?? 0, height: rows.length };
  return { pixels: Uint8ClampedArray.from(pixels), size };
}

function filled(rows: readonly string[], x: number, y: number, options = ALL): readonly string[] {
  const { pixels, size } = picture(...rows);
  const mask = floodFill(pixels, size, { x, y }, options) ?? new Uint8Array(0);
  return rows.map((row, index) =>
    [...row].map((sign, at) => (mask[index * size.width + at] ? "#" : sign)).join(""),
  );
}

describe("the bucket", () => {
  it("fills what touches the point by a side", () => {
    expect(filled(["1121", "2211", "1221"], 0, 0)).toEqual(["##21", "2211", "1221"]);
  });

  it("fills all of a color where it need not touch", () => {
    const options = { tolerance: 0, contiguous: false };
    expect(filled(["112", "221"], 0, 0, options)).toEqual(["##2", "22#"]);
  });

  it("takes colors within the tolerance as the same, measured from the point", () => {
    expect(filled(["12345"], 0, 0, { tolerance: 20, contiguous: true })).toEqual(["###45"]);
  });

  it("takes transparent pixels as alike, and as unlike any color", () => {
    const { pixels, size } = picture("..9");
    pixels[0] = 200;
    const mask = floodFill(pixels, size, { x: 1, y: 0 }, { tolerance: 30, contiguous: true });
    expect([...(mask ?? [])]).toEqual([255, 255, 0]);
  });

  it("does nothing from a point beside the picture", () => {
    const { pixels, size } = picture("11");
    expect(floodFill(pixels, size, { x: 2, y: 0 }, ALL)).toBeNull();
  });

  it("fills as a search from pixel to pixel does", () => {
    const rows = fc.array(fc.stringMatching(/^[12]{9}$/), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(rows, fc.nat(8), fc.nat(6), (lines, x, y) => {
        const seen = lines.map((line) => [...line]);
        const start = seen[y]?.[x];
        const go = (column: number, row: number): void => {
          if (seen[row]?.[column] !== start) return;
          (seen[row] as string[])[column] = "#";
          for (const [dx, dy] of [
            [1, 0],
            [-1, 0],
            [0, 1],
            [0, -1],
          ] as const)
            go(column + dx, row + dy);
        };
        go(x, y);
        expect(filled(lines, x, y)).toEqual(seen.map((line) => line.join("")));
      }),
    );
  });
});
