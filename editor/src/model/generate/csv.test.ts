import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  csvOfStyles,
  merged,
  rowsOfCsv,
  StylesFault,
  styled,
  stylesOfCsv,
  tagsFor,
  tagsOfCsv,
  tagText,
} from ".";

describe("comma-separated values", () => {
  test("are read as they are written", () => {
    const field = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "\r\n", " ", "é") });
    const row = fc.array(field, { minLength: 1, maxLength: 4 });
    const style = fc.record({
      name: field.map((text) => text.trim()).filter((text) => text !== ""),
      prompt: field.filter((text) => text.trim() !== ""),
      negative: field,
    });
    fc.assert(
      fc.property(fc.uniqueArray(style, { selector: ({ name }) => name }), (styles) => {
        expect(stylesOfCsv(csvOfStyles(styles))).toEqual(styles);
      }),
    );
    fc.assert(fc.property(row, (fields) => void rowsOfCsv(fields.join(","))));
  });

  test("may have other ends of lines, a mark in front, and quotes that aren't closed", () => {
    expect(rowsOfCsv("\ufeffa,b\r\n\r\nc,\n")).toEqual([
      ["a", "b"],
      ["c", ""],
    ]);
    expect(rowsOfCsv('a,"b\nc')).toEqual([["a", "b\nc"]]);
    expect(rowsOfCsv("")).toEqual([]);
    expect(rowsOfCsv("a,")).toEqual([["a", ""]]);
  });
});

describe("styles", () => {
  test("go around a prompt or behind it", () => {
    expect(styled("an apple", ["a film still of {prompt}, 35 mm"])).toBe(
      "a film still of an apple, 35 mm",
    );
    expect(styled("an apple", ["sharp", "bright"])).toBe("an apple, sharp, bright");
    expect(styled("", ["", "sharp"])).toBe("sharp");
    // A dollar sign in a prompt is a dollar sign.
    expect(styled("for $& $1", ["<{prompt}>"])).toBe("<for $& $1>");
  });

  test("come from the file of A1111", () => {
    const csv =
      'name,prompt,negative_prompt\nFilm,"a film still of {prompt}, 35 mm",blurry\n"--- mine ---",,\nFilm,again,\n';
    expect(stylesOfCsv(csv)).toEqual([{ name: "Film", prompt: "again", negative: "" }]);
    expect(() => stylesOfCsv("title,text\na,b\n")).toThrow(StylesFault);
    expect(() => stylesOfCsv("title,text\na,b\n")).toThrow("name");
    expect(merged([{ name: "a", prompt: "1", negative: "" }], [])).toHaveLength(1);
  });
});

describe("tags", () => {
  const CSV =
    'tag,category,count,alias\n1girl,0,6008644,"1girls,sole_female"\nlong_hair,0,4350743,"/lh,longhair"\nlong_sleeves,0,900000,\n:3,0,5,\n';

  test("come from lists with counts and aliases, the most used first", () => {
    const tags = tagsOfCsv(CSV) ?? [];
    expect(tags.map(({ name }) => name)).toEqual(["1girl", "long_hair", "long_sleeves", ":3"]);
    expect(tags[0]).toEqual({ name: "1girl", count: 6008644, aliases: ["1girls", "sole_female"] });
    // Without a category.
    expect(tagsOfCsv("cat,12\ndog,40\n")?.map(({ name }) => name)).toEqual(["dog", "cat"]);
    expect(tagsOfCsv("name,prompt,negative_prompt\nFilm,a film,\nInk,an ink,\n")).toBeNull();
    expect(tagsOfCsv("")).toBeNull();
    expect(tagsOfCsv("<!doctype html>\n<title>Not found</title>\n")).toBeNull();
  });

  test("are found by their beginnings and by aliases", () => {
    const tags = tagsOfCsv(CSV) ?? [];
    const names = (typed: string, most = 9) =>
      tagsFor(tags, typed, most).map(({ tag, alias }) => alias ?? tag.name);
    expect(names("long")).toEqual(["long_hair", "long_sleeves"]);
    expect(names("long h")).toEqual(["long_hair"]);
    expect(names("sole f")).toEqual(["sole_female"]);
    expect(names("long", 1)).toEqual(["long_hair"]);
    expect(names("")).toEqual([]);
  });

  test("are written with spaces, and brackets that are no weights", () => {
    expect(tagText("long_hair")).toBe("long hair");
    expect(tagText("ganyu_(genshin_impact)")).toBe("ganyu \\(genshin impact\\)");
    expect(tagText("^_^")).toBe("^_^");
  });
});
