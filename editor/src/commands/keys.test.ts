import { describe, expect, it } from "vitest";
import { chordsOf, isInteractive, isTextField, keyText, normalChord } from "./keys";

function press(key: string, options: KeyboardEventInit = {}): KeyboardEvent {
  return new KeyboardEvent("keydown", { key, ...options });
}

describe("chords", () => {
  it("have one spelling", () => {
    expect(normalChord("Shift+Mod+Z")).toBe("mod+shift+z");
    expect(normalChord("mod+ArrowUp")).toBe("mod+up");
  });

  it("are read from a press", () => {
    expect(chordsOf(press("z", { ctrlKey: true, shiftKey: true }))).toEqual(["mod+shift+z"]);
    expect(chordsOf(press(" "))).toEqual(["space"]);
  });

  it("find a sign without its Shift", () => {
    expect(chordsOf(press("?", { shiftKey: true }))[0]).toBe("?");
  });

  it("find a digit and a letter by their place", () => {
    expect(chordsOf(press("!", { shiftKey: true, code: "Digit1" }))).toContain("shift+1");
    expect(chordsOf(press("я", { ctrlKey: true, code: "KeyZ" }))).toContain("mod+z");
  });

  it("find a sign by its place under Alt", () => {
    expect(chordsOf(press("“", { altKey: true, code: "BracketLeft" }))).toContain("alt+[");
  });

  it("don't take a letter's place on another Latin keyboard for it", () => {
    expect(chordsOf(press("z", { ctrlKey: true, code: "KeyY" }))).toEqual(["mod+z"]);
  });

  it("are nothing for a modifier alone", () => {
    expect(chordsOf(press("Shift", { shiftKey: true }))).toEqual([]);
  });

  it("are shown as on the keyboard", () => {
    expect(keyText("mod+shift+z")).toBe("Ctrl+Shift+Z");
    expect(keyText("mod+plus")).toBe("Ctrl++");
  });
});

describe("the focused element", () => {
  it("keeps what is typed in texts, not in other inputs", () => {
    const text = document.createElement("input");
    const range = Object.assign(document.createElement("input"), { type: "range" });
    expect(isTextField(text)).toBe(true);
    expect(isTextField(range)).toBe(false);
    expect(isTextField(document.createElement("textarea"))).toBe(true);
  });

  it("keeps the keys that it acts on", () => {
    const button = document.createElement("button");
    expect(isInteractive(button, ["space"])).toBe(true);
    expect(isInteractive(button, ["delete"])).toBe(false);
    expect(isInteractive(button, ["mod+enter"])).toBe(false);
  });
});

it("AltGr only types", () => {
  const typed = press("[", { ctrlKey: true, altKey: true, modifierAltGraph: true });
  expect(chordsOf(typed)).toEqual(["["]);
});
