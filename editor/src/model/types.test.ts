import fc from "fast-check";
import { expect, test } from "vitest";
import { wayBetween } from "./compat";
import { builtInTypes } from "./fixtures";
import { fillIn, parseType, schemaOfType, typeText } from "./types";

test("Any in a loop's ports stands for the subgraph's type", () => {
  expect(fillIn("list[Any]", "Image | Mask")).toBe("list[Image | Mask]");
  expect(fillIn("int", "Image")).toBe("int");
});

test("types that can be written have a schema", () => {
  expect(schemaOfType("list[int | str]")).toEqual({
    type: "array",
    items: { anyOf: [{ type: "integer" }, { type: "string" }] },
  });
  expect(schemaOfType("list[Image]")).toBeNull();
});

const portTypes = builtInTypes().portTypes;
const name = fc.constantFrom("int", "Image", "a:B", "Any");
const expression = fc.letrec<{ type: string }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 4 },
    name,
    tie("type").map((inner) => `list[${inner}]`),
    fc.tuple(tie("type"), tie("type")).map(([a, b]) => `${a} | ${b}`),
  ),
})).type;

test("what is read and written again is the same type", () => {
  fc.assert(
    fc.property(expression, (text) => {
      const expr = parseType(text);
      if (expr === null) return; // too many lists
      const written = typeText(expr);
      expect(parseType(written)).toEqual(expr);
      expect(wayBetween(written, written, portTypes)).toEqual({ conversions: [], depth: 0 });
    }),
  );
});

test("no text upsets the reader", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseType(text)));
  expect(parseType("list[")).toBeNull();
  expect(parseType("Image |")).toBeNull();
  expect(parseType("")).toBeNull();
});
