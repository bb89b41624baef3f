import { describe, expect, it } from "vitest";
import { gridRows, movedInGrid, rowOfItem } from "./grid";

// Five of one day, then two of another.
const days = [...Array(5).fill("b"), ...Array(2).fill("a")].map((day, at) => ({ day, at }));
const rows = gridRows(days, 3);

describe("gridRows", () => {
  it("begins a row with each day", () => {
    const shape = rows.map((row) => (row.kind === "day" ? row.count : [row.from, row.to]));
    expect(shape).toEqual([5, [0, 3], [3, 5], 2, [5, 7]]);
    expect(rowOfItem(rows, 4)).toBe(2);
  });
});

describe("a sweep", () => {
  it("is under a heading of its own, also past midnight", () => {
    const mixed = [
      { day: "b", at: 5 },
      { day: "b", at: 4, sweep: "abc" },
      { day: "a", at: 3, sweep: "abc" },
      { day: "a", at: 2, sweep: "def" },
      { day: "a", at: 1, sweep: null },
    ];
    const headings = gridRows(mixed, 3).flatMap((row) =>
      row.kind === "day" ? [[row.sweep, row.from, row.count]] : [],
    );
    expect(headings).toEqual([
      [null, 0, 1],
      ["abc", 1, 2],
      ["def", 3, 1],
      [null, 4, 1],
    ]);
  });
});

describe("movedInGrid", () => {
  const move = (item: number, key: string) => movedInGrid(rows, item, key, days.length);
  it("keeps the column, as far as the row goes", () => {
    expect(move(1, "ArrowDown")).toBe(4);
    expect(move(2, "ArrowDown")).toBe(4);
    expect(move(4, "ArrowDown")).toBe(6);
    expect(move(6, "ArrowUp")).toBe(4);
  });

  it("stays at the ends", () => {
    expect(move(0, "ArrowLeft")).toBe(0);
    expect(move(0, "ArrowUp")).toBe(0);
    expect(move(6, "ArrowRight")).toBe(6);
    expect(move(3, "End")).toBe(6);
    expect(move(3, "x")).toBeNull();
  });
});
