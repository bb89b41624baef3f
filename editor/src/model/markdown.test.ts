import { describe, expect, it } from "vitest";
import { blocksOf, hasLinks } from "./markdown";

const text = (words: string) => ({ kind: "text", text: words });

describe("blocksOf", () => {
  it("finds headings, lists and code", () => {
    expect(blocksOf("# Steps\n- one\n- two\n1. first\n```\na * b\n```")).toEqual([
      { kind: "heading", level: 1, spans: [text("Steps")] },
      { kind: "list", numbered: false, items: [[text("one")], [text("two")]] },
      { kind: "list", numbered: true, items: [[text("first")]] },
      { kind: "code", text: "a * b" },
    ]);
  });

  it("keeps the lines of a paragraph, and parts them at empty ones", () => {
    expect(blocksOf("a\nb\n\nc")).toEqual([
      { kind: "paragraph", lines: [[text("a")], [text("b")]] },
      { kind: "paragraph", lines: [[text("c")]] },
    ]);
  });

  it("finds marks within a line", () => {
    expect(blocksOf("**a** *b* `c` 2 * 3 * 4")).toEqual([
      {
        kind: "paragraph",
        lines: [
          [
            { kind: "bold", text: "a" },
            text(" "),
            { kind: "italic", text: "b" },
            text(" "),
            { kind: "code", text: "c" },
            text(" 2 * 3 * 4"),
          ],
        ],
      },
    ]);
  });

  it("links to the web only", () => {
    expect(hasLinks(blocksOf("[a](javascript:alert(1))"))).toBe(false);
    const [block] = blocksOf("[a](https://a.org/b) and https://c.org.");
    expect(block).toEqual({
      kind: "paragraph",
      lines: [
        [
          { kind: "link", text: "a", to: "https://a.org/b" },
          text(" and "),
          { kind: "link", text: "https://c.org", to: "https://c.org" },
          text("."),
        ],
      ],
    });
  });

  it("takes an open fence to the end", () => {
    expect(blocksOf("```\na")).toEqual([{ kind: "code", text: "a" }]);
  });
});
