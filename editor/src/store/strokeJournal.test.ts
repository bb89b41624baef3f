import { describe, expect, it } from "vitest";
import { type LostStroke, missingIn } from "./strokeJournal";

const stroke = (key: string, before: string, after: string | null = null): LostStroke => ({
  key,
  document: "one",
  scope: null,
  node: "layer",
  before,
  after,
  label: "Brush stroke",
  operation: "source-over",
  opacity: 1,
  rect: { x: 0, y: 0, width: 1, height: 1 },
  bytes: new Uint8ClampedArray(4),
});
const keys = (strokes: readonly LostStroke[]) => strokes.map(({ key }) => key);

describe("strokes that a layer lacks", () => {
  it("are all that were drawn on the picture that it shows", () => {
    // The second was drawn before the first one's file had a value.
    expect(keys(missingIn([stroke("1", "a"), stroke("2", "a")], "a"))).toEqual(["1", "2"]);
  });

  it("are those after the one that it shows", () => {
    expect(keys(missingIn([stroke("1", "a", "b"), stroke("2", "a")], "b"))).toEqual(["2"]);
  });

  it("are none of a picture that was changed since, or of a layer that is gone", () => {
    expect(missingIn([stroke("1", "a")], "c")).toEqual([]);
    expect(missingIn([stroke("1", "a")], null)).toEqual([]);
  });
});
