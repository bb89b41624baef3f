import { describe, expect, it } from "vitest";
import { type Json, readJson } from "../json";
import { comparisonOf, mergedOf, newNames, placeOf, placeOn } from "./entries";
import { graphsOf, marksIn, marksOf } from "./marks";

function answer(changes: readonly object[]): Json {
  const whole = changes.map((change) => ({ before: null, after: null, moved: [], ...change }));
  return readJson(
    JSON.stringify({ changes: whole, models: { first: {}, second: { tiny: "ab" } } }),
  );
}

const { entries, digests } = comparisonOf(
  answer([
    {
      change: "removed",
      kind: "node",
      path: ["nodes", "old"],
      before: { type: "A" },
      moved: [["nodes", "end", "inputs", "image"]],
    },
    { change: "renamed", kind: "node", path: ["nodes", "a"], before: "a", after: "b" },
    {
      change: "renamed",
      kind: "subgraph",
      path: ["subgraphs", "Block"],
      before: "Block",
      after: "Words",
    },
    {
      change: "changed",
      kind: "input",
      path: ["nodes", "b", "inputs", "steps"],
      before: 1,
      after: 12345678901234567890n.toString(),
    },
    {
      change: "changed",
      kind: "link",
      path: ["nodes", "b", "inputs", "image"],
      before: { from: "x.o" },
      after: { from: "y.o" },
    },
    {
      change: "changed",
      kind: "layout",
      path: ["ui", "positions", "b"],
      before: [0, 0],
      after: [1, 1],
      quiet: true,
    },
    {
      change: "changed",
      kind: "input",
      path: ["subgraphs", "Words", "nodes", "n", "inputs", "p"],
      before: 1,
      after: 2,
    },
    { change: "added", kind: "subgraph", path: ["subgraphs", "New"], after: { nodes: {} } },
  ]),
);

describe("entries", () => {
  it("have no value where the verb says that there is none", () => {
    expect(entries[0]?.after).toBeUndefined();
    expect(entries[7]?.before).toBeUndefined();
    expect(digests.get("tiny")).toBe("ab");
  });

  it("have their place in both workflows, under the names of each", () => {
    const names = newNames(entries);
    const place = placeOf(["nodes", "b", "inputs", "steps"]);
    expect(place && placeOn("first", place, "second", names)).toMatchObject({ node: "a" });
    const inner = placeOf(["subgraphs", "Words", "nodes", "n", "inputs", "p"]);
    expect(inner && placeOn("first", inner, "second", names)).toMatchObject({ scope: "Block" });
    expect(placeOf(["title"])).toBeNull();
  });

  it("of a merge say which values there are", () => {
    const merged = mergedOf(
      readJson(
        JSON.stringify({
          workflow: { nodes: {} },
          conflicts: [
            {
              kind: "input",
              reason: "both-changed",
              path: ["nodes", "a"],
              base: null,
              ours: null,
              theirs: 2,
              absent: ["base"],
              our_changes: [0],
              their_changes: [1],
            },
          ],
          skipped_ours: [3],
        }),
      ),
    );
    expect(merged.conflicts[0]).toMatchObject({
      base: undefined,
      ours: null,
      ourEntries: [0],
      theirEntries: [1],
    });
    expect(merged.skippedOurs).toEqual([3]);
  });
});

describe("marks", () => {
  it("stand on the side that has the part", () => {
    const [left, right] = [marksOf(entries, "first"), marksOf(entries, "second")];
    expect(marksIn(left, null).nodes).toEqual(
      new Map([
        ["old", "removed"],
        ["a", "renamed"],
      ]),
    );
    expect(marksIn(right, null).nodes).toEqual(new Map([["b", "renamed"]]));
  });

  it("show a link that leads elsewhere as gone here and new there", () => {
    const [left, right] = [marksOf(entries, "first"), marksOf(entries, "second")];
    expect(marksIn(left, null).links.get("a.image")).toBe("removed");
    expect(marksIn(left, null).links.get("end.image")).toBe("removed");
    expect(marksIn(right, null).links.get("b.image")).toBe("added");
    expect(marksIn(right, null).inputs.get("b.steps")).toBe("changed");
  });

  it("leave out the layout", () => {
    const quiet = entries.filter((entry) => entry.quiet);
    expect(marksOf(quiet, "second").size).toBe(0);
  });
});

describe("graphs", () => {
  it("are the workflow's own and those with entries, by their names on each side", () => {
    expect(graphsOf(entries).map(({ first, second }) => [first, second])).toEqual([
      [null, null],
      ["Block", "Words"],
      [undefined, "New"],
    ]);
  });
});
