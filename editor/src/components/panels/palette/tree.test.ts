import { describe, expect, it } from "vitest";
import { favouriteRows, MANY, parentRow, treeRows } from "./tree";

const specs = [
  { type: "Save", label: "Save image", category: "image" },
  { type: "Resize", label: "Resize", category: "image/adjust" },
  { type: "Grid", label: "Grid", category: "image/arrange" },
  { type: "Odd", label: "Odd one", category: "" },
];
const ids = (rows: readonly { id: string }[]) => rows.map((row) => row.id);

describe("treeRows", () => {
  it("puts folders before types and both by name", () => {
    const rows = treeRows(specs, new Set(), "other");
    expect(ids(rows)).toEqual([
      "image",
      "image/adjust",
      "type:Resize",
      "image/arrange",
      "type:Grid",
      "type:Save",
      "other",
      "type:Odd",
    ]);
  });

  it("names folders in the language that is shown, by English ids", () => {
    const blur = { type: "Blur", label: "Unschärfe", category: "image/filter" };
    const rows = treeRows([{ ...blur, shownCategory: "bild/filter" }], new Set(), "other");
    expect(rows.slice(0, 2)).toMatchObject([
      { id: "image", name: "Bild" },
      { id: "image/filter", name: "Filter" },
    ]);
  });

  it("leaves out what is in a closed category but counts it", () => {
    const rows = treeRows(specs, new Set(["image"]), "other");
    expect(ids(rows)).toEqual(["image", "other", "type:Odd"]);
    expect(rows[0]).toMatchObject({ count: 3, open: false, name: "Image" });
  });

  it("shows of a large category only its name at first", () => {
    const many = Array.from({ length: MANY + 1 }, (_, at) => ({
      type: `pack:Made${at}`,
      label: `Made ${at}`,
      category: "made/all",
    }));
    const rows = treeRows([...specs, ...many], new Set(), "other");
    expect(ids(rows)).toContain("made");
    expect(ids(rows)).not.toContain("made/all");
    expect(ids(rows)).toContain("type:Resize");
    const opened = treeRows(many, new Set(["made", "made/all"]), "other");
    expect(opened).toHaveLength(MANY + 3);
  });

  it("has favourites in a folder of their own, in their order", () => {
    const rows = favouriteRows(specs, ["Odd", "gone", "Resize"], new Set(), "Favorites");
    expect(ids(rows)).toEqual(["*", "*type:Odd", "*type:Resize"]);
    expect(rows[0]).toMatchObject({ count: 2, open: true });
    expect(ids(favouriteRows(specs, ["Odd"], new Set(["*"]), "Favorites"))).toEqual(["*"]);
    expect(favouriteRows(specs, [], new Set(), "Favorites")).toEqual([]);
  });

  it("leads from a row to its category", () => {
    const rows = treeRows(specs, new Set(), "other");
    expect(rows[parentRow(rows, 2)]?.id).toBe("image/adjust");
    expect(rows[parentRow(rows, 1)]?.id).toBe("image");
    expect(parentRow(rows, 0)).toBe(0);
  });
});
