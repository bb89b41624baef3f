import { describe, expect, it } from "vitest";
import { hasText } from "@/i18n";
import { allCommands, keysOf } from "./index";
import { normalChord } from "./keys";

/** Keys that two commands share, as only one of them can run at a time. */
const SHARED: readonly string[] = [];

describe("all commands", () => {
  it("have a label", () => {
    expect(allCommands().filter(({ label }) => !hasText(label))).toEqual([]);
  });

  it("have keys of their own", () => {
    const owners = new Map<string, string[]>();
    for (const command of allCommands()) {
      for (const key of keysOf(command).map(normalChord)) {
        owners.set(key, [...(owners.get(key) ?? []), command.id]);
      }
    }
    const shared = [...owners].filter(([key, ids]) => ids.length > 1 && !SHARED.includes(key));
    expect(shared).toEqual([]);
  });

  it("are found among all, or by a key, or in the menu of an input", () => {
    const inMenu = /^parameters\.(?:expose|toPort|toField|reset)$/;
    const unreached = allCommands()
      .filter((command) => command.hidden && keysOf(command).length === 0)
      .map(({ id }) => id);
    expect(unreached.filter((id) => !inMenu.test(id))).toEqual([]);
  });

  it("leave the browser its own keys", () => {
    const kept = [
      "mod+t",
      "mod+w",
      "mod+n",
      "mod+shift+n",
      "mod+shift+t",
      "mod+shift+w",
      "mod+l",
      "mod+r",
      "f5",
      "f11",
      "f12",
      "mod+shift+i",
    ];
    const taken = allCommands().flatMap((command) => keysOf(command).map(normalChord));
    expect(taken.filter((key) => kept.includes(key))).toEqual([]);
  });
});
