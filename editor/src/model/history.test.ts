import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  begin,
  bounded,
  canRedo,
  canUndo,
  commit,
  currentValue,
  type History,
  isChanged,
  jump,
  markSaved,
  pathTo,
  redo,
  undo,
} from "./history";

type Step =
  | { readonly kind: "commit"; readonly value: number }
  | { readonly kind: "undo" | "redo" }
  | { readonly kind: "jump"; readonly to: number };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.nat().map((value): Step => ({ kind: "commit", value })),
    fc.constantFrom<Step>({ kind: "undo" }, { kind: "redo" }),
    fc.nat(60).map((to): Step => ({ kind: "jump", to })),
  ),
  { maxLength: 60 },
);

function act(history: History<number>, step: Step): History<number> {
  if (step.kind === "commit") return commit(history, step.value, "step", { at: 0 });
  if (step.kind === "jump") return jump(history, step.to);
  return step.kind === "undo" ? undo(history) : redo(history);
}

describe("history", () => {
  it("never loses a value", () => {
    fc.assert(
      fc.property(steps, (list) => {
        let history = begin(-1, "begin", 0);
        const values = new Set([-1]);
        for (const step of list) {
          history = act(history, step);
          values.add(currentValue(history));
        }
        const kept = new Set([...history.entries.values()].map((entry) => entry.value));
        expect([...values].every((value) => kept.has(value))).toBe(true);
      }),
    );
  });

  it("comes back with a redo to where an undo left", () => {
    fc.assert(
      fc.property(steps, (list) => {
        const history = list.reduce(act, begin(-1, "begin", 0));
        if (!canUndo(history)) return;
        expect(redo(undo(history)).current).toBe(history.current);
      }),
    );
  });

  it("opens a branch after an undo, and goes back to either", () => {
    let history = commit(begin("a", ""), "b", "");
    const first = history.current;
    history = commit(undo(history), "c", "");
    expect(currentValue(redo(undo(history)))).toBe("c");
    history = jump(history, first);
    expect(currentValue(history)).toBe("b");
    expect(currentValue(redo(undo(history)))).toBe("b");
    expect(canRedo(history)).toBe(false);
  });

  it("makes one step of changes with the same key in a row", () => {
    let history = begin("", "");
    for (const text of ["a", "ab", "abc"])
      history = commit(history, text, "type", { merge: "t", at: 0 });
    expect(history.entries.size).toBe(2);
    history = commit(history, "abcd", "type", { merge: "t", at: 60_000 });
    expect(history.entries.size).toBe(3);
    expect(currentValue(undo(history))).toBe("abc");
  });

  it("doesn't merge into a step that was saved or left", () => {
    let history = commit(begin("", ""), "a", "type", { merge: "t", at: 0 });
    history = commit(markSaved(history), "ab", "type", { merge: "t", at: 0 });
    expect(isChanged(history)).toBe(true);
    expect(isChanged(undo(history))).toBe(false);
    history = commit(undo(history), "ax", "type", { merge: "t", at: 0 });
    expect([...history.entries.values()].map((entry) => entry.value)).toEqual([
      "",
      "a",
      "ab",
      "ax",
    ]);
  });

  it("keeps so many entries, old branches going first", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (list, most) => {
        const full = list.reduce(act, begin(-1, "begin", 0));
        const history = bounded(full, most);
        expect(currentValue(history)).toBe(currentValue(full));
        const ahead = [...full.entries.keys()].filter((id) =>
          pathTo(full, id).some((entry) => entry.id === full.current),
        );
        expect(history.entries.size).toBeLessThanOrEqual(Math.max(most, ahead.length));
        for (const { parent } of history.entries.values()) {
          expect(parent === null || history.entries.has(parent)).toBe(true);
        }
      }),
    );
  });
});
