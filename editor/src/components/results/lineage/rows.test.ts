import { expect, it } from "vitest";
import type { FileLineage, LineageItem } from "@/api/schema";
import { lineageGroups, lineageRows, shortName } from "./rows";

function item(key: string, changes: Partial<LineageItem> = {}): LineageItem {
  const nothing = { detail: "", artifact: null, href: null, thumbnail: null };
  return { key, role: "result", name: `${key}.png`, ...nothing, ...changes };
}

function lineage(changes: Partial<FileLineage>): FileLineage {
  const items = ["a", "b", "c", "d", "photo"].map((key) => item(key));
  return {
    subject: "a",
    items,
    made_from: [],
    used_in: [],
    related: [],
    complete: true,
    ...changes,
  };
}

const shown = (rows: ReturnType<typeof lineageRows>) =>
  rows.map(
    ({ item: { key }, depth, isRepeated }) => `${depth} ${key}${isRepeated ? " again" : ""}`,
  );

it("what a file was made from leads on to its sources", () => {
  const made_from = [
    { source: "b", result: "a" },
    { source: "c", result: "a" },
    { source: "photo", result: "b" },
  ];
  expect(shown(lineageRows(lineage({ made_from }), "made_from"))).toEqual([
    "0 b",
    "1 photo",
    "0 c",
  ]);
});

it("what was made from a file leads on to later results", () => {
  const used_in = [
    { source: "a", result: "b" },
    { source: "b", result: "c" },
  ];
  expect(shown(lineageRows(lineage({ used_in }), "used_in"))).toEqual(["0 b", "1 c"]);
});

it("a file that stands twice leads on once, and a circle ends", () => {
  const made_from = [
    { source: "b", result: "a" },
    { source: "c", result: "a" },
    { source: "d", result: "b" },
    { source: "d", result: "c" },
    { source: "a", result: "d" },
  ];
  expect(shown(lineageRows(lineage({ made_from }), "made_from"))).toEqual([
    "0 b",
    "1 d",
    "2 a again",
    "0 c",
    "1 d again",
  ]);
});

it("groups have what is shared and who shares it, as far as the server told of them", () => {
  const related = [
    { source: "photo", results: ["b", "gone"], has_more: true },
    { source: "d", results: [], has_more: false },
  ];
  const groups = lineageGroups(lineage({ related }));
  expect(groups.map(({ source, results }) => [source.key, results.map(({ key }) => key)])).toEqual([
    ["photo", ["b"]],
  ]);
  expect(groups[0]?.hasMore).toBe(true);
});

it("models in folders are called by their folders", () => {
  expect(shortName("embedded/tiny/unet/diffusion_pytorch_model.safetensors")).toBe("tiny/unet");
  expect(shortName("checkpoints/dream.safetensors")).toBe("dream.safetensors");
  expect(shortName("model.safetensors")).toBe("model.safetensors");
});
