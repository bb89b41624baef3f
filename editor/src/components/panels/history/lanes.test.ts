import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rowsOf, type TreeEntry } from "./lanes";

function tree(...parents: (number | null)[]): Map<number, TreeEntry> {
  return new Map(parents.map((parent, id) => [id, { id, parent }]));
}

describe("rowsOf", () => {
  it("draws one straight line without branches, newest on top", () => {
    const rows = rowsOf(tree(null, 0, 1), 2, []);
    expect(rows.map((row) => row.entry.id)).toEqual([2, 1, 0]);
    expect(rows.map((row) => row.lane)).toEqual([0, 0, 0]);
    expect(rows[1]).toMatchObject({ above: [0], below: [0], forks: [] });
  });

  it("puts the line of the current state first and bends others into it", () => {
    // 0 - 1 - 2        (undone)
    //      \- 3 - 4    (current)
    const rows = rowsOf(tree(null, 0, 1, 1, 3), 4, []);
    const lanes = Object.fromEntries(rows.map((row) => [row.entry.id, row.lane]));
    expect(lanes).toEqual({ 0: 0, 1: 0, 3: 0, 4: 0, 2: 1 });
    expect(rows.find((row) => row.entry.id === 1)?.forks).toEqual([1]);
    expect(rows.find((row) => row.entry.id === 2)?.onLine).toBe(false);
  });

  it("keeps the way that redo takes in the first lane", () => {
    const rows = rowsOf(tree(null, 0, 1, 1), 1, [2]);
    const lanes = Object.fromEntries(rows.map((row) => [row.entry.id, row.lane]));
    expect(lanes).toEqual({ 0: 0, 1: 0, 2: 0, 3: 1 });
  });

  it("never lets two lines share a lane in a row", () => {
    const parents = fc.array(fc.nat(), { maxLength: 60 });
    fc.assert(
      fc.property(parents, fc.nat(), (choices, pick) => {
        const list = [null, ...choices.map((choice, index) => choice % (index + 1))];
        const rows = rowsOf(tree(...list), pick % list.length, []);
        for (const row of rows) {
          expect(new Set(row.below).size).toBe(row.below.length);
          expect(new Set(row.above).size).toBe(row.above.length);
        }
        expect(rows).toHaveLength(list.length);
        for (const row of rows) {
          const parent = rows.find((other) => other.entry.id === row.entry.parent);
          if (parent === undefined) continue;
          const joined = parent.lane === row.lane || parent.forks.includes(row.lane);
          expect(joined).toBe(true);
        }
      }),
    );
  });
});
