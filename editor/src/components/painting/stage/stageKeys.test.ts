import { describe, expect, it } from "vitest";
import { hardened, resizedBrush, stageKey } from "./stageKeys";
import { LARGEST_SIZE, TOOL_KEYS } from "./tools";

const press = (key: string, more = {}) =>
  stageKey({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more });

describe("keys of the stage", () => {
  it("choose each tool", () => {
    for (const [name, key] of Object.entries(TOOL_KEYS))
      expect(press(key)).toEqual({ kind: "tool", name });
  });

  it("are one for each tool, and no other's", () => {
    const keys = [...Object.values(TOOL_KEYS), "x", "f", "p", "/"];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("change size and hardness", () => {
    expect(press("[")).toEqual({ kind: "size", by: -1 });
    expect(press("}", { shiftKey: true })).toEqual({ kind: "hardness", by: 1 });
  });

  it("select all, nothing, and the rest", () => {
    expect(press("a", { ctrlKey: true })?.kind).toBe("selectAll");
    expect(press("d", { metaKey: true })?.kind).toBe("deselect");
    expect(press("I", { ctrlKey: true, shiftKey: true })?.kind).toBe("invert");
  });

  it("leave undo, saving and the browser's own keys alone", () => {
    for (const key of ["z", "y", "s", "b", "e"]) expect(press(key, { ctrlKey: true })).toBeNull();
    expect([press("Tab"), press("b", { altKey: true }), press("B", { shiftKey: true })]).toEqual([
      null,
      null,
      null,
    ]);
  });
});

describe("steps", () => {
  it("of the size fit it, within its limits", () => {
    expect([resizedBrush(3, 1), resizedBrush(60, -1), resizedBrush(1, -1)]).toEqual([4, 54, 1]);
    expect(resizedBrush(LARGEST_SIZE, 1)).toBe(LARGEST_SIZE);
  });

  it("of the hardness are tenths", () => {
    expect([hardened(0.8, 1), hardened(0.05, -1), hardened(1, 1)]).toEqual([0.9, 0, 1]);
  });
});
