import { describe, expect, it } from "vitest";
import { readDocstring, spansOf } from "./docstring";

describe("readDocstring", () => {
  it("leaves out the summary and what the ports tell", () => {
    const help = "Sum of two.\n\nMore of\nit.\n\nArgs:\n    a: One.\n    b: Other.";
    expect(readDocstring(help, "Sum of two.")).toEqual([
      { kind: "paragraph", spans: [{ kind: "text", text: "More of it." }] },
    ]);
  });

  it("reads other sections as terms, with entries over several lines", () => {
    const help =
      "Sum.\n\nRaises:\n    ValueError: if it is\n        too large.\n\n    KeyError: never.";
    expect(readDocstring(help, "Sum.")).toEqual([
      {
        kind: "terms",
        title: "Raises",
        terms: [
          { name: "ValueError", spans: [{ kind: "text", text: "if it is too large." }] },
          { name: "KeyError", spans: [{ kind: "text", text: "never." }] },
        ],
      },
    ]);
  });

  it("reads lists and code", () => {
    const blocks = readDocstring("- one\n  more\n- two\n\n    x = 1\n      y = 2");
    expect(blocks).toEqual([
      {
        kind: "list",
        items: [[{ kind: "text", text: "one more" }], [{ kind: "text", text: "two" }]],
      },
      { kind: "code", text: "x = 1\n  y = 2" },
    ]);
  });

  it("gives nothing for nothing", () => {
    expect(readDocstring("")).toEqual([]);
    expect(readDocstring("Same.", "Same.")).toEqual([]);
  });
});

describe("spansOf", () => {
  it("sets code and addresses apart", () => {
    expect(spansOf("Use ``x`` or `y`, see https://a.org/b.")).toEqual([
      { kind: "text", text: "Use " },
      { kind: "code", text: "x" },
      { kind: "text", text: " or " },
      { kind: "code", text: "y" },
      { kind: "text", text: ", see " },
      { kind: "link", text: "https://a.org/b" },
      { kind: "text", text: "." },
    ]);
  });
});
