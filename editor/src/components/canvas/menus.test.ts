import { expect, it } from "vitest";
import { allCommands } from "@/commands";
import { ARRANGING } from "./menus";

it("has all ways to align and distribute several cards, which the search finds, too", () => {
  const ways = allCommands().filter(({ label }) => /\.(?:align|distribute)\./.test(label));
  expect(ways.map(({ id }) => id)).toEqual(
    expect.arrayContaining(["arrange.left", "arrange.vertical"]),
  );
  expect(ways.filter(({ id }) => !ARRANGING.includes(id)).map(({ id }) => id)).toEqual([]);
  expect(ways.filter(({ hidden }) => hidden)).toEqual([]);
});
