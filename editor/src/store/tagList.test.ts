import { expect, test } from "vitest";
import { stubServer } from "@/test/answers";
import { chooseTagList, forgetTagList, knownTags, leaveTagList, useTagList } from "./tagList";

const CSV = 'red_apple,0,4350,"malus"\npear,0,12,\n';

/** A server that keeps lists, as the real one's answers are. */
function serve(): Map<string, string> {
  const lists = new Map<string, string>();
  const entry = (name: string) => ({ name, tags: 2, bytes: 40, href: "" });
  stubServer(async (address: string, init: RequestInit = {}) => {
    const name = decodeURIComponent(/tag-lists\/(.+)$/.exec(String(address))?.[1] ?? "");
    if (name === "") return Response.json({ items: [...lists.keys()].map(entry) });
    if (init.method === "DELETE") {
      lists.delete(name);
      return new Response(null, { status: 204 });
    }
    if (init.method === "PUT") {
      lists.set(name, CSV);
      return Response.json(entry(name));
    }
    return new Response(lists.get(name) ?? "", { status: lists.has(name) ? 200 : 404 });
  });
  return lists;
}

test("a list is kept by the server until it is deleted, and what is none changes nothing", async () => {
  const lists = serve();
  expect(await knownTags()).toEqual([]);
  expect(await chooseTagList(new File([CSV], "../fruit?.csv"))).toBe(true);
  expect(useTagList.getState()).toMatchObject({ name: "_fruit_", count: 2 });
  expect([...lists.keys()]).toEqual(["_fruit_"]);
  expect((await knownTags()).map(({ name }) => name)).toEqual(["red_apple", "pear"]);
  expect(await chooseTagList(new File(["<html></html>"], "page.csv"))).toBe(false);
  expect(useTagList.getState().name).toBe("_fruit_");
  expect(JSON.parse(localStorage.getItem("nodegraph.tag-list") ?? "")).toMatchObject({ count: 2 });
  leaveTagList();
  expect(await knownTags()).toEqual([]);
  await forgetTagList("_fruit_");
  expect(lists.size).toBe(0);
  expect(useTagList.getState().known).toEqual([]);
});
