import { expect, test } from "vitest";
import { chooseTagList, forgetTagList, knownTags, useTagList } from "./tagList";

const CSV = 'red_apple,0,4350,"malus"\npear,0,12,\n';

test("a list is kept until it is taken away, and what is none changes nothing", async () => {
  expect(await knownTags()).toEqual([]);
  expect(await chooseTagList(new File([CSV], "fruit.csv"))).toBe(true);
  expect(useTagList.getState()).toEqual({ name: "fruit.csv", count: 2 });
  expect((await knownTags()).map(({ name }) => name)).toEqual(["red_apple", "pear"]);
  expect(await chooseTagList(new File(["<html></html>"], "page.csv"))).toBe(false);
  expect(useTagList.getState().name).toBe("fruit.csv");
  expect(JSON.parse(localStorage.getItem("nodegraph.tag-list") ?? "")).toMatchObject({ count: 2 });
  await forgetTagList();
  expect(await knownTags()).toEqual([]);
});
