import { beforeEach, describe, expect, it } from "vitest";
import {
  bindKeys,
  DEFAULT_SETTINGS,
  followOtherTabs,
  resetSettings,
  setConfirmation,
  setSetting,
  settingsFrom,
  useSettings,
} from "./settings";

beforeEach(resetSettings);

describe("stored settings", () => {
  it("come back as they were set", () => {
    setSetting("theme", "contrast");
    setConfirmation("clearQueue", false);
    bindKeys("edit.undo", ["mod+u"]);
    const stored = JSON.parse(localStorage.getItem("nodegraph.settings") ?? "");
    expect(settingsFrom(stored)).toEqual(useSettings.getState());
    expect(settingsFrom(stored).confirmations).toEqual({
      closeUnsaved: true,
      deleteResults: true,
      clearQueue: false,
    });
  });

  it("are the usual ones where they are damaged, one by one", () => {
    const stored = {
      theme: "pink",
      linkStyle: "step",
      snap: "yes",
      gridSize: 4000,
      keymap: { a: 3 },
      other: 1,
    };
    expect(settingsFrom(stored)).toEqual({ ...DEFAULT_SETTINGS, linkStyle: "step", gridSize: 100 });
    for (const damaged of [null, 7, "x", []])
      expect(settingsFrom(damaged)).toEqual(DEFAULT_SETTINGS);
  });

  it("follow another tab of the browser", () => {
    const stop = followOtherTabs();
    localStorage.setItem("nodegraph.settings", JSON.stringify({ theme: "light" }));
    dispatchEvent(new StorageEvent("storage", { key: "nodegraph.settings" }));
    stop();
    expect(useSettings.getState().theme).toBe("light");
  });
});

it("a command's own keys can be given back", () => {
  bindKeys("a", ["x"]);
  bindKeys("a", null);
  expect(useSettings.getState().keymap).toEqual({});
});
