import { describe, expect, it } from "vitest";
import { completionsFor, partsOf, searchText, splitSearch, withTerm } from "./librarySearch";

describe("a search", () => {
  it("has words and terms, whose values may be quoted", () => {
    const parts = partsOf('red "two words" tag:"big cat" Seed:5 http://x');
    expect(parts.map(({ name, value }) => [name, value])).toEqual([
      [null, "red"],
      [null, "two words"],
      ["tag", "big cat"],
      ["seed", "5"],
      [null, "http://x"],
    ]);
  });

  it("leaves the term that is still typed where it is", () => {
    expect(splitSearch("tag:cat red stars:", false)).toEqual({
      terms: [{ name: "tag", value: "cat" }],
      typed: "red stars:",
    });
    expect(splitSearch("red tag:ca", false)).toEqual({ terms: [], typed: "red tag:ca" });
    expect(splitSearch("red tag:ca ", false).terms).toEqual([{ name: "tag", value: "ca" }]);
    expect(splitSearch('"a b" size:8x6')).toEqual({
      terms: [{ name: "size", value: "8x6" }],
      typed: '"a b" ',
    });
  });

  it("asks for what is whole, with quotes where they are needed", () => {
    const terms = [
      { name: "tag", value: "big cat" },
      { name: "stars", value: "3" },
    ];
    expect(searchText(terms, "red  model:")).toBe('tag:"big cat" stars:3 red');
  });

  it("has several tags, and one of all else", () => {
    const terms = [
      { name: "tag", value: "cat" },
      { name: "seed", value: "1" },
    ];
    expect(
      withTerm(withTerm(terms, { name: "tag", value: "dog" }), { name: "seed", value: "2" }),
    ).toEqual([
      { name: "tag", value: "cat" },
      { name: "tag", value: "dog" },
      { name: "seed", value: "2" },
    ]);
  });

  it("is completed by terms and by their values", () => {
    const values = { tag: ["red cat", "catalog", "dog"] };
    expect(completionsFor("a st", values).map(({ text }) => text)).toEqual([
      "a stars:",
      "a steps:",
    ]);
    expect(completionsFor("tag:cat", values).map(({ text }) => text)).toEqual([
      "tag:catalog ",
      'tag:"red cat" ',
    ]);
    expect(completionsFor("tag:cat ", values)).toEqual([]);
  });
});
