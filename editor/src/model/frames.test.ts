import { describe, expect, it } from "vitest";
import { input, spec } from "./fixtures/specs";
import { HIGHEST, jsonFault, LOWEST, readMessage } from "./frames";
import { frameOf } from "./packFrames";
import { inputOf, nodeTypesOf } from "./spec";
import { widgetOf } from "./widgets";

describe("what a frame says", () => {
  it("is taken as far as it is known, and within bounds", () => {
    expect(readMessage({ kind: "resize", height: 1e9 })).toEqual({
      kind: "resize",
      height: HIGHEST,
    });
    expect(readMessage({ kind: "resize", height: "tall" })).toEqual({
      kind: "resize",
      height: LOWEST,
    });
    const said = readMessage({ kind: "error", message: "x".repeat(9999), fatal: "yes" });
    expect(said).toMatchObject({ kind: "error", fatal: false });
    expect(said).toHaveProperty("message.length", 500);
    for (const none of [null, 1, "ready", {}, { kind: "run" }, []]) {
      expect(readMessage(none)).toBeNull();
    }
  });

  it("may undo and leave, and press no other key", () => {
    expect(readMessage({ kind: "key", key: "z", meta: true })).toEqual({
      kind: "key",
      key: "z",
      ctrl: true,
      shift: false,
    });
    for (const key of ["Enter", "s", "Delete", "F8", undefined]) {
      expect(readMessage({ kind: "key", key, ctrl: true })).toBeNull();
    }
  });

  it("gives values as files have them", () => {
    const said = readMessage({ kind: "change", value: [{ a: 0.5 }, null, "x"], final: false });
    expect(said).toEqual({
      kind: "change",
      value: [new Map([["a", 0.5]]), null, "x"],
      final: false,
    });
    expect(readMessage({ kind: "change", value: 1 })).toMatchObject({ final: true });
  });

  it.each([
    [[Number.NaN], "NaN is no number that JSON has"],
    [Number.POSITIVE_INFINITY, "Infinity is no number that JSON has"],
    [undefined, "a undefined is nothing that JSON has"],
    [{ when: new Date(0) }, "a object is nothing that JSON has"],
    [new Map([["a", 1]]), "a object is nothing that JSON has"],
    [1n, "a bigint is nothing that JSON has"],
    [Array.from({ length: 30_000 }, () => 0), "the value is too large"],
    ["x".repeat(300_000), "the value is too large"],
    [JSON.parse("[".repeat(40) + "]".repeat(40)), "the value is nested too deeply"],
  ])("is told of what no file can hold: %#", (value, fault) => {
    expect(jsonFault(value)).toBe(fault);
    expect(readMessage({ kind: "change", value })).toEqual({
      kind: "error",
      message: fault,
      fatal: false,
    });
  });

  it("ends even where a value holds itself", () => {
    const round: unknown[] = [];
    round.push(round);
    expect(jsonFault(round)).toBe("the value is nested too deeply");
  });
});

describe("a pack's widget", () => {
  const json_schema = { type: "array", items: { type: "number" } };
  const curve = input("curve", "list[float]", { json_schema, widget: "pack:curve" });
  const frame = { pack: "tones", kind: "widget", name: "curve", label: "", help: "" } as const;
  const frames = [
    { ...frame, pack: "others", href: "/packs/others" },
    { ...frame, kind: "panel" as const, href: "/packs/panel" },
    { ...frame, href: "/packs/tones" },
  ];

  it("is found by the pack of its node type alone", () => {
    expect(frameOf(frames, "tones", curve.widget)).toBe("/packs/tones");
    expect(frameOf(frames, "elsewhere", curve.widget)).toBeNull();
    expect(frameOf(frames, "tones", "multiline")).toBeNull();
  });

  it("is known to the inputs of its node types, and lacks where it isn't there", () => {
    const items = ["tones", "elsewhere"].map((pack) => spec(pack, { pack, inputs: [curve] }));
    const types = nodeTypesOf({ items, port_types: [], frames });
    const widget = (type: string) => {
      const found = types.byName.get(type);
      const port = found && inputOf(found, "curve");
      return port && widgetOf(port);
    };
    expect(widget("tones")).toEqual({ kind: "pack", name: "curve", href: "/packs/tones" });
    expect(widget("elsewhere")).toEqual({ kind: "pack", name: "curve", href: null });
  });
});
