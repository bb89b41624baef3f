import { describe, expect, it } from "vitest";
import type { Conflict, Entry, Merged } from "@/model/comparison/entries";
import { type Decisions, oneSided, pickOf, skippedBy, undecided, withDisputes } from "./decisions";

const ENTRY: Entry = {
  verb: "changed",
  kind: "input",
  path: ["nodes", "a", "inputs", "steps"],
  before: 1,
  after: 2,
  moved: [],
  quiet: false,
};
const CONFLICT: Conflict = {
  kind: "input",
  reason: "both-changed",
  path: ENTRY.path,
  base: 1,
  ours: 2,
  theirs: 3,
  quiet: false,
  ourEntries: [0],
  theirEntries: [1],
};
const MERGED: Merged = {
  document: new Map(),
  conflicts: [CONFLICT],
  ours: [ENTRY, ENTRY],
  theirs: [ENTRY, ENTRY],
  skippedOurs: [],
  skippedTheirs: [],
};
const disputes = withDisputes([], [CONFLICT]);
const [dispute] = disputes;
const none: Decisions = new Map();

describe("a conflict", () => {
  it("waits for a choice, and leaves out what the other side changed", () => {
    expect(undecided(none, disputes)).toHaveLength(1);
    expect(skippedBy(none, disputes)).toEqual({ ours: [], theirs: [] });
    const key = dispute?.key ?? "";
    expect(skippedBy(new Map([[key, "ours"]]), disputes)).toEqual({ ours: [], theirs: [1] });
    expect(skippedBy(new Map([[key, "theirs"]]), disputes)).toEqual({ ours: [0], theirs: [] });
  });

  it("stays in the list when it is settled, and is there once", () => {
    expect(withDisputes(disputes, [])).toBe(disputes);
    expect(withDisputes(disputes, [CONFLICT])).toBe(disputes);
  });

  it("about the layout alone is settled by itself", () => {
    const quiet = withDisputes([], [{ ...CONFLICT, quiet: true }]);
    expect(undecided(none, quiet)).toEqual([]);
    expect(skippedBy(none, quiet)).toEqual({ ours: [], theirs: [1] });
  });
});

describe("a change of one side", () => {
  const changes = oneSided(MERGED, disputes);

  it("is listed unless it is part of a conflict", () => {
    expect(changes.map(({ key }) => key)).toEqual(["theirs 0", "ours 1"]);
  });

  it("is kept until it is left out", () => {
    expect(changes.map((change) => pickOf(none, change))).toEqual(["theirs", "ours"]);
    const decisions: Decisions = new Map([
      ["theirs 0", "ours"],
      ["ours 1", "theirs"],
    ]);
    expect(skippedBy(decisions, disputes)).toEqual({ ours: [1], theirs: [0] });
  });
});
