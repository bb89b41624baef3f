import { beforeEach, expect, it } from "vitest";
import { OwnStrokes } from "./ownStrokes";
import { KeptEdit } from "./stage/pixels/keptEdit";

let strokes: OwnStrokes;

function stroke(before: string, after: string, bytes = 4) {
  const rect = { x: 0, y: 0, width: 1, height: bytes / 4 };
  const edit = new KeptEdit("source-over", 1, rect, new Uint8ClampedArray(bytes));
  return { before, after, edit };
}

beforeEach(() => {
  strokes = new OwnStrokes();
  strokes.add(stroke("blank", "first"));
});

it("finds no conflict while the server is behind, and none once it has the stroke", () => {
  expect(strokes.compare("blank", "first")).toBeNull();
  expect(strokes.isAhead).toBe(true);
  expect(strokes.compare("first", "first")).toBeNull();
  expect(strokes.isAhead).toBe(false);
});

it("finds what another page has painted meanwhile, and what is to be drawn on that", () => {
  strokes.compare("first", "first");
  strokes.add(stroke("first", "second"));
  strokes.add(stroke("second", "third"));
  const conflict = strokes.compare("theirs", "third");
  expect(conflict).toMatchObject({ theirs: "theirs", isWhole: true });
  expect(conflict?.strokes.map(({ after }) => after)).toEqual(["second", "third"]);
});

it("knows strokes that were drawn again by their new pictures", () => {
  strokes.compare("blank", "first");
  strokes.add(stroke("first", "second"));
  const pictures = new Map([
    ["first", "first on theirs"],
    ["second", "second on theirs"],
  ]);
  strokes.replace(pictures, "theirs");
  expect(strokes.compare("theirs", "second on theirs")).toBeNull();
  const again = strokes.compare("theirs too", "second on theirs");
  expect(again?.strokes.map(({ after }) => after)).toEqual([...pictures.values()]);
});

it("takes what it sent before a conflict for no other page's, and says what that has covered", () => {
  strokes.compare("blank", "first");
  expect(strokes.compare("theirs", "first")).toMatchObject({ isWhole: true });
  strokes.replace(new Map([["first", "again"]]), "theirs");
  expect(strokes.compare("first", "again")).toBeNull();
  expect(strokes.compare("painted on first", "again")).toMatchObject({ isWhole: false });
});

it("leaves out strokes that were undone, and pictures of others", () => {
  strokes.compare("first", "first");
  strokes.add(stroke("first", "undone"));
  strokes.add(stroke("first", "instead"));
  expect(strokes.compare("theirs", "instead")?.strokes).toHaveLength(1);
  expect(strokes.compare("theirs", "another's")).toBeNull();
});

it("says when strokes in between are forgotten, as they took too much memory", () => {
  strokes.compare("first", "first");
  strokes.add(stroke("first", "large", 40 << 20));
  strokes.add(stroke("large", "larger", 40 << 20));
  expect(strokes.compare("theirs", "larger")?.isWhole).toBe(false);
});
