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
  expect([...(rank(entries, "del")[0]?.marks ?? [])]).toEqual([0, 1, 2]);
});
