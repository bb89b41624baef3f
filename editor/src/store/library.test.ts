import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { artifact, listResults } from "@/components/panels/testing";
import { stubServer } from "@/test/answers";
import { listedResults, useGallery } from "./gallery";
import { clearTrash, dropBoard, mark, newBoard, trash, useLibrary } from "./library";
import { useNotices } from "./notices";

interface Asked {
  readonly what: string;
  readonly body: Record<string, unknown>;
}

let asked: Asked[];
let refuse: RegExp | null;
const items = [artifact(0), artifact(1), artifact(2)];
const [first = artifact(0), second = artifact(1)] = items;

beforeEach(async () => {
  await list();
  useLibrary.setState({ tags: [], boards: [], isLoaded: false, marks: new Map() });
  useNotices.setState({ items: [] });
});

/** Have the results of a choice listed. */
async function list(choice = {}): Promise<void> {
  asked = [];
  refuse = null;
  await listResults(items, choice);
  stubServer(async (address: string, init: RequestInit = {}) => {
    const what = `${init.method ?? "GET"} ${address.replace(/^.*\/v1/, "")}`;
    asked.push({ what, body: JSON.parse(String(init.body ?? "{}")) });
    if (refuse?.test(what)) return Response.json({ detail: "no", status: 422 }, { status: 422 });
    if (what === "POST /library/boards")
      return Response.json({ id: "b1", name: "Covers", count: 0, cover: null, created: 1 });
    return Response.json({ items: [], next: null });
  });
}

afterEach(() => vi.unstubAllGlobals());

const shown = () => listedResults();

describe("what is noted of results", () => {
  it("is seen at once, and asked for in one go", async () => {
    const noting = mark([first, second], { stars: 4, add_tags: ["cat"] });
    expect(shown().map(({ stars, tags }) => [stars, tags])).toEqual([
      [4, ["cat"]],
      [4, ["cat"]],
      [0, []],
    ]);
    expect(await noting).toBe(true);
    const [only] = asked;
    expect(only?.what).toBe("PATCH /library");
    expect(only?.body).toEqual({
      digests: [first.digest, second.digest],
      stars: 4,
      add_tags: ["cat"],
    });
  });

  it("is as before where the server refuses it, and that is told", async () => {
    refuse = /^PATCH/;
    expect(await mark([first], { stars: 4 })).toBe(false);
    expect(shown()).toEqual(items);
    expect(useNotices.getState().items[0]?.kind).toBe("error");
  });

  it("goes to the server in parts that it takes", async () => {
    const many = Array.from({ length: 2300 }, (_, index) => artifact(index));
    await mark(many, { stars: 1 });
    expect(asked.map(({ body }) => (body.digests as string[]).length)).toEqual([1000, 1000, 300]);
  });

  it("takes a result off the board that is looked at", async () => {
    await list({ board: "b1" });
    await mark([first], { board: "b2" });
    expect(shown()).toEqual(items.slice(1));
  });
});

describe("the trash", () => {
  it("takes results, and gives them back by the notice", async () => {
    useGallery.setState({ marked: new Set([first.digest]) });
    await trash([first]);
    expect(shown()).toEqual(items.slice(1));
    expect(useGallery.getState().marked.size).toBe(0);
    expect(useLibrary.getState().trashed).toEqual(new Set([first.digest]));
    const notice = useNotices.getState().items[0];
    notice?.action?.run();
    await vi.waitFor(() =>
      expect(asked.map(({ what }) => what)).toContain("POST /library/restore"),
    );
    await vi.waitFor(() => expect(useLibrary.getState().trashed.size).toBe(0));
  });

  it("leaves them where they are if it can't", async () => {
    refuse = /trash/;
    expect(await trash([first])).toEqual([]);
    expect(shown()).toEqual(items);
  });

  it("is empty after it was emptied", async () => {
    await list({ isTrash: true });
    await clearTrash();
    expect(asked[0]?.what).toBe("DELETE /library/trash");
    expect(shown()).toEqual([]);
  });
});

describe("a board", () => {
  it("is there once it was made, and no longer looked into when it goes", async () => {
    await newBoard("Covers");
    expect(useLibrary.getState().boards.map(({ name }) => name)).toEqual(["Covers"]);
    useGallery.setState({ board: "b1" });
    await dropBoard("b1");
    expect(useLibrary.getState().boards).toEqual([]);
    expect(useGallery.getState().board).toBeNull();
  });
});
