import { expect, it } from "vitest";
import { rank } from "./rank";

const entries = ["Zoom to selection", "Select all", "Delete", "Unselect all"].map((label) => ({
  label,
  group: "Edit",
}));
const labels = (query: string) => rank(entries, query).map(({ entry }) => entry.label);

it("the start of a label, then of a word, then the middle", () => {
  expect(labels("sel").slice(0, 3)).toEqual(["Select all", "Zoom to selection", "Unselect all"]);
});

it("letters of several words", () => {
  expect(labels("zts")).toEqual(["Zoom to selection"]);
});

it("the group counts too", () => {
  expect(labels("edit delete")).toEqual(["Delete"]);
});

it("nothing typed gives all, and nonsense none", () => {
  expect(labels("")).toHaveLength(4);
  expect(labels("xq")).toEqual([]);
});

it("what was found is marked", () => {
  expect(rank(entries, "del")[0]?.matches).toEqual([[0, 3]]);
  expect(rank(entries, "zts")[0]?.matches).toEqual([
    [0, 1],
    [5, 6],
    [8, 9],
  ]);
});

it("accents say nothing, and what was found is marked as it is written", () => {
  const french = [{ label: "Réglages", group: "Général" }];
  for (const query of ["reglages", "Réglages", "REGL", "general"]) {
    expect(rank(french, query)).toHaveLength(1);
  }
  expect(rank(french, "gl")[0]?.matches).toEqual([[2, 4]]);
  expect(rank([{ label: "結果を表示", group: "表示" }], "表示")[0]?.matches).toEqual([[3, 5]]);
});
